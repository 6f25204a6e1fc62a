"""Copies of tables and databases as they were, made in one transaction of their own.

A CLONE commits by itself, but not after BEGIN. So a copy is made between BEGIN and COMMIT on a
connection of its own: its rows are counted first, and whatever goes wrong leaves nothing.

==============================  ===================================================================
a table                         is copied by
==============================  ===================================================================
whose indexes' history is kept  CLONE
or that has none
whose indexes' history is not   its definition of then, as SHOW CREATE TABLE gives it, and INSERT
kept (a table's own policy)     ... SELECT of its rows: a CLONE would have broken indexes
==============================  ===================================================================

A database with a table of the second kind is copied table by table.

Source: docs/server.md, Clones; Garbage collection; Dropped objects.
"""

from __future__ import annotations

import contextlib
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from sqlalchemy.engine import Connection, Engine
from sqlalchemy.exc import DBAPIError
from sqlalchemy.schema import ExecutableDDLElement

from .. import server
from ..catalog import (
    Key,
    ObjectKey,
    broken_views,
    check_cloned,
    foreign_keys,
    inventory,
    kinds_in,
    names_of,
    numbered_columns,
    object_ids,
    parents_first,
    read_shape,
    routines_in,
    rows_in_partitions,
    table_parts,
)
from ..connections import (
    Bind,
    TextTransaction,
    is_autocommit,
    refuse_in_past,
    run_text,
    send,
    side_connection,
    unwrap,
)
from ..ddl import Clone, CopyRows, display_dialect
from ..errors import (
    PastError,
    PitrRestoreError,
    PitrTransactionError,
    PitrValidationError,
    is_settled,
)
from ..moment import Moment
from ..names import back_quoted, check_database_name, check_target_name, plain, shorten
from .definitions import qualified, renamed, without_name


@dataclass(frozen=True, slots=True)
class CopiedTable:
    """A table of a copy.

    :ivar name: ``database.table`` of the copy.
    :ivar rows: how many it has, as many as the original had then.
    :ivar cloned: by CLONE; otherwise by its definition and its rows.
    """

    name: str
    rows: int
    cloned: bool


@dataclass(frozen=True, slots=True)
class CopyReport:
    """Report of a copy: its tables and rows, and what it lacks.

    :ivar source: ``database`` or ``database.table``.
    :ivar into: the copy's name.
    :ivar at: the moment as of which.
    :ivar lacks: what the copy has not, or has otherwise, each in a sentence.
    """

    source: str
    into: str
    at: Moment
    tables: tuple[CopiedTable, ...]
    lacks: tuple[str, ...]

    @property
    def rows(self) -> int:
        return sum(table.rows for table in self.tables)

    def to_dict(self) -> dict[str, Any]:
        """Plain values, for JSON."""
        return {
            "source": self.source,
            "into": self.into,
            "at": str(self.at),
            "tables": [
                {"name": table.name, "rows": table.rows, "cloned": table.cloned}
                for table in self.tables
            ],
            "rows": self.rows,
            "lacks": list(self.lacks),
        }

    def __str__(self) -> str:
        tables = f"{len(self.tables)} table{'' if len(self.tables) == 1 else 's'}"
        rows = f"{self.rows} row{'' if self.rows == 1 else 's'}"
        lines = [f"{self.into}: {tables}, {rows}, as {self.source} was at {self.at}"]
        return "\n".join([*lines, *(f"  {lack}" for lack in self.lacks)])


@dataclass(frozen=True, slots=True)
class CopyPreview:
    """A copy before it is made.

    :ivar tables: with the rows that they would have.
    :ivar statements: what would be sent, in order.
    """

    source: str
    into: str
    at: Moment
    tables: tuple[CopiedTable, ...]
    statements: tuple[str, ...]

    @property
    def rows(self) -> int:
        return sum(table.rows for table in self.tables)


