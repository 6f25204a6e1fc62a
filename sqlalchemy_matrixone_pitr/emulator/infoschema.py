"""mo_catalog and information_schema as tables that are worked out when read (section 9)."""

from __future__ import annotations

import datetime
from collections.abc import Callable, Iterable, Iterator
from typing import TYPE_CHECKING

from .columns import SqlType, moment_text, varchar
from .definition import ColumnDef, IndexDef, Version
from .lexer import tokens
from .records import SYSTEM_DATABASES, VirtualTable

if TYPE_CHECKING:
    from .workspace import StorageSession

Row = tuple[object, ...]
Rows = Callable[["StorageSession", "int | None"], Iterable[Row]]

_U64 = SqlType("bigint", unsigned=True)
_U32 = SqlType("int", unsigned=True)
_I64 = SqlType("bigint")
_I32 = SqlType("int")
_I8 = SqlType("tinyint")
_STAMP = SqlType("timestamp")
_TEXT = SqlType("text")
_NAME = varchar(5000)
_WORD = varchar(64)

_WIDTHS = {"tinyint": 8, "smallint": 16, "int": 32, "bigint": 64}


def type_label(kind: SqlType) -> str:
    """A type as SHOW COLUMNS has it: `BIGINT(64)`, `DATETIME(6)`, `TEXT(0)`."""
    name = kind.kind.upper() + (" UNSIGNED" if kind.unsigned else "")
    if kind.kind == "enum":
        return "ENUM" + kind.text[4:]
    if kind.kind == "decimal" or (kind.kind in ("float", "double") and kind.width):
        return f"{name}({kind.width},{kind.scale})"
    if kind.kind in _WIDTHS:
        return f"{name}({_WIDTHS[kind.kind]})"
    if kind.kind in ("datetime", "timestamp", "time"):
        return f"{name}({kind.scale})"
    return f"{name}({kind.width})"


def stamp(nanoseconds: int) -> str:
    """A catalogue time as a stored TIMESTAMP: whole seconds."""
    seconds = nanoseconds // 1_000_000_000
    return moment_text(datetime.datetime(1970, 1, 1) + datetime.timedelta(seconds=seconds))


def default_label(column: ColumnDef) -> str | None:
    """A default as SHOW COLUMNS has it: strings without their quotes."""
    text = column.default
    if text is None:
        return None
    found = tokens(text)
    return text[1:-1] if len(found) == 1 and found[0].kind == "string" else text


def key_label(version: Version, column: ColumnDef) -> str:
    definition = version.definition
    if column.key in definition.primary:
        return "PRI"
    if any(column.key in key.columns for key in definition.foreign_keys):
        return "MUL"
    for index in definition.indexes:
        if index.columns[0] == column.key:
            return "UNI" if index.unique and len(index.columns) == 1 else "MUL"
    return ""


def _doubled(comment: str) -> str:
    """A column's comment is kept as it was written between its quotes."""
    return comment.replace("'", "''")


def _visible(session: StorageSession, at: int | None, *, own: bool) -> list[Version]:
    """Tables and views: of the own account, or as sys of all."""
    number = session.catalogue.number_at(at)
    account: int | None = session.context.account_id
    if account == 0 and not own:
        account = None
    return session.catalogue.tables(None, number, account)


def _kind(version: Version) -> str:
    return "v" if version.definition.view is not None else "r"


def _system_tables(session: StorageSession) -> Iterator[tuple[str, str, int, bool]]:
    """Name, database, id and whether a view, of the tables that are worked out."""
    number = 4
    for (database, name), table in sorted(session.storage.virtual.items()):
        if name.startswith("__"):
            continue
        identity = {"mo_database": 1, "mo_tables": 2, "mo_columns": 3}.get(name, 0)
        if not identity:
            identity, number = 1000 + number, number + 1
        if not (table.sys_only and session.context.account_id != 0):
            yield name, database, identity, table.view


def _mo_database(session: StorageSession, at: int | None) -> Iterator[Row]:
    account: int | None = session.context.account_id or None
    for database in session.catalogue.databases(account, session.catalogue.number_at(at)):
        system = database.name in SYSTEM_DATABASES
        yield (
            database.id,
            database.name,
            "mo_catalog" if database.name == "mo_catalog" else "def",
            "" if system else f"create database {database.name}",
            0,
            0 if system else 1,
            stamp(database.created_ns),
            database.account_id,
            "",
        )


