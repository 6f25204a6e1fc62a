"""Definitions of tables: columns, keys and foreign keys, as immutable values.

A column's *key* is its name in sqlite; it never changes, so a renamed column keeps its history.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace

from ..names import fold
from .columns import SqlType


@dataclass(frozen=True, slots=True)
class ColumnDef:
    name: str
    key: str
    type: SqlType
    nullable: bool = True
    default: str | None = None
    on_update: str | None = None
    auto_increment: bool = False
    comment: str = ""
    generated: str | None = None
    """The expression that its values come from"""
    stored: bool = False

    @property
    def lower(self) -> str:
        return fold(self.name)


@dataclass(frozen=True, slots=True)
class IndexDef:
    """A secondary key, which is a hidden table of its own; *columns* are column keys."""

    name: str
    columns: tuple[str, ...]
    unique: bool = False
    comment: str = ""
    algorithm: str = ""
    visible: bool = True
    parser: str = ""
    id: int = 0
    """The id of its hidden table; 0 until the catalogue gives it one"""
    hidden: str = ""
    """The name of its hidden table, as mo_tables has it"""
    mark: str = ""
    """Set where it lacks rows: those with this text in their column `_lacks`"""

    @property
    def found(self) -> str:
        """The condition, in sqlite, on the rows that it does not lack; empty where it lacks none.

        Only garbage collection breaks an index: docs/server.md, Garbage collection.
        """
        return f"instr(_lacks, '{self.mark}') = 0" if self.mark else ""


@dataclass(frozen=True, slots=True)
class HiddenTable:
    """A table that the catalogue lists and nobody names: of an index, or a partition."""

    id: int
    name: str
    kind: str
    """`i` or `partition`, as relkind has it"""


@dataclass(frozen=True, slots=True)
class PartitionDef:
    """A partition, which is a table of its own from 4.0 on, with its own tables of the indexes."""

    name: str
    id: int = 0
    """0 until the catalogue gives one"""
    indexes: tuple[tuple[int, HiddenTable], ...] = ()
    """By the id of the table's index"""
    text: str = ""
    """The values of a listed one, as SHOW CREATE TABLE prints them"""
    below: int | str | None = None
    """The end of a range; None is MAXVALUE"""
    among: tuple[int | str | None, ...] = ()
    """The values of a list"""

    def hidden_tables(self, table: str) -> Iterator[HiddenTable]:
        """Its tables in the catalogue."""
        yield from (hidden for _, hidden in self.indexes)
        yield HiddenTable(self.id, f"%!%{self.name}%!%{table}", "partition")


@dataclass(frozen=True, slots=True)
class ForeignKeyDef:
    name: str
    columns: tuple[str, ...]
    parent_database: str
    parent_table: str
    parent_columns: tuple[str, ...]
    on_delete: str = ""
    on_update: str = ""
    """The rules that were given, or ''"""
    parent_key: str = field(default="", compare=False)
    """The name of the parent's key that it was made for"""
    listed: bool = field(default=True, compare=False)
    """Whether mo_foreign_keys has it: a rebuild may take it out there, and leaves it in force"""

    def copied(self) -> ForeignKeyDef:
        """The same for another table, which is made from the text of SHOW CREATE TABLE."""
        on_delete, on_update = self.on_delete or "RESTRICT", self.on_update or "RESTRICT"
        return replace(self, on_delete=on_delete, on_update=on_update, listed=True)