def own_engine(bind: Bind, what: str) -> Engine | Connection:
    """The bind, if a copy may be made beside it.

    :raises PitrTransactionError: it is in a transaction, with which a copy would not be undone.
    :raises PastWriteError: it reads the past.
    """
    found = unwrap(bind, what)
    refuse_in_past(found.get_execution_options(), what)
    if isinstance(found, Connection) and found.in_transaction() and not is_autocommit(found):
        raise PitrTransactionError(
            f"{what} takes effect at once, on a connection of its own, and this transaction would "
            "neither see it nor undo it: commit or roll back first, or give the engine"
        )
    return found


def destination(into: str, source: ObjectKey) -> ObjectKey:
    """The names of a copy; one without a database is beside its source."""
    if not isinstance(into, str):
        raise PitrValidationError(f"into is the name of the copy, not {shorten(into)}")
    database, dot, name = plain(into).rpartition(".")
    if source[1] is None:
        if dot:
            raise PitrValidationError(
                f"{shorten(into)} is no database's name: the copy of a database is one"
            )
        return check_database_name(into), None
    if dot:
        return check_database_name(database), check_target_name(name, "table name")
    return source[0], check_target_name(into, "table name")


@dataclass(frozen=True, slots=True)
class Copying:
    """A copy that is to be made of what was there.

    :ivar into: the copy's database and table; of a database, its name and None.
    :ivar indexes_kept: tables whose indexes' history is surely kept; none where it is unknown.
    """

    bind: Engine | Connection
    source: ObjectKey
    at: Moment
    into: ObjectKey
    indexes_kept: Mapping[Key, bool]

    def make(self) -> CopyReport:
        """Make the copy.

        :raises PastError: the source was not there.
        :raises PitrRestoreError: the destination is there, or the server refused; nothing was made.
        """
        with (
            side_connection(self.bind) as connection,
            self._work(connection) as work,
            _transaction(self.bind.engine, connection, work),
        ):
            copied = work.make()
            lacks = tuple(work.lacks(copied))
        return CopyReport(_named(self.source), _named(self.into), self.at, tuple(copied), lacks)

    def preview(self) -> CopyPreview:
        """Read what would be made; the same errors, before anything is sent."""
        with side_connection(self.bind) as connection, self._work(connection) as work:
            tables = tuple(work.expected())
            statements = ("BEGIN", *map(_text, work.statements()), "COMMIT")
        return CopyPreview(_named(self.source), _named(self.into), self.at, tables, statements)

    @contextlib.contextmanager
    def _work(self, connection: Connection) -> Iterator[_Copy]:
        source, at = self.source, self.at
        version = server.require_matrixone(connection)
        there = inventory(connection, version, at=at, database=source[0]) or {}
        tables = sorted(
            (one.database_name, one.table_name)
            for one in there.values()
            if one.table_name is not None and source[1] in (None, one.table_name)
        )
        if source not in {one.key for one in there.values()}:
            raise PastError(
                f"{_named(source)} was not there at {at}, as a database or table: it was made "
                "later or dropped before, or this moment is before all that the server remembers"
            )
        _check_free(connection, self.into)
        _check_parents(connection, source, at)
        parts = table_parts(connection, tables, at=at)
        by_rows = {
            key
            for key in tables
            if not server.rules_of(version).clones
            or (key in parts and parts[key].indexes and not self.indexes_kept.get(key, False))
        }
        if source[1] is None and broken_views(connection, source[0], at):
            by_rows |= set(tables)  # a CLONE of the database fails because of them
        routines = None if source[1] else routines_in(connection, source[0], at=at)
        connection.rollback()
        yield _Copy(connection, version, self, tables, by_rows, routines)


def _text(statement: ExecutableDDLElement | str) -> str:
    if isinstance(statement, str):
        return statement
    return str(statement.compile(dialect=display_dialect()))


def _named(key: ObjectKey) -> str:
    return ".".join(filter(None, key))


