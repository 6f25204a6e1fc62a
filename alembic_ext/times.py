"""When each revision began: so that a table can be brought back to just before it.

A row for each applied revision, in a small table beside ``alembic_version``: the server's time when
nothing of the revision was committed yet, and the tables that it dropped or rebuilt. That time is
after the COMMIT of the revision before, or when env.py was read: a revision may commit in its
middle (``autocommit_block``), and nobody is told when it begins.

Written after the revision's COMMIT, on a connection of its own: what goes wrong there is logged,
and never fails a migration. Changed rows leave no trace here.
"""

from __future__ import annotations

import datetime as dt
import graphlib
import json
import logging
import re
import time
import weakref
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Final, Self

from alembic.operations import Operations
from alembic.operations.ops import MigrateOperation
from alembic.runtime.migration import MigrationContext
from sqlalchemy import text
from sqlalchemy.engine import Connection, CursorResult, Dialect, Engine
from sqlalchemy.exc import DBAPIError, SQLAlchemyError

from sqlalchemy_matrixone_pitr import server
from sqlalchemy_matrixone_pitr.catalog import (
    Key,
    foreign_keys,
    names_of,
    object_ids,
    referring,
    table_ids,
)
from sqlalchemy_matrixone_pitr.connections import current_database, side_connection
from sqlalchemy_matrixone_pitr.ddl import RestorePitr
from sqlalchemy_matrixone_pitr.errors import (
    PitrNotFoundError,
    PitrPermissionError,
    PitrValidationError,
    from_dbapi_error,
)
from sqlalchemy_matrixone_pitr.generations import is_detached
from sqlalchemy_matrixone_pitr.model import Pitr, PitrLevel
from sqlalchemy_matrixone_pitr.names import fold
from sqlalchemy_matrixone_pitr.reflection import ServerState, parse_time, read_state, reading
from sqlalchemy_matrixone_pitr.transaction import TransactionalDDLElement, pending_result

from .alters import WATCHED, altered
from .watch import before

log = logging.getLogger("alembic.runtime.matrixone_pitr")

TABLE: Final = "alembic_pitr_revision"
"""Autogenerate leaves it alone."""

_CREATE: Final = (
    "CREATE TABLE IF NOT EXISTS {table} (migrated VARCHAR(255) NOT NULL, version_table "
    "VARCHAR(255) NOT NULL, version_num VARCHAR(255) NOT NULL, began VARCHAR(32) NOT NULL, "
    "touched TEXT NOT NULL, PRIMARY KEY (migrated, version_table, version_num))"
)

_DELETE: Final = (
    "DELETE FROM {table} WHERE migrated = :migrated AND version_table = :version_table "
    "AND version_num = :version_num"
)

_INSERT: Final = (
    "INSERT INTO {table} VALUES (:migrated, :version_table, :version_num, :began, :touched)"
)

_SELECT: Final = (
    "SELECT version_table, began, touched FROM {table} "
    "WHERE migrated = :migrated AND version_num = :version_num"
)


def _qualified(schema: str | None) -> str:
    """The table's name, for ``text()``."""
    if schema is None:
        return TABLE
    quoted = schema.replace("`", "``").replace(":", "\\:")
    return f"`{quoted}`.{TABLE}"


def _now(connection: Connection) -> dt.datetime:
    """The server's clock, on a connection without a transaction."""
    with server.session_zone(connection, "+00:00"):
        return parse_time(connection.exec_driver_sql("SELECT now(6)").scalar_one())


# --------------------------------------------------------------------------------------- recording


@dataclass(frozen=True, slots=True)
class _Row:
    """What is recorded of a revision.

    :ivar migrated: the database that ran it.
    """

    migrated: str
    version_table: str
    version_num: str
    began: dt.datetime
    touched: list[Key]

    def values(self) -> dict[str, str]:
        return {
            "migrated": self.migrated,
            "version_table": self.version_table,
            "version_num": self.version_num,
            "began": self.began.isoformat(),
            "touched": json.dumps(self.touched),
        }


class RecordRevision(TransactionalDDLElement):
    """Writes a revision's row after the COMMIT of its transaction.

    :param schema: where the table is; None is the connection's database.
    :param committed: told the server's time after that COMMIT.
    """

    def __init__(
        self, row: _Row, schema: str | None, committed: Callable[[dt.datetime], None]
    ) -> None:
        self.row = row
        self.name = row.version_num
        self.schema = schema
        self.committed = committed

    def check_dialect(self, dialect: Dialect) -> None:
        """Decided before it is made."""

    def resolve(self, connection: Connection, options: Mapping[str, Any]) -> Self:
        return self

    def _send(self, connection: Connection, options: Mapping[str, Any]) -> CursorResult[Any]:
        table = _qualified(self.schema)
        try:
            with side_connection(connection.engine) as aside:
                self.committed(_now(aside))
                aside.execute(text(_CREATE.format(table=table)))
                aside.execute(text(_DELETE.format(table=table)), self.row.values())
                aside.execute(text(_INSERT.format(table=table)), self.row.values())
                aside.commit()
        except SQLAlchemyError as error:
            _log_failure(self.row.version_num, error)
        return pending_result(connection)

    def __str__(self) -> str:
        return f"the time of revision {self.row.version_num}"


