"""Search for the moment at which the answer of a SELECT changed: a grid, then bisection.

An answer that flips and flips back between two samples of the grid is not seen; all others are, and
found to the resolution asked for. All changes take ``samples`` reads, and each of them
log2(step / resolution) more: with the defaults, for an hour, 32 and 7 each. The latest takes the
grid from its end until two neighbours differ: 9 reads of an hour for a change of the last minute,
24 in its middle, 39 at its beginning. To the millisecond each takes 10 more.

Source: docs/server.md, Time travel.
"""

from __future__ import annotations

import datetime as dt
import itertools
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any, Final

from sqlalchemy import SelectBase, TableClause, TextClause
from sqlalchemy.engine import Connection, Engine
from sqlalchemy.exc import DBAPIError
from sqlalchemy.sql import visitors

from .. import server
from ..catalog import Key
from ..connections import (
    AS_OF,
    SCANNED,
    Bind,
    idle,
    roll_back,
    side_connection,
    unwrap,
)
from ..coverage.model import Kept
from ..declarations import Databases
from ..errors import PastError, PitrValidationError, is_not_there
from ..moment import Moment, MomentLike
from ..names import fold, plain, shorten
from .comparison import Target, find_table
from .listening import listen
from .opening import check_unless, is_allowed, to_moment

MOMENT_PARAMETER: Final = "moment"
"""The parameter of a text that says when it reads."""

DEFAULT_RESOLUTION: Final = dt.timedelta(seconds=1)


class NotThere:
    """The answer at a moment when a table, database or column of the statement did not exist.

    There is one: ``value is NotThere()``.
    """

    _only: NotThere | None = None

    def __new__(cls) -> NotThere:
        if cls._only is None:
            cls._only = super().__new__(cls)
        return cls._only

    def __repr__(self) -> str:
        return "not there"

    def __reduce__(self) -> tuple[type[NotThere], tuple[()]]:
        return NotThere, ()


NOT_THERE: Final = NotThere()


@dataclass(frozen=True, slots=True)
class Change:
    """A change of an answer: at ``before`` it was still ``value_before``, at ``after`` it was
    ``value_after``.

    :ivar value_before: None where the statement gave no row, or NULL; :class:`NotThere` where its
        table was not there. ``value_after`` likewise.
    """

    before: Moment
    after: Moment
    value_before: Any
    value_after: Any

    def __str__(self) -> str:
        return f"{self.value_before!r} at {self.before}, {self.value_after!r} at {self.after}"


def find_changes(
    bind: Bind,
    statement: SelectBase | TextClause,
    *,
    since: MomentLike | str,
    until: MomentLike | str | None = None,
    resolution: dt.timedelta = DEFAULT_RESOLUTION,
    samples: int = 32,
    max_reads: int = 10_000,
    tables: Iterable[Target] | None = None,
    allow_unprotected: bool = False,
) -> list[Change]:
    """Find when the answer of a SELECT of one value changed, the earliest first.

    The answer is read at ``samples`` moments from ``since`` to ``until``; between two that differ
    it is bisected. A moment at which the table did not exist is an answer too, so that the dropping
    of a table is a change as any other; ALTER and TRUNCATE in between do not matter.

    :param statement: a SELECT of one row and one column, of Core or of mapped classes; as text it
        names its moment, ``text("SELECT count(*) FROM orders {MO_TS = :moment}")``. A text is sent
        as it is: with a condition on an indexed column it may read an index whose history a
        table-level policy does not keep, which a Core statement never does.
    :param since: a Moment, an aware datetime, nanoseconds, or text as :meth:`Moment.parse` reads
        it; relative ones count from the server's clock. ``until`` likewise; None is the present.
    :param resolution: how far apart ``before`` and ``after`` of a change may be.
    :param samples: an answer that flips and flips back between two of them is not seen.
    :param max_reads: more are refused: an answer that changes all the time is read at every step.
    :param tables: of a text, those that it reads: their history must be kept at ``since``.
    :param allow_unprotected: read what no policy keeps too; where the server has collected it, its
        past is empty.
    :raises PastNotKeptError: nothing keeps the history of a table.
    :raises PastError: nothing was there at any sample, or there would be too many reads.

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
    >>> from sqlalchemy import func, select, table
    >>> count = select(func.count()).select_from(table("crates"))
    >>> changes = find_changes(engine, count, since=before, allow_unprotected=True)
    >>> [(change.value_before, change.value_after) for change in changes]
    [(2, 1)]
    """
    found = _find(
        bind, statement, since, until, resolution, samples, max_reads, tables, allow_unprotected
    )
    return list(found)[::-1]