def _check_free(connection: Connection, into: ObjectKey) -> None:
    now = Moment(server.clock(connection))
    version = server.require_matrixone(connection)
    found = inventory(connection, version, at=now, database=into[0]) or {}
    has_database = any(one.key == (into[0], None) for one in found.values())
    if into[1] is None and has_database:
        raise PitrRestoreError(_is_there(into))
    if into[1] is None:
        return
    if not has_database:
        raise PitrRestoreError(
            f"there is no database {into[0]} for {_named(into)}: create it, or choose one with "
            "into='database.table'"
        )
    if into[1] in kinds_in(connection, into[0]):
        raise PitrRestoreError(_is_there(into))


def _is_there(into: ObjectKey) -> str:
    what = "database " if into[1] is None else ""
    return f"{what}{_named(into)} is there, and is left as it is: choose another name with into="


def _check_parents(connection: Connection, source: ObjectKey, at: Moment) -> None:
    """
    :raises PitrRestoreError: foreign keys refer to what is gone.
    """
    needed = {
        key.parent
        for key in foreign_keys(connection, of=[source[0]], at=at)
        if not key.to_itself
        and (key.table == source if source[1] is not None else key.parent[0] != source[0])
    }
    missing = sorted(needed - object_ids(connection, needed).keys())
    if missing:
        raise PitrRestoreError(
            f"foreign keys of {_named(source)} refer to {names_of(missing)}, which is not there: "
            "bring that back first. Nothing was made"
        )


@contextlib.contextmanager
def _transaction(engine: Engine, connection: Connection, work: _Copy) -> Iterator[None]:
    """A transaction whose errors say what is left of the copy."""
    transaction = TextTransaction()
    try:
        with transaction.on(engine, connection):
            yield
    except BaseException as error:
        unknown = transaction.committing and not is_settled(error)
        left = (
            f"whether {_named(work.into)} was made is unknown: look for it"
            if unknown
            else f"{_named(work.into)} was not made, and nothing is left of it"
        )
        if isinstance(error, DBAPIError):
            is_copied = "may not be" if unknown else "was not"
            raise PitrRestoreError(
                f"{_named(work.source)} as of {work.at} {is_copied} copied: {error.orig}. {left}",
                statement=error.statement,
                orig=error.orig,
            ) from error
        error.add_note(left)
        raise


