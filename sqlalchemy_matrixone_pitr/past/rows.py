"""Rows that were inserted, updated and deleted between a moment and now, or another moment."""

from __future__ import annotations

import contextlib
import itertools
import pickle
import tempfile
from collections.abc import Collection, Generator, Iterable, Iterator
from dataclasses import dataclass
from typing import Any, Final, Self

from sqlalchemy.engine import Connection, Dialect, Engine

from ..catalog import Key
from ..connections import Bind, abandon, kill_on_abort, query, side_connection, stream, unwrap
from ..moment import Moment, MomentLike
from .comparison import Comparison, KeyCondition, RealTable, Target, Where
from .merging import merge
from .multiset import multiset_at, multiset_changes
from .opening import open_comparisons
from .row_change import ChangeKind, Row, RowChange, RowReader, truth


@dataclass(frozen=True, slots=True)
class DiffSummary:
    """Counts of rows that changed since a moment."""

    inserted: int = 0
    updated: int = 0
    deleted: int = 0

    @property
    def total(self) -> int:
        return self.inserted + self.updated + self.deleted

    def __bool__(self) -> bool:
        """Whether anything changed."""
        return self.total > 0

    def __str__(self) -> str:
        return f"{self.inserted} inserted, {self.updated} updated, {self.deleted} deleted"


class RowChanges(Iterator[RowChange]):
    """The changes of :func:`diff_rows`, one after the other; closed when all are read.

    :ivar table: the table's database and name.
    :ivar at: the moment that is compared with; ``until`` the later one, None for the present.
    :ivar columns: the columns that are compared, which the rows have.
    :ivar key: the columns that identify a row. () where the table has no primary key, and no UNIQUE
        key without NULLs, that is the same at both moments: rows are then compared as a multiset,
        nothing counts as updated, and a row that was there twice and is there once was deleted.
    :ivar added_columns: those that the table had later only; they are not compared.
    :ivar dropped_columns: those that it had before only.
    """

    def __init__(self, comparison: Comparison, changes: Generator[RowChange, None, None]) -> None:
        self.table = comparison.table
        self.at: Moment = comparison.at
        self.until: Moment | None = comparison.until
        self.columns = tuple(column.name for column in comparison.columns)
        self.key = tuple(comparison.column(key).name for key in comparison.key)
        self.added_columns = comparison.added
        self.dropped_columns = comparison.dropped
        self._changes = changes

    def __iter__(self) -> Self:
        return self

    def __next__(self) -> RowChange:
        return next(self._changes)

    def close(self) -> None:
        """Stop early: what still runs on the server is ended there, and no more rows are read."""
        self._changes.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def diff_rows(
    bind: Bind,
    table: Target,
    at: MomentLike | str,
    *,
    until: MomentLike | str | None = None,
    where: Where = None,
    columns: Iterable[Any] | None = None,
    allow_unprotected: bool = False,
) -> RowChanges:
    """The rows of a table that were inserted, updated and deleted since a moment, ordered by key.

    One statement compares the past with the present, so that it sees one state of it. Rows are
    streamed: however many changed, a thousand are here at once. Of an Engine they come over a
    connection of their own while they are read. A Connection or a Session, whose uncommitted
    changes count, is free at once for other statements: all changes are read first, into a
    temporary file.

    Two moments of the past, which no statement can compare, are read side by side: all rows of both
    come over the wire.

    :param table: a Table, a mapped class (its own table, where it inherits), or ``"db.table"``.
    :param at: a Moment, an aware datetime, nanoseconds, or text as :meth:`Moment.parse` reads it.
    :param until: a later moment; None is the present.
    :param where: a condition on the table's columns that a row fulfils before or after.
    :param columns: those to compare and to return, beside the key's.
    :param allow_unprotected: read what no policy keeps too; where the server has collected it, its
        past is empty, and every row counts as inserted.
    :raises PastNotKeptError: nothing keeps the table's history at that moment. What is probably
        there still is a :class:`PastNotKeptWarning`.
    :raises PastError: the table was not there, or is a view.

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
    >>> for change in diff_rows(engine, "crates", before, allow_unprotected=True):
    ...     print(change.kind, change.key, change.before)
    deleted (2,) {'id': 2, 'item': 'lamp'}
    """
    comparisons = open_comparisons(
        bind,
        [table],
        at,
        until=until,
        where=where,
        only=columns,
        allow_unprotected=allow_unprotected,
    )
    return _diff(bind, comparisons[0])


def _diff(bind: Bind, comparison: Comparison) -> RowChanges:
    found = unwrap(bind)
    if comparison.until is not None:
        return RowChanges(comparison, _between(found.engine, comparison))
    statement = comparison.changes() if comparison.key else multiset_changes(comparison)
    rows = _streamed(found, statement) if isinstance(found, Engine) else spooled(found, statement)
    read = _by_key if comparison.key else _as_multiset
    return RowChanges(comparison, read(comparison, found.dialect, rows))