def _mo_tables(session: StorageSession, at: int | None) -> Iterator[Row]:
    number = session.catalogue.number_at(at)
    first = session.catalogue.databases(0, number)
    created = stamp(first[0].created_ns) if first else None
    logical = session.storage.version >= (4, 0, 0)
    homes = {d.name: d.id for d in session.catalogue.databases(session.context.account_id, number)}
    account = session.context.account_id
    for name, database, identity, view in _system_tables(session):
        owner = 0 if database == "mo_catalog" else account
        yield (
            identity,
            name,
            database,
            homes.get(database, 1),
            "true",
            "v" if view else "r",
            "",
            "",
            created,
            0,
            0,
            owner,
            0,
            "",
            "",
            "",
            0,
            1,
            *([identity] if logical else []),
        )
    for version in _visible(session, at, own=False):
        definition = version.definition
        yield (
            version.id,
            version.name,
            version.database,
            version.database_id,
            "",
            _kind(version),
            definition.comment,
            session.store.sources.get(version.version, ""),
            stamp(version.created_ns),
            1,
            0,
            version.account_id,
            0,
            "",
            "" if definition.view is None else definition.view,
            "",
            0,
            1,
            *([version.logical_id] if logical else []),
        )


def _mo_columns(session: StorageSession, at: int | None) -> Iterator[Row]:
    for version in _visible(session, at, own=False):
        definition = version.definition
        for position, column in enumerate(definition.columns, 1):
            yield (
                f"{version.id}-{column.lower}",
                version.account_id,
                version.database_id,
                version.database,
                version.id,
                version.name,
                column.name,
                type_label(column.type),
                position,
                column.type.width,
                int(not column.nullable),
                1,
                column.default or "",
                0,
                "p" if column.key in definition.primary else "n",
                int(column.type.unsigned),
                int(column.auto_increment),
                _doubled(column.comment),
                0,
                int(column.on_update is not None),
                column.on_update or "",
                0,
                position - 1,
                ",".join(column.type.values),
            )


def index_parts(version: Version) -> Iterator[tuple[IndexDef, str, int, ColumnDef]]:
    """Each column of each key: the key, its type's word, the position, the column."""
    definition = version.definition
    for index in definition.indexes:
        word = "UNIQUE" if index.unique else "MULTIPLE"
        for position, key in enumerate(index.columns, 1):
            yield index, word, position, definition.by_key(key)
    primary = IndexDef("PRIMARY", definition.primary, True)
    for position, key in enumerate(definition.primary, 1):
        yield primary, "PRIMARY", position, definition.by_key(key)


def _mo_indexes(session: StorageSession, at: int | None) -> Iterator[Row]:
    number = 0
    for version in _visible(session, at, own=session.context.account_id != 0):
        for index, word, position, column in index_parts(version):
            number += position == 1
            yield (
                number,
                version.id,
                version.database_id,
                index.name,
                word,
                index.algorithm,
                "",
                "",
                int(index.visible),
                0,
                index.comment,
                column.name,
                position,
                None,
                None,
            )


def _mo_foreign_keys(session: StorageSession, at: int | None) -> Iterator[Row]:
    for version in _visible(session, at, own=True):
        for key in version.definition.foreign_keys:
            for ours, theirs in zip(key.columns, key.parent_columns, strict=True):
                yield (
                    key.name,
                    0,
                    version.database,
                    0,
                    version.name,
                    0,
                    version.definition.by_key(ours).name,
                    0,
                    key.parent_database,
                    0,
                    key.parent_table,
                    0,
                    theirs,
                    0,
                    key.on_delete.replace(" ", "_"),
                    key.on_update.replace(" ", "_"),
                )


def _columns(session: StorageSession, at: int | None) -> Iterator[Row]:
    for version in _visible(session, at, own=True):
        for position, column in enumerate(version.definition.columns, 1):
            kind = column.type
            text = kind.kind in ("char", "varchar", "text", "blob")
            sized = text or kind.kind in ("binary", "varbinary")
            exact = kind.kind == "decimal"
            moment = kind.kind == "datetime"
            # 3.x counts the bytes of bytes.
            octets = 24 if session.version < (4, 0, 0) else 4
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
                "auto_increment" if column.auto_increment else "",
                "select,insert,update,references",
                _doubled(column.comment),
                "",
                None,
            )


def _tables(session: StorageSession, at: int | None) -> Iterator[Row]:
    for name, database, _, view in _system_tables(session):
        word = "SYSTEM VIEW" if view else "BASE TABLE"
        yield _table_row(database, name, word, None, "", None)
    for version in _visible(session, at, own=True):
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


def _schemata(session: StorageSession, at: int | None) -> Iterator[Row]:
    number = session.catalogue.number_at(at)
    names = [d.name for d in session.catalogue.databases(session.context.account_id, number)]
    if "mo_catalog" not in names:
        names.append("mo_catalog")
    for name in names:
        yield "def", name, "utf8mb4", "utf8mb4_0900_ai_ci", None, "NO"


