"""Rows back as they were: what was inserted, updated and deleted since a moment is taken back.

No row goes through the client. Three statements for each table, in the caller's transaction::

    DELETE c FROM t AS c LEFT JOIN t {MO_TS = n} AS p ON ... WHERE p.id IS NULL
    UPDATE t AS c, t {MO_TS = n} AS p SET c.item = p.item, ... WHERE p.id = c.id AND ...
    INSERT INTO t (id, item) SELECT p.id, p.item FROM t {MO_TS = n} AS p LEFT JOIN t AS c ...

Their order, of several tables and of one that refers to itself, is that of the foreign keys:

1. inserted rows to which nothing refers go, children first: their UNIQUE values are free;
2. updated and deleted rows come back, parents first;
3. the rest of the inserted rows goes: no row that came back refers to them.

With ``until`` the rows that changed again are spared: see :mod:`.changed_again`.

Before the UPDATE, rows that had NULL give up the UNIQUE values that they have now: the server gives
none of these to another row in one UPDATE of a join.

An ENUM and its like are set by a value that is written out: see :mod:`.by_value`.

Every column that both states have is written, generated ones excepted, so that no ON UPDATE default
and no AUTO_INCREMENT makes a value up. Never a DELETE without WHERE, which is a TRUNCATE, and never
a subquery over the table itself, which 4.x refuses (1093).

Source: docs/server.md, Time travel; SQL traps.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, Literal, TypeAlias, get_args

from sqlalchemy import Insert, and_, func, select
from sqlalchemy.engine import Connection, Engine
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.schema import DDLElement

from ..catalog import names_of, references
from ..connections import Bind, is_autocommit, query, refuse_in_past, send, unwrap
from ..ddl import display_dialect
from ..errors import PastConflictError, PastError, PitrTransactionError, PitrValidationError
from ..moment import Moment, MomentLike
from ..names import shorten
from .changed_again import ChangedAgain
from .comparison import Comparison, Target, Where
from .conflicts import UndoConflict
from .joined import LARGEST, DeleteJoined, check_size, is_limited
from .opening import open_comparisons
from .row_change import ChangeKind
from .rows import DiffSummary, count
from .statements import Step, TableUndo, in_order, parents_first

if TYPE_CHECKING:
    from sqlalchemy.orm import Session, scoped_session

OnConflict: TypeAlias = Literal["error", "skip", "replace"]

ALL_KINDS: Final = frozenset(ChangeKind)


@dataclass(frozen=True, slots=True)
class UndoneTable:
    """The changes of :func:`undo_changes` to one table.

    :ivar name: ``database.table``.
    :ivar inserted: rows that were deleted since, and are there again.
    :ivar updated: rows that were updated since, and are as they were.
    :ivar deleted: rows that were inserted since, or stood in the way, and are gone.
    :ivar conflicts: what stood in the way: skipped, or replaced.
    :ivar skipped: how many rows were left as they are because of a conflict.
    :ivar remaining: how the table differs from its past now; with ``until``, rows that had not
        changed by then left out.
    :ivar dropped_columns: columns that it had then and has not now: nothing came back of them.
    """

    name: str
    inserted: int
    updated: int
    deleted: int
    conflicts: tuple[UndoConflict, ...]
    skipped: int
    remaining: DiffSummary
    dropped_columns: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class UndoReport:
    """The changes of :func:`undo_changes`; none of them is committed.

    :ivar until: only what changed from ``at`` until then was taken back; None of all since.
    """

    at: Moment
    kinds: frozenset[ChangeKind]
    tables: tuple[UndoneTable, ...]
    until: Moment | None = None

    @property
    def inserted(self) -> int:
        return sum(table.inserted for table in self.tables)

    @property
    def updated(self) -> int:
        return sum(table.updated for table in self.tables)

    @property
    def deleted(self) -> int:
        return sum(table.deleted for table in self.tables)

    @property
    def skipped(self) -> int:
        return sum(table.skipped for table in self.tables)

    @property
    def conflicts(self) -> tuple[UndoConflict, ...]:
        return tuple(conflict for table in self.tables for conflict in table.conflicts)

    @property
    def complete(self) -> bool:
        """Whether :func:`diff_rows` finds nothing any more; with ``until``, whether all that had
        changed by then is as it was."""
        return not any(table.remaining for table in self.tables)

    def __str__(self) -> str:
        until = "" if self.until is None else f", of what changed until {self.until}"
        lines = [
            f"rows as of {self.at}{until}: {self.inserted} inserted, {self.updated} updated, "
            f"{self.deleted} deleted, {self.skipped} skipped"
        ]
        for table in self.tables:
            if table.remaining:
                lines.append(
                    f"{table.name} still differs: {table.remaining} since{self._why(table)}"
                )
            if table.dropped_columns:
                columns = ", ".join(table.dropped_columns)
                lines.append(f"{table.name} has no column {columns} any more: nothing came back")
        return "\n".join(lines)

    def _why(self, table: UndoneTable) -> str:
        left_out = [str(kind) for kind in ChangeKind if kind not in self.kinds]
        reasons = [f"rows that were {' or '.join(left_out)} were left out"] if left_out else []
        if table.skipped:
            reasons.append(f"{table.skipped} skipped: {table.conflicts[0]}")
        if table.conflicts and not table.skipped:
            reasons.append(f"rows that stood in the way are gone: {table.conflicts[0]}")
        return f" ({'; '.join(reasons)})" if reasons else ""


def undo_changes(
    connection: Connection | Session | scoped_session[Any],
    table: Target | Sequence[Target],
    at: MomentLike | str,
    *,
    until: MomentLike | str | None = None,
    where: Where = None,
    kinds: Iterable[ChangeKind | str] = ALL_KINDS,
    on_conflict: OnConflict = "error",
    allow_unprotected: bool = False,
) -> UndoReport:
    """Bring the rows of a table back as they were at a moment, in the caller's transaction.

    The caller commits, or looks at the report and rolls back. Of a Session pending objects are
    flushed first, and all expire.

    :param table: one, or several, whose foreign keys then tell the order.
    :param at: as of :func:`diff_rows`; ``where`` likewise, and of one table alone.
    :param until: take back only what changed until then; None is all until now. A row that is other
        now than it was at that moment **changed again**, and is a conflict too, unless it is as it
        was at ``at`` already. A table is made for the keys of rows that changed again, and dropped,
        in the same transaction.
    :param kinds: which changes to take back: ``"inserted"``, ``"updated"``, ``"deleted"`` since.
        Others stay; the report counts them.
    :param on_conflict: of rows that cannot be as they were beside what is there now, because
        another row has their UNIQUE value, their parent's row is gone, or rows of a table that is
        not given refer to them: ``"error"`` lists them and writes nothing; ``"skip"`` leaves them
        out; ``"replace"`` takes back rows that changed again, too, deletes the row that has the
        UNIQUE value, and is an error for the rest.
    :param allow_unprotected: trust a past that no policy surely keeps. Where the server has
        collected it, it is empty, and **every row is deleted**.
    :raises PastConflictError: conflicts, listed.
    :raises PastNotKeptError: nothing surely keeps the history of a table at that moment.
    :raises PastError: the table has no key that tells its rows apart; its past is not to be
        trusted.
    :raises PitrTransactionError: on an AUTOCOMMIT connection.

    >>> import time
    >>> from sqlalchemy import create_engine, text
    >>> engine = create_engine(url)
    >>> with engine.begin() as conn:
    ...     made = conn.execute(text("CREATE TABLE crates (id INT PRIMARY KEY, item VARCHAR(9))"))
    ...     made = conn.execute(text("INSERT INTO crates VALUES (1, 'tea'), (2, 'lamp')"))
    >>> time.sleep(0.1)
    >>> before = Moment.now(engine)
    >>> time.sleep(0.1)
    >>> with engine.begin() as conn:
    ...     gone = conn.execute(text("DELETE FROM crates WHERE id = 2"))
    >>> with engine.begin() as conn:
    ...     report = undo_changes(conn, "crates", before, allow_unprotected=True)
    >>> print(report)
    rows as of ...: 1 inserted, 0 updated, 0 deleted, 0 skipped
    """
    own = _own_connection(connection)
    wanted = _Wanted.of(table, at, until, where, kinds, on_conflict, allow_unprotected)
    undos = _open(own, wanted)
    with _no_table_left(own, undos):
        undos = _find_conflicts(own, undos, wanted.on_conflict)
        done = {undo.table: dict.fromkeys(ChangeKind, 0) for undo in undos}
        for undo in undos:
            for statement in undo.replacements():
                done[undo.table][ChangeKind.INSERTED] += send(own, statement)
        for step in in_order(undos, wanted.kinds):
            while True:
                rows = send(own, step.statement)
                if _updates(step):
                    check_size(own, rows)
                if step.kind is not None:
                    done[step.undo.table][step.kind] += rows
                if not rows or not step.until_none:
                    break
        report = UndoReport(
            undos[0].comparison.at,
            wanted.kinds,
            tuple(_report(own, undo, done[undo.table]) for undo in undos),
            undos[0].until,
        )
    if own is not connection and not isinstance(connection, Connection):
        connection.expire_all()
    return report


def undo_sql(
    bind: Bind,
    table: Target | Sequence[Target],
    at: MomentLike | str,
    *,
    until: MomentLike | str | None = None,
    where: Where = None,
    kinds: Iterable[ChangeKind | str] = ALL_KINDS,
    on_conflict: OnConflict = "error",
    allow_unprotected: bool = False,
) -> str:
    """The statements of :func:`undo_changes` as a script, for a person to read and send.

    Conflicts are those of now, and so are the keys in it of rows that changed again since
    ``until`` and are replaced. The script begins a transaction and commits it.

    :raises PitrTransactionError: ``until`` is given, and the connection is AUTOCOMMIT.
    """
    found = unwrap(bind, "undo_sql()")
    wanted = _Wanted.of(table, at, until, where, kinds, on_conflict, allow_unprotected)
    if isinstance(found, Engine):
        with found.connect() as connection:
            return _script(connection, wanted)
    if until is not None and is_autocommit(found):
        raise PitrTransactionError(
            "undo_sql makes a table where until= is given, and drops it, in one transaction: this "
            "connection is AUTOCOMMIT; give the Engine, or another connection"
        )
    return _script(found, wanted)


def _script(connection: Connection, wanted: _Wanted) -> str:
    undos = _open(connection, wanted)
    with _no_table_left(connection, undos):
        undos = _find_conflicts(connection, undos, wanted.on_conflict)
    first = undos[0]
    of = "" if first.until is None else f", of what changed until {first.until}"
    lines = [f"-- {names_of(undo.table for undo in undos)} as of {first.comparison.at}{of}"]
    lines.append("BEGIN;")
    for undo in undos:
        if undo.again is not None:
            lines += [f"{_text(statement)};" for statement in undo.again.statements]
    for undo in undos:
        lines += [f"{_text(statement)};" for statement in undo.replacements()]
    limited = is_limited(connection)
    for step in in_order(undos, wanted.kinds):
        if limited and _updates(step):
            lines.append(
                f"-- roll back if it changes more than {LARGEST} rows: it damages keys then"
            )
        if step.until_none:
            lines.append("-- once more, as long as it finds rows:")
        lines.append(f"{_text(step.statement)};")
    for undo in undos:
        if undo.again is not None:
            lines.append(f"{_text(undo.again.dropping())};")
    return "\n".join([*lines, "COMMIT;", ""])


def _updates(step: Step) -> bool:
    return not isinstance(step.statement, DeleteJoined | Insert)


def _text(statement: Any) -> str:
    options = {} if isinstance(statement, DDLElement) else {"literal_binds": True}
    compiled = statement.compile(dialect=display_dialect(), compile_kwargs=options)
    return str(compiled).strip().replace(" \n", "\n")


# ------------------------------------------------------------------------------------ preparing it


def _own_connection(connection: Any) -> Connection:
    """The connection to write on, in the caller's transaction."""
    if isinstance(connection, Engine):
        raise PitrTransactionError(
            "undo_changes writes in your transaction: give it a Connection or a Session, as in "
            "with engine.begin() as connection: ..."
        )
    if not isinstance(connection, Connection):
        unwrap(connection, "undo_changes()")
        session = connection() if callable(connection) else connection
        session.flush()
        connection = session.connection()
    own: Connection = connection
    refuse_in_past(own.get_execution_options(), "undo_changes()")
    if is_autocommit(own):
        raise PitrTransactionError(
            "undo_changes sends several statements, which must take effect together or not at all: "
            "this connection is AUTOCOMMIT, on which each takes effect at once"
        )
    return own


