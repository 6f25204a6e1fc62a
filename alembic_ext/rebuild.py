"""After each revision: policies whose tables it has rebuilt are renewed, or named in a warning.

An ordinary ALTER TABLE gives a table a new id, which ends its policy without a word. The callback
runs in the revision's own transaction, where the table has its new id already, while another
connection still sees the committed one.

=============================================  =============================================
a table of the migrated databases              its policy
=============================================  =============================================
rebuilt by this revision                       renewed where declared so, else named
rebuilt, and a policy appears meanwhile        renewed, if it is found detached after COMMIT
made by a downgrade, with an old policy        renewed where declared so, else named
renamed                                        named: a policy stays with the old name
not protected when the revision began          left: it was dropped, or ended, before
ended by a run of this revision that failed    renewed where declared so, else named
=============================================  =============================================

Source: docs/server.md, Object ids.
"""

from __future__ import annotations

import datetime as dt
import logging
import time
import warnings
import weakref
from dataclasses import dataclass, field
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
    Declaration,
    Schemas,
    bind_declarations,
    declares_any,
)
from sqlalchemy_matrixone_pitr.errors import PitrPermissionError
from sqlalchemy_matrixone_pitr.generations import Policy, policies, split_generation, target_text
from sqlalchemy_matrixone_pitr.model import Pitr, PitrLevel
from sqlalchemy_matrixone_pitr.renewal import renewed_pitr
from sqlalchemy_matrixone_pitr.server import parse_time
from sqlalchemy_matrixone_pitr.show import filters, reading
from sqlalchemy_matrixone_pitr.status import ServerState, read_state
from sqlalchemy_matrixone_pitr.transaction import pending_pitrs, take_back

from .elements import AlterNewest, CreateWhereMissing, NameWhereDetached, RenewWhereDetached
from .offline import end_revision
from .times import RevisionTimes
from .toimpl import alters, creates, drops

Key: TypeAlias = tuple[str, str | None]
"""A database, and a table in it."""

log = logging.getLogger("alembic.runtime.matrixone_pitr")


@dataclass
class _Run:
    """What is known of one migration context's run.

    :ivar ids: of the tables that were looked at, when the last revision had run.
    :ivar protected: whether each policy protected its table then, what waited included.
    """

    ids: dict[Key, int] = field(default_factory=dict)
    protected: dict[tuple[str, Key], bool] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class _Found:
    """What one revision has left, seen before its COMMIT.

    :ivar before: the tables' ids when it began; None is surely another one than now.
    :ivar here: their ids now, in its own transaction.
    """

    state: ServerState
    policies: list[Policy]
    declared: dict[tuple[str, Key], Declaration]
    before: dict[Key, int | None]
    here: dict[Key, int]

    def rebuilt(self, key: Key) -> bool:
        return key in self.before and key in self.here and self.before[key] != self.here[key]

    def appeared(self, key: Key) -> bool:
        return key not in self.before and key in self.here

    def gone(self, key: Key) -> bool:
        return key in self.before and key not in self.here