def _statistics(session: StorageSession, at: int | None) -> Iterator[Row]:
    for version in _visible(session, at, own=True):
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


def _referential(session: StorageSession, at: int | None) -> Iterator[Row]:
    for version in _visible(session, at, own=True):
        for key in version.definition.foreign_keys:
            yield (
                "def",
                version.database,
                key.name,
                "def",
                key.parent_database,
                "PRIMARY",
                "NONE",
                key.on_update.replace(" ", "_"),
                key.on_delete.replace(" ", "_"),
                version.name,
                key.parent_table,
            )


def _table_constraints(session: StorageSession, at: int | None) -> Iterator[Row]:
    for version in _visible(session, at, own=True):
        for index, word, _, _ in index_parts(version):
            yield "def", version.database, index.name, version.database, version.name, word, "YES"


def _views(session: StorageSession, at: int | None) -> Iterator[Row]:
    for version in _visible(session, at, own=True):
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


def _nothing(session: StorageSession, at: int | None) -> Iterable[Row]:
    return ()


def _words(names: str, kind: SqlType = _WORD) -> list[tuple[str, SqlType]]:
    return [(name, kind) for name in names.split()]


_EMPTY = {
    "character_sets": "character_set_name default_collate_name description maxlen",
    "engines": "engine support comment transactions xa savepoints",
    "key_column_usage": "constraint_catalog constraint_schema constraint_name table_catalog "
    "table_schema table_name column_name ordinal_position position_in_unique_constraint "
    "referenced_table_schema referenced_table_name referenced_column_name",
    "triggers": "trigger_catalog trigger_schema trigger_name event_manipulation "
    "event_object_catalog event_object_schema event_object_table action_statement action_timing",
    "routines": "specific_name routine_catalog routine_schema routine_name routine_type data_type",
    "parameters": "specific_catalog specific_schema specific_name ordinal_position parameter_mode",
    "user_privileges": "grantee table_catalog privilege_type is_grantable",
    "schema_privileges": "grantee table_catalog table_schema privilege_type is_grantable",
    "table_privileges": "grantee table_catalog table_schema table_name privilege_type is_grantable",
    "column_privileges": "grantee table_catalog table_schema table_name column_name "
    "privilege_type is_grantable",
    "events": "event_catalog event_schema event_name definer time_zone",
    "keywords": "word reserved",
    "files": "file_id file_name file_type tablespace_name",
    "profiling": "query_id seq state duration",
    "partitions": "table_catalog table_schema table_name partition_name",
    "processlist": "node_id conn_id session_id account user host db",
}

_NUMBERS = {
    "ordinal_position": _U32,
    "position_in_unique_constraint": _U32,
    "maxlen": _U32,
    "reserved": _U32,
}


def virtual_tables(version: tuple[int, int, int]) -> Iterator[tuple[tuple[str, str], VirtualTable]]:
    """All of them by database and name."""

    def schema(
        name: str, columns: list[tuple[str, SqlType]], rows: Rows
    ) -> tuple[tuple[str, str], VirtualTable]:
        return ("information_schema", name), VirtualTable(columns, rows, view=True)

    for name, words in _EMPTY.items():
        kinds = [(word, _NUMBERS.get(word, _WORD)) for word in words.split()]
        yield ("information_schema", name), VirtualTable(kinds, _nothing)
    yield schema(
        "columns",
        [
            *_words("table_catalog table_schema table_name column_name"),
            ("ordinal_position", _I32),
            *_words("column_default is_nullable data_type"),
            *_words(
                "character_maximum_length character_octet_length numeric_precision "
                "numeric_scale datetime_precision",
                _I64,
            ),
            *_words("character_set_name collation_name column_type column_key extra privileges"),
            *_words("column_comment generation_expression"),
            ("srs_id", _I64),
        ],
        _columns,
    )
    yield schema(
        "tables",
        [
            *_words("table_catalog table_schema table_name table_type engine"),
            ("version", _I64),
            ("row_format", _WORD),
            *_words(
                "table_rows avg_row_length data_length max_data_length index_length data_free "
                "auto_increment",
                _I64,
            ),
            *_words("create_time update_time check_time", _STAMP),
            ("table_collation", _WORD),
            ("checksum", _I64),
            ("create_options", _WORD),
            ("table_comment", _TEXT),
        ],
        _tables,
    )
    yield schema(
        "schemata",
        [
            *_words("catalog_name schema_name default_character_set_name default_collation_name"),
            ("sql_path", SqlType("char", 1)),
            ("default_encryption", _WORD),
        ],
        _schemata,
    )
    yield schema(
        "statistics",
        [
            *_words("table_catalog table_schema table_name"),
            ("non_unique", _I64),
            *_words("index_schema index_name"),
            ("seq_in_index", _U32),
            *_words("column_name collation"),
            ("cardinality", _I64),
            *_words("sub_part packed", _TEXT),
            *_words("nullable index_type"),
            ("comment", SqlType("char", 1)),
            *_words("index_comment is_visible"),
            ("expression", _TEXT),
        ],
        _statistics,
    )
    yield schema(
        "referential_constraints",
        _words(
            "constraint_catalog constraint_schema constraint_name unique_constraint_catalog "
            "unique_constraint_schema unique_constraint_name match_option update_rule delete_rule "
            "table_name referenced_table_name"
        ),
        _referential,
    )
    yield schema(
        "table_constraints",
        _words(
            "constraint_catalog constraint_schema constraint_name table_schema table_name "
            "constraint_type enforced"
        ),
        _table_constraints,
    )
    yield schema(
        "views",
        [
            *_words("table_catalog table_schema table_name"),
            ("view_definition", _TEXT),
            *_words(
                "check_option is_updatable definer security_type character_set_client "
                "collation_connection"
            ),
        ],
        _views,
    )
    from .show import COLLATIONS

    yield (
        ("information_schema", "collations"),
        VirtualTable(
            [
                *_words("collation_name character_set_name"),
                ("id", _U64),
                *_words("is_default is_compiled"),
                ("sortlen", _U32),
                ("pad_attribute", _WORD),
            ],
            lambda session, at: COLLATIONS,
        ),
    )
    yield from _catalogue_tables(version)