def _kinds(kinds: Iterable[ChangeKind | str]) -> frozenset[ChangeKind]:
    given = [kinds] if isinstance(kinds, str) else list(kinds)
    try:
        chosen = frozenset(ChangeKind(kind) for kind in given)
    except ValueError as error:
        known = ", ".join(repr(str(kind)) for kind in ChangeKind)
        raise PitrValidationError(f"kinds are {known}, not {shorten(kinds)}") from error
    if not chosen:
        raise PitrValidationError("kinds names no kind of change: there is nothing to take back")
    return chosen


@dataclass(frozen=True, slots=True)
class _Wanted:
    """The arguments of an undo, checked."""

    targets: list[Any]
    at: MomentLike | str
    until: MomentLike | str | None
    where: Where
    kinds: frozenset[ChangeKind]
    on_conflict: str
    allow_unprotected: bool

    @classmethod
    def of(
        cls,
        table: Target | Sequence[Target],
        at: MomentLike | str,
        until: MomentLike | str | None,
        where: Where,
        kinds: Iterable[ChangeKind | str],
        on_conflict: str,
        allow_unprotected: bool,
    ) -> _Wanted:
        """
        :raises PitrValidationError: one is none, or two do not go together.
        """
        chosen = _kinds(kinds)
        if on_conflict not in get_args(OnConflict):
            raise PitrValidationError(
                f"on_conflict is 'error', 'skip' or 'replace', not {shorten(on_conflict)}"
            )
        targets: list[Any] = list(table) if isinstance(table, list | tuple) else [table]
        if not targets:
            raise PitrValidationError("no table is given")
        if where is not None and len(targets) > 1:
            raise PitrValidationError("where is on the columns of one table: give one")
        if until is not None and on_conflict == "replace" and chosen != ALL_KINDS:
            raise PitrValidationError(
                "on_conflict='replace' takes back rows whatever became of them since until=, so it "
                "goes with all kinds"
            )
        return cls(targets, at, until, where, chosen, on_conflict, allow_unprotected)


