"""After each revision: policies whose tables it has rebuilt are renewed, or named in a warning.

An ordinary ALTER TABLE gives a table a new id, which ends its policy without a word. The callback
runs in the revision's own transaction, where the table has its new id already, while another
connection still sees the committed one.

Source: matrixone.md, section 4 ("inside a migration's transaction").
"""

from __future__ import annotations

import datetime as dt
import time
import warnings
import weakref
from typing import Any, TypeAlias

from alembic.runtime.migration import MigrationContext
from sqlalchemy.engine import Connection
from sqlalchemy.exc import SAWarning

from sqlalchemy_matrixone_pitr import server
from sqlalchemy_matrixone_pitr.ddl import AlterPitr, CreatePitr, DropPitr
from sqlalchemy_matrixone_pitr.generations import (
    Policy,
    policies,
    split_generation,
    target_of,
    target_text,
)
from sqlalchemy_matrixone_pitr.model import PitrLevel
from sqlalchemy_matrixone_pitr.plan import Declared
from sqlalchemy_matrixone_pitr.recovery import object_ids, renewed_pitr
from sqlalchemy_matrixone_pitr.reflection import (
    ServerState,
    filters,
    parse_time,
    read_state,
    reading,
)
from sqlalchemy_matrixone_pitr.schema import Schemas
from sqlalchemy_matrixone_pitr.transaction import pending_pitrs, take_back

from .offline import end_revision
from .times import record
from .toimpl import HOW_TO_REPAIR, CreateWhereMissing

Key: TypeAlias = tuple[str, str | None]


class AfterRevision:
    """The ``on_version_apply`` callback: a few reading statements a revision.

    :param record_times: remember when the revision ran, see ``times.py``.
    """

    def __init__(self, metadata: Schemas | None, record_times: bool) -> None:
        self._metadata = metadata
        self._record_times = record_times
        self._began = time.monotonic()
        self._context: weakref.ref[MigrationContext] | None = None
        self._seen: set[str] = set()
        self._ids: dict[Key, int] = {}

    def __call__(self, *, ctx: MigrationContext, step: Any, **kw: Any) -> None:
        connection = ctx.connection
        if ctx.as_sql:
            end_revision(ctx, self._metadata)
            return
        if step.is_stamp or connection is None:
            return
        if connection.dialect.name not in server.SUPPORTED_DIALECTS:
            return
        if server.matrixone_version(connection) is None:
            return
        for policy in self._rebuilt(ctx, connection):
            self._renew_or_warn(connection, policy)
        if self._record_times:
            record(ctx, step, connection)

    def _rebuilt(self, ctx: MigrationContext, connection: Connection) -> list[Policy]:
        """The table policies that this revision has ended.

        A policy may be detached for long, or be the history of one that was dropped: that is not
        this revision's doing. So each table's id is compared with the one that it had when the
        revision before had run.
        """
        with reading(connection.engine) as aside:
            state = read_state(aside, filters(level=PitrLevel.TABLE), tables=())
            found = [policy for policy in policies(state.pitrs) if policy.target[2] is not None]
            is_first = self._context is None or self._context() is not ctx
            before = self._ids_before(aside, state, found, is_first)
        here = object_ids(connection, {_key(policy) for policy in found}) if found else {}
        rebuilt = [
            policy
            for policy in found
            if _key(policy) in here
            and before.get(_key(policy), here[_key(policy)]) != here[_key(policy)]
        ]
        self._context = weakref.ref(ctx)
        self._seen = {policy.name for policy in found}
        self._ids = here
        return rebuilt

    def _ids_before(
        self, aside: Connection, state: ServerState, found: list[Policy], is_first: bool
    ) -> dict[Key, int | None]:
        """The ids when this revision began; None is surely another one than now.

        Committed is what was before, except for what an autocommit block has done: that has
        detached the policy already.
        """
        committed: dict[Key, int | None] = {
            _key(policy): state.objects[_key(policy)].id
            for policy in found
            if _key(policy) in state.objects
        }
        doubtful = [policy for policy in found if policy.detached and _key(policy) in committed]
        if is_first and doubtful:
            then = object_ids(aside, {_key(p) for p in doubtful}, at=self._start(aside))
            committed |= {key: then[key] for key in map(_key, doubtful) if key in then}
        elif doubtful:
            for policy in doubtful:
                if policy.name not in self._seen:  # made by the revision before
                    committed[_key(policy)] = None
                elif _key(policy) in self._ids:
                    committed[_key(policy)] = self._ids[_key(policy)]
        return committed

    def _start(self, aside: Connection) -> dt.datetime:
        """The server's time when env.py was read: at most one way to the server too late, and no
        revision can have committed so soon."""
        with server.session_zone(aside, "+00:00"):
            elapsed = time.monotonic() - self._began
            now = parse_time(aside.exec_driver_sql("SELECT now(6)").scalar_one())
        return now - dt.timedelta(seconds=elapsed)

    def _renew_or_warn(self, connection: Connection, policy: Policy) -> None:
        """What this revision does with the policy itself comes first."""
        waiting = pending_pitrs(connection)
        if any(
            isinstance(element, CreatePitr) and split_generation(element.name)[0] == policy.name
            for element in waiting
        ):
            return
        current = policy.current.name
        if any(isinstance(element, DropPitr) and element.name == current for element in waiting):
            return
        if self._on_rebuild(connection, policy) == "renew":
            renewed = renewed_pitr(policy)
            for element in take_back(
                connection, lambda e: isinstance(e, AlterPitr) and e.name == current
            ):
                assert isinstance(element, AlterPitr)
                renewed = renewed.with_range(element.range)
            create = CreateWhereMissing(renewed)
            create.note_on_failure = HOW_TO_REPAIR
            connection.execute(create)
            return
        warnings.warn(
            f"{target_text(policy.current)} was rebuilt, and its policy {policy.name!r} protects "
            f"nothing new: renew_pitr(engine, {policy.name!r}), or mo-pitr renew {policy.name}",
            SAWarning,
            stacklevel=2,
        )

    def _on_rebuild(self, connection: Connection, policy: Policy) -> str:
        if self._metadata is None:
            return "warn"
        default = server.current_database(connection)
        declared = Declared(self._metadata, connection.get_execution_options(), default)
        for declaration in declared.declarations():
            if (declaration.pitr.name, target_of(declaration.pitr)) == (policy.name, policy.target):
                return declaration.on_rebuild
        return "warn"


def _key(policy: Policy) -> Key:
    return str(policy.target[2]), policy.target[3]
