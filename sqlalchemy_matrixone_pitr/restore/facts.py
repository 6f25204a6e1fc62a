"""Everything that a restore depends on, read at one time: about twenty statements for any number of
tables, one more for each table whose rows are counted, and none that writes.

Source: docs/server.md, RESTORE; Time travel; Garbage collection.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Final

from sqlalchemy.engine import Connection
from sqlalchemy.exc import DBAPIError

from .. import server
from ..catalog import (
    Key,
    ObjectKey,
    Reference,
    TableShape,
    broken_views,
    inventory,
    kinds_in,
    read_shapes,
    references,
    routines_in,
    table_parts,
)
from ..connections import roll_back, run_text
from ..coverage.model import Known, Verdict
from ..coverage.reading import ids_then, read_known, read_snapshots
from ..coverage.verdicts import judge
from ..extent import Parts
from ..moment import Moment
from ..names import back_quoted
from ..status import ServerState, read_state
from .targets import Scope

COUNTED: Final = 100
"""The rows of so many tables are counted beforehand."""


@dataclass(frozen=True, slots=True)
class Side:
    """Databases as they are, or as they were.

    :ivar ids: of the databases and tables.
    :ivar kinds: ``r`` table, ``v`` view, ``S`` sequence, ``e`` external table.
    :ivar keys: the foreign keys of tables in these databases, and those that refer to one.
    """

    ids: Mapping[ObjectKey, int]
    kinds: Mapping[Key, str]
    shapes: Mapping[Key, TableShape]
    parts: Mapping[Key, Parts]
    keys: tuple[Reference, ...]

    @property
    def tables(self) -> list[Key]:
        return sorted(key for key in self.ids if key[1] is not None)  # type: ignore[misc]

    def named(self, *kinds: str) -> list[Key]:
        """The objects of some kinds, sorted."""
        return sorted(key for key, kind in self.kinds.items() if kind in kinds)


@dataclass(frozen=True, slots=True)
class Orphans:
    """Rows that would refer to rows that are not there.

    :ivar inside: whether the rows are of a restored table; otherwise of one that refers to it.
    """

    key: Reference
    rows: int
    inside: bool


@dataclass(frozen=True, slots=True)
class Facts:
    """Facts that a restore depends on.

    :ivar then: the databases at the moment; None where the catalogue of it is gone.
    :ivar state: the policies with their status.
    :ivar verdicts: of the restored tables, whether their history is kept.
    :ivar parents: tables outside the scope that restored ones refer to, as they are now.
    :ivar rows_now: rows of present tables in scope; and ``rows_then``.
    :ivar unreadable: tables whose past could not be read, and the server's word.
    :ivar routines: functions and procedures of a database in scope; None where it is not known.
    :ivar views: the texts of views in a database in scope, now and then.
    :ivar broken_views: those then that could not be read: they refer to what was not there.
    """

    version: server.Version
    scope: Scope
    at: Moment
    now: Side
    then: Side | None
    known: Known
    state: ServerState
    verdicts: Mapping[Key, Verdict]
    ids_then: Mapping[ObjectKey, int]
    parents: Mapping[Key, TableShape] = field(default_factory=dict)
    orphans: tuple[Orphans, ...] = ()
    rows_now: Mapping[Key, int] = field(default_factory=dict)
    rows_then: Mapping[Key, int] = field(default_factory=dict)
    unreadable: Mapping[Key, str] = field(default_factory=dict)
    routines: tuple[str, ...] | None = ()
    views: tuple[Mapping[Key, str], Mapping[Key, str]] = ({}, {})
    broken_views: tuple[Key, ...] = ()

    @property
    def rules(self) -> server.Rules:
        return server.rules_of(self.version)

    @property
    def restored(self) -> list[Key]:
        """The tables that are there afterwards."""
        there = [] if self.then is None else self.then.tables
        return [table for table in there if self.scope.has(table)]

    @property
    def border_now(self) -> list[Reference]:
        """The foreign keys of other tables that refer to what is restored or removed."""
        inside = {*self.restored, *self.present}
        return [
            key
            for key in self.now.keys
            if key.parent in inside - {key.table} and not self.scope.has(key.table)
        ]

    @property
    def border_then(self) -> list[Reference]:
        """The foreign keys of the moment by which what is restored refers to other tables."""
        keys = () if self.then is None else self.then.keys
        restored = set(self.restored)
        return [key for key in keys if key.table in restored and not self.scope.has(key.parent)]

    @property
    def present(self) -> list[Key]:
        """The tables in scope that are there now."""
        return [table for table in self.now.tables if self.scope.has(table)]

    @property
    def removed(self) -> list[Key]:
        """The tables that are not there afterwards: they were made later."""
        return sorted(set(self.present) - set(self.restored))


def read_facts(connection: Connection, scope: Scope, at: Moment) -> Facts:
    """Read what a restore depends on, on an idle connection of ours.

    :raises PitrPermissionError: this user may not read policies or the catalogue.
    :raises PitrValidationError: the moment lies in the future.
    """
    version = server.require_matrixone(connection)
    at.check_past(Moment(server.clock(connection)))
    now = _side(connection, version, scope, None)
    assert now is not None
    then = _side(connection, version, scope, at)
    restored = [] if then is None else [table for table in then.tables if scope.has(table)]
    asked = restored or [(database, "") for database in scope.databases]
    known = read_known(connection, asked)
    known = replace(known, snapshots=read_snapshots(connection, at))
    were = ids_then(connection, asked, at) or {}
    verdicts = {table: judge(known, table, at, were) for table in restored}
    facts = Facts(
        version,
        scope,
        at,
        now,
        then,
        known,
        read_state(connection, databases=scope.databases, tables={t for _, t in restored}),
        {table: verdict for table, verdict in verdicts.items() if verdict is not None},
        were,
    )
    roll_back(connection)
    return _Reader(connection, facts).read()


def _side(
    connection: Connection, version: server.Version, scope: Scope, at: Moment | None
) -> Side | None:
    ids: dict[ObjectKey, int] = {}
    kinds: dict[Key, str] = {}
    for database in scope.databases:
        moment = Moment(server.clock(connection)) if at is None else at
        found = inventory(connection, version, at=moment, database=database)
        if found is None:
            return None
        ids |= {one.key: one.id for one in found.values()}
        kinds |= {(database, n): k for n, k in kinds_in(connection, database, at=at).items()}
    tables: list[Key] = [(d, t) for d, t in ids if t is not None and scope.has((d, t))]
    return Side(
        ids,
        kinds,
        read_shapes(connection, version, tables, at=at),
        table_parts(connection, tables, at=at),
        tuple(references(connection, of=scope.databases, to=scope.databases, at=at)),
    )


class _Reader:
    """The reads that depend on what was read before."""

    def __init__(self, connection: Connection, facts: Facts) -> None:
        self._connection = connection
        self._facts = facts

    def read(self) -> Facts:
        facts = self._facts
        parents = {key.parent for key in facts.border_then}
        shapes = read_shapes(self._connection, facts.version, parents)
        facts = self._facts = replace(facts, parents=shapes)
        few = len(set(facts.present) | set(facts.restored)) <= COUNTED
        unreadable: dict[Key, str] = {}
        rows_then: dict[Key, int] = {}
        for table in facts.restored if few else ():
            try:
                rows_then[table] = self._count(table, facts.at)
            except DBAPIError as error:
                if error.connection_invalidated:
                    raise
                roll_back(self._connection)
                unreadable[table] = str(error.orig)
        database = facts.scope.database
        return replace(
            facts,
            rows_now={table: self._count(table, None) for table in facts.present if few},
            rows_then=rows_then,
            unreadable=unreadable,
            orphans=tuple(self._orphans()),
            routines=() if database is None else self._routines(database),
            views=(self._views(facts.now, None), self._views(facts.then, facts.at)),
            broken_views=self._broken_views(),
        )

    def _count(self, table: Key, at: Moment | None) -> int:
        return int(self._ask(f"SELECT count(*) FROM {read_text(table, at)}")[0])

    def _ask(self, statement: str) -> tuple[Any, ...]:
        return tuple(run_text(self._connection, statement).one())

    def _routines(self, database: str) -> tuple[str, ...] | None:
        found = routines_in(self._connection, database, at=Moment(server.clock(self._connection)))
        return None if found is None else tuple(found)

    def _views(self, side: Side | None, at: Moment | None) -> dict[Key, str]:
        if side is None or self._facts.scope.database is None:
            return {}
        return {view: self._definition(view, at) for view in side.named("v")}

    def _broken_views(self) -> tuple[Key, ...]:
        facts, database = self._facts, self._facts.scope.database
        if facts.then is None or database is None:
            return ()
        return tuple((database, v) for v in broken_views(self._connection, database, facts.at))

    def _definition(self, table: Key, at: Moment | None) -> str:
        return str(self._ask(f"SHOW CREATE TABLE {read_text(table, at)}")[1])

    def _orphans(self) -> Iterable[Orphans]:
        """The keys across the border of what is restored, with the rows that would break them."""
        facts = self._facts
        for key in facts.border_now:
            if facts.then is not None and has_columns(facts.then.shapes.get(key.parent), key):
                yield self._orphans_of(key, None, facts.at)
        for key in facts.border_then:
            if has_columns(facts.parents.get(key.parent), key):
                yield self._orphans_of(key, facts.at, None)

    def _orphans_of(self, key: Reference, child: Moment | None, parent: Moment | None) -> Orphans:
        """One statement. Of the past no index is used: its history may not be kept."""
        on = " AND ".join(
            f"c.{back_quoted(mine)} = coalesce(p.{theirs}, p.{theirs})"
            for mine, theirs in zip(key.columns, map(back_quoted, key.parent_columns), strict=True)
        )
        full = " AND ".join(f"c.{back_quoted(mine)} IS NOT NULL" for mine in key.columns)
        statement = (
            f"SELECT count(*) FROM {read_text(key.table, child)} c "
            f"LEFT JOIN {read_text(key.parent, parent)} p ON {on} "
            f"WHERE p.{back_quoted(key.parent_columns[0])} IS NULL AND {full}"
        )
        return Orphans(key, int(self._ask(statement)[0]), inside=child is not None)


def has_columns(parent: TableShape | None, key: Reference) -> bool:
    """Whether a parent has the columns that a foreign key refers to, as a key of its own."""
    if parent is None:
        return False
    wanted = set(key.parent_columns)
    return any(wanted == set(of) for of in (parent.primary, *parent.unique.values()))


def read_text(table: Key, at: Moment | None = None) -> str:
    """A table in a FROM clause, now or at a moment."""
    return back_quoted(*table) + ("" if at is None else f" {at.sql}")


def definition_of(connection: Connection, table: Key) -> str:
    """SHOW CREATE TABLE of a table or view, now."""
    statement = f"SHOW CREATE TABLE {back_quoted(*table)}".replace("%", "%%")
    return str(connection.exec_driver_sql(statement).one()[1])


def views_of(connection: Connection, database: str) -> dict[Key, str]:
    """The views of a database with their texts, now."""
    views = sorted(name for name, kind in kinds_in(connection, database).items() if kind == "v")
    return {(database, view): definition_of(connection, (database, view)) for view in views}
