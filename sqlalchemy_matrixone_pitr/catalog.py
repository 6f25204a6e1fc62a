"""Reads of ``mo_catalog``, now or at an earlier moment: ids and foreign keys.

A function reads what the connection's own transaction sees, and asks one statement. A past moment
can be asked for on a connection without a transaction only.

Source: docs/server.md, Time travel; Where RESTORE does nothing and says OK.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from typing import Final, NamedTuple, TypeAlias

from sqlalchemy import bindparam, text
from sqlalchemy.engine import Connection
from sqlalchemy.sql.elements import TextClause

from .connections import query
from .moment import Moment, MomentLike

Key: TypeAlias = tuple[str, str]
"""A database, and a table in it."""


def _then(at: MomentLike | None) -> str:
    """What follows a table's name to read it as of a moment; nothing for the present."""
    return "" if at is None else f" {Moment.of(at).sql}"


def _with_lists(statement: str, *names: str) -> TextClause:
    return text(statement).bindparams(*(bindparam(name, expanding=True) for name in names))


# --------------------------------------------------------------------------------------------- ids


def object_ids(
    connection: Connection,
    objects: Collection[tuple[str, str | None]],
    *,
    at: MomentLike | None = None,
) -> dict[tuple[str, str | None], int]:
    """The ids of databases and tables: one statement for tables, one for databases."""
    found: dict[tuple[str, str | None], int] = {}
    tables = sorted({table for _, table in objects if table is not None})
    if tables:
        statement = _with_lists(
            f"SELECT reldatabase, relname, rel_id FROM mo_catalog.mo_tables{_then(at)} "
            "WHERE account_id = current_account_id() AND reldatabase IN :databases "
            "AND relname IN :tables",
            "databases",
            "tables",
        )
        databases = sorted({database for database, table in objects if table is not None})
        for database, table, rel_id in query(
            connection, statement, {"databases": databases, "tables": tables}
        ):
            found[database, table] = int(rel_id)
    alone = sorted({database for database, table in objects if table is None})
    if alone:
        statement = _with_lists(
            f"SELECT datname, dat_id FROM mo_catalog.mo_database{_then(at)} "
            "WHERE account_id = current_account_id() AND datname IN :databases",
            "databases",
        )
        for database, dat_id in query(connection, statement, {"databases": alone}):
            found[database, None] = int(dat_id)
    return found


def table_ids(
    connection: Connection, databases: Iterable[str], *, at: MomentLike | None = None
) -> dict[Key, int]:
    """The ids of all tables in some databases, without the parts of others: partitions, indexes."""
    statement = _with_lists(
        f"SELECT reldatabase, relname, rel_id FROM mo_catalog.mo_tables{_then(at)} "
        "WHERE account_id = current_account_id() AND reldatabase IN :databases AND relkind = 'r'",
        "databases",
    )
    return {
        (database, name): int(rel_id)
        for database, name, rel_id in query(connection, statement, {"databases": sorted(databases)})
        if not name.startswith(("%!%", "__mo_"))
    }


# ------------------------------------------------------------------------------------ foreign keys


class ForeignKey(NamedTuple):
    """A foreign key of a table, and the table that it refers to."""

    table: Key
    parent: Key

    @property
    def to_itself(self) -> bool:
        return self.table == self.parent


_SIDES: Final = {"of": "db_name", "to": "refer_db_name"}


def foreign_keys(
    connection: Connection,
    *,
    of: Iterable[str] | None = None,
    to: Iterable[str] | None = None,
    at: MomentLike | None = None,
) -> list[ForeignKey]:
    """The foreign keys of an account, in order; each pair of tables once.

    :param of: only those of tables in these databases.
    :param to: only those that refer to tables in these databases.
    """
    wanted = {
        side: sorted(databases) or [""]
        for side, databases in (("of", of), ("to", to))
        if databases is not None
    }
    where = " AND ".join(f"{_SIDES[side]} IN :{side}" for side in wanted)
    statement = _with_lists(
        "SELECT DISTINCT db_name, table_name, refer_db_name, refer_table_name "
        f"FROM mo_catalog.mo_foreign_keys{_then(at)}{where and f' WHERE {where}'}",
        *wanted,
    )
    return sorted(
        ForeignKey((database, table), (parent_database, parent))
        for database, table, parent_database, parent in query(connection, statement, wanted)
    )


def referring(keys: Iterable[ForeignKey]) -> dict[Key, list[Key]]:
    """The tables that refer to each table; one may be itself."""
    found: dict[Key, list[Key]] = {}
    for key in keys:
        found.setdefault(key.parent, []).append(key.table)
    return found


def names_of(tables: Iterable[Key]) -> str:
    """Tables as a person reads them: ``shop.orders, shop.lines``."""
    return ", ".join(f"{database}.{table}" for database, table in tables)


# ------------------------------------------------------------------------------- kinds of tables


def lost_by_restore(connection: Connection, database: str | None) -> list[Key]:
    """The sequences and external tables of a database, or of all of the account's: a RESTORE of it
    drops them and brings none back."""
    within = " AND reldatabase = :database" if database is not None else ""
    statement = text(
        "SELECT reldatabase, relname FROM mo_catalog.mo_tables WHERE account_id = "
        f"current_account_id() AND relkind IN ('S', 'e'){within}"
    )
    values = {} if database is None else {"database": database}
    return sorted((found[0], found[1]) for found in query(connection, statement, values))
