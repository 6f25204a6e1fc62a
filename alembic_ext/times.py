"""When each revision began: so that a table can be brought back to just before it.

A row for each revision, in a small table beside ``alembic_version``: the server's time when nothing
of the revision was committed yet, the versions that the database had, and the tables that the
revision dropped or rebuilt. A downgrade has a row of its own, ``downgrade of`` its revision.

The row is written when the revision begins, on a connection of its own, so that it is there however
the revision ends. After the COMMIT it is written once more, with what was touched. Of a revision
that fails the first one stays, marked as begun; the next time that the revision runs takes its
place. But where it had committed something in its middle (``autocommit_block``, or an AUTOCOMMIT
connection), and a table is another one since, the next run keeps the earlier time: only that is
before all that the revision has done.

When the revision begins is told by ``steps.py``. Where no env.py runs, it is the COMMIT of the
revision before it, or when ``pitr_options()`` was called, or the last that was seen of another
migration context, and the row is written just before the revision's COMMIT.

What goes wrong here is logged, and never fails a migration. Changed rows leave no trace here.
"""

from __future__ import annotations

import dataclasses
import datetime as dt
import enum
import json
import logging
import time
import weakref
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, Self

from alembic.operations import Operations
from alembic.operations.ops import MigrateOperation
from alembic.runtime.migration import MigrationContext, MigrationInfo
from sqlalchemy import text
from sqlalchemy.engine import Connection, CursorResult, Dialect
from sqlalchemy.exc import DBAPIError, SQLAlchemyError

from sqlalchemy_matrixone_pitr import server
from sqlalchemy_matrixone_pitr.catalog import Key, table_ids
from sqlalchemy_matrixone_pitr.connections import current_database, is_autocommit, side_connection
from sqlalchemy_matrixone_pitr.errors import PitrPermissionError, from_dbapi_error
from sqlalchemy_matrixone_pitr.names import fold
from sqlalchemy_matrixone_pitr.server import parse_time
from sqlalchemy_matrixone_pitr.show import reading
from sqlalchemy_matrixone_pitr.transaction import TransactionalDDLElement, pending_result

from .alters import WATCHED, altered
from .steps import Heads, on_step
from .watch import before

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

_OF_ONE: Final = (
    "FROM {table} WHERE migrated = :migrated AND version_table = :version_table "
    "AND version_num = :version_num"
)

_INSERT: Final = (
    "INSERT INTO {table} VALUES (:migrated, :version_table, :version_num, :began, :touched)"
)

_SELECT: Final = "SELECT migrated, version_table, version_num, began, touched "


def qualified(schema: str | None) -> str:
    """The table's name, for ``text()``."""
    if schema is None:
        return TABLE
    quoted = schema.replace("`", "``").replace(":", "\\:")
    return f"`{quoted}`.{TABLE}"


def _now(connection: Connection) -> dt.datetime:
    """The server's clock, on a connection without a transaction."""
    with server.session_zone(connection, "+00:00"):
        return parse_time(connection.exec_driver_sql("SELECT now(6)").scalar_one())


# -------------------------------------------------------------------------------------------- rows


class Progress(enum.StrEnum):
    """How far a revision is known to have come."""

    BEGUN = enum.auto()
    PARTIAL = enum.auto()
    """Begun, and some of it may be committed."""
    COMMITTED = enum.auto()