def _open(connection: Connection, wanted: _Wanted) -> list[TableUndo]:
    """The tables of an undo, and what is read of the catalogue for it."""
    targets, where, until = wanted.targets, wanted.where, wanted.until
    options: Any = {"allow_unprotected": wanted.allow_unprotected, "surely": True}
    comparisons = open_comparisons(connection, targets, wanted.at, where=where, **options)
    for comparison in comparisons:
        _check(connection, comparison)
    tables = [comparison.table for comparison in comparisons]
    databases = {database for database, _ in tables}
    keys = references(connection, of=databases, to=databases)
    undos = [TableUndo(comparison, tables, keys, wanted.kinds) for comparison in comparisons]
    if until is not None:
        since = open_comparisons(connection, targets, until, **options)
        for undo, later in zip(undos, since, strict=True):
            if later.at <= undo.comparison.at:
                raise PitrValidationError(f"until={later.at} is not after {undo.comparison.at}")
            undo.again = ChangedAgain(undo.comparison, later, where)
            _check(connection, later)
    return undos


@contextlib.contextmanager
def _no_table_left(connection: Connection, undos: Sequence[TableUndo]) -> Iterator[None]:
    """Drop what :class:`ChangedAgain` makes, also where the transaction goes on after an error."""
    made = [undo.again for undo in undos if undo.again is not None]
    try:
        yield
    except Exception:
        with contextlib.suppress(SQLAlchemyError):
            for again in made:
                again.drop(connection)
        raise
    for again in made:
        again.drop(connection)