@dataclass(frozen=True, slots=True)
class TableDef:
    """A table or, with *view*, a view: then *view* is its statement."""

    name: str
    columns: tuple[ColumnDef, ...]
    primary: tuple[str, ...] = ()
    indexes: tuple[IndexDef, ...] = ()
    foreign_keys: tuple[ForeignKeyDef, ...] = ()
    checks: tuple[tuple[str, str], ...] = ()
    """Names and texts of CHECKs, from 4.0"""
    comment: str = ""
    first_comment: str | None = None
    """That of CREATE, which SHOW CREATE TABLE goes on printing, whatever the comment becomes"""
    auto_start: int = 1
    view: str | None = None
    view_database: str = ""
    next_key: int = 1
    partition_by: str = ""
    """The method and its columns, as SHOW CREATE TABLE prints them"""
    partition_key: str = ""
    """The column's key by whose values rows belong to listed partitions"""
    partitions: tuple[PartitionDef, ...] = ()
    """Empty before 4.0, where they are no tables"""

    def column(self, name: str) -> ColumnDef | None:
        lower = fold(name)
        for column in self.columns:
            if fold(column.name) == lower:
                return column
        return None

    def by_key(self, key: str) -> ColumnDef:
        for column in self.columns:
            if column.key == key:
                return column
        raise KeyError(key)

    def names(self, keys: Iterable[str]) -> tuple[str, ...]:
        return tuple(self.by_key(key).name for key in keys)

    @property
    def auto_column(self) -> ColumnDef | None:
        return next((column for column in self.columns if column.auto_increment), None)

    def with_new_indexes(self, *, sound: bool = False) -> TableDef:
        """The same with hidden tables that the catalogue has yet to make.

        :param sound: they lack nothing, since they are filled from the table's rows.
        """
        indexes = tuple(
            replace(index, id=0, hidden="", mark="" if sound else index.mark)
            for index in self.indexes
        )
        partitions = tuple(replace(one, id=0, indexes=()) for one in self.partitions)
        return replace(self, indexes=indexes, partitions=partitions)

    def copied(self, *, sound: bool = False) -> TableDef:
        """The same for another table: before 4.0 the partitions are lost with that."""
        found = self.with_new_indexes(sound=sound)
        return found if found.partitions else replace(found, partition_by="")

    def with_column(self, column: ColumnDef) -> TableDef:
        """The same with the column of this key replaced."""
        columns = tuple(column if old.key == column.key else old for old in self.columns)
        return replace(self, columns=columns)


@dataclass(frozen=True, slots=True)
class Named:
    """A table's name as written: the database is '' where none was given."""

    database: str
    name: str


@dataclass(frozen=True, slots=True)
class Objects:
    """The ids of a table or a hidden one, and of what it is in: what a policy may be for."""

    account: int
    database: int
    table: int
    indexed: int = 0
    """The table that an index's hidden table belongs to"""


@dataclass(frozen=True, slots=True)
class Version:
    """One catalogue row: this definition, under this id, from one transaction to another."""

    version: int
    id: int
    database_id: int
    physical: int
    created_ns: int
    logical_id: int
    definition: TableDef
    database: str = ""
    account_id: int = 0

    @property
    def name(self) -> str:
        return self.definition.name

    @property
    def objects(self) -> list[Objects]:
        """The objects that have its rows: itself, or its partitions."""
        ids = [one.id for one in self.definition.partitions] or [self.id]
        return [Objects(self.account_id, self.database_id, number) for number in ids]

    def index_objects(self, index: IndexDef) -> list[Objects]:
        """The objects that have the entries of one of its indexes."""
        account, database = self.account_id, self.database_id
        parts = [
            Objects(account, database, hidden.id, one.id)
            for one in self.definition.partitions
            for number, hidden in one.indexes
            if number == index.id
        ]
        return parts or [Objects(account, database, index.id, self.id)]

    @property
    def hidden_tables(self) -> Iterator[HiddenTable]:
        """The tables of its indexes and partitions in the catalogue."""
        for index in self.definition.indexes:
            yield HiddenTable(index.id, index.hidden, "i")
        for one in self.definition.partitions:
            yield from one.hidden_tables(self.name)

    @property
    def table(self) -> str:
        """The sqlite table of the present rows."""
        return f"t_{self.physical}"

    @property
    def history(self) -> str:
        """The sqlite table of past rows."""
        return f"h_{self.physical}"


@dataclass(frozen=True, slots=True)
class DatabaseVersion:
    version: int
    id: int
    account_id: int
    name: str
    created_ns: int