@dataclass(frozen=True, slots=True)
class Row:
    """What is recorded of a revision.

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
    statement = text(f"{_SELECT}FROM {qualified(schema)} WHERE migrated = :migrated")
    return [Row.parse(row) for row in connection.execute(statement, {"migrated": database or ""})]


def _has_table(aside: Connection, schema: str | None) -> bool:
    try:
        aside.execute(text(f"SELECT 1 FROM {qualified(schema)} LIMIT 1"))
    except DBAPIError as error:
        if error.connection_invalidated:
            raise
        return False
    finally:
        if not aside.invalidated:
            aside.rollback()
    return True


def _create(aside: Connection, schema: str | None) -> None:
    aside.execute(text(_CREATE.format(table=qualified(schema))))


def _write(aside: Connection, schema: str | None, rows: Iterable[Row]) -> None:
    table = qualified(schema)
    for row in rows:
        aside.execute(text(f"DELETE {_OF_ONE}".format(table=table)), row.values())
        aside.execute(text(_INSERT.format(table=table)), row.values())
    aside.commit()


class RecordRevision(TransactionalDDLElement):
    """Writes a revision's rows after the COMMIT of its transaction.

    :param schema: where the table is; None is the connection's database.
    :param committed: told the server's time after that COMMIT.
    """

    def __init__(
        self, rows: list[Row], schema: str | None, committed: Callable[[dt.datetime], None]
    ) -> None:
        self.rows = rows
        self.name = rows[0].version_num
        self.schema = schema
        self.committed = committed

    def check_dialect(self, dialect: Dialect) -> None:
        """Decided before it is made."""

    def resolve(self, connection: Connection, options: Mapping[str, Any]) -> Self:
        return self

    def _send(self, connection: Connection, options: Mapping[str, Any]) -> CursorResult[Any]:
        try:
            with side_connection(connection) as aside:
                self.committed(_now(aside))
                _create(aside, self.schema)
                _write(aside, self.schema, self.rows)
        except SQLAlchemyError as error:
            _log_failure(self.name, error)
        return pending_result(connection)

    def __str__(self) -> str:
        return f"the time of revision {self.name}"


def _log_failure(revision: str, error: Exception) -> None:
    log.warning("the time of revision %s is not recorded: %s", revision, error)


# --------------------------------------------------------------------------------------- recording


_named: weakref.WeakKeyDictionary[MigrationContext, set[str]] = weakref.WeakKeyDictionary()


def watch_revisions() -> None:
    """Let what is recorded know when revisions begin, and which other databases they change; for
    the process, once."""
    on_step(_begin)
    before(WATCHED, _note)


def _times_of(context: MigrationContext) -> RevisionTimes | None:
    for callback in context.on_version_apply_callbacks:
        times = getattr(callback, "times", None)
        if isinstance(times, RevisionTimes):
            return times
    return None


def _begin(context: MigrationContext, step: MigrationInfo | None, heads: Heads) -> None:
    connection, times = context.connection, _times_of(context)
    if step is None or step.is_stamp or times is None or context.as_sql or connection is None:
        return
    if connection.dialect.name not in server.SUPPORTED_DIALECTS:
        return
    if server.matrixone_version(connection) is not None:
        times.begin(context, step, connection, heads)


def _note(operations: Operations, operation: MigrateOperation) -> None:
    context = operations.migration_context
    if context.as_sql or context.dialect.name not in server.SUPPORTED_DIALECTS:
        return
    times = _times_of(context)
    if times is not None:
        times.note(context)
    for found in altered(operation, context.dialect):
        if found.schema:
            _named.setdefault(context, set()).add(fold(found.schema))


@dataclass
class _Run:
    """What is known of one migration context's run.

    :ivar began: the server's time; nothing was committed since.
    :ivar heads: the versions before the step that runs.
    :ivar rows: those that are written of it.
    :ivar waiting: those that are to be written.
    :ivar uncommitted: an earlier revision waits for the same COMMIT. A failure undoes this one with
        it, so its beginning need not be on record; and to write it now could wait for the lock of
        what that one has written.
    """

    began: dt.datetime
    heads: list[str] | None
    rows: list[Row] = field(default_factory=list)
    waiting: list[Row] = field(default_factory=list)
    uncommitted: bool = False


class RevisionTimes:
    """Records the revisions that one env.py runs, in one migration context or several."""

    def __init__(self) -> None:
        self._told = False
        self._runs: weakref.WeakKeyDictionary[MigrationContext, _Run] = weakref.WeakKeyDictionary()
        self._seen = time.monotonic()
        self._not_before: weakref.WeakKeyDictionary[MigrationContext, float] = (
            weakref.WeakKeyDictionary()
        )

    def begin(
        self, ctx: MigrationContext, step: MigrationInfo, connection: Connection, heads: Heads
    ) -> None:
        """Write the time of a revision that is about to run.

        What fails here is tried once more at its end. The table is not made where that would wait
        for Alembic's own, which is not committed yet before the first revision of a database, or
        for what the revisions before this one have changed in the same transaction.
        """
        try:
            database = current_database(connection)
            with reading(connection) as aside:
                free = not connection.in_transaction() or (ctx not in self._runs and bool(heads))
                if ctx not in self._runs:
                    self._runs[ctx] = _Run(_now(aside), sorted(heads))
                run = self._runs[ctx]
                run.rows = []
                rows = _rows(ctx, step, database, run)
                if is_autocommit(connection):
                    rows = [dataclasses.replace(r, progress=Progress.PARTIAL) for r in rows]
                run.waiting = rows
                if run.uncommitted:
                    return
                schema = ctx.version_table_schema
                if not _has_table(aside, schema):
                    if not free:
                        return
                    _create(aside, schema)
                rows = [_as_before(aside, schema, row) for row in rows]
                _write(aside, schema, rows)
                run.rows = rows
        except SQLAlchemyError as error:
            log.debug("the time of %s is not written at its beginning: %s", step, error)

    def began(self, ctx: MigrationContext) -> dt.datetime | None:
        """When the revision that runs began, or a run of it that failed after it had changed
        something; None where that is not known."""
        run = self._runs.get(ctx)
        if run is None:
            return None
        return min((row.began for row in run.rows or run.waiting), default=run.began)

    def note(self, ctx: MigrationContext) -> None:
        """An operation is about to run."""
        self._see(ctx)
        run, connection = self._runs.get(ctx), ctx.connection
        if run is None or connection is None or not is_autocommit(connection):
            return
        rows = run.rows or run.waiting
        if any(row.progress is Progress.BEGUN for row in rows):
            run.waiting = run.rows = [
                dataclasses.replace(row, progress=Progress.PARTIAL) for row in rows
            ]
            try:
                with side_connection(connection) as aside:
                    _create(aside, ctx.version_table_schema)
                    _write(aside, ctx.version_table_schema, run.rows)
            except SQLAlchemyError as error:
                log.debug("the time of a revision is not written anew: %s", error)

    def record(
        self,
        ctx: MigrationContext,
        step: MigrationInfo,
        connection: Connection,
        heads: Iterable[str] | None = None,
    ) -> None:
        """Remember a revision that is about to be committed.

        :param heads: the versions after it.
        """
        self._see(ctx)
        try:
            database = current_database(connection)
            if ctx not in self._runs:
                self._runs[ctx] = _Run(self._start(ctx, connection), None)
            run = self._runs[ctx]
            rows = run.rows or run.waiting or _rows(ctx, step, database, run)
        except SQLAlchemyError as error:
            _log_failure(str(step), error)
            return
        touched = self._touched(ctx, connection, rows)
        rows = [dataclasses.replace(row, touched=touched) for row in rows]
        schema = ctx.version_table_schema
        if not run.rows and not run.uncommitted:
            try:
                with side_connection(connection) as aside:
                    if _has_table(aside, schema):
                        _write(aside, schema, rows)
            except SQLAlchemyError as error:
                log.debug("the time of %s is not written before its COMMIT: %s", step, error)
        rows = [dataclasses.replace(row, progress=Progress.COMMITTED) for row in rows]
        run.rows = run.waiting = []
        run.uncommitted = True
        run.heads = None if heads is None else sorted(heads)
        connection.execute(RecordRevision(rows, schema, self._committed(ctx)))

    def _touched(
        self, ctx: MigrationContext, connection: Connection, rows: list[Row]
    ) -> list[Key] | None:
        """The tables that were there when the revision began, and are not any more."""
        try:
            databases = {*_named.pop(ctx, ()), *_translated(connection)}
            databases |= {row.migrated for row in rows if row.migrated}
            with reading(connection) as aside:
                before = table_ids(aside, databases, at=rows[0].began)
            here = set(table_ids(connection, databases).values())
        except SQLAlchemyError as error:
            self._record(rows[0].version_num, error)
            return None
        return sorted(key for key, rel_id in before.items() if rel_id not in here)

    def _record(self, revision: str, error: SQLAlchemyError) -> None:
        """Users who may not read the catalogue migrate too: that is told once, and is no fault."""
        refused = isinstance(error, DBAPIError) and isinstance(
            from_dbapi_error(error), PitrPermissionError
        )
        if not refused:
            log.warning("what revision %s changes is not recorded: %s", revision, error)
        elif not self._told:
            self._told = True
            log.info("what revisions change is not recorded: the user may not read the catalogue")

    # -- where nobody has told when the first revision began

    def _see(self, ctx: MigrationContext) -> None:
        """A context begins no earlier than the last that was seen of another one."""
        self._not_before.setdefault(ctx, self._seen)
        self._seen = time.monotonic()

    def _start(self, ctx: MigrationContext, connection: Connection) -> dt.datetime:
        """The server's time then, or one way to the server earlier."""
        with reading(connection) as aside:
            now = _now(aside)
        return now - dt.timedelta(seconds=time.monotonic() - self._not_before[ctx])

    def _committed(self, ctx: MigrationContext) -> Callable[[dt.datetime], None]:
        context = weakref.ref(ctx)  # what waits for COMMIT must not keep its own context alive

        def begin_next(moment: dt.datetime) -> None:
            self._seen = time.monotonic()
            if (found := context()) is not None and found in self._runs:
                run = self._runs[found]
                run.began, run.uncommitted = moment, False

        return begin_next