def _log_failure(revision: str, error: Exception) -> None:
    log.warning("the time of revision %s is not recorded: %s", revision, error)


_named: weakref.WeakKeyDictionary[MigrationContext, set[str]] = weakref.WeakKeyDictionary()


def watch_revisions() -> None:
    """Let what is recorded know which other databases revisions change; for the process, once."""
    before(WATCHED, _note)


def _note(operations: Operations, operation: MigrateOperation) -> None:
    context = operations.migration_context
    if context.as_sql or context.dialect.name not in server.SUPPORTED_DIALECTS:
        return
    for found in altered(operation, context.dialect):
        if found.schema:
            _named.setdefault(context, set()).add(fold(found.schema))


class RevisionTimes:
    """Records the revisions that one env.py runs."""

    def __init__(self) -> None:
        self._read = time.monotonic()
        self._told = False
        self._began: weakref.WeakKeyDictionary[MigrationContext, dt.datetime] = (
            weakref.WeakKeyDictionary()
        )

    def record(self, ctx: MigrationContext, step: Any, connection: Connection) -> None:
        """Remember a revision that is about to be committed."""
        if not step.is_upgrade:
            return
        try:
            database = current_database(connection)
            databases = {*_named.pop(ctx, ()), *_translated(connection)}
            if database:
                databases.add(database)
            with reading(connection.engine) as aside:
                if ctx not in self._began:
                    self._began[ctx] = self._start(aside)
                before = table_ids(aside, databases, at=self._began[ctx])
            here = set(table_ids(connection, databases).values())
        except SQLAlchemyError as error:
            self._tell(step.up_revision_id, error)
            return
        touched = sorted(key for key, rel_id in before.items() if rel_id not in here)
        for revision in step.up_revision_ids:
            row = _Row(database or "", ctx.version_table, revision, self._began[ctx], touched)
            connection.execute(RecordRevision(row, ctx.version_table_schema, self._committed(ctx)))

    def _tell(self, revision: str, error: SQLAlchemyError) -> None:
        """Users who may not read the catalogue migrate too: that is told once, and is no fault."""
        refused = isinstance(error, DBAPIError) and isinstance(
            from_dbapi_error(error), PitrPermissionError
        )
        if not refused:
            _log_failure(revision, error)
        elif not self._told:
            self._told = True
            log.info("times of revisions are not recorded: the user may not read the catalogue")

    def _start(self, aside: Connection) -> dt.datetime:
        """The server's time when env.py was read, or one way to the server earlier."""
        now = _now(aside)
        return now - dt.timedelta(seconds=time.monotonic() - self._read)

    def _committed(self, ctx: MigrationContext) -> Callable[[dt.datetime], None]:
        context = weakref.ref(ctx)  # what waits for COMMIT must not keep its own context alive

        def begin_next(moment: dt.datetime) -> None:
            if (found := context()) is not None:
                self._began[found] = moment

        return begin_next


def _translated(connection: Connection) -> set[str]:
    """The databases that ``schema_translate_map`` gives to operations."""
    schema_map = connection.get_execution_options().get("schema_translate_map") or {}
    return {fold(database) for database in schema_map.values() if database}


# ----------------------------------------------------------------------------------- restore points


@dataclass(frozen=True, slots=True)
class RestorePoint:
    """The moment just before a revision ran, and what would bring its tables back.

    :ivar moment: aware, UTC: nothing of the revision was committed yet.
    :ivar statements: a RESTORE for each table that the revision dropped or rebuilt, in the order
        that their foreign keys need.
    :ivar lost: tables that no policy can bring back to that moment, as ``database.table``.
    :ivar warnings: what has to be done before a statement has its effect.
    """

    revision: str
    moment: dt.datetime
    statements: list[str]
    lost: list[str]
    warnings: list[str] = field(default_factory=list)


