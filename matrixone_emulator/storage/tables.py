"""The versioned catalogue and the physical tables, on one session's sqlite connection.

A catalogue row is valid from transaction *born* up to, not including, *died*. The rows of a
physical table `t_n` carry in `_from` the transaction that wrote them; triggers put what they
were before into `h_n`, with `_to`. A dropped table's last rows move there too, and all of them to
`dead_row`: see `PhysicalTables._bury`.
"""

from __future__ import annotations

import uuid
from dataclasses import replace

from ..types.definition import (
    DatabaseVersion,
    ForeignKeyDef,
    HiddenTable,
    IndexDef,
    PartitionDef,
    TableDef,
    Version,
)
from .finding import HIDDEN_PREFIX
from .physical import PhysicalTables


class Tables(PhysicalTables):
    """Change databases and tables, in the catalogue and in sqlite."""

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
        """Add a new, empty table under a new id."""
        own = self._store.new_id() if identity is None else identity
        definition = definition.with_new_indexes()
        if definition.view is None:
            self._create_physical(own, definition)
        version = self._record(database, definition, own, own, self._store.clock.now(), own, source)
        if definition.view is None:
            self.sync_triggers(version, new=True)
            for key in definition.foreign_keys:
                self._sync_parent(version, key)
                self._touch_parent(version, key)
        return version

    def _touch_parent(self, child: Version, key: ForeignKeyDef) -> None:
        """Move the parent's created_time, which a new foreign key does."""
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
        indexes = tuple(self._with_hidden(index) for index in definition.indexes)
        partitions = tuple(self._with_tables(one, indexes) for one in definition.partitions)
        definition = replace(definition, indexes=indexes, partitions=partitions)
        self._store.definitions[number] = definition
        self._store.sources[number] = source
        self.recorded.append(number)
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

    def forget(self, since: int) -> None:
        """Forget the versions that the open transaction has recorded from *since* on."""
        for number in self.recorded[since:]:
            self._store.forget_version(number)
        del self.recorded[since:]

    def _with_hidden(self, index: IndexDef) -> IndexDef:
        """The index with its hidden table, which a new one is given here."""
        if index.id:
            return index
        kind = "unique" if index.unique else "secondary"
        name = index.hidden or f"{HIDDEN_PREFIX}{kind}_{uuid.uuid4()}"
        return replace(index, id=self._store.new_id(), hidden=name)

    def _with_tables(self, partition: PartitionDef, indexes: tuple[IndexDef, ...]) -> PartitionDef:
        """The partition with its tables: itself, and one for each index."""
        known = dict(partition.indexes)
        tables = []
        for index in indexes:
            hidden = known.get(index.id)
            if hidden is None:
                made = self._with_hidden(replace(index, id=0, hidden=""))
                hidden = HiddenTable(made.id, made.hidden, "i")
            tables.append((index.id, hidden))
        return replace(partition, id=partition.id or self._store.new_id(), indexes=tuple(tables))

    def _end(self, version: Version) -> None:
        self._connection.execute(
            "UPDATE tab SET died = ? WHERE version = ?", (self._number(), version.version)
        )

    def replace(self, database: DatabaseVersion, version: Version, definition: TableDef) -> Version:
        """Change a table's definition in place: rows and id stay.

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
        """End a table: its rows become history."""
        self._end(version)
        if version.definition.view is not None:
            return
        keys = ", ".join(column.key for column in version.definition.columns)
        number = self._number()
        self._connection.execute(
            f"INSERT INTO {version.history} ({keys}, _from, _lacks, _to) "
            f"SELECT {keys}, _from, _lacks, {number} FROM {version.table} WHERE _from <> {number}"
        )
        self._connection.execute(f"DROP TABLE {version.table}")
        self._bury(version)
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
        """Rebuild a table under a new id, with the rows of columns of the same key."""
        own = self._store.new_id()
        definition = definition.copied()
        self._create_physical(own, definition)
        if copy:
            kept = {column.key for column in version.definition.columns}
            keys = ", ".join(c.key for c in definition.columns if c.key in kept)
            if keys:
                self._connection.execute(
                    f"INSERT INTO t_{own} ({keys}, _from, _lacks) "
                    f"SELECT {keys}, {self._number()}, _lacks FROM {version.table} ORDER BY rowid"
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
        self.sync_triggers(found, new=True)
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

    def rename_parent(self, child: Version, database: DatabaseVersion, old: str, new: str) -> None:
        """Let foreign keys of *child* follow the renaming of their parent."""
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
        """Delete the history that ended before *moment*."""
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
            self._store.forget_version(version)
            if physical not in kept:
                self._store.forget_numbers(physical)
                self._connection.execute("DELETE FROM dead WHERE physical = ?", (physical,))
                self._connection.execute("DELETE FROM dead_row WHERE physical = ?", (physical,))
        self._connection.execute("DELETE FROM dead_row WHERE ended <= ?", (number,))
        for physical in kept:
            if self._is_there(f"h_{physical}"):
                self._connection.execute(f"DELETE FROM h_{physical} WHERE _to <= ?", (number,))
