"""The versioned catalogue and the physical tables, on one session's sqlite connection.

A catalogue row is valid from transaction *born* up to, not including, *died*. The rows of a
physical table `t_n` carry in `_from` the transaction that wrote them; triggers put what they
were before into `h_n`, with `_to`. A dropped table's last rows move there too.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Sequence
from dataclasses import replace

from ..errors import SqlError
from ..parsing.lexer import quote_name
from ..types.definition import DatabaseVersion, ForeignKeyDef, IndexDef, TableDef, Version
from .store import Store

_TABLE = (
    "SELECT tab.version, tab.id, tab.db_id, tab.physical, tab.created_ns, tab.logical, "
    "db.name, db.account "
    "FROM tab JOIN db ON db.id = tab.db_id WHERE "
)


class Tables:
    """Finds and changes databases and tables; *number* is the writing transaction's."""

    def __init__(
        self, connection: sqlite3.Connection, store: Store, number: Callable[[], int]
    ) -> None:
        self._connection = connection
        self._store = store
        self._number = number

    # Moments

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

    # Finding

    def databases(self, account: int | None, number: int | None = None) -> list[DatabaseVersion]:
        """Of one account, or of all."""
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
        """Of one database, or of all of an account, or of all."""
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

    # Changing the catalogue

    def add_database(self, account: int, name: str, identity: int | None = None) -> DatabaseVersion:
        version = DatabaseVersion(
            self._store.new_version(),
            self._store.new_id() if identity is None else identity,
            account,
            name,
            self._store.clock.now(),
        )
        self._connection.execute(
            "INSERT INTO db VALUES (?, ?, ?, ?, ?, ?, NULL)",
            (version.version, version.id, account, name, version.created_ns, self._number()),
        )
        return version

    def end_database(self, database: DatabaseVersion) -> None:
        self._connection.execute(
            "UPDATE db SET died = ? WHERE version = ?", (self._number(), database.version)
        )

    def add_table(
        self,
        database: DatabaseVersion,
        definition: TableDef,
        *,
        identity: int | None = None,
        source: str = "",
    ) -> Version:
        """A new table with rows to come, under a new id."""
        own = self._store.new_id() if identity is None else identity
        if definition.view is None:
            self._create_physical(own, definition)
        version = self._record(database, definition, own, own, self._store.clock.now(), own, source)
        if definition.view is None:
            self.sync_triggers(version)
            for key in definition.foreign_keys:
                self._sync_parent(version, key)
                self._touch_parent(version, key)
        return version

    def _touch_parent(self, child: Version, key: ForeignKeyDef) -> None:
        """A new foreign key moves its parent's created_time too."""
        parent = self.parent(child, key)
        if parent is not None and parent.version != child.version:
            self._connection.execute(
                "UPDATE tab SET created_ns = ? WHERE version = ?",
                (self._store.clock.now(), parent.version),
            )

    def _record(
        self,
        database: DatabaseVersion,
        definition: TableDef,
        identity: int,
        physical: int,
        created: int,
        logical: int,
        source: str,
    ) -> Version:
        number = self._store.new_version()
        self._store.definitions[number] = definition
        self._store.sources[number] = source
        self._connection.execute(
            "INSERT INTO tab VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, NULL)",
            (
                number,
                identity,
                database.id,
                definition.name,
                physical,
                created,
                logical,
                int(bool(definition.foreign_keys)),
                self._number(),
            ),
        )
        return Version(
            number,
            identity,
            database.id,
            physical,
            created,
            logical,
            definition,
            database.name,
            database.account_id,
        )

    def _end(self, version: Version) -> None:
        self._connection.execute(
            "UPDATE tab SET died = ? WHERE version = ?", (self._number(), version.version)
        )

    def replace(self, database: DatabaseVersion, version: Version, definition: TableDef) -> Version:
        """The same table, its rows and its id, defined anew: a change in place.

        The server's created_time moves with any change.
        """
        self._end(version)
        found = self._record(
            database,
            definition,
            version.id,
            version.physical,
            self._store.clock.now(),
            version.logical_id,
            self._store.sources.get(version.version, ""),
        )
        if definition.view is None:
            self._sync_indexes(version, found)
            self.sync_triggers(found)
            for key in {*version.definition.foreign_keys, *definition.foreign_keys}:
                self._sync_parent(found, key)
        return found

    def end_table(self, version: Version) -> None:
        """The table is no more; its rows become history."""
        self._end(version)
        if version.definition.view is not None:
            return
        keys = ", ".join(column.key for column in version.definition.columns)
        number = self._number()
        self._connection.execute(
            f"INSERT INTO {version.history} ({keys}, _from, _to) "
            f"SELECT {keys}, _from, {number} FROM {version.table} WHERE _from <> {number}"
        )
        self._connection.execute(f"DROP TABLE {version.table}")
        for key in version.definition.foreign_keys:
            self._sync_parent(version, key)
        for child, _ in self.children(version):
            self.sync_triggers(child)

    def rebuild(
        self,
        database: DatabaseVersion,
        version: Version,
        definition: TableDef,
        *,
        copy: bool = True,
    ) -> Version:
        """The same name under a new id, with the rows of columns of the same key."""
        own = self._store.new_id()
        self._create_physical(own, definition)
        if copy:
            kept = {column.key for column in version.definition.columns}
            keys = ", ".join(c.key for c in definition.columns if c.key in kept)
            if keys:
                self._connection.execute(
                    f"INSERT INTO t_{own} ({keys}, _from) "
                    f"SELECT {keys}, {self._number()} FROM {version.table} ORDER BY rowid"
                )
            if version.physical in self._store.counters:
                self._store.counters[own] = self._store.counters[version.physical]
        self.end_table(version)
        found = self._record(
            database,
            definition,
            own,
            own,
            self._store.clock.now(),
            own if self._born_here(version) else version.logical_id,
            self._store.sources.get(version.version, ""),
        )
        self.sync_triggers(found)
        for child, _ in self.children(found):
            if child.version != found.version:
                self.sync_triggers(child)
        for key in definition.foreign_keys:
            self._sync_parent(found, key)
        return found

    def _born_here(self, version: Version) -> bool:
        """Whether this transaction gave the table its id: a rebuild then counts as creation."""
        row = self._connection.execute(
            "SELECT min(born) FROM tab WHERE id = ?", (version.id,)
        ).fetchone()
        return bool(row[0] == self._number())

    # Physical tables

    def _create_physical(self, physical: int, definition: TableDef) -> None:
        columns = ", ".join(f"{c.key} {c.type.affinity}" for c in definition.columns)
        self._connection.execute(f"CREATE TABLE t_{physical} ({columns}, _from INTEGER NOT NULL)")
        self._connection.execute(
            f"CREATE TABLE h_{physical} ({columns}, _from INTEGER NOT NULL, _to INTEGER NOT NULL)"
        )
        # sqlite looks at the youngest index first, the server at the primary key.
        for index in reversed(definition.indexes):
            self._create_index(physical, index)
        if definition.primary:
            keys = ", ".join(definition.primary)
            self._connection.execute(f"CREATE UNIQUE INDEX p_{physical} ON t_{physical} ({keys})")

    def _index_name(self, physical: int, index: IndexDef) -> str:
        return quote_name(f"i_{physical}_{index.name}")

    def _create_index(self, physical: int, index: IndexDef) -> None:
        unique = "UNIQUE " if index.unique else ""
        self._connection.execute(
            f"CREATE {unique}INDEX {self._index_name(physical, index)} "
            f"ON t_{physical} ({', '.join(index.columns)})"
        )

    def _sync_indexes(self, old: Version, new: Version) -> None:
        shape = {(i.name, i.columns, i.unique) for i in old.definition.indexes}
        wanted = {(i.name, i.columns, i.unique) for i in new.definition.indexes}
        for index in old.definition.indexes:
            if (index.name, index.columns, index.unique) not in wanted:
                self._connection.execute(f"DROP INDEX {self._index_name(old.physical, index)}")
        for index in new.definition.indexes:
            if (index.name, index.columns, index.unique) not in shape:
                self._create_index(new.physical, index)

    def _sync_parent(self, child: Version, key: ForeignKeyDef) -> None:
        parent = self.parent(child, key)
        if parent is not None and parent.version != child.version:
            self.sync_triggers(parent)

    def parent(self, child: Version, key: ForeignKeyDef) -> Version | None:
        database = self.database(child.account_id, key.parent_database)
        return None if database is None else self.table(database, key.parent_table)

    def sync_triggers(self, version: Version) -> None:
        """History and foreign keys of this table as triggers, made anew."""
        execute, table = self._connection.execute, version.table
        names = execute(
            "SELECT name FROM sqlite_master WHERE type = 'trigger' AND tbl_name = ?", (table,)
        ).fetchall()
        for (name,) in names:
            execute(f"DROP TRIGGER {quote_name(name)}")
        keys = [column.key for column in version.definition.columns]
        columns = ", ".join(keys)
        old = ", ".join(f"OLD.{key}" for key in keys)
        keep = (
            f"INSERT INTO {version.history} ({columns}, _from, _to) "
            f"VALUES ({old}, OLD._from, mo_txn());"
        )
        execute(
            f"CREATE TRIGGER {table}_d AFTER DELETE ON {table} "
            f"WHEN OLD._from <> mo_txn() BEGIN {keep} END"
        )
        execute(
            f"CREATE TRIGGER {table}_u AFTER UPDATE ON {table} WHEN OLD._from <> mo_txn() BEGIN "
            f"{keep} UPDATE {table} SET _from = mo_txn() WHERE rowid = NEW.rowid; END"
        )
        for number, key in enumerate(version.definition.foreign_keys):
            self._child_trigger(version, key, number)
        for number, (child, key) in enumerate(self.children(version)):
            self._parent_trigger(version, child, key, number)

    def _child_trigger(self, child: Version, key: ForeignKeyDef, number: int) -> None:
        parent = (
            child
            if key.parent_table == child.name and (key.parent_database == child.database)
            else self.parent(child, key)
        )
        if parent is None:
            return
        pairs = zip(self._parent_keys(parent, key), key.columns, strict=True)
        match = " AND ".join(f"p.{theirs} = NEW.{ours}" for theirs, ours in pairs)
        known = " AND ".join(f"NEW.{ours} IS NOT NULL" for ours in key.columns)
        for event in ("INSERT", f"UPDATE OF {', '.join(key.columns)}"):
            self._connection.execute(
                f"CREATE TRIGGER {child.table}_c{number}{event[0]} AFTER {event} ON {child.table} "
                f"WHEN mo_checks() AND {known} AND "
                f"NOT EXISTS (SELECT 1 FROM {parent.table} p WHERE {match}) "
                f"BEGIN SELECT RAISE(ABORT, 'mo-child'); END"
            )

    def _parent_trigger(
        self, parent: Version, child: Version, key: ForeignKeyDef, number: int
    ) -> None:
        theirs = self._parent_keys(parent, key)
        match = " AND ".join(
            f"{ours} = OLD.{other}" for ours, other in zip(key.columns, theirs, strict=True)
        )
        changed = " OR ".join(f"NEW.{other} IS NOT OLD.{other}" for other in theirs)
        nothing = ", ".join(f"{ours} = NULL" for ours in key.columns)
        follow = ", ".join(
            f"{ours} = NEW.{other}" for ours, other in zip(key.columns, theirs, strict=True)
        )
        refuse = (
            f"SELECT RAISE(ABORT, 'mo-parent') WHERE EXISTS "
            f"(SELECT 1 FROM {child.table} WHERE {match});"
        )
        note = "SELECT mo_cascaded(changes());"
        actions = {
            "DELETE": {
                "CASCADE": f"DELETE FROM {child.table} WHERE {match}; {note}",
                "SET NULL": f"UPDATE {child.table} SET {nothing} WHERE {match}; {note}",
            },
            "UPDATE": {
                "CASCADE": f"UPDATE {child.table} SET {follow} WHERE {match}; {note}",
                "SET NULL": f"UPDATE {child.table} SET {nothing} WHERE {match}; {note}",
            },
        }
        self._connection.execute(
            f"CREATE TRIGGER {parent.table}_p{number}D AFTER DELETE ON {parent.table} "
            f"WHEN mo_checks() BEGIN {actions['DELETE'].get(key.on_delete, refuse)} END"
        )
        self._connection.execute(
            f"CREATE TRIGGER {parent.table}_p{number}U AFTER UPDATE OF {', '.join(theirs)} "
            f"ON {parent.table} WHEN mo_checks() AND ({changed}) "
            f"BEGIN {actions['UPDATE'].get(key.on_update, refuse)} END"
        )

    @staticmethod
    def _parent_keys(parent: Version, key: ForeignKeyDef) -> list[str]:
        found = []
        for name in key.parent_columns:
            column = parent.definition.column(name)
            if column is None:
                raise SqlError.internal("failed to add the foreign key constraint")
            found.append(column.key)
        return found

    def rename_parent(self, child: Version, database: DatabaseVersion, old: str, new: str) -> None:
        """Foreign keys of *child* follow the renaming of their parent."""
        keys = tuple(
            replace(key, parent_table=new)
            if (key.parent_database, key.parent_table) == (database.name, old)
            else key
            for key in child.definition.foreign_keys
        )
        home = self.database(child.account_id, child.database)
        if home is not None:
            self.replace(home, child, replace(child.definition, foreign_keys=keys))

    def prune(self, moment: int) -> None:
        """Forget what was no more at *moment*."""
        number = self.number_at(moment) or 0
        dead = self._connection.execute(
            "SELECT version, physical FROM tab WHERE died <= ?", (number,)
        ).fetchall()
        self._connection.execute("DELETE FROM tab WHERE died <= ?", (number,))
        self._connection.execute("DELETE FROM db WHERE died <= ?", (number,))
        self._connection.execute(
            "DELETE FROM txn WHERE number < (SELECT max(number) FROM txn WHERE commit_ns <= ?)",
            (moment,),
        )
        kept = {int(row[0]) for row in self._connection.execute("SELECT physical FROM tab")}
        for version, physical in dead:
            self._store.definitions.pop(version, None)
            self._store.sources.pop(version, None)
            if physical not in kept:
                self._connection.execute(f"DROP TABLE IF EXISTS h_{physical}")
        for physical in kept:
            found = self._connection.execute(
                "SELECT 1 FROM sqlite_master WHERE type = 'table' AND name = ?", (f"h_{physical}",)
            ).fetchone()
            if found is not None:
                self._connection.execute(f"DELETE FROM h_{physical} WHERE _to <= ?", (number,))

    # Rows

    def rows_sql(self, version: Version, number: int | None) -> str:
        """What FROM reads: the table, or its rows as transaction *number* left them."""
        if number is None:
            return version.table
        keys = ", ".join(column.key for column in version.definition.columns)
        past = f"SELECT {keys} FROM {version.history} WHERE _from <= {number} AND _to > {number}"
        present = self._connection.execute(
            "SELECT 1 FROM sqlite_master WHERE type = 'table' AND name = ?", (version.table,)
        ).fetchone()
        if present is None:
            return f"({past})"
        return f"(SELECT {keys} FROM {version.table} WHERE _from <= {number} UNION ALL {past})"