class AfterRevision:
    """The ``on_version_apply`` callback: a few reading statements a revision.

    :param record_times: remember when the revision ran, see ``times.py``.
    """

    def __init__(self, metadata: Schemas | None, record_times: bool) -> None:
        self._metadata = metadata
        self.times = RevisionTimes() if record_times else None
        self._began = time.monotonic()
        self._runs: weakref.WeakKeyDictionary[MigrationContext, _Run] = weakref.WeakKeyDictionary()
        self._unprivileged: weakref.WeakSet[MigrationContext] = weakref.WeakSet()

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
        if ctx not in self._unprivileged:
            try:
                self._look(ctx, connection, step.is_upgrade)
            except PitrPermissionError:
                self._unprivileged.add(ctx)
                self._log_unprivileged()
        if self.times is not None:
            self.times.record(ctx, step, connection, kw.get("heads"))

    def _log_unprivileged(self) -> None:
        """Users who are no administrators migrate too; where policies are declared it matters."""
        declared = self._metadata is not None and declares_any(self._metadata)
        log.log(
            logging.WARNING if declared else logging.INFO,
            "policies are not looked at: that takes an administrator of the account, with the role "
            "moadmin (sys) or accountadmin active. What these revisions rebuild is not protected "
            "any more%s",
            ", and is not renewed: run mo-pitr plan MODULE:metadata as one" if declared else "",
        )

    def _look(self, ctx: MigrationContext, connection: Connection, is_upgrade: bool) -> None:
        """Renew or name the table policies that this revision has ended."""
        run = self._runs.get(ctx)
        found, protected = self._read(ctx, connection, run)
        for policy in found.policies:
            key = _key(policy)
            declaration = found.declared.get((policy.name, key))
            if found.rebuilt(key) and protected[policy.name, key]:
                self._renew_or_warn(connection, policy, declaration)
            elif found.appeared(key) and policy.detached and not is_upgrade:
                self._renew_or_name(connection, policy, renew=declaration is not None)
        known = frozenset(pitr.name for pitr in found.state.pitrs)
        listed = {(policy.name, _key(policy)) for policy in found.policies}
        for (name, key), declaration in found.declared.items():
            if found.rebuilt(key) and (name, key) not in listed:
                self._renew_newcomer(connection, declaration.pitr, known)
        self._name_renamed(connection, found)
        self._runs[ctx] = _Run(found.here, self._protected_after(connection, found, protected))

    def _read(
        self, ctx: MigrationContext, connection: Connection, run: _Run | None
    ) -> tuple[_Found, dict[tuple[str, Key], bool]]:
        """What the revision has left, and which policies protected their tables before it."""
        names = Databases.of(connection)
        declared: dict[tuple[str, Key], Declaration] = {}
        databases = {*names.mapped, *filter(None, [names.current])}
        if self._metadata is not None:
            bound = bind_declarations(self._metadata, names)
            databases |= bound.databases
            declared = {
                (declaration.pitr.name, (str(declaration.pitr.database_name), table)): declaration
                for declaration in bound.declarations
                if (table := declaration.pitr.table_name) is not None
            }
        tables = {str(table) for _, (_, table) in declared}
        with reading(connection) as aside:
            state = read_state(
                aside, filters(level=PitrLevel.TABLE), databases=databases, tables=tables
            )
            there = [p for p in policies(state.pitrs) if p.target[2] in databases]
            keys = {_key(policy) for policy in there} | {key for _, key in declared}
            before, protected = self._before(ctx, aside, state, there, keys, run)
        here = object_ids(connection, keys) if keys else {}
        return _Found(state, there, declared, before, here), protected

    def _before(
        self,
        ctx: MigrationContext,
        aside: Connection,
        state: ServerState,
        there: list[Policy],
        keys: set[Key],
        run: _Run | None,
    ) -> tuple[dict[Key, int | None], dict[tuple[str, Key], bool]]:
        """The ids when this revision began, and which policies protected their tables then.

        What is committed, but for what an autocommit block of the revision has done: that has
        detached the policy already.
        """
        before: dict[Key, int | None] = {
            key: state.objects[key].id for key in keys if key in state.objects
        }
        protected = {(policy.name, _key(policy)): not policy.detached for policy in there}
        if run is not None:
            for policy in there:
                name, key = policy.name, _key(policy)
                if (name, key) in run.protected:
                    protected[name, key] = run.protected[name, key]
                elif policy.detached and key in before:
                    # made by an autocommit block of this revision, and ended by it
                    protected[name, key], before[key] = True, None
            for key in keys & run.ids.keys():
                before[key] = run.ids[key]
            return before, protected
        doubtful = [policy for policy in there if policy.detached and _key(policy) in before]
        if doubtful:
            self._before_first(ctx, aside, doubtful, before, protected)
        return before, protected

    def _before_first(
        self,
        ctx: MigrationContext,
        aside: Connection,
        doubtful: list[Policy],
        before: dict[Key, int | None],
        protected: dict[tuple[str, Key], bool],
    ) -> None:
        """The same of the first revision, for policies that are detached by now."""
        began = None if self.times is None else self.times.began(ctx)
        start = began or self._start(aside)
        then = object_ids(aside, {_key(policy) for policy in doubtful}, at=start)
        for policy in doubtful:
            name, key = policy.name, _key(policy)
            if _made_since(policy, start, there_then=key in then):
                protected[name, key], before[key] = True, then.get(key)
                continue
            if key not in then or then[key] == before[key]:
                continue  # not rebuilt since: detached before this run
            before[key] = then[key]
            made = policy.current.created_time
            if made is not None:
                first = object_ids(aside, [key], at=min(made + dt.timedelta(seconds=1), start))
                protected[name, key] = first.get(key) == then[key]

    def _start(self, aside: Connection) -> dt.datetime:
        """The server's time when env.py was read: at most one way to the server too late, and no
        revision can have committed so soon."""
        with server.session_zone(aside, "+00:00"):
            elapsed = time.monotonic() - self._began
            now = parse_time(aside.exec_driver_sql("SELECT now(6)").scalar_one())
        return now - dt.timedelta(seconds=elapsed)

    def _renew_or_warn(
        self, connection: Connection, policy: Policy, declaration: Declaration | None
    ) -> None:
        """What this revision does with the policy itself comes first."""
        if _is_touched(connection, policy.name):
            return
        if declaration is None or declaration.on_rebuild != "renew":
            _warn(
                f"{target_text(policy.current)} was rebuilt, and its policy {policy.name!r} "
                f"protects nothing new: renew_pitr(engine, {policy.name!r}), or mo-pitr renew "
                f"{policy.name}"
            )
            return
        renewed = renewed_pitr(policy)
        for element in take_back(connection, lambda e: alters(e, policy.name)):
            assert isinstance(element, AlterNewest)
            renewed = renewed.with_range(element.range)
        connection.execute(RenewWhereDetached(renewed).with_real_names())

    def _renew_or_name(self, connection: Connection, policy: Policy, *, renew: bool) -> None:
        """Of a table that is there again. Whether its policy protects it is seen after COMMIT."""
        if _is_touched(connection, policy.name):
            return
        pitr = renewed_pitr(policy)
        if renew:
            connection.execute(RenewWhereDetached(pitr).with_real_names())
        else:
            connection.execute(NameWhereDetached(pitr))

    def _renew_newcomer(self, connection: Connection, pitr: Pitr, known: frozenset[str]) -> None:
        """Another process may create the policy before this COMMIT, for the table as it was."""
        if _is_touched(connection, pitr.name):
            return
        element = RenewWhereDetached(pitr).with_real_names()
        element.known = known
        connection.execute(element)

    def _name_renamed(self, connection: Connection, found: _Found) -> None:
        """A policy stays with its table's old name."""
        gone = [p for p in found.policies if not p.detached and found.gone(_key(p))]
        if not gone:
            return
        ids = {i for policy in gone if (i := found.before[_key(policy)]) is not None}
        renamed = _names(connection, ids)
        waiting = pending_pitrs(connection)
        for policy in gone:
            name = renamed.get(found.before[_key(policy)])
            if name is None or any(drops(element, policy.name) for element in waiting):
                continue
            _warn(
                f"{target_text(policy.current)} was renamed to {name}, and its policy "
                f"{policy.name!r} stays with the old name: it keeps what was before, and protects "
                f"nothing new. Create a policy of another name for {name}; under the same name the "
                "old one has to be dropped first, with what it keeps"
            )

    def _protected_after(
        self,
        connection: Connection,
        found: _Found,
        before: dict[tuple[str, Key], bool],
    ) -> dict[tuple[str, Key], bool]:
        """Which policies will protect their tables when what waits is sent."""
        waiting = pending_pitrs(connection)
        after = {}
        for policy in found.policies:
            name, key = policy.name, _key(policy)
            after[name, key] = before[name, key] and key in found.here and not found.rebuilt(key)
        for element in waiting:
            for name, key in after:
                if creates(element, name):
                    after[name, key] = True
                elif drops(element, name):
                    after[name, key] = False
            if isinstance(element, RenewWhereDetached | CreateWhereMissing):
                pitr = element.pitr
                if pitr.table_name is not None:
                    name = split_generation(pitr.name)[0]
                    after[name, (str(pitr.database_name), pitr.table_name)] = True
        return after


def _is_touched(connection: Connection, policy: str) -> bool:
    """Whether the revision itself creates or drops a policy."""
    waiting = pending_pitrs(connection)
    return any(creates(element, policy) or drops(element, policy) for element in waiting)


def _key(policy: Policy) -> Key:
    return str(policy.target[2]), policy.target[3]


def _made_since(policy: Policy, start: dt.datetime, *, there_then: bool) -> bool:
    """Whether a policy was made after a moment.

    SHOW PITR tells whole seconds. One that was made in the moment's own second was made after it
    where its table was not there yet; else the table's ids tell what became of it.
    """
    made = policy.current.created_time
    if made is None:
        return False
    return made >= (start if there_then else start.replace(microsecond=0))


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
