"""Parts shared by the tables of the catalogue and of information_schema."""

from __future__ import annotations

import datetime
from collections.abc import Callable, Iterable, Iterator

from ..storage.virtual import Reader
from ..types.columns import SqlType, varchar
from ..types.definition import ColumnDef, IndexDef, Version
from ..types.values import moment_text

Row = tuple[object, ...]

Rows = Callable[[Reader, int | None], Iterable[Row]]

U64 = SqlType("bigint", unsigned=True)

U32 = SqlType("int", unsigned=True)

I64 = SqlType("bigint")

I32 = SqlType("int")

I8 = SqlType("tinyint")

STAMP = SqlType("timestamp")

TEXT = SqlType("text")

NAME = varchar(5000)

WORD = varchar(64)


def stamp(nanoseconds: int) -> str:
    """A catalogue time as a stored TIMESTAMP: whole seconds."""
    seconds = nanoseconds // 1_000_000_000
    return moment_text(datetime.datetime(1970, 1, 1) + datetime.timedelta(seconds=seconds))


def doubled(comment: str) -> str:
    """Double the quotes of a comment, which the server stores as it was written."""
    return comment.replace("'", "''")


def visible(session: Reader, at: int | None, *, own: bool) -> list[Version]:
    """Tables and views of the current account, or of all for sys."""
    number = session.catalogue.number_at(at)
    account: int | None = session.context.account_id
    if account == 0 and not own:
        account = None
    return session.catalogue.tables(None, number, account)


def kind_of(version: Version) -> str:
    return "v" if version.definition.view is not None else "r"


def system_tables(session: Reader, at: int | None) -> Iterator[tuple[str, str, int, bool]]:
    """Name, database, id and kind (a view or not) of the computed tables."""
    number = 4
    first_only = session.catalogue.number_at(at) == 0
    for (database, name), table in sorted(session.virtual.items()):
        if name.startswith("__"):
            continue
        identity = {"mo_database": 1, "mo_tables": 2, "mo_columns": 3}.get(name, 0)
        if not identity:
            identity, number = 1000 + number, number + 1
            if first_only:
                continue
        if not (table.sys_only and session.context.account_id != 0):
            yield name, database, identity, table.view


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


def columns_named(names: str, kind: SqlType = WORD) -> list[tuple[str, SqlType]]:
    return [(name, kind) for name in names.split()]
