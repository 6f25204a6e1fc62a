"""sqlite's tables and triggers: rows, their history, and foreign keys."""

from __future__ import annotations

import marshal

from ..errors import SqlError
from ..parsing.lexer import quote_name
from ..types.definition import ForeignKeyDef, IndexDef, TableDef, Version
from .finding import TableFinder


class PhysicalTables(TableFinder):
    """Make and read the physical tables of versions."""

    def _create_physical(self, physical: int, definition: TableDef) -> None:
        columns = ", ".join(f"{c.key} {c.type.affinity}" for c in definition.columns)
        columns += ", _from INTEGER NOT NULL, _lacks TEXT NOT NULL DEFAULT ''"
        self._connection.execute(f"CREATE TABLE t_{physical} ({columns})")
        self._connection.execute(f"CREATE TABLE h_{physical} ({columns}, _to INTEGER NOT NULL)")
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
        found = f" WHERE {index.found}" if index.found else ""
        self._connection.execute(
            f"CREATE {unique}INDEX {self._index_name(physical, index)} "
            f"ON t_{physical} ({', '.join(index.columns)}){found}"
        )

    def _sync_indexes(self, old: Version, new: Version) -> None:
        there = {index.id for index in old.definition.indexes}
        wanted = {index.id for index in new.definition.indexes}
        for index in old.definition.indexes:
            if index.id not in wanted:
                self._connection.execute(f"DROP INDEX {self._index_name(old.physical, index)}")
        for index in new.definition.indexes:
            if index.id not in there:
                self._create_index(new.physical, index)

    def _sync_parent(self, child: Version, key: ForeignKeyDef) -> None:
        parent = self.parent(child, key)
        if parent is not None and parent.version != child.version:
            self.sync_triggers(parent)

    def sync_triggers(self, version: Version, *, new: bool = False) -> None:
        """Recreate the triggers for history and foreign keys of this table.

        *new*: it has none so far. sqlite looks through its whole schema for them.
        """
        execute, table = self._connection.execute, version.table
        if not new:
            names = execute(
                "SELECT name FROM sqlite_master WHERE type = 'trigger' AND tbl_name = ?", (table,)
            ).fetchall()
            for (name,) in names:
                execute(f"DROP TRIGGER {quote_name(name)}")
        keys = [column.key for column in version.definition.columns]
        columns = ", ".join(keys)
        old = ", ".join(f"OLD.{key}" for key in keys)
        keep = (
            f"INSERT INTO {version.history} ({columns}, _from, _lacks, _to) "
            f"VALUES ({old}, OLD._from, OLD._lacks, mo_txn());"
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
                f"BEGIN SELECT RAISE(ABORT, 'mo-child{' own' if parent is child else ''}'); END"
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

    def _is_there(self, table: str) -> bool:
        found = self._connection.execute(
            "SELECT 1 FROM sqlite_master WHERE type = 'table' AND name = ?", (table,)
        ).fetchone()
        return found is not None

    def _bury(self, version: Version) -> None:
        """Move the history of a table that is gone to the one table of all dead ones.

        Each connection reads the whole schema of sqlite, again after each change of it: so that has
        tables that live alone, however many there have been.
        """
        execute, table = self._connection.execute, version.history
        (made,) = execute("SELECT sql FROM sqlite_master WHERE name = ?", (table,)).fetchone()
        execute("INSERT INTO dead VALUES (?, ?)", (version.physical, made))
        rows = execute(f"SELECT * FROM {table}")
        ended = [column[0] for column in rows.description].index("_to")
        self._connection.executemany(
            "INSERT INTO dead_row VALUES (?, ?, ?)",
            [(version.physical, row[ended], marshal.dumps(row)) for row in rows],
        )
        execute(f"DROP TABLE {table}")

    def _unearth(self, version: Version) -> None:
        """Make the history of a table that is gone again, for this connection alone."""
        execute, table = self._connection.execute, version.history
        if execute("SELECT 1 FROM sqlite_temp_master WHERE name = ?", (table,)).fetchone():
            return
        (made,) = execute(
            "SELECT made FROM dead WHERE physical = ?", (version.physical,)
        ).fetchone()
        execute(made.replace("CREATE TABLE", "CREATE TEMP TABLE", 1))
        records = execute("SELECT record FROM dead_row WHERE physical = ?", (version.physical,))
        rows = [marshal.loads(record) for (record,) in records]
        if rows:
            places = ", ".join("?" for _ in rows[0])
            self._connection.executemany(f"INSERT INTO temp.{table} VALUES ({places})", rows)

    def rows_sql(self, version: Version, at: int | None) -> str:
        """SQL that FROM reads: the table, or its rows as they were at *at*, as far as kept."""
        number = self.number_at(at)
        if number is None:
            return version.table
        present = self._is_there(version.table)
        if not present:
            self._unearth(version)
        keys = ", ".join(column.key for column in version.definition.columns) + ", _lacks"
        past = f"SELECT {keys} FROM {version.history} WHERE _from <= {number} AND _to > {number}"
        if not self._store.collector.keeps(version.objects, at):
            return f"(SELECT {keys} FROM {version.history} WHERE 0)"
        if not present:
            return f"({past})"
        return f"(SELECT {keys} FROM {version.table} WHERE _from <= {number} UNION ALL {past})"