class _Copy:
    """The statements of one copy, on an idle connection or in a transaction."""

    def __init__(
        self,
        connection: Connection,
        version: server.Version,
        wanted: Copying,
        tables: list[Key],
        by_rows: Collection[Key],
        routines: list[str] | None,
    ) -> None:
        self._connection = connection
        self._version = version
        self._tables = tables
        self._by_rows = by_rows
        self._routines = routines
        self.source = wanted.source
        self.at = wanted.at
        self.into = wanted.into

    @property
    def _parents_in(self) -> str:
        """The database of parents that had been in the table's own: a database's keys stay inside
        its copy, a table's refer to the parents that the original had."""
        return self.into[0] if self.source[1] is None else self.source[0]

    def _target(self, table: Key) -> Key:
        return self.into[0], table[1] if self.into[1] is None else self.into[1]

    def statements(self) -> Iterator[ExecutableDDLElement | str]:
        if not self._by_rows and server.rules_of(self._version).clones:
            yield Clone(self.source, self.into, self.at)
            return
        if self.source[1] is None:
            yield f"CREATE DATABASE {back_quoted(self.into[0])}"
        keys = foreign_keys(self._connection, of=[self.source[0]], at=self.at)
        for table in parents_first(self._tables, keys):
            yield from self._of_rows(table)

    def _of_rows(self, table: Key) -> Iterator[ExecutableDDLElement | str]:
        shape = read_shape(self._connection, self._version, table, at=self.at)
        assert shape is not None  # the caller has seen it
        target = self._target(table)
        definition = qualified(self._definition(table, self.at), self._parents_in)
        yield renamed(definition, target)
        columns = [column.name for column in shape.columns if not column.generated]
        yield CopyRows(table, target, self.at, columns)

    def make(self) -> list[CopiedTable]:
        if object_ids(self._connection, [self.into]):
            raise PitrRestoreError(_is_there(self.into))
        for statement in self.statements():
            if isinstance(statement, str):
                run_text(self._connection, statement)
            else:
                send(self._connection, statement)
        check_cloned(self._connection, [self._target(table) for table in self._tables])
        return [self._counted(table) for table in self._tables]

    def expected(self) -> Iterator[CopiedTable]:
        """The tables of the copy, with as many rows as the originals had."""
        for table in self._tables:
            rows = self._count(f"{back_quoted(*table)} {self.at.sql}")
            yield CopiedTable(_named(self._target(table)), rows, not self._by_rows)

    def _counted(self, table: Key) -> CopiedTable:
        """
        :raises PitrRestoreError: the copy has not as many rows as the original had.
        """
        target = self._target(table)
        then = self._count(f"{back_quoted(*table)} {self.at.sql}")
        made = self._count(back_quoted(*target))
        if made < then:
            made = max(made, rows_in_partitions(self._connection, target))
        if then != made:
            raise PitrRestoreError(
                f"{_named(table)} had {then} rows at {self.at}, and its copy {_named(target)} has "
                f"{made}: it was not made"
            )
        return CopiedTable(_named(target), made, not self._by_rows)

    def _count(self, read: str) -> int:
        return int(self._ask(f"SELECT count(*) FROM {read}")[0])

    def _definition(self, table: Key, at: Moment | None = None) -> str:
        then = "" if at is None else f" {at.sql}"
        return str(self._ask(f"SHOW CREATE TABLE {back_quoted(*table)}{then}")[1])

    def _ask(self, statement: str) -> Any:
        return run_text(self._connection, statement).one()

    # -------------------------------------------------------------------------- what it has not

    def lacks(self, copied: Collection[CopiedTable]) -> Iterator[str]:
        database, table = self.source
        if table is None:
            yield from self._missing(database)
        cloned = all(one.cloned for one in copied)
        numbered = [
            f"{name}.{column}"
            for name, column in numbered_columns(self._connection, database, at=self.at)
            if table in (None, name)
        ]
        if numbered and cloned:
            yield (
                f"AUTO_INCREMENT of {', '.join(numbered)} goes on with the next block of numbers, "
                "10001 for a small table"
            )
        yield "no policy is for it by name: make one, if no policy above it keeps it"
        parents = {
            key.parent
            for key in foreign_keys(self._connection, of=[self.into[0]])
            if (key.parent[0] != self.into[0] if table is None else key.table == self.into)
            and key.parent != self.into
        }
        if parents:
            yield (
                f"its foreign keys refer to {names_of(sorted(parents))}, of which RESTORE does "
                "nothing as long as they do"
            )
        for one in self._tables:
            yield from self._changed(one)

    def _missing(self, database: str) -> Iterator[str]:
        then = kinds_in(self._connection, database, at=self.at)
        now = kinds_in(self._connection, self.into[0])
        for kind, what in (("S", "sequences"), ("v", "views"), ("e", "external tables")):
            names = sorted(name for name in then if then[name] == kind and name not in now)
            if names:
                yield f"it has not the {what} {', '.join(names)}"
        if self._routines is None:
            yield "it has none of the functions and procedures, if there were any"
        elif self._routines:
            yield f"it has not the functions and procedures {', '.join(self._routines)}"

    def _changed(self, table: Key) -> Iterator[str]:
        target = self._target(table)
        then = qualified(self._definition(table, self.at), self._parents_in)
        now = qualified(self._definition(target), self.into[0])
        if without_name(then) != without_name(now):
            yield (
                f"the definition of {_named(target)} is not that of {_named(table)}: compare SHOW "
                "CREATE TABLE of both (4.2.0 doubles quotes in defaults)"
            )
