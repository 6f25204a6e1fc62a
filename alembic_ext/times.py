"""The time at which each revision began, so that a table can be brought back to just before it.

A row for each revision, in a small table beside ``alembic_version``: the server's time when nothing
of the revision was committed yet, the versions that the database had, and the tables that the
revision dropped or rebuilt. A downgrade has a row of its own, ``downgrade of`` its revision.

The row is written before the revision's first statement, on a connection of its own, so that it is
there however the revision ends. After the COMMIT it is written once more, with what was touched:
together with the next one, or at the end of the run. A revision that sends nothing costs nothing:
its row is written then, for the first time. Of a revision that fails the first one stays,
marked as begun; the next time that the revision runs takes its place. But where it had committed
something in its middle (``autocommit_block``, or an AUTOCOMMIT connection), and a table is another
one since, the next run keeps the earlier time: only that is before all that the revision has done.

On a database whose version table is not committed yet, the first revision's row is written after
its COMMIT: until then what another connection writes may wait for Alembic's own table. So are
those of revisions that run in the transaction of an earlier one: a failure undoes them with it.

The server's clock is read where a row is to be written; the local clock tells how long before that
the revision has begun. So one reading dates all revisions since the last one, and each is dated
before what it did on a connection of its own before its first statement here.

What goes wrong here is logged, and never fails a migration. Changed rows leave no trace here.
"""

from __future__ import annotations

import dataclasses
import datetime as dt
import enum
import json
import logging
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, Self

from alembic.runtime.migration import MigrationContext, MigrationInfo
from sqlalchemy import text
from sqlalchemy.engine import Connection, CursorResult, Dialect
from sqlalchemy.engine.base import RootTransaction
from sqlalchemy.exc import DBAPIError, SQLAlchemyError

from sqlalchemy_matrixone_pitr import server
from sqlalchemy_matrixone_pitr.catalog import Key, table_ids
from sqlalchemy_matrixone_pitr.connections import is_autocommit, side_connection
from sqlalchemy_matrixone_pitr.transaction import TransactionalDDLElement, pending_result

from .steps import Heads

log = logging.getLogger("alembic.runtime.matrixone_pitr")

TABLE: Final = "alembic_pitr_revision"
"""Autogenerate leaves it alone."""

DOWNGRADE: Final = "downgrade of "
"""Begins the ``version_num`` of a downgrade's row."""

_CREATE: Final = (
    "CREATE TABLE IF NOT EXISTS {table} (migrated VARCHAR(255) NOT NULL, version_table "
    "VARCHAR(255) NOT NULL, version_num VARCHAR(255) NOT NULL, began VARCHAR(32) NOT NULL, "
    "touched TEXT NOT NULL, PRIMARY KEY (migrated, version_table, version_num))"
)

_COLUMNS: Final = ("migrated", "version_table", "version_num", "began", "touched")

_SELECT: Final = f"SELECT {', '.join(_COLUMNS)} FROM {{table}} WHERE migrated = :migrated"

_UPDATED: Final = ", ".join(f"{column} = VALUES({column})" for column in ("began", "touched"))


def qualified(schema: str | None) -> str:
    """The table's name, for ``text()``."""
    if schema is None:
        return TABLE
    quoted = schema.replace("`", "``").replace(":", "\\:")
    return f"`{quoted}`.{TABLE}"


# -------------------------------------------------------------------------------------------- rows


class Progress(enum.StrEnum):
    """Progress of a revision, as far as it is known."""

    BEGUN = enum.auto()
    PARTIAL = enum.auto()
    """Begun, and some of it may be committed."""
    COMMITTED = enum.auto()