def _rows(ctx: MigrationContext, step: MigrationInfo, database: str | None, run: _Run) -> list[Row]:
    kind = "" if step.is_upgrade else DOWNGRADE
    return [
        Row(
            database or "",
            ctx.version_table,
            f"{kind}{revision}",
            run.began,
            before=run.heads,
            down=list(step.down_revision_ids),
        )
        for revision in step.up_revision_ids
    ]


def _as_before(aside: Connection, schema: str | None, row: Row) -> Row:
    """The row of a revision that begins, with the time of a run that failed in its middle, where
    something was committed then."""
    statement = text(f"{_SELECT}{_OF_ONE}".format(table=qualified(schema)))
    found = aside.execute(statement, row.values()).first()
    earlier = None if found is None else Row.parse(found)
    if earlier is None or earlier.progress is not Progress.PARTIAL or not row.migrated:
        return row
    aside.rollback()
    then = table_ids(aside, [row.migrated], at=earlier.began)
    now = set(table_ids(aside, [row.migrated]).values())
    if all(rel_id in now for rel_id in then.values()):
        return row
    return dataclasses.replace(row, began=earlier.began, progress=Progress.PARTIAL)


def _translated(connection: Connection) -> set[str]:
    """The databases that ``schema_translate_map`` gives to operations."""
    schema_map = connection.get_execution_options().get("schema_translate_map") or {}
    return {fold(database) for database in schema_map.values() if database}
