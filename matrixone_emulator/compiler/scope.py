"""Names in a query: tables of FROM, their columns, outer queries, aliases."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

from ..errors import SqlError
from ..names import fold
from ..types.columns import SqlType

UNKNOWN = object()
"""The *literal* of a value that is not known before the statement runs."""


@dataclass(frozen=True, slots=True)
class Value:
    """An expression as sqlite text, and its type; *literal* is its value if it is a literal."""

    sql: str
    type: SqlType
    literal: object = UNKNOWN


@dataclass(frozen=True, slots=True)
class SourceColumn:
    name: str
    sql: str
    type: SqlType


@dataclass(frozen=True, slots=True)
class Lookup:
    """A secondary index of a table of FROM, and the rows that it finds: all as sqlite text."""

    columns: tuple[str, ...]
    unique: bool
    found: str
    """The condition on the rows that it has"""
    primary: str = ""
    """The first column of the table's primary key"""
    table: str = ""
    """The table that it is an index of, among those of one query"""

    def of(self, alias: str) -> Lookup:
        """The same for a table that FROM calls *alias*."""
        return Lookup(
            tuple(f"{alias}.{key}" for key in self.columns),
            self.unique,
            self.found.replace("_lacks", f"{alias}._lacks"),
            self.primary and f"{alias}.{self.primary}",
            alias,
        )


@dataclass
class Source:
    """One table of FROM; *alias* is what columns are qualified with."""

    alias: str
    sql: str
    columns: list[SourceColumn]
    database: str = ""
    name: str = ""
    merged: set[str] = field(default_factory=set)
    """Columns of USING and NATURAL that an earlier table shows."""
    doubled: frozenset[str] = frozenset()
    """Columns that a query in FROM shows twice, which nothing around it can name"""
    lookups: tuple[Lookup, ...] = ()
    """The table's indexes, where one of them lacks rows"""

    def refuse_doubled(self, name: str) -> None:
        if name in self.doubled:
            text = f"invalid input: ambiguous column reference '{self.alias}.{name}'"
            raise SqlError(20301, text)

    def find(self, name: str) -> SourceColumn | None:
        lower = fold(name)
        for column in self.columns:
            if fold(column.name) == lower:
                return column
        return None


def doubled(columns: list[SourceColumn]) -> frozenset[str]:
    names = [fold(column.name) for column in columns]
    if len(set(names)) == len(names):
        return frozenset()
    return frozenset(name for name in names if names.count(name) > 1)


@dataclass
class Scope:
    sources: list[Source] = field(default_factory=list)
    outer: Scope | None = None
    aliases: dict[str, Value] = field(default_factory=dict)
    correlated: bool = False
    """Whether something in this query names a column of a query around it"""

    def reach(self, home: Scope) -> None:
        """Note that a column was found in *home*, a query around this one or this one itself."""
        scope: Scope | None = self
        while scope is not None and scope is not home:
            scope.correlated = True
            scope = scope.outer

    def chain(self) -> Iterator[Scope]:
        scope: Scope | None = self
        while scope is not None:
            yield scope
            scope = scope.outer

    def column(self, parts: list[str], *, aliases: bool = False) -> Value:
        """The column that `a`, `t.a` or `db.t.a` means; the server's error where none or two."""
        name = parts[-1]
        if len(parts) == 1:
            return self._plain(name, aliases)
        table = fold(parts[-2])
        database = fold(parts[-3]) if len(parts) > 2 else ""
        for scope in self.chain():
            for source in scope.sources:
                if fold(source.alias) != table or (database and source.database != database):
                    continue
                found = source.find(name)
                if found is None:
                    raise SqlError.no_column(f"column '{'.'.join(parts)}' does not exist")
                source.refuse_doubled(fold(name))
                self.reach(scope)
                return Value(found.sql, found.type)
        raise SqlError(20301, f"invalid input: missing FROM-clause entry for table '{parts[-2]}'")

    def _plain(self, name: str, aliases: bool) -> Value:
        lower = fold(name)
        for scope in self.chain():
            if aliases and lower in scope.aliases:
                return scope.aliases[lower]
            found = [
                column
                for source in scope.sources
                if lower not in source.merged and (column := source.find(lower)) is not None
            ]
            if len(found) > 1 or (found and any(lower in s.doubled for s in scope.sources)):
                raise SqlError(20301, f"invalid input: ambiguouse column reference to '{name}'")
            if found:
                self.reach(scope)
                return Value(found[0].sql, found[0].type)
            if lower in scope.aliases:
                return scope.aliases[lower]
        raise SqlError.no_column(f"column {name} does not exist")
