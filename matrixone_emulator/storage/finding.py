"""Databases and tables found in the versioned catalogue, as of now or of a transaction."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Sequence

from ..types.definition import DatabaseVersion, ForeignKeyDef, HiddenTable, Version
from .store import Store

HIDDEN_PREFIX = "__mo_index_"
"""The beginning of the names of indexes' hidden tables"""
PARTITION_PREFIX = "%!%"

_TABLE = (
    "SELECT tab.version, tab.id, tab.db_id, tab.physical, tab.created_ns, tab.logical, "
    "db.name, db.account "
    "FROM tab JOIN db ON db.id = tab.db_id WHERE "
)


class TableFinder:
    """Find databases and tables; *number* is the writing transaction's."""

    def __init__(
        self, connection: sqlite3.Connection, store: Store, number: Callable[[], int]
    ) -> None:
        self._connection = connection
        self._store = store
        self._number = number
        self.recorded: list[int] = []
        """The versions of tables that the open transaction has made"""

    def number_at(self, moment: int | None) -> int | None:
        """The last transaction committed at or before *moment*; None means the present."""
        if moment is None:
            return None
        row = self._connection.execute(
            "SELECT max(number) FROM txn WHERE commit_ns <= ?", (moment,)
        ).fetchone()
        return int(row[0] or 0)

    @staticmethod
    def _valid(table: str, number: int | None) -> str:
        if number is None:
            return f"{table}.died IS NULL"
        return f"{table}.born <= {number} AND ({table}.died IS NULL OR {table}.died > {number})"

    def databases(self, account: int | None, number: int | None = None) -> list[DatabaseVersion]:
        """Databases of one account, or of all."""
        where = "" if account is None else f"account = {account} AND "
        rows = self._connection.execute(
            f"SELECT version, id, account, name, created_ns FROM db WHERE {where}"
            f"{self._valid('db', number)} ORDER BY name, account"
        )
        return [DatabaseVersion(*row) for row in rows]

    def database(
        self, account: int, name: str, number: int | None = None
    ) -> DatabaseVersion | None:
        row = self._connection.execute(
            "SELECT version, id, account, name, created_ns FROM db WHERE account = ? AND name = ? "
            f"AND {self._valid('db', number)}",
            (account, name),
        ).fetchone()
        return None if row is None else DatabaseVersion(*row)

    def _version(self, row: Sequence[object]) -> Version:
        version, identity, database_id, physical, created, logical, database, account = row
        return Version(
            int(str(version)),
            int(str(identity)),
            int(str(database_id)),
            int(str(physical)),
            int(str(created)),
            int(str(logical)),
            self._store.definitions[int(str(version))],
            str(database),
            int(str(account)),
        )

    def table(
        self, database: DatabaseVersion, name: str, number: int | None = None
    ) -> Version | None:
        row = self._connection.execute(
            f"{_TABLE} tab.db_id = ? AND tab.name = ? AND {self._valid('tab', number)} "
            f"AND db.version = ?",
            (database.id, name, database.version),
        ).fetchone()
        return None if row is None else self._version(row)

    def tables(
        self,
        database: DatabaseVersion | None,
        number: int | None = None,
        account: int | None = None,
    ) -> list[Version]:
        """Tables of one database, of one account, or all."""
        where, arguments = "", []
        if database is not None:
            where, arguments = "tab.db_id = ? AND ", [database.id]
        elif account is not None:
            where, arguments = "db.account = ? AND ", [account]
        rows = self._connection.execute(
            f"{_TABLE}{where}{self._valid('tab', number)} AND {self._valid('db', number)} "
            "ORDER BY db.name, tab.name",
            arguments,
        )
        return [self._version(row) for row in rows]

    def hidden(
        self, database: DatabaseVersion, name: str, number: int | None = None
    ) -> tuple[Version, HiddenTable] | None:
        """The hidden table of that name, and the table that it belongs to."""
        if not name.startswith((HIDDEN_PREFIX, PARTITION_PREFIX)):
            return None
        return next(
            (
                (version, hidden)
                for version in self.tables(database, number)
                for hidden in version.hidden_tables
                if hidden.name == name
            ),
            None,
        )

    def children(self, parent: Version) -> list[tuple[Version, ForeignKeyDef]]:
        """The present foreign keys that refer to *parent*."""
        rows = self._connection.execute(
            f"{_TABLE} tab.has_fk AND tab.died IS NULL AND db.died IS NULL AND db.account = ?",
            (parent.account_id,),
        )
        return [
            (version, key)
            for version in map(self._version, rows)
            for key in version.definition.foreign_keys
            if (key.parent_database, key.parent_table) == (parent.database, parent.name)
        ]

    def parent(self, child: Version, key: ForeignKeyDef) -> Version | None:
        database = self.database(child.account_id, key.parent_database)
        return None if database is None else self.table(database, key.parent_table)