def restore_point(
    engine: Engine, revision: str, *, version_table: str | None = None
) -> RestorePoint:
    """The restore point of a revision that ran on the engine's database.

    :param version_table: Alembic's, where several projects migrate one database.
    :raises PitrNotFoundError: it is not recorded here.
    :raises PitrValidationError: it is recorded of several projects.
    """
    with reading(engine) as connection:
        database = current_database(connection)
        found = {
            name: (
                dt.datetime.fromisoformat(began),
                [(of, table) for of, table in json.loads(rows)],
            )
            for name, began, rows in _recorded(connection, database, revision)
            if version_table in (None, name)
        }
        if not found:
            raise PitrNotFoundError(
                f"revision {revision!r} is not recorded of database {database}: only revisions "
                "that ran with pitr_options() in env.py are",
                name=revision,
            )
        if len(found) > 1:
            raise PitrValidationError(
                f"revision {revision!r} is recorded of several projects, with the version tables "
                f"{', '.join(sorted(found))}: say which one, as version_table",
                name=revision,
            )
        [(moment, touched)] = found.values()
        state = read_state(connection, databases={of for of, _ in touched})
        local = server.local_time_text(connection, moment)
        statements, lost, warnings = [], [], []
        children = referring(foreign_keys(connection, to={of for of, _ in touched}))
        for of, table in _in_order(connection, touched, moment):
            pitr = _reaching(connection, state, (of, table), moment)
            if pitr is None or _UNFIT.search(of + table):
                lost.append(f"{of}.{table}")
            else:
                if (of, table) in children:
                    warnings.append(
                        f"{of}.{table}: RESTORE restores nothing, and says OK, as long as foreign "
                        f"keys of {names_of(children[of, table])} refer to it: drop them first"
                    )
                element = RestorePitr(pitr.name, local, database=of, table=table)
                statements.append(f"{element};")
    return RestorePoint(revision, moment, statements, lost, warnings)


_UNFIT: Final = re.compile(r"[\s`\"']")
"""What the server takes in no name of a RESTORE (2.2 to 4.2)."""


def _recorded(
    connection: Connection, database: str | None, revision: str
) -> Iterator[tuple[str, str, str]]:
    """The rows of a revision: from the database itself, else from where Alembic's
    ``version_table_schema`` has put them."""
    places = connection.execute(
        text(
            "SELECT reldatabase FROM mo_catalog.mo_tables WHERE account_id = current_account_id() "
            "AND relname = :table"
        ),
        {"table": TABLE},
    ).scalars()
    for place in sorted(places, key=lambda place: (place != database, place)):
        rows = connection.execute(
            text(_SELECT.format(table=_qualified(place))),
            {"migrated": database or "", "version_num": revision},
        ).all()
        yield from ((str(row[0]), str(row[1]), str(row[2])) for row in rows)
        if rows and place == database:
            return


def _in_order(connection: Connection, tables: Collection[Key], moment: dt.datetime) -> list[Key]:
    """What a foreign key refers to comes first; else by name."""
    if len(tables) < 2:
        return list(tables)
    referred: dict[Key, set[Key]] = {key: set() for key in sorted(tables)}
    for key, parent in foreign_keys(connection, of={of for of, _ in tables}, at=moment):
        if key in referred and parent in referred and key != parent:
            referred[key].add(parent)
    try:
        return list(graphlib.TopologicalSorter(referred).static_order())
    except graphlib.CycleError:
        return list(referred)


def _reaching(
    connection: Connection, state: ServerState, key: Key, moment: dt.datetime
) -> Pitr | None:
    """A policy that contained the table at the moment, and reaches it; the narrowest first."""
    database, table = key
    order = list(PitrLevel)
    for pitr in sorted(state.pitrs, key=lambda p: (-order.index(p.level), p.name)):
        contains = (
            (pitr.database_name, pitr.table_name) == (database, table)
            or (pitr.level is PitrLevel.DATABASE and pitr.database_name == database)
            or (pitr.level is PitrLevel.ACCOUNT and pitr.account_name is None)
        )
        if not contains or pitr.created_time is None or not pitr.range.value:
            continue
        if pitr.created_time >= moment or pitr.range.start(state.now) > moment:
            continue
        if not is_detached(pitr) or _was_attached(connection, state, pitr, moment):
            return pitr
    return None


def _was_attached(
    connection: Connection, state: ServerState, pitr: Pitr, moment: dt.datetime
) -> bool:
    """Whether a policy that is detached by now still protected its object at a moment.

    By the object's id: it is that of the policy's creation then, and another one now.
    """
    assert pitr.created_time is not None
    assert pitr.database_name is not None
    key = pitr.database_name, pitr.table_name
    created = min(pitr.created_time + dt.timedelta(seconds=1), moment)
    first = object_ids(connection, [key], at=created).get(key)
    then = object_ids(connection, [key], at=moment).get(key)
    now = state.objects.get(key)
    return first is not None and first == then and (now is None or now.id != first)
