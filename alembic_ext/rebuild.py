"""After each revision: policies whose tables it has rebuilt are renewed, or named in a warning.

An ordinary ALTER TABLE gives a table a new id, which ends its policy without a word. The callback
runs in the revision's own transaction, where the table has its new id already, while another
connection still sees the committed one.

Source: matrixone.md, section 4 ("inside a migration's transaction").
"""

from __future__ import annotations

import datetime as dt
import logging
import time
import warnings
import weakref
from typing import Any, TypeAlias

from alembic.runtime.migration import MigrationContext
from sqlalchemy import bindparam, text
from sqlalchemy.engine import Connection
from sqlalchemy.exc import SAWarning

from sqlalchemy_matrixone_pitr import server
from sqlalchemy_matrixone_pitr.catalog import object_ids
from sqlalchemy_matrixone_pitr.connections import query
from sqlalchemy_matrixone_pitr.declarations import (
    Databases,
    Schemas,
    bind_declarations,
    declares_any,
)
from sqlalchemy_matrixone_pitr.errors import PitrPermissionError
from sqlalchemy_matrixone_pitr.generations import (
    Policy,
    policies,
    target_of,
    target_text,
)
from sqlalchemy_matrixone_pitr.model import PitrLevel
from sqlalchemy_matrixone_pitr.recovery import renewed_pitr
from sqlalchemy_matrixone_pitr.reflection import (
    ServerState,
    filters,
    parse_time,
    read_state,
    reading,
)
from sqlalchemy_matrixone_pitr.transaction import pending_pitrs, take_back

from .elements import AlterNewest, RenewWhereDetached
from .offline import end_revision
from .times import RevisionTimes
from .toimpl import alters, creates, drops

Key: TypeAlias = tuple[str, str | None]


log = logging.getLogger("alembic.runtime.matrixone_pitr")