def diff_summary(
    bind: Bind,
    table: Target,
    at: MomentLike | str,
    *,
    until: MomentLike | str | None = None,
    where: Where = None,
    columns: Iterable[Any] | None = None,
    allow_unprotected: bool = False,
) -> DiffSummary:
    """Count the rows of a table that were inserted, updated and deleted since a moment.

    As :func:`diff_rows`, but the server counts, where one statement can.
    """
    (comparison,) = open_comparisons(
        bind,
        [table],
        at,
        until=until,
        where=where,
        only=columns,
        allow_unprotected=allow_unprotected,
    )
    return _summary(bind, comparison)


def summaries_of(bind: Bind, tables: Collection[Key], at: Moment) -> dict[Key, DiffSummary]:
    """Like :func:`diff_summary`, of tables by the server's names, whether they are kept or not."""
    wanted = [RealTable(table) for table in tables]
    comparisons = open_comparisons(bind, wanted, at, allow_unprotected=True)
    return {
        table: _summary(bind, comparison)
        for table, comparison in zip(tables, comparisons, strict=True)
    }


def _summary(bind: Bind, comparison: Comparison) -> DiffSummary:
    found = unwrap(bind)
    if comparison.until is None and comparison.key:
        if isinstance(found, Connection):
            return count(found, comparison)
        with side_connection(found) as side, kill_on_abort(found, side):
            return count(side, comparison)
    counts = dict.fromkeys(ChangeKind, 0)
    with _diff(bind, comparison) as changes:
        for change in changes:
            counts[change.kind] += 1
    return DiffSummary(**{str(kind): number for kind, number in counts.items()})


def count(
    connection: Connection, comparison: Comparison, unless: KeyCondition | None = None
) -> DiffSummary:
    """The changes since, by key, counted by the server.

    :param unless: makes a condition on an alias of the table: rows that it is true of count not.
    """
    numbers = {
        int(new): (int(all_), int(there))
        for new, all_, there in query(connection, comparison.counts(unless))
    }
    lost_or_other, other = numbers[0]
    return DiffSummary(numbers[1][0], other, lost_or_other - other)


# ------------------------------------------------------------------------------------ reading rows


def _streamed(engine: Engine, statement: Any) -> Generator[Row, None, None]:
    """Rows over a connection of their own; a reader that stops early ends the statement."""
    with side_connection(engine) as side, kill_on_abort(engine, side):
        result = stream(side, statement)
        try:
            for some in result.partitions(1000):
                for row in some:
                    yield tuple(row)
        except BaseException:
            abandon(result)
            raise


_IN_MEMORY: Final = 4 * 1024 * 1024
"""Bytes of rows that are kept in memory before they go to a file."""


def spooled(connection: Connection, statement: Any) -> Generator[Row, None, None]:
    """Rows that are read at once, so that the caller's connection is free for other statements."""
    spool = tempfile.SpooledTemporaryFile(max_size=_IN_MEMORY)  # noqa: SIM115
    try:
        for some in stream(connection, statement).partitions(1000):
            pickle.dump([tuple(row) for row in some], spool, pickle.HIGHEST_PROTOCOL)
        spool.seek(0)
    except BaseException:
        spool.close()
        raise
    rows = _unspooled(spool)
    next(rows)
    return rows


def _unspooled(spool: Any) -> Generator[Row, None, None]:
    """The rows behind an empty one: a generator that has begun closes its file, read or not."""
    with spool:
        yield ()
        while True:
            try:
                some = pickle.load(spool)
            except EOFError:
                return
            yield from some


def _by_key(
    comparison: Comparison, dialect: Dialect, rows: Generator[Row, None, None]
) -> Generator[RowChange, None, None]:
    width = len(comparison.columns)
    reader = RowReader(comparison, dialect)
    with _closed(rows):
        for row in rows:
            before, after, flags = row[:width], row[width : 2 * width], row[2 * width : 3 * width]
            key = reader.key_at
            if after[key] is None:
                yield reader.deleted(before)
            elif before[key] is None:
                yield reader.inserted(after)
            else:
                yield reader.updated(before, after, [truth(flag) is True for flag in flags])


def _as_multiset(
    comparison: Comparison, dialect: Dialect, rows: Generator[Row, None, None]
) -> Generator[RowChange, None, None]:
    reader = RowReader(comparison, dialect)
    with _closed(rows):
        for *values, weight in rows:
            made = reader.deleted if int(weight) < 0 else reader.inserted
            yield from itertools.repeat(made(tuple(values)), abs(int(weight)))


@contextlib.contextmanager
def _closed(*generators: Generator[Any, None, None]) -> Iterator[None]:
    with contextlib.ExitStack() as stack:
        for generator in generators:
            stack.callback(generator.close)
        yield


def _between(engine: Engine, comparison: Comparison) -> Generator[RowChange, None, None]:
    """The changes between two moments of the past: two streams in one order, merged."""
    assert comparison.until is not None

    def rows_at(at: Moment) -> Any:
        return comparison.rows_at(at) if comparison.key else multiset_at(comparison, at)

    before = _streamed(engine, rows_at(comparison.at))
    after = _streamed(engine, rows_at(comparison.until))
    with _closed(before, after):
        yield from merge(comparison, RowReader(comparison, engine.dialect), before, after)