def find_change(
    bind: Bind,
    statement: SelectBase | TextClause,
    *,
    since: MomentLike | str,
    until: MomentLike | str | None = None,
    resolution: dt.timedelta = DEFAULT_RESOLUTION,
    samples: int = 32,
    max_reads: int = 10_000,
    tables: Iterable[Target] | None = None,
    allow_unprotected: bool = False,
) -> Change | None:
    """The latest change of an answer, or None: as :func:`find_changes`, with fewer reads.

    The moments are read from the latest one back, until two neighbours differ: of an hour, with the
    defaults, 9 reads for a change of the last minute, 39 at most.
    """
    found = _find(
        bind, statement, since, until, resolution, samples, max_reads, tables, allow_unprotected
    )
    try:
        return next(found, None)
    finally:
        found.close()


def _find(
    bind: Bind,
    statement: SelectBase | TextClause,
    since: MomentLike | str,
    until: MomentLike | str | None,
    resolution: dt.timedelta,
    samples: int,
    max_reads: int,
    tables: Iterable[Target] | None,
    allow_unprotected: bool,
) -> Any:
    """The changes, the latest first: a generator."""
    _check(statement, resolution, samples)
    found = unwrap(bind)
    allow_unprotected = allow_unprotected or is_allowed(found)
    keys = _tables(found, statement, tables, allow_unprotected)
    schemas = found.get_execution_options().get("schema_translate_map")
    with side_connection(found) as side, idle(side):
        server.require_matrixone(side)
        now = Moment(server.clock(side))
        end = now if until is None else to_moment(until, now)
        start = to_moment(since, now)
        if start >= end:
            raise PitrValidationError(f"since={start} is not before {end}")
        side.rollback()
        verdicts = check_unless(found, keys, [start], allow_unprotected)
        later = [v for v in verdicts if v.kept is Kept.ABSENT]
        verdicts += check_unless(
            found, [(v.database_name, v.table_name) for v in later], [end], allow_unprotected
        )
        scanned = frozenset((v.database_name, v.table_name) for v in verdicts if v.scanned)
        reader = _Reader(side, statement, schemas, scanned, max_reads)
        yield from _backwards(reader, _grid(start, end, samples), resolution)


def _tables(
    bind: Engine | Connection,
    statement: Any,
    given: Iterable[Target] | None,
    allow_unprotected: bool,
) -> set[Key]:
    """The tables that a statement reads, as the server has them.

    :raises PitrValidationError: of a text they are not said.
    """
    databases = Databases.of(bind)
    if given is not None:
        return {find_table(table, databases)[0] for table in given}
    if isinstance(statement, TextClause):
        if allow_unprotected:
            return set()
        raise PitrValidationError(
            "a text does not tell which tables it reads: give them as tables=, so that it can be "
            "asked what keeps their history, or allow_unprotected=True"
        )
    found = set()
    for part in visitors.iterate(statement):
        if isinstance(part, TableClause):
            schema = None if part.schema is None else plain(part.schema)
            database = databases.real(schema)
            if database is not None:
                found.add((database, fold(part.name)))
    return found