def _find_conflicts(
    connection: Connection, undos: Sequence[TableUndo], on_conflict: str
) -> list[TableUndo]:
    """The tables parents first, with what stands in their way.

    :raises PastConflictError: something does, and is neither left out nor replaced.
    """
    for undo in undos:
        undo.find_changed_again(connection, on_conflict)
    by_name = {undo.table: undo for undo in undos}
    while True:
        found = [undo.find_conflicts(connection, by_name, on_conflict) for undo in undos]
        if on_conflict != "skip" or not any(found):
            break
    refused = [conflict for undo in undos for conflict in undo.refused(on_conflict)]
    if refused:
        shown = "\n".join(str(conflict) for conflict in refused[:10])
        more = f"\nand {len(refused) - 10} more" if len(refused) > 10 else ""
        number = sum(undo.number_refused(on_conflict) for undo in undos)
        raise PastConflictError(
            f"{number} rows cannot be as they were beside what is there now, and nothing was "
            f"written: on_conflict='skip' leaves them out\n{shown}{more}",
            conflicts=refused,
        )
    for undo in undos:
        undo.read_values(connection)
    return parents_first(undos)


def _check(connection: Connection, comparison: Comparison) -> None:
    """
    :raises PastError: no key, or a past that gives another answer by key than all in all.
    """
    if not comparison.key:
        raise PastError(
            f"{comparison.name} has no primary key, nor a UNIQUE key without NULLs, that is the "
            "same then and now: nothing tells which of its rows is which. diff_rows() shows the "
            "differences; restore_copy() brings the table back beside this one"
        )
    p, q = comparison.p, comparison.past("q")
    first = comparison.key[0]
    scanned = query(connection, select(func.count(), func.count(p.c[first])).select_from(p))[0]
    same = [p.c[key] == q.c[key] for key in comparison.key]
    by_key = query(connection, select(func.count()).select_from(p).join(q, and_(*same)))[0][0]
    if len({*map(int, scanned), int(by_key)}) > 1:
        raise PastError(
            f"{comparison.name} at {comparison.at} has {scanned[0]} rows, of which {by_key} are "
            "found by key: its past is not whole, and nothing was written"
        )


def _report(connection: Connection, undo: TableUndo, done: Mapping[ChangeKind, int]) -> UndoneTable:
    comparison = undo.comparison
    return UndoneTable(
        comparison.name,
        inserted=done[ChangeKind.DELETED],
        updated=done[ChangeKind.UPDATED],
        deleted=done[ChangeKind.INSERTED],
        conflicts=tuple(undo.conflicts),
        skipped=undo.skipped,
        remaining=count(connection, comparison, undo.is_not_meant),
        dropped_columns=comparison.dropped,
    )