def _catalogue_tables(
    version: tuple[int, int, int],
) -> Iterator[tuple[tuple[str, str], VirtualTable]]:
    def catalogue(
        name: str, columns: list[tuple[str, SqlType]], rows: Rows
    ) -> tuple[tuple[str, str], VirtualTable]:
        return ("mo_catalog", name), VirtualTable(columns, rows)

    yield catalogue(
        "mo_database",
        [
            ("dat_id", _U64),
            *_words("datname dat_catalog_name dat_createsql", _NAME),
            *_words("owner creator", _U32),
            ("created_time", _STAMP),
            ("account_id", _U32),
            ("dat_type", varchar(32)),
        ],
        _mo_database,
    )
    logical = [("rel_logical_id", _U64)] if version >= (4, 0, 0) else []
    yield catalogue(
        "mo_tables",
        [
            ("rel_id", _U64),
            *_words("relname reldatabase", _NAME),
            ("reldatabase_id", _U64),
            *_words("relpersistence relkind rel_comment", _NAME),
            ("rel_createsql", _TEXT),
            ("created_time", _STAMP),
            *_words("creator owner account_id", _U32),
            ("partitioned", _I8),
            ("partition_info", SqlType("blob")),
            *_words("viewdef constraint", _NAME),
            *_words("rel_version catalog_version", _U32),
            *logical,
        ],
        _mo_tables,
    )
    yield catalogue(
        "mo_columns",
        [
            ("att_uniq_name", varchar(256)),
            ("account_id", _U32),
            ("att_database_id", _U64),
            ("att_database", varchar(256)),
            ("att_relname_id", _U64),
            *_words("att_relname attname atttyp", varchar(256)),
            *_words("attnum att_length", _I32),
            *_words("attnotnull atthasdef", _I8),
            ("att_default", varchar(2048)),
            ("attisdropped", _I8),
            ("att_constraint_type", SqlType("char", 1)),
            *_words("att_is_unsigned att_is_auto_increment", _I8),
            ("att_comment", varchar(2048)),
            *_words("att_is_hidden attr_has_update", _I8),
            ("attr_update", varchar(2048)),
            ("attr_is_clusterby", _I8),
            ("attr_seqnum", SqlType("smallint", unsigned=True)),
            ("attr_enum", varchar(65535)),
        ],
        _mo_columns,
    )
    yield catalogue(
        "mo_indexes",
        [
            *_words("id table_id database_id", _U64),
            *_words("name type algo algo_table_type algo_params"),
            *_words("is_visible hidden", _I8),
            *_words("comment column_name", varchar(2048)),
            ("ordinal_position", _U32),
            ("options", _TEXT),
            ("index_table_name", _NAME),
        ],
        _mo_indexes,
    )
    kinds: list[tuple[str, SqlType]] = []
    for word in ("constraint", "db", "table", "column", "refer_db", "refer_table", "refer_column"):
        kinds += [(f"{word}_name", _NAME), (f"{word}_id", _U64)]
    kinds += _words("on_delete on_update", varchar(128))
    yield catalogue("mo_foreign_keys", kinds, _mo_foreign_keys)