def _check(statement: object, resolution: object, samples: object) -> None:
    if isinstance(statement, TextClause):
        if MOMENT_PARAMETER not in statement._bindparams:
            raise PitrValidationError(
                f"the text {shorten(str(statement))} does not say when it reads: write "
                "{MO_TS = :moment} behind each table's name, before its alias"
            )
    elif not isinstance(statement, SelectBase):
        raise PitrValidationError(
            f"find_changes takes a SELECT of one value, not {type(statement).__name__}: write "
            "select(func.count()).select_from(orders), or text(...)"
        )
    elif len(statement.selected_columns) != 1:
        raise PitrValidationError(
            f"find_changes takes a SELECT of one value, and this one has "
            f"{len(statement.selected_columns)} columns: ask for one, such as count(*)"
        )
    if not isinstance(resolution, dt.timedelta) or resolution < dt.timedelta(microseconds=1):
        raise PitrValidationError(
            f"resolution is a timedelta of a microsecond at least, not {shorten(resolution)}"
        )
    if isinstance(samples, bool) or not isinstance(samples, int) or samples < 2:
        raise PitrValidationError(f"samples is an int, 2 at least, not {shorten(samples)}")


def _grid(start: Moment, end: Moment, samples: int) -> list[Moment]:
    """Moments from start to end, evenly apart."""
    length = end.nanoseconds - start.nanoseconds
    ticks = (start.nanoseconds + length * number // (samples - 1) for number in range(samples))
    return [Moment(tick) for tick, _ in itertools.groupby(ticks)]


class _Reader:
    """The answers of a statement, each read once."""

    def __init__(
        self,
        connection: Connection,
        statement: Any,
        schemas: Any,
        scanned: frozenset[Key],
        max_reads: int,
    ) -> None:
        self._connection = connection
        self._statement = statement
        self._is_text = isinstance(statement, TextClause)
        self._options = {
            "schema_translate_map": schemas,
            SCANNED: scanned,  # asked already
        }
        self._max_reads = max_reads
        self._answers: dict[Moment, Any] = {}
        self.missing: DBAPIError | None = None
        listen()

    def __call__(self, moment: Moment) -> Any:
        if moment not in self._answers:
            if len(self._answers) >= self._max_reads:
                raise PastError(
                    f"the answer changes so often that more than {self._max_reads} reads would be "
                    "needed: narrow since and until, or give a longer resolution or max_reads"
                )
            self._answers[moment] = self._read(moment)
        return self._answers[moment]

    def _read(self, moment: Moment) -> Any:
        try:
            if self._is_text:
                values = {MOMENT_PARAMETER: moment.nanoseconds}
                result = self._connection.execute(self._statement, values)
            else:
                options = self._options | {AS_OF: moment}
                result = self._connection.execute(self._statement, execution_options=options)
            rows = result.fetchmany(2)
            result.close()
        except DBAPIError as error:
            if not is_not_there(error):
                raise
            self.missing = error
            roll_back(self._connection)
            return NOT_THERE
        if len(rows) > 1 or (rows and len(rows[0]) != 1):
            raise PitrValidationError(
                f"at {moment} the statement gave more than one value: it must be a SELECT of one, "
                "such as count(*), or a column of the row with a certain key"
            )
        return rows[0][0] if rows else None


def _backwards(read: _Reader, grid: list[Moment], resolution: dt.timedelta) -> Iterator[Change]:
    if all(read(moment) is NOT_THERE for moment in (grid[-1], *grid[:-1])):
        raise PastError(
            f"at none of {len(grid)} moments from {grid[0]} to {grid[-1]} was there what the "
            f"statement reads: {read.missing and read.missing.orig}"
        ) from read.missing
    for earlier, later in zip(grid[-2::-1], grid[:0:-1], strict=True):
        yield from _bisect(read, earlier, later, resolution)


def _bisect(
    read: _Reader, earlier: Moment, later: Moment, resolution: dt.timedelta
) -> Iterator[Change]:
    """The changes between two moments, as far as the middles tell, the latest first."""
    before, after = read(earlier), read(later)
    if _same(before, after):
        return
    length = later.nanoseconds - earlier.nanoseconds
    if length <= resolution // dt.timedelta(microseconds=1) * 1000:
        yield Change(earlier, later, before, after)
        return
    middle = Moment(earlier.nanoseconds + length // 2)
    yield from _bisect(read, middle, later, resolution)
    yield from _bisect(read, earlier, middle, resolution)


def _same(one: Any, other: Any) -> bool:
    """Whether two answers are equal: values of one type that are."""
    return one is other or (type(one) is type(other) and bool(one == other))