class AfterRevision:
    """The ``on_version_apply`` callback: a few reading statements a revision.

    :param record_times: remember when the revision ran, see ``times.py``.
    """

    def __init__(self, metadata: Schemas | None, record_times: bool) -> None:
        self._metadata = metadata
        self._times = RevisionTimes() if record_times else None
        self._began = time.monotonic()
        self._context: weakref.ref[MigrationContext] | None = None
        self._blind: weakref.WeakSet[MigrationContext] = weakref.WeakSet()
        self._seen: set[tuple[str, Key]] = set()
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
        if ctx not in self._blind:
            try:
                self._look(ctx, connection)
            except PitrPermissionError:
                self._blind.add(ctx)
                self._tell_blind()
        if self._times is not None:
            self._times.record(ctx, step, connection)

    def _tell_blind(self) -> None:
        """Users who are no administrators migrate too; where policies are declared it matters."""
        declared = self._metadata is not None and declares_any(self._metadata)
        log.log(
            logging.WARNING if declared else logging.INFO,
            "policies are not looked at: that takes an administrator of the account, with the role "
            "moadmin (sys) or accountadmin active. What these revisions rebuild is not protected "
            "any more%s",
            ", and is not renewed: run mo-pitr plan MODULE:metadata as one" if declared else "",
        )

    def _look(self, ctx: MigrationContext, connection: Connection) -> None:
        """Renew or name the table policies that this revision has ended.

        A policy may be detached for long, or be the history of one that was dropped: that is not
        this revision's doing. So each table's id is compared with the one that it had when the
        revision before had run.
        """
        with reading(connection.engine) as aside:
            state = read_state(aside, filters(level=PitrLevel.TABLE), tables=())
            found = [policy for policy in policies(state.pitrs) if policy.target[2] is not None]
            before = self._ids_before(ctx, aside, state, found)
        here = object_ids(connection, {_key(policy) for policy in found}) if found else {}
        self._context = weakref.ref(ctx)
        self._seen = {(policy.name, _key(policy)) for policy in found}
        self._ids = here
        for policy in found:
            key = _key(policy)
            if key in before and key in here and before[key] != here[key]:
                self._renew_or_warn(connection, policy)
        gone = [p for p in found if not p.detached and _key(p) in before and _key(p) not in here]
        if gone:
            self._name_renamed(connection, gone, before)

    def _ids_before(
        self,
        ctx: MigrationContext,
        aside: Connection,
        state: ServerState,
        found: list[Policy],
    ) -> dict[Key, int | None]:
        """The ids when this revision began; None is surely another one than now.

        Before the first revision: what is committed, except for what an autocommit block has done.
        That has detached the policy already.
        """
        before: dict[Key, int | None] = {
            _key(policy): state.objects[_key(policy)].id
            for policy in found
            if _key(policy) in state.objects
        }
        doubtful = [policy for policy in found if policy.detached and _key(policy) in before]
        if self._context is None or self._context() is not ctx:
            start = self._start(aside) if doubtful else state.now
            then = object_ids(aside, {_key(p) for p in doubtful}, at=start) if doubtful else {}
            for policy in doubtful:
                if _key(policy) in then:
                    before[_key(policy)] = then[_key(policy)]
                elif _made_since(policy, start):
                    before[_key(policy)] = None
            return before
        for policy in found:
            if (policy.name, _key(policy)) in self._seen:
                before.pop(_key(policy), None)
                if _key(policy) in self._ids:
                    before[_key(policy)] = self._ids[_key(policy)]
            elif policy in doubtful:
                before[_key(policy)] = None  # made by the revision before, or by this one
        return before

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
        if any(creates(element, policy.name) or drops(element, policy.name) for element in waiting):
            return
        if self._on_rebuild(connection, policy) == "renew":
            renewed = renewed_pitr(policy)
            for element in take_back(connection, lambda e: alters(e, policy.name)):
                assert isinstance(element, AlterNewest)
                renewed = renewed.with_range(element.range)
            connection.execute(RenewWhereDetached(renewed).with_real_names())
            return
        _warn(
            f"{target_text(policy.current)} was rebuilt, and its policy {policy.name!r} protects "
            f"nothing new: renew_pitr(engine, {policy.name!r}), or mo-pitr renew {policy.name}"
        )

    def _name_renamed(
        self, connection: Connection, gone: list[Policy], before: dict[Key, int | None]
    ) -> None:
        """A policy stays with its table's old name."""
        renamed = _names(connection, {i for p in gone if (i := before[_key(p)]) is not None})
        waiting = pending_pitrs(connection)
        for policy in gone:
            name = renamed.get(before[_key(policy)])
            if name is None or any(drops(element, policy.name) for element in waiting):
                continue
            _warn(
                f"{target_text(policy.current)} was renamed to {name}, and its policy "
                f"{policy.name!r} stays with the old name: it keeps what was before, and protects "
                f"nothing new. Create a policy of another name for {name}; under the same name the "
                "old one has to be dropped first, with what it keeps"
            )

    def _on_rebuild(self, connection: Connection, policy: Policy) -> str:
        if self._metadata is None:
            return "warn"
        bound = bind_declarations(self._metadata, Databases.of(connection))
        for declaration in bound.declarations:
            if (declaration.pitr.name, target_of(declaration.pitr)) == (policy.name, policy.target):
                return declaration.on_rebuild
        return "warn"


def _key(policy: Policy) -> Key:
    return str(policy.target[2]), policy.target[3]


def _made_since(policy: Policy, start: dt.datetime) -> bool:
    """Whether a policy was made after a moment; SHOW PITR tells whole seconds."""
    made = policy.current.created_time
    return made is not None and made >= start.replace(microsecond=0)


def _names(connection: Connection, ids: set[int]) -> dict[int | None, str]:
    """The names that tables have in the connection's own transaction, by id."""
    statement = text(
        "SELECT rel_id, reldatabase, relname FROM mo_catalog.mo_tables "
        "WHERE account_id = current_account_id() AND rel_id IN :ids"
    ).bindparams(bindparam("ids", expanding=True))
    rows = query(connection, statement, {"ids": sorted(ids)})
    return {int(rel_id): f"{database}.{name}" for rel_id, database, name in rows}


def _warn(message: str) -> None:
    warnings.warn(message, SAWarning, stacklevel=2)
