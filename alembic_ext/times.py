"""When each revision ran: so that a table can be brought back to just before it.

A row for each applied revision, in a small table beside ``alembic_version``: the server's time just
before the revision's COMMIT, and the tables that it dropped or rebuilt. Written after the COMMIT;
what goes wrong there is logged, and never fails a migration. Changed rows leave no trace here.
"""

from __future__ import annotations

import datetime as dt
import json
import logging
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final, Self

from alembic.runtime.migration import MigrationContext
from sqlalchemy import text
from sqlalchemy.engine import Connection, CursorResult, Dialect, Engine
from sqlalchemy.exc import SQLAlchemyError

from sqlalchemy_matrixone_pitr import server
from sqlalchemy_matrixone_pitr.ddl import RestorePitr
from sqlalchemy_matrixone_pitr.errors import PitrNotFoundError
from sqlalchemy_matrixone_pitr.model import Pitr, PitrLevel
from sqlalchemy_matrixone_pitr.reflection import parse_time, read_state, reading
from sqlalchemy_matrixone_pitr.transaction import TransactionalDDLElement, pending_result

log = logging.getLogger("alembic.runtime.matrixone_pitr")

TABLE: Final = "alembic_pitr_revision"
"""Autogenerate leaves it alone."""

_CREATE: Final = (
    f"CREATE TABLE IF NOT EXISTS {TABLE} (version_num VARCHAR(255) NOT NULL PRIMARY KEY, "
    "applied_before VARCHAR(32) NOT NULL, touched TEXT NOT NULL)"
)

_IDS: Final = (
    "SELECT relname, rel_id FROM mo_catalog.mo_tables "
    "WHERE account_id = current_account_id() AND reldatabase = :database AND relkind = 'r'"
)


class RecordRevision(TransactionalDDLElement):
    """Writes a revision's row after the COMMIT of its transaction."""

    def __init__(self, revision: str, before: dt.datetime, touched: list[str]) -> None:
        self.revision = revision
        self.before = before
        self.touched = touched

    @property
    def pitr_name(self) -> str:
        return self.revision

    def check_dialect(self, dialect: Dialect) -> None:
        """Decided before it is made."""

    def resolve(self, connection: Connection, options: Mapping[str, Any]) -> Self:
        return self

    def _send(self, connection: Connection, options: Mapping[str, Any]) -> CursorResult[Any]:
        values = {
            "revision": self.revision,
            "before": self.before.isoformat(),
            "touched": json.dumps(self.touched),
        }
        try:
            connection.exec_driver_sql(_CREATE)
            connection.execute(text(f"DELETE FROM {TABLE} WHERE version_num = :revision"), values)
            connection.execute(
                text(f"INSERT INTO {TABLE} VALUES (:revision, :before, :touched)"), values
            )
        except SQLAlchemyError as error:
            log.warning("the time of revision %s is not recorded: %s", self.revision, error)
            if not connection.invalidated:
                connection.exec_driver_sql("ROLLBACK")
        return pending_result(connection)

    def __str__(self) -> str:
        return f"the time of revision {self.revision}"


def record(ctx: MigrationContext, step: Any, connection: Connection) -> None:
    """Remember a revision that is about to be committed."""
    if not step.is_upgrade:
        return
    try:
        database = server.current_database(connection)
        with reading(connection.engine) as aside:
            with server.session_zone(aside, "+00:00"):
                moment = parse_time(aside.exec_driver_sql("SELECT now(6)").scalar_one())
            committed = _ids(aside, database)
        here = _ids(connection, database)
    except SQLAlchemyError as error:
        log.warning("the time of revision %s is not recorded: %s", step.up_revision_id, error)
        return
    kept = set(here.values())
    touched = sorted(name for name, rel_id in committed.items() if rel_id not in kept)
    for revision in step.up_revision_ids:
        connection.execute(RecordRevision(revision, moment, touched))


def _ids(connection: Connection, database: str | None) -> dict[str, int]:
    rows = connection.execute(text(_IDS), {"database": database})
    return {name: int(rel_id) for name, rel_id in rows if not name.startswith(("%", "__mo_"))}


# ----------------------------------------------------------------------------------- restore points


@dataclass(frozen=True, slots=True)
class RestorePoint:
    """The moment just before a revision ran, and what would bring its tables back.

    :ivar moment: aware, UTC.
    :ivar statements: a RESTORE for each table that the revision dropped or rebuilt.
    :ivar lost: tables that no policy can bring back to that moment.
    """

    revision: str
    moment: dt.datetime
    statements: list[str]
    lost: list[str]


def restore_point(engine: Engine, revision: str) -> RestorePoint:
    """The restore point of a revision that ran on this database.

    :raises PitrNotFoundError: it is not recorded here.
    """
    with reading(engine) as connection:
        database = server.current_database(connection)
        try:
            row = connection.execute(
                text(f"SELECT applied_before, touched FROM {TABLE} WHERE version_num = :revision"),
                {"revision": revision},
            ).first()
        except SQLAlchemyError as error:
            raise _not_recorded(revision, database) from error
        if row is None:
            raise _not_recorded(revision, database)
        moment = dt.datetime.fromisoformat(row[0])
        state = read_state(connection, databases=[database] if database else [])
        local = server.local_time_text(connection, moment)
    statements, lost = [], []
    for table in json.loads(row[1]):
        pitr = _reaching(state.pitrs, database, table, moment, state.now)
        if pitr is None:
            lost.append(table)
        else:
            element = RestorePitr(pitr.name, local, database=database, table=table)
            statements.append(f"{element};")
    return RestorePoint(revision, moment, statements, lost)


def _not_recorded(revision: str, database: str | None) -> PitrNotFoundError:
    return PitrNotFoundError(
        f"revision {revision!r} is not recorded in database {database}: only revisions that ran "
        "with pitr_options() in env.py are",
        name=revision,
    )


def _reaching(
    pitrs: list[Pitr], database: str | None, table: str, moment: dt.datetime, now: dt.datetime
) -> Pitr | None:
    """A policy that contains the table and reaches the moment; the narrowest first."""
    order = list(PitrLevel)
    for pitr in sorted(pitrs, key=lambda p: (-order.index(p.level), p.name)):
        contains = (
            (pitr.database_name, pitr.table_name) == (database, table)
            or (pitr.level is PitrLevel.DATABASE and pitr.database_name == database)
            or (pitr.level is PitrLevel.ACCOUNT and pitr.account_name is None)
        )
        if not contains or pitr.created_time is None or not pitr.range.value:
            continue
        if pitr.created_time < moment and pitr.range.start(now) <= moment:
            return pitr
    return None