@dataclass(frozen=True, slots=True)
class Row:
    """Record of one revision.

    :ivar migrated: the database that ran it.
    :ivar began: nothing of it was committed yet.
    :ivar touched: the tables that it dropped or rebuilt; None is not known.
    :ivar before: the versions that the database had; None is not known.
    :ivar down: the revisions that it follows.
    """

    migrated: str
    version_table: str
    version_num: str
    began: dt.datetime
    touched: list[Key] | None = None
    before: list[str] | None = None
    down: list[str] | None = None
    progress: Progress = Progress.BEGUN

    def values(self) -> dict[str, str]:
        rest = {
            "tables": self.touched,
            "before": self.before,
            "down": self.down,
            "progress": self.progress,
        }
        return {
            "migrated": self.migrated,
            "version_table": self.version_table,
            "version_num": self.version_num,
            "began": self.began.isoformat(),
            "touched": json.dumps(rest),
        }

    @classmethod
    def parse(cls, columns: Sequence[Any]) -> Row:
        """A row of the table. In 0.1.0 the last column was the tables alone."""
        migrated, version_table, version_num, began, touched = map(str, columns)
        found: Any = json.loads(touched)
        if isinstance(found, list):
            found = {"tables": found, "progress": Progress.COMMITTED}
        tables = found.get("tables")
        return cls(
            migrated,
            version_table,
            version_num,
            dt.datetime.fromisoformat(began),
            None if tables is None else [(database, table) for database, table in tables],
            found.get("before"),
            found.get("down"),
            Progress(found.get("progress", Progress.BEGUN)),
        )


def read_rows(connection: Connection, schema: str, database: str | None) -> list[Row]:
    """The rows of a database, from the table in a schema."""
    statement = text(_SELECT.format(table=qualified(schema)))
    return [Row.parse(row) for row in connection.execute(statement, {"migrated": database or ""})]


def _create(aside: Connection, schema: str | None) -> None:
    aside.execute(text(_CREATE.format(table=qualified(schema))))


def _write(aside: Connection, schema: str | None, rows: Sequence[Row]) -> None:
    """One statement, which the drivers make of it, in place of what was written of them before."""
    statement = (
        f"INSERT INTO {qualified(schema)} ({', '.join(_COLUMNS)}) "
        f"VALUES ({', '.join(f':{column}' for column in _COLUMNS)}) "
        f"ON DUPLICATE KEY UPDATE {_UPDATED}"
    )
    aside.execute(text(statement), [row.values() for row in rows])
    if not is_autocommit(aside):
        aside.commit()


class RecordRevisions(TransactionalDDLElement):
    """Writes the rows of revisions after the COMMIT of their transaction, which the run has left
    open.

    :param schema: where the table is; None is the connection's database.
    """

    def __init__(self, rows: list[Row], schema: str | None) -> None:
        self.rows = rows
        self.name = ", ".join(row.version_num for row in rows)
        self.schema = schema

    def check_dialect(self, dialect: Dialect) -> None:
        """Decided before it is made."""

    def resolve(self, connection: Connection, options: Mapping[str, Any]) -> Self:
        return self

    def _send(self, connection: Connection, options: Mapping[str, Any]) -> CursorResult[Any]:
        try:
            with side_connection(connection) as aside:
                _create(aside, self.schema)
                _write(aside, self.schema, self.rows)
        except SQLAlchemyError as error:
            _log_failure(self.rows, error)
        return pending_result(connection)

    def __str__(self) -> str:
        return f"the time of revision {self.name}"


def _log_failure(rows: Iterable[Row], error: Exception) -> None:
    names = ", ".join(row.version_num for row in rows)
    log.warning("the time of revision %s is not recorded: %s", names, error)


# --------------------------------------------------------------------------------------- recording


_NOT_KNOWN: Final = dt.datetime.max.replace(tzinfo=dt.UTC)
"""Stands for a time until the server's clock has been read: later than all times."""


@dataclass
class _Revision:
    """A revision of the run, until it is written as committed.

    :ivar rows: of one revision; of several where a step merges them.
    :ivar since: when it began, by the local clock.
    """

    rows: list[Row]
    since: float

    def change(self, **values: Any) -> None:
        """Change columns of all rows."""
        self.rows = [dataclasses.replace(row, **values) for row in self.rows]

    @property
    def began(self) -> dt.datetime:
        """Its time, or that of the earlier run which it goes on with."""
        return min((row.began for row in self.rows), default=_NOT_KNOWN)

    def is_dated(self) -> bool:
        return all(row.began != _NOT_KNOWN for row in self.rows)

    def has(self, progress: Progress) -> bool:
        return any(row.progress is progress for row in self.rows)

    def date(self, read: float, now: dt.datetime) -> None:
        """Set the time of rows that have none.

        :param read: the local clock, just before the server's was read.
        :param now: the server's.
        """
        began = now - dt.timedelta(seconds=read - self.since)
        self.rows = [dataclasses.replace(row, began=min(row.began, began)) for row in self.rows]


