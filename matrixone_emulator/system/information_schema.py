"""mo_catalog and information_schema as tables that are computed when read.

docs/server.md, The catalogue; information_schema and keys.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from ..storage.virtual import Reader, VirtualTable
from ..types.columns import SqlType
from ..types.definition import Version
from ..versions.collations import CHARACTER_SETS
from ..versions.rules import Rules
from .catalog_rows import (
    I32,
    I64,
    STAMP,
    TEXT,
    U32,
    U64,
    WORD,
    Row,
    Rows,
    columns_named,
    doubled,
    index_parts,
    stamp,
    system_tables,
    visible,
)
from .keyword_rows import KEYWORD_ROWS
from .labels import extra, key_label, type_label
from .mo_catalog import (
    catalogue_tables,
)


def _reported(session: Reader, at: int | None) -> list[Version]:
    """Tables and views of the reported account; none if that is the wrong one."""
    right = session.context.reported_account_id == session.context.account_id
    return visible(session, at, own=True) if right else []


def _columns(session: Reader, at: int | None) -> Iterator[Row]:
    for version in _reported(session, at):
        for position, column in enumerate(version.definition.columns, 1):
            kind = column.type
            text = kind.kind in ("char", "varchar", "text", "blob")
            sized = text or kind.kind in ("binary", "varbinary")
            exact = kind.kind == "decimal"
            moment = kind.kind == "datetime"
            # 3.x counts the bytes of bytes.
            octets = 24 if session.rules.byte_types_count_bytes else 4
            key = key_label(version, column)
            yield (
                "def",
                version.database,
                version.name,
                column.name,
                position,
                column.default,
                "YES" if column.nullable else "NO",
                kind.kind.upper() + (" UNSIGNED" if kind.unsigned else ""),
                kind.width if sized else None,
                kind.width * octets if sized else None,
                kind.width if exact else None,
                kind.scale if exact else None,
                kind.scale if moment else None,
                "utf8" if text else None,
                "utf8_bin" if text else None,
                type_label(kind),
                key if key in ("PRI", "UNI") else "",
                extra(column),
                "select,insert,update,references",
                doubled(column.comment),
                column.generated or "",
                None,
            )


def _tables(session: Reader, at: int | None) -> Iterator[Row]:
    for name, database, _, view in system_tables(session, at):
        word = "SYSTEM VIEW" if view else "BASE TABLE"
        yield _table_row(database, name, word, None, "", None)
    for version in _reported(session, at):
        view = version.definition.view is not None
        counter = session.store.counters.get(version.physical)
        auto: int | None = counter if counter and version.definition.auto_column else 0
        if not version.definition.auto_column:
            # A table without a primary key has a hidden one that counts.
            auto = None if version.definition.primary else 1
        yield _table_row(
            version.database,
            version.name,
            "VIEW" if view else "BASE TABLE",
            stamp(version.created_ns),
            version.definition.comment,
            None if view else auto,
        )


def _table_row(
    database: str, name: str, word: str, created: str | None, comment: str, auto: int | None
) -> Row:
    view = "VIEW" in word
    zero = None if view else 0
    return (
        "def",
        database,
        name,
        word,
        None if view else "Tae",
        None if view else 10,
        "Compressed",
        zero,
        zero,
        zero,
        zero,
        zero,
        zero,
        auto,
        created,
        None if view else created,
        None if view else created,
        "utf8mb4_0900_ai_ci",
        zero,
        None if view else "",
        comment,
    )


def _schemata(session: Reader, at: int | None) -> Iterator[Row]:
    number = session.catalogue.number_at(at)
    context = session.context
    own = session.catalogue.databases(context.account_id, number)
    names = [d.name for d in own if context.reported_account_id == context.account_id]
    if "mo_catalog" not in names:
        names.append("mo_catalog")
    for name in names:
        yield "def", name, "utf8mb4", "utf8mb4_0900_ai_ci", None, "NO"


def _statistics(session: Reader, at: int | None) -> Iterator[Row]:
    told = session.rules.statistics_follow_account
    for version in _reported(session, at) if told else visible(session, at, own=True):
        for index, _, position, column in index_parts(version):
            yield (
                "def",
                version.database,
                version.name,
                0 if index.unique else 1,
                version.database,
                index.name,
                position,
                column.name,
                "A",
                0,
                None,
                None,
                "YES" if column.nullable else "",
                index.algorithm,
                "",
                index.comment,
                "YES" if index.visible else "NO",
                None,
            )


def _referential(session: Reader, at: int | None) -> Iterator[Row]:
    blank = " " if session.rules.foreign_keys_know_origins else "_"
    for version in visible(session, at, own=True):
        for key in version.definition.foreign_keys:
            rules = [
                (rule.replace(" ", "_") or session.rules.foreign_key_rule).replace("_", blank)
                for rule in (key.on_update, key.on_delete)
            ]
            yield (
                "def",
                version.database,
                key.name,
                "def",
                key.parent_database,
                "PRIMARY",
                "NONE",
                *rules,
                version.name,
                key.parent_table,
            )


def _table_constraints(session: Reader, at: int | None) -> Iterator[Row]:
    for version in visible(session, at, own=True):
        for index, word, _, _ in index_parts(version):
            yield "def", version.database, index.name, version.database, version.name, word, "YES"


def _views(session: Reader, at: int | None) -> Iterator[Row]:
    for version in _reported(session, at):
        if version.definition.view is not None:
            yield (
                "def",
                version.database,
                version.name,
                session.store.sources.get(version.version, ""),
                "NONE",
                "YES",
                f"{session.context.user}@localhost",
                "DEFINER",
                "utf8mb4",
                "utf8mb4_0900_ai_ci",
            )


def _nothing(session: Reader, at: int | None) -> Iterable[Row]:
    return ()


_EMPTY = {
    "engines": "engine support comment transactions xa savepoints",
    "key_column_usage": (
        "constraint_catalog constraint_schema constraint_name table_catalog table_schema "
        "table_name column_name ordinal_position position_in_unique_constraint "
        "referenced_table_schema referenced_table_name referenced_column_name"
    ),
    "triggers": (
        "trigger_catalog trigger_schema trigger_name event_manipulation event_object_catalog "
        "event_object_schema event_object_table action_order action_condition "
        "action_statement action_orientation action_timing action_reference_old_table "
        "action_reference_new_table action_reference_old_row action_reference_new_row created "
        "sql_mode definer character_set_client collation_connection database_collation"
    ),
    "routines": (
        "specific_name routine_catalog routine_schema routine_name routine_type data_type "
        "character_maximum_length character_octet_length numeric_precision numeric_scale "
        "datetime_precision character_set_name collation_name dtd_identifier routine_body "
        "routine_definition external_name external_language parameter_style is_deterministic "
        "sql_data_access sql_path security_type created last_altered sql_mode routine_comment "
        "definer character_set_client collation_connection database_collation"
    ),
    "parameters": (
        "specific_catalog specific_schema specific_name ordinal_position parameter_mode "
        "parameter_name data_type character_maximum_length character_octet_length "
        "numeric_precision numeric_scale datetime_precision character_set_name collation_name "
        "dtd_identifier routine_type"
    ),
    "user_privileges": "grantee table_catalog privilege_type is_grantable",
    "schema_privileges": "grantee table_catalog table_schema privilege_type is_grantable",
    "table_privileges": "grantee table_catalog table_schema table_name privilege_type is_grantable",
    "column_privileges": (
        "grantee table_catalog table_schema table_name column_name privilege_type is_grantable"
    ),
    "events": (
        "event_catalog event_schema event_name definer time_zone event_body event_definition "
        "event_type execute_at interval_value interval_field sql_mode starts ends status "
        "on_completion created last_altered last_executed event_comment originator "
        "character_set_client collation_connection database_collation"
    ),
    "files": (
        "file_id file_name file_type tablespace_name table_catalog table_schema table_name "
        "logfile_group_name logfile_group_number engine fulltext_keys deleted_rows "
        "update_count free_extents total_extents extent_size initial_size maximum_size "
        "autoextend_size creation_time last_update_time last_access_time recover_time "
        "transaction_counter version row_format table_rows avg_row_length data_length "
        "max_data_length index_length data_free create_time update_time check_time checksum "
        "status extra"
    ),
    "profiling": (
        "query_id seq state duration cpu_user cpu_system context_voluntary "
        "context_involuntary block_ops_in block_ops_out messages_sent messages_received "
        "page_faults_major page_faults_minor swaps source_function source_file source_line"
    ),
    "partitions": (
        "table_catalog table_schema table_name partition_name subpartition_name "
        "partition_ordinal_position subpartition_ordinal_position partition_method "
        "subpartition_method partition_expression subpartition_expression "
        "partition_description table_rows avg_row_length data_length max_data_length "
        "index_length data_free create_time update_time check_time checksum partition_comment "
        "nodegroup tablespace_name"
    ),
}

_PROCESSLIST = (
    "node_id conn_id session_id account user host db session_start command info txn_id "
    "statement_id statement_type query_type sql_source_type query_start client_host role "
    "proxy_host"
)


def _character_sets(session: Reader, at: int | None) -> Iterable[Row]:
    return CHARACTER_SETS if session.rules.character_sets_listed else ()


def _keywords(session: Reader, at: int | None) -> Iterable[Row]:
    return sorted((*KEYWORD_ROWS, *((word, 0) for word in session.rules.more_keyword_rows)))


_NUMBERS = {
    "ordinal_position": U32,
    "position_in_unique_constraint": U32,
    "action_order": U32,
    "query_id": I32,
    "seq": I32,
    "file_id": I64,
    "originator": U32,
}


def _unimplemented_tables(names: Iterable[str]) -> Iterator[tuple[tuple[str, str], VirtualTable]]:
    """The tables of *names*, which can be listed and not read (versions/system_tables.py)."""
    for marked in names:
        database, _, name = marked.rstrip("/!").partition(".")
        view, sys_only = "/" in marked, "!" in marked
        table = VirtualTable([], _nothing, sys_only=sys_only, view=view, unimplemented=True)
        yield (database, name), table


def virtual_tables(rules: Rules) -> Iterator[tuple[tuple[str, str], VirtualTable]]:
    """All of them by database and name; a later one of a name wins."""
    yield from _unimplemented_tables(rules.system_tables)

    def schema(
        name: str, columns: list[tuple[str, SqlType]], rows: Rows
    ) -> tuple[tuple[str, str], VirtualTable]:
        return ("information_schema", name), VirtualTable(columns, rows, view=True)

    for name, words in _EMPTY.items():
        kinds = [(word, _NUMBERS.get(word, WORD)) for word in words.split()]
        yield ("information_schema", name), VirtualTable(kinds, _nothing)
    yield (
        ("information_schema", "processlist"),
        VirtualTable(columns_named(_PROCESSLIST), _nothing, view=True, unimplemented=True),
    )
    yield (
        ("information_schema", "keywords"),
        VirtualTable([("word", WORD), ("reserved", U32)], _keywords),
    )
    yield (
        ("information_schema", "character_sets"),
        VirtualTable(
            [
                *columns_named("character_set_name default_collate_name description"),
                ("maxlen", U32),
            ],
            _character_sets,
        ),
    )
    yield schema(
        "columns",
        [
            *columns_named("table_catalog table_schema table_name column_name"),
            ("ordinal_position", I32),
            *columns_named("column_default is_nullable data_type"),
            *columns_named(
                "character_maximum_length character_octet_length numeric_precision "
                "numeric_scale datetime_precision",
                I64,
            ),
            *columns_named(
                "character_set_name collation_name column_type column_key extra privileges"
            ),
            *columns_named("column_comment generation_expression"),
            ("srs_id", I64),
        ],
        _columns,
    )
    yield schema(
        "tables",
        [
            *columns_named("table_catalog table_schema table_name table_type engine"),
            ("version", I64),
            ("row_format", WORD),
            *columns_named(
                "table_rows avg_row_length data_length max_data_length index_length data_free "
                "auto_increment",
                I64,
            ),
            *columns_named("create_time update_time check_time", STAMP),
            ("table_collation", WORD),
            ("checksum", I64),
            ("create_options", WORD),
            ("table_comment", TEXT),
        ],
        _tables,
    )
    yield schema(
        "schemata",
        [
            *columns_named(
                "catalog_name schema_name default_character_set_name default_collation_name"
            ),
            ("sql_path", SqlType("char", 1)),
            ("default_encryption", WORD),
        ],
        _schemata,
    )
    yield schema(
        "statistics",
        [
            *columns_named("table_catalog table_schema table_name"),
            ("non_unique", I64),
            *columns_named("index_schema index_name"),
            ("seq_in_index", U32),
            *columns_named("column_name collation"),
            ("cardinality", I64),
            *columns_named("sub_part packed", TEXT),
            *columns_named("nullable index_type"),
            ("comment", SqlType("char", 1)),
            *columns_named("index_comment is_visible"),
            ("expression", TEXT),
        ],
        _statistics,
    )
    yield schema(
        "referential_constraints",
        columns_named(
            "constraint_catalog constraint_schema constraint_name unique_constraint_catalog "
            "unique_constraint_schema unique_constraint_name match_option update_rule delete_rule "
            "table_name referenced_table_name"
        ),
        _referential,
    )
    yield schema(
        "table_constraints",
        columns_named(
            "constraint_catalog constraint_schema constraint_name table_schema table_name "
            "constraint_type enforced"
        ),
        _table_constraints,
    )
    yield schema(
        "views",
        [
            *columns_named("table_catalog table_schema table_name"),
            ("view_definition", TEXT),
            *columns_named(
                "check_option is_updatable definer security_type character_set_client "
                "collation_connection"
            ),
        ],
        _views,
    )

    yield (
        ("information_schema", "collations"),
        VirtualTable(
            [
                *columns_named("collation_name character_set_name"),
                ("id", U64),
                *columns_named("is_default is_compiled"),
                ("sortlen", U32),
                ("pad_attribute", WORD),
            ],
            lambda session, at: (),
        ),
    )
    yield from catalogue_tables(rules)
