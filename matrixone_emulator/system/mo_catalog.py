"""mo_catalog: databases, tables, columns, indexes and foreign keys."""

from __future__ import annotations

from collections.abc import Iterator

from ..storage.records import SYSTEM_DATABASES
from ..storage.virtual import Reader, VirtualTable
from ..types.columns import SqlType, varchar
from ..versions.rules import Rules
from .catalog_rows import (
    I8,
    I32,
    NAME,
    STAMP,
    TEXT,
    U32,
    U64,
    Row,
    Rows,
    columns_named,
    doubled,
    index_parts,
    kind_of,
    stamp,
    system_tables,
    visible,
)
from .labels import type_label


def _mo_database(session: Reader, at: int | None) -> Iterator[Row]:
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


def _mo_tables(session: Reader, at: int | None) -> Iterator[Row]:
    number = session.catalogue.number_at(at)
    first = session.catalogue.databases(0, number)
    created = stamp(first[0].created_ns) if first else None
    logical = session.rules.logical_ids
    homes = {d.name: d.id for d in session.catalogue.databases(session.context.account_id, number)}
    account = session.context.account_id
    for name, database, identity, view in system_tables(session, at):
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
    for version in visible(session, at, own=False):
        definition = version.definition
        yield (
            version.id,
            version.name,
            version.database,
            version.database_id,
            "",
            kind_of(version),
            definition.comment,
            session.store.sources.get(version.version, ""),
            stamp(version.created_ns),
            1,
            0,
            version.account_id,
            int(bool(definition.partition_by)),
            "",
            "" if definition.view is None else definition.view,
            "",
            0,
            1,
            *([version.logical_id] if logical else []),
        )
        for hidden in version.hidden_tables:
            yield (
                hidden.id,
                hidden.name,
                version.database,
                version.database_id,
                "",
                hidden.kind,
                "",
                "",
                stamp(version.created_ns),
                1,
                0,
                version.account_id,
                0,
                "",
                "",
                "",
                0,
                1,
                *([hidden.id] if logical else []),
            )


def _mo_columns(session: Reader, at: int | None) -> Iterator[Row]:
    told = session.rules.generated_columns
    for version in visible(session, at, own=False):
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
                doubled(column.comment),
                0,
                int(column.on_update is not None),
                column.on_update or "",
                0,
                position - 1,
                ",".join(column.type.values),
                *([int(column.generated is not None), column.generated or ""] if told else []),
            )


def _mo_indexes(session: Reader, at: int | None) -> Iterator[Row]:
    number = 0
    for version in visible(session, at, own=session.context.account_id != 0):
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
                index.hidden or None,
            )


def _mo_foreign_keys(session: Reader, at: int | None) -> Iterator[Row]:
    knows = session.rules.foreign_keys_know_origins
    for version in visible(session, at, own=True):
        for key in version.definition.foreign_keys:
            if not key.listed:
                continue
            origins = [
                f"ACTION_ORIGIN_{'EXPLICIT' if rule else 'DEFAULT'}"
                for rule in (key.on_delete, key.on_update)
            ]
            pairs = zip(key.columns, key.parent_columns, strict=True)
            for number, (ours, theirs) in enumerate(pairs, 1):
                yield (
                    key.name,
                    number if knows else 0,
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
                    key.on_delete.replace(" ", "_") or session.rules.foreign_key_rule,
                    key.on_update.replace(" ", "_") or session.rules.foreign_key_rule,
                    *((key.parent_key, *origins) if knows else ()),
                )


def catalogue_tables(
    rules: Rules,
) -> Iterator[tuple[tuple[str, str], VirtualTable]]:
    def catalogue(
        name: str, columns: list[tuple[str, SqlType]], rows: Rows
    ) -> tuple[tuple[str, str], VirtualTable]:
        return ("mo_catalog", name), VirtualTable(columns, rows)

    yield catalogue(
        "mo_database",
        [
            ("dat_id", U64),
            *columns_named("datname dat_catalog_name dat_createsql", NAME),
            *columns_named("owner creator", U32),
            ("created_time", STAMP),
            ("account_id", U32),
            ("dat_type", varchar(32)),
        ],
        _mo_database,
    )
    logical = [("rel_logical_id", U64)] if rules.logical_ids else []
    yield catalogue(
        "mo_tables",
        [
            ("rel_id", U64),
            *columns_named("relname reldatabase", NAME),
            ("reldatabase_id", U64),
            *columns_named("relpersistence relkind rel_comment", NAME),
            ("rel_createsql", TEXT),
            ("created_time", STAMP),
            *columns_named("creator owner account_id", U32),
            ("partitioned", I8),
            ("partition_info", SqlType("blob")),
            *columns_named("viewdef constraint", NAME),
            *columns_named("rel_version catalog_version", U32),
            *logical,
        ],
        _mo_tables,
    )
    generated = [("attr_has_generated", I8), ("attr_generated", varchar(2048))]
    if not rules.generated_columns:
        generated = []
    yield catalogue(
        "mo_columns",
        [
            ("att_uniq_name", varchar(256)),
            ("account_id", U32),
            ("att_database_id", U64),
            ("att_database", varchar(256)),
            ("att_relname_id", U64),
            *columns_named("att_relname attname atttyp", varchar(256)),
            *columns_named("attnum att_length", I32),
            *columns_named("attnotnull atthasdef", I8),
            ("att_default", varchar(2048)),
            ("attisdropped", I8),
            ("att_constraint_type", SqlType("char", 1)),
            *columns_named("att_is_unsigned att_is_auto_increment", I8),
            ("att_comment", varchar(2048)),
            *columns_named("att_is_hidden attr_has_update", I8),
            ("attr_update", varchar(2048)),
            ("attr_is_clusterby", I8),
            ("attr_seqnum", SqlType("smallint", unsigned=True)),
            ("attr_enum", varchar(65535)),
            *generated,
        ],
        _mo_columns,
    )
    yield catalogue(
        "mo_indexes",
        [
            *columns_named("id table_id database_id", U64),
            *columns_named("name type algo algo_table_type algo_params"),
            *columns_named("is_visible hidden", I8),
            *columns_named("comment column_name", varchar(2048)),
            ("ordinal_position", U32),
            ("options", TEXT),
            ("index_table_name", NAME),
        ],
        _mo_indexes,
    )
    kinds: list[tuple[str, SqlType]] = []
    for word in ("constraint", "db", "table", "column", "refer_db", "refer_table", "refer_column"):
        kinds += [(f"{word}_name", NAME), (f"{word}_id", U64)]
    kinds += columns_named("on_delete on_update", varchar(128))
    if rules.foreign_keys_know_origins:
        kinds += columns_named("referenced_index_name", NAME)
        kinds += columns_named("on_delete_origin on_update_origin", varchar(64))
    yield catalogue("mo_foreign_keys", kinds, _mo_foreign_keys)