@dataclass
class Recorder:
    """Records the revisions of one run.

    :ivar began: the server's time; nothing was committed since. None: something was.
    :ivar heads: the versions before the step that runs; None is not known.
    :ivar failed: what earlier runs have left in their middle, by revision; None is not known yet.
    :ivar has_table: whether the table of rows is there.
    :ivar may_make_table: whether it may be made now: not where that would wait for Alembic's own,
        or for what revisions before have changed in the same transaction.
    :ivar running: the revision that runs.
    :ivar tried: whether its rows have been written, or that has failed.
    :ivar open: those whose transaction may be open still, None where there is none.
    :ivar committed: those to be written as such.
    """

    version_table: str
    schema: str | None
    database: str | None
    began: dt.datetime | None
    heads: list[str] | None
    failed: dict[str, Row] | None = None
    has_table: bool = False
    may_make_table: bool = False
    may_write: bool = True
    running: _Revision | None = None
    tried: bool = False
    open: list[tuple[RootTransaction | None, _Revision]] = field(default_factory=list)
    committed: list[_Revision] = field(default_factory=list)

    @classmethod
    def of(
        cls, ctx: MigrationContext, database: str | None, began: dt.datetime, heads: Heads
    ) -> Recorder:
        """The recorder of a run that begins."""
        return cls(ctx.version_table, ctx.version_table_schema, database, began, sorted(heads))

    def begin(
        self,
        step: MigrationInfo,
        connection: Connection,
        ids: Mapping[Key, int | None] | None,
    ) -> dt.datetime | None:
        """Take note of a revision that is about to run.

        :param ids: of the tables now.
        :returns: where it goes on what an earlier run has left in its middle, when that began.
        """
        self._settle(connection)
        is_first = self.failed is None
        is_new = is_first and not self.heads  # Alembic has just made its own table, it may be
        self.may_make_table = not connection.in_transaction() or (is_first and not is_new)
        self.may_write = not (is_new and connection.in_transaction())
        at_once = is_autocommit(connection)
        rows = self._rows(step, Progress.PARTIAL if at_once else Progress.BEGUN)
        self.running, self.tried = _Revision(rows, time.monotonic()), False
        if not is_first and not any(row.version_num in (self.failed or ()) for row in rows):
            return None
        try:
            with side_connection(connection) as aside:
                if self.failed is None:
                    self.failed = self._read_failed(aside)
                return self._earlier(self.running, aside, ids)
        except SQLAlchemyError as error:
            log.debug("whether %s has begun before is not known: %s", step, error)
            return None

    def moment(self, connection: Connection) -> dt.datetime:
        """The time at which the revision that runs began, or an earlier one.

        :raises SQLAlchemyError: the server's clock could not be read.
        """
        assert self.running is not None
        if not self.running.is_dated():
            with side_connection(connection) as aside:
                self._date(aside)
        return self.running.began

    def _rows(self, step: MigrationInfo, progress: Progress) -> list[Row]:
        kind = "" if step.is_upgrade else DOWNGRADE
        return [
            Row(
                self.database or "",
                self.version_table,
                f"{kind}{revision}",
                self.began or _NOT_KNOWN,
                before=self.heads,
                down=list(step.down_revision_ids),
                progress=progress,
            )
            for revision in step.up_revision_ids
        ]

    def _read_failed(self, aside: Connection) -> dict[str, Row]:
        """Look for the table, and for revisions in it that have come to their middle."""
        statement = f"{_SELECT} AND version_table = :version_table"
        query = text(statement.format(table=qualified(self.schema)))
        values = {"migrated": self.database or "", "version_table": self.version_table}
        try:
            found = aside.execute(query, values).all()
        except DBAPIError as error:
            if error.connection_invalidated:
                raise
            return {}
        self.has_table = True
        return {
            row.version_num: row
            for row in map(Row.parse, found)
            if row.progress is Progress.PARTIAL and row.migrated
        }

    def _earlier(
        self, revision: _Revision, aside: Connection, ids: Mapping[Key, int | None] | None
    ) -> dt.datetime | None:
        """The begin of an earlier run that has committed something; the rows take its time."""
        assert self.failed is not None
        moments = []
        for number, row in enumerate(revision.rows):
            failed = self.failed.pop(row.version_num, None)
            if failed is None or ids is None:
                continue
            then = table_ids(aside, [failed.migrated], at=failed.began)
            if set(then.values()) <= set(ids.values()):
                continue
            revision.rows[number] = dataclasses.replace(
                row, began=failed.began, progress=Progress.PARTIAL
            )
            moments.append(failed.began)
        return min(moments, default=None)

    def note(self, connection: Connection) -> None:
        """A statement of the revision is about to be sent: write its rows first.

        Not where an earlier revision waits for the same COMMIT: a failure undoes this one with it.
        """
        assert self.running is not None
        if is_autocommit(connection) and self.running.has(Progress.BEGUN):
            self.running.change(progress=Progress.PARTIAL)
            self.may_make_table, self.may_write, self.tried = True, True, False
        elif self.open:
            return
        if not self.tried:
            self.tried = True
            self._try_to_write(connection, self.running)

    def record(
        self,
        connection: Connection,
        heads: Iterable[str] | None,
        touched: list[Key] | None,
    ) -> None:
        """Remember a revision that is about to be committed.

        :param heads: the versions after it.
        :param touched: the tables that it dropped or rebuilt; None is not known.
        """
        assert self.running is not None
        self.running.change(touched=touched, progress=Progress.COMMITTED)
        at_once = is_autocommit(connection)
        self.open.append((None if at_once else connection.get_transaction(), self.running))
        self.running = None
        self.heads = None if heads is None else sorted(heads)

    def end(self, connection: Connection, *, committed: bool) -> None:
        """Write what the run has not written yet: after the COMMIT that it has left open, if any.

        :param committed: whether the transactions that it has ended are.
        """
        self.running = None
        if committed:
            self._settle(connection)
        else:
            self.open = []
        rest = [*self.committed, *(revision for _, revision in self.open)]
        if not rest:
            return
        for last in (False, True):
            try:
                with side_connection(connection) as aside:
                    if self.open:
                        self._date(aside)
                    else:
                        self._write(aside)
                break
            except SQLAlchemyError as error:
                if last:
                    _log_failure([row for revision in rest for row in revision.rows], error)
                    return
        if self.open:
            rows = [row for revision in rest for row in revision.rows]
            self.open, self.committed = [], []
            connection.execute(RecordRevisions(rows, self.schema))

    def _settle(self, connection: Connection) -> None:
        """Find the revisions that were committed since."""
        now = connection.get_transaction()
        ended = [revision for of, revision in self.open if of is None or of is not now]
        self.open = [(of, rest) for of, rest in self.open if of is not None and of is now]
        if ended:
            self.committed += ended
            self.began = None

    def _undated(self) -> list[_Revision]:
        known = [*self.committed, *(revision for _, revision in self.open), self.running]
        return [found for found in known if found is not None and not found.is_dated()]

    def _date(self, aside: Connection) -> None:
        """Date all revisions by one reading of the server's clock."""
        undated = self._undated()
        if undated:
            read = time.monotonic()
            now = server.utc_now(aside)
            for revision in undated:
                revision.date(read, now)

    def _try_to_write(self, connection: Connection, revision: _Revision) -> None:
        if not self.may_write or not (self.has_table or self.may_make_table):
            return
        try:
            with side_connection(connection) as aside:
                self._write(aside, revision)
        except SQLAlchemyError as error:
            names = ", ".join(row.version_num for row in revision.rows)
            log.debug("the time of %s is not written before its COMMIT: %s", names, error)

    def _write(self, aside: Connection, *revisions: _Revision) -> None:
        """Write the rows of revisions, and those that wait."""
        self._date(aside)
        rows = [row for revision in (*self.committed, *revisions) for row in revision.rows]
        if not rows:
            return
        if not self.has_table:
            _create(aside, self.schema)
            self.has_table = True
        _write(aside, self.schema, rows)
        self.committed = []
