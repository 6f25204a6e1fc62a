"""After each revision: policies whose tables it has rebuilt are renewed, or named in a warning.

An ordinary ALTER TABLE gives a table a new id, which ends its policy without a word. The callback
runs in the revision's own transaction, where the table has its new id already, while another
connection still sees the committed one.

Which tables those are is told by all ids of the migrated databases: read before the run, and once
after each revision that has sent anything. After the last one in any case: a revision may change
tables on a connection of its own. Policies are read before the run, and again where the id of a
table with a policy, or that is to have one, has changed, or the revision has changed policies.

=============================================  =============================================
a table of the migrated databases              its policy
=============================================  =============================================
rebuilt by this revision                       renewed where declared so, else named;
                                               although an account may not be told that it ended
rebuilt, and a policy appears meanwhile        renewed, if it is found detached after COMMIT;
                                               where nobody declares it, named at the run's end
of another database, named by an operation     named at the run's end where rebuilt
made by a downgrade, with an old policy        renewed where declared so, else named
renamed, rebuilt too or not                    named: a policy stays with the old name
                                               (not where the new one gets a policy too)
not protected when the revision began          left: it was dropped, or ended, before
ended by a run of this revision that failed    renewed where declared so, else named
=============================================  =============================================

Source: docs/server.md, Object ids.
"""

from __future__ import annotations

import datetime as dt
import logging
import threading
import warnings
import weakref
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, TypeAlias

from alembic.operations import Operations
from alembic.operations.ops import MigrateOperation
from alembic.runtime.migration import MigrationContext, MigrationInfo
from sqlalchemy import Table, bindparam, event, text
from sqlalchemy.engine import Connection
from sqlalchemy.exc import SAWarning, SQLAlchemyError

from sqlalchemy_matrixone_pitr import server
from sqlalchemy_matrixone_pitr.catalog import Key, object_ids, table_ids
from sqlalchemy_matrixone_pitr.connections import is_autocommit, query
from sqlalchemy_matrixone_pitr.ddl import CreatePitr
from sqlalchemy_matrixone_pitr.declarations import (
    Databases,
    Declaration,
    Schemas,
    bind_declarations,
    declares_any,
)
from sqlalchemy_matrixone_pitr.errors import PitrAfterCommitError, PitrPermissionError
from sqlalchemy_matrixone_pitr.generations import Policy, policies, split_generation, target_text
from sqlalchemy_matrixone_pitr.model import Pitr, PitrLevel
from sqlalchemy_matrixone_pitr.names import fold, renew_command
from sqlalchemy_matrixone_pitr.renewal import renewed_pitr
from sqlalchemy_matrixone_pitr.show import filters, reading
from sqlalchemy_matrixone_pitr.status import ServerState, read_state
from sqlalchemy_matrixone_pitr.transaction import (
    TransactionalDDLElement,
    pending_pitrs,
    take_back,
)

from .alters import WATCHED, Effect, altered
from .elements import (
    AlterNewest,
    MigrationElement,
    NameWhereDetached,
    RenewWhereDetached,
    look_for_objects,
    made_by,
)
from .offline import end_revision
from .sqltext import Name, Verb, acts, as_sent
from .steps import Heads, on_run, watch_runs
from .times import Recorder
from .toimpl import alters, creates, drops, take_changes
from .watch import before

log = logging.getLogger("alembic.runtime.matrixone_pitr")


@dataclass
class _Run:
    """State of one migration context's run.

    :ivar databases: the migrated ones.
    :ivar declared: the policies of tables in them.
    :ivar ids: of the tables in them, and in others that operations have named, when the last
        revision had run; an id of None is surely another one than now. None: the user may not look.
    :ivar policies: those there were when they were last read.
    :ivar protected: whether each policy protected its table when the last revision had run, what
        waited included.
    :ivar names: of the PITRs that there were then, less those that the run has made since.
    :ivar before: the names of those that were there, for sure, when the revision began.
    :ivar waiting: what waited for COMMIT then.
    :ivar runs: whether a revision is doing its work.
    :ivar sent: whether it has sent a statement, on the migration's connection.
    :ivar more: whether another one follows it.
    :ivar unseen: whether revisions have run since the ids were read.
    :ivar current: the database of names that name none.
    :ivar moved: the tables that the revision has renamed, each with its new name, and dropped, with
        None, in order.
    :ivar stop: ends the listening to its statements.
    :ivar rebuilt: tables that were rebuilt while no policy of them was known; those of other
        databases where the run's own operations have done it.
    """

    databases: frozenset[str]
    declared: dict[tuple[str, Key], Declaration]
    recorder: Recorder | None
    ids: dict[Key, int | None] | None = None
    policies: list[Policy] = field(default_factory=list)
    protected: dict[tuple[str, Key], bool] = field(default_factory=dict)
    names: frozenset[str] = frozenset()
    before: frozenset[str] = frozenset()
    waiting: set[TransactionalDDLElement] = field(default_factory=set)
    rebuilt: set[Key] = field(default_factory=set)
    runs: bool = False
    sent: bool = False
    more: bool = False
    unseen: bool = False
    current: str | None = None
    moved: list[tuple[Key, Key | None]] = field(default_factory=list)
    stop: Callable[[], None] | None = None

    def concerned(self) -> set[Key]:
        """The tables that have a policy, or are to have one."""
        return {key for _, key in (*self.protected, *self.declared)}

    def note(self, statement: str) -> None:
        """Remember what a statement renames and drops: a rebuilt table has no id that tells."""
        for act in acts(statement):
            if act.verb in (Verb.RENAME_TABLE, Verb.DROP_TABLE):
                new = None if act.new_name is None else self._key(act.new_name)
                self.moved.append((self._key(act.name), new))

    def _key(self, name: Name) -> Key:
        database, table = name
        return fold(database or self.current or ""), fold(table)

    def name_now(self, key: Key) -> Key | None:
        """The name by which the revision has left a table; None is that it has dropped it."""
        name: Key | None = key
        for old, new in self.moved:
            if old == name:
                name = new
        return name

    def is_migrated(self, key: Key) -> bool:
        return key[0] in self.databases

    def rebuilt_elsewhere(self, named: _Names, here: Mapping[Key, int]) -> set[Key]:
        """The tables of databases that are not migrated, which the revision itself has rebuilt.

        :param named: what its operations name: others' tables are others' business.
        """
        assert self.ids is not None
        return {
            key
            for key in self.ids.keys() & here.keys()
            if self.ids[key] != here[key]
            and not self.is_migrated(key)
            and not named.isdisjoint((key, (key[0], None)))
        }

    def read(self, aside: Connection) -> ServerState:
        """The policies of tables, and their tables."""
        tables = {table for _, (_, table) in self.declared}
        wanted = filters(level=PitrLevel.TABLE)
        state = read_state(aside, wanted, databases=self.databases, tables=tables)
        self.policies = [p for p in policies(state.pitrs) if p.target[2] in self.databases]
        return state


@dataclass(frozen=True, slots=True)
class _Found:
    """Findings on one revision, taken before its COMMIT.

    :ivar before: the tables' ids when it began; None is surely another one than now.
    :ivar here: their ids now, in its own transaction.
    :ivar protected: which policies protected their tables when it began.
    """

    state: ServerState
    policies: list[Policy]
    declared: dict[tuple[str, Key], Declaration]
    before: dict[Key, int | None]
    here: Mapping[Key, int]
    protected: dict[tuple[str, Key], bool]

    def rebuilt(self, key: Key) -> bool:
        return key in self.before and key in self.here and self.before[key] != self.here[key]

    def appeared(self, key: Key) -> bool:
        return key not in self.before and key in self.here

    def gone(self, key: Key) -> bool:
        return key in self.before and key not in self.here


def watch_revisions() -> None:
    """Let the callbacks of this module know when revisions begin, which other databases they
    change, and when their run ends; for the process, once."""
    global _watched
    watch_runs()
    with _lock:
        if not _watched:
            _watched = True
            on_run(_begin, _end)
            before(WATCHED, _note)


_lock = threading.Lock()
_watched = False

_Names: TypeAlias = set[tuple[str, str | None]]

_named: weakref.WeakKeyDictionary[MigrationContext, _Names] = weakref.WeakKeyDictionary()
"""Tables that a run's operations name with their database; no table is all of it."""


def _callback_of(context: MigrationContext) -> AfterRevision | None:
    found = (c for c in context.on_version_apply_callbacks if isinstance(c, AfterRevision))
    return next(found, None)


def _begin(context: MigrationContext, step: MigrationInfo, heads: Heads, more: bool) -> None:
    connection, callback = context.connection, _callback_of(context)
    if step.is_stamp or callback is None or connection is None:
        return
    if connection.dialect.name not in server.SUPPORTED_DIALECTS:
        return
    if server.matrixone_version(connection) is not None:
        callback.begin(context, step, connection, heads, more=more)


def _end(context: MigrationContext, error: BaseException | None) -> None:
    callback = _callback_of(context)
    if callback is not None and context.connection is not None:
        callback.end(context, context.connection, error)


def _note(operations: Operations, operation: MigrateOperation) -> None:
    context = operations.migration_context
    if context.as_sql or context.dialect.name not in server.SUPPORTED_DIALECTS:
        return
    for found in altered(operation, context.dialect):
        if found.effect >= Effect.RENAMES and context.connection is not None:
            look_for_objects(context.connection)
        if found.schema:
            table = None if found.table is None else fold(found.table)
            _named.setdefault(context, set()).add((fold(found.schema), table))


class AfterRevision:
    """The ``on_version_apply`` callback: nothing of a revision that sends nothing, else one reading
    statement, and more where a table with a policy is another one than before, or the revision
    changes policies.

    :param record_times: remember when the revision ran, see ``times.py``.
    """

    def __init__(self, metadata: Schemas | None, record_times: bool) -> None:
        self._metadata = metadata
        self._record_times = record_times
        self._runs: weakref.WeakKeyDictionary[MigrationContext, _Run] = weakref.WeakKeyDictionary()

    def begin(
        self,
        ctx: MigrationContext,
        step: MigrationInfo,
        connection: Connection,
        heads: Heads,
        *,
        more: bool,
    ) -> None:
        """Read what there is before the first revision, and take note of each."""
        run = self._runs.get(ctx)
        if run is None:
            with reading(connection) as aside:
                run = self._runs[ctx] = self._start(ctx, connection, aside, heads)
        if run.recorder is not None:
            earlier = run.recorder.begin(step, connection, run.ids)
            if earlier is not None:
                with reading(connection) as aside:
                    _go_back(run, aside, earlier)
        run.runs, run.sent, run.more = True, False, more
        run.moved.clear()
        run.before = run.names | made_by(connection)

    def _start(
        self, ctx: MigrationContext, connection: Connection, aside: Connection, heads: Heads
    ) -> _Run:
        names = Databases.of(connection)
        databases = {*names.mapped, *filter(None, [names.current])}
        declared: dict[tuple[str, Key], Declaration] = {}
        if self._metadata is not None:
            bound = bind_declarations(self._metadata, names)
            databases |= bound.databases
            declared = {
                (declaration.pitr.name, (str(declaration.pitr.database_name), table)): declaration
                for declaration in bound.declarations
                if (table := declaration.pitr.table_name) is not None
            }
        run = _Run(frozenset(databases), declared, None, current=names.current)
        try:
            state = run.read(aside)
        except PitrPermissionError:
            self._log_unprivileged()
            now = server.utc_now(aside)
        else:
            now = state.now
            run.ids = dict(table_ids(aside, databases))
            run.protected = {(p.name, _key(p)): not p.detached for p in run.policies}
            run.names = frozenset(pitr.name for pitr in state.pitrs)
        if self._record_times:
            run.recorder = Recorder.of(ctx, names.current, now, heads)
        run.stop = _listen(run, connection, ctx._version)
        return run

    def __call__(self, *, ctx: MigrationContext, step: Any, **kw: Any) -> None:
        if ctx.as_sql:
            end_revision(ctx, self._metadata)
            return
        run, connection = self._runs.get(ctx), ctx.connection
        if step.is_stamp or run is None or connection is None:
            return
        run.runs = False
        touched: list[Key] | None = None if run.ids is None else []
        run.unseen = True
        changes = take_changes(ctx) or not run.waiting.issuperset(pending_pitrs(connection))
        look_for_objects(connection)
        if run.ids is not None and (run.sent or changes or not run.more):
            named = _named.pop(ctx, set())
            if run.recorder is not None:
                _learn(run, run.recorder, connection, {database for database, _ in named})
            here = table_ids(connection, run.databases | {database for database, _ in run.ids})
            self._look(run, connection, here, is_upgrade=step.is_upgrade, changes=changes)
            run.rebuilt |= run.rebuilt_elsewhere(named, here)
            there = set(here.values())
            touched = sorted(key for key, rel_id in run.ids.items() if rel_id not in there)
            run.ids, run.unseen = dict(here), False
        if run.recorder is not None:
            run.recorder.record(connection, kw.get("heads"), touched)

    def end(
        self, ctx: MigrationContext, connection: Connection, error: BaseException | None
    ) -> None:
        """Write what is left of the times, and look once more at what nobody was known to have
        protected; after an error also at what is committed all the same, by an autocommit block or
        another connection."""
        run = self._runs.pop(ctx, None)
        if run is None:
            return
        run.runs = False
        if run.stop is not None:
            run.stop()
        if run.recorder is not None:
            committed = error is None or isinstance(error, PitrAfterCommitError)
            run.recorder.end(connection, committed=committed)
        if error is None and run.rebuilt:
            is_open = connection.in_transaction() and not is_autocommit(connection)
            self._name_rebuilt(run, connection, is_open=is_open)
        elif isinstance(error, Exception) and (run.unseen or run.sent) and run.ids is not None:
            try:
                with reading(connection) as aside:
                    here = table_ids(aside, run.databases)
                run.rebuilt |= {key for key in here if run.ids.get(key, here[key]) != here[key]}
                self._name_rebuilt(run, connection, is_open=False)
            except SQLAlchemyError:
                pass  # the run's own error is the one to raise
            except SAWarning as warning:  # where warnings are errors
                error.add_note(str(warning))

    def _name_rebuilt(self, run: _Run, connection: Connection, *, is_open: bool) -> None:
        """Name the policies of rebuilt tables that have ended, or do so when a transaction ends.

        :param is_open: whether one may be open, so that the server shows tables as they were.
        """
        with reading(connection) as aside:
            state = run.read(aside)
        for policy in policies(state.pitrs):
            key = _key(policy)
            was_protected = run.protected.get((policy.name, key), True)
            if key in run.rebuilt and was_protected and (policy.detached or is_open):
                _warn_rebuilt(policy)

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
        if self._record_times:
            log.info("what revisions change is not recorded: the user may not read the catalogue")

    def _look(
        self,
        run: _Run,
        connection: Connection,
        here: Mapping[Key, int],
        *,
        is_upgrade: bool,
        changes: bool,
    ) -> None:
        """Renew or name the table policies that this revision has ended.

        :param here: the tables' ids, in its own transaction.
        :param changes: whether it may have changed policies.
        """
        assert run.ids is not None
        keys = run.ids.keys() | here.keys()
        changed = {key for key in keys if run.ids.get(key) != here.get(key)}
        if not changes and not changed & run.concerned():
            run.rebuilt |= {key for key in changed if key in run.ids and run.is_migrated(key)}
            return
        found = _read(run, connection, here)
        known = run.names | made_by(connection)
        for policy in found.policies:
            key = _key(policy)
            declaration = found.declared.get((policy.name, key))
            if found.rebuilt(key) and found.protected[policy.name, key]:
                self._renew_or_warn(connection, policy, declaration, known, run.before)
            elif found.appeared(key) and policy.detached and not is_upgrade:
                self._renew_or_name(connection, policy, renew=declaration is not None)
        listed = {(policy.name, _key(policy)) for policy in found.policies}
        for (name, key), declaration in found.declared.items():
            if found.rebuilt(key) and (name, key) not in listed:
                self._renew_newcomer(connection, declaration.pitr, known)
        self._name_renamed(run, connection, found)
        run.protected = self._protected_after(connection, found)
        run.rebuilt -= run.concerned()
        run.waiting = set(pending_pitrs(connection))
        run.names = frozenset(
            [
                *(pitr.name for pitr in found.state.pitrs),
                *(e.pitr_name for e in run.waiting if not isinstance(e, MigrationElement)),
            ]
        )

    def _renew_or_warn(
        self,
        connection: Connection,
        policy: Policy,
        declaration: Declaration | None,
        known: frozenset[str],
        before: frozenset[str],
    ) -> None:
        """Renew or warn, unless the revision itself changes the policy.

        :param before: the names of the PITRs that the rebuild has ended, if they are for the table.
        """
        if _is_touched(connection, policy.name):
            return
        if declaration is None or declaration.on_rebuild != "renew":
            _warn_rebuilt(policy)
            return
        renewed = renewed_pitr(policy)
        for element in take_back(connection, lambda e: alters(e, policy.name)):
            assert isinstance(element, AlterNewest)
            renewed = renewed.with_range(element.range)
        renewing = _renewing(renewed, known)
        renewing.ended = before
        connection.execute(renewing)

    def _renew_or_name(self, connection: Connection, policy: Policy, *, renew: bool) -> None:
        """Renew for a table that is there again, or name it; its policy is seen after COMMIT."""
        if _is_touched(connection, policy.name):
            return
        pitr = renewed_pitr(policy)
        if renew:
            connection.execute(_renewing(pitr, None))
        else:
            connection.execute(NameWhereDetached(pitr))

    def _renew_newcomer(self, connection: Connection, pitr: Pitr, known: frozenset[str]) -> None:
        """Another process may create the policy before this COMMIT, for the table as it was."""
        if _is_touched(connection, pitr.name):
            return
        element = _renewing(pitr, known)
        element.newcomer = True
        connection.execute(element)

    def _name_renamed(self, run: _Run, connection: Connection, found: _Found) -> None:
        """A policy stays with its table's old name, which a revision may have seen to.

        The id tells the new one; of a table that the revision has rebuilt too, what it has sent.
        """
        gone = [
            policy
            for policy in found.policies
            if found.protected[policy.name, _key(policy)] and found.gone(_key(policy))
        ]
        if not gone:
            return
        ids = {i for policy in gone if (i := found.before[_key(policy)]) is not None}
        renamed = _names(connection, ids)
        waiting = pending_pitrs(connection)
        protected = {_key(policy) for policy in found.policies if not policy.detached}
        made = [element.pitr for element in waiting if isinstance(element, CreatePitr)]
        protected |= {(str(pitr.database_name), str(pitr.table_name)) for pitr in made}
        for policy in gone:
            now = renamed.get(found.before[_key(policy)]) or run.name_now(_key(policy))
            if now is None or now not in found.here or now in protected:
                continue
            if any(drops(element, policy.name) for element in waiting):
                continue
            name = ".".join(now)
            _warn(
                f"{target_text(policy.current)} was renamed to {name}, and its policy "
                f"{policy.name!r} stays with the old name: it keeps what was before, and protects "
                f"nothing new. Create a policy of another name for {name}; under the same name the "
                "old one has to be dropped first, with what it keeps"
            )

    def _protected_after(
        self, connection: Connection, found: _Found
    ) -> dict[tuple[str, Key], bool]:
        """The policies that will protect their tables when the queue is sent."""
        after = {}
        for policy in found.policies:
            name, key = policy.name, _key(policy)
            stays = key in found.here and not found.rebuilt(key)
            after[name, key] = found.protected[name, key] and stays
        for element in pending_pitrs(connection):
            for name, key in after:
                if creates(element, name):
                    after[name, key] = True
                elif drops(element, name):
                    after[name, key] = False
            if isinstance(element, CreatePitr) and element.pitr.table_name is not None:
                pitr = element.pitr
                key = str(pitr.database_name), element.pitr.table_name
                after[split_generation(pitr.name)[0], key] = True
        return after


def _listen(run: _Run, connection: Connection, version: Table) -> Callable[[], None]:
    """Take note of each statement of a revision, but for what Alembic itself records.

    :returns: what ends it.
    """

    def look(
        conn: Connection, cursor: Any, statement: str, parameters: Any, context: Any, many: bool
    ) -> None:
        if run.runs:
            compiled = getattr(context, "compiled", None)
            written = getattr(getattr(compiled, "statement", None), "table", None)
            if written is not version:
                run.sent = True
                run.note(as_sent(statement, connection.dialect))
                if run.recorder is not None:
                    run.recorder.note(connection)

    event.listen(connection, "before_cursor_execute", look)
    return lambda: event.remove(connection, "before_cursor_execute", look)


def _learn(run: _Run, recorder: Recorder, connection: Connection, named: set[str]) -> None:
    """Take the ids in databases that operations have named for the first time, as they were when
    the revision began."""
    assert run.ids is not None
    new = named - run.databases - {database for database, _ in run.ids}
    if not new:
        return
    try:
        moment = recorder.moment(connection)
        with reading(connection) as aside:
            run.ids |= table_ids(aside, new, at=moment)
    except SQLAlchemyError as error:
        log.warning("what is changed in %s is not recorded: %s", ", ".join(sorted(new)), error)


def _read(run: _Run, connection: Connection, here: Mapping[Key, int]) -> _Found:
    """Read what the revision has left, and which policies protected their tables before it."""
    assert run.ids is not None
    with reading(connection) as aside:
        state = run.read(aside)
    before = {key: rel_id for key, rel_id in run.ids.items() if run.is_migrated(key)}
    protected = {}
    for policy in run.policies:
        name, key = policy.name, _key(policy)
        if (name, key) in run.protected:
            protected[name, key] = run.protected[name, key]
        elif policy.detached and key in state.objects:
            # made by an autocommit block of this revision, and ended by it
            protected[name, key], before[key] = True, None
        else:
            protected[name, key] = not policy.detached
    return _Found(state, run.policies, run.declared, before, here, protected)


def _go_back(run: _Run, aside: Connection, earlier: dt.datetime) -> None:
    """Take what was there when an earlier run of the revision began: that has ended policies."""
    if run.ids is None:
        return
    then: dict[Key, int | None] = dict(table_ids(aside, run.databases, at=earlier))
    for policy in run.policies:
        name, key = policy.name, _key(policy)
        now = run.ids.get(key)
        if not policy.detached or now is None:
            continue
        if _made_since(policy, earlier, there_then=key in then):
            run.protected[name, key] = True
            then.setdefault(key, None)
        elif then.get(key, now) != now:
            made = policy.current.created_time
            if made is not None:
                moment = min(made + dt.timedelta(seconds=1), earlier)
                first = object_ids(aside, [key], at=moment)
                run.protected[name, key] = first.get(key) == then[key]
    run.ids = then


def _renewing(pitr: Pitr, known: frozenset[str] | None) -> RenewWhereDetached:
    """The element that renews the policy of a table that the transaction has."""
    element = RenewWhereDetached(pitr).with_real_names()
    element.was_there, element.known = True, known
    return element


def _is_touched(connection: Connection, policy: str) -> bool:
    """Whether the revision itself creates or drops a policy."""
    waiting = pending_pitrs(connection)
    return any(creates(element, policy) or drops(element, policy) for element in waiting)


def _key(policy: Policy) -> Key:
    return str(policy.target[2]), str(policy.target[3])


def _made_since(policy: Policy, start: dt.datetime, *, there_then: bool) -> bool:
    """Whether a policy was made after a moment.

    SHOW PITR tells whole seconds. One that was made in the moment's own second was made after it
    where its table was not there yet; else the table's ids tell what became of it.
    """
    made = policy.current.created_time
    if made is None:
        return False
    return made >= (start if there_then else start.replace(microsecond=0))


def _names(connection: Connection, ids: set[int]) -> dict[int | None, Key]:
    """The names that tables have in the connection's own transaction, by id."""
    statement = text(
        "SELECT rel_id, reldatabase, relname FROM mo_catalog.mo_tables "
        "WHERE account_id = current_account_id() AND rel_id IN :ids"
    ).bindparams(bindparam("ids", expanding=True))
    rows = query(connection, statement, {"ids": sorted(ids)})
    return {int(rel_id): (database, name) for rel_id, database, name in rows}


def _warn_rebuilt(policy: Policy) -> None:
    _warn(
        f"{target_text(policy.current)} was rebuilt, and its policy {policy.name!r} protects "
        f"nothing new: renew_pitr(engine, {policy.name!r}), or "
        f"{renew_command(policy.name)}"
    )


def _warn(message: str) -> None:
    warnings.warn(message, SAWarning, stacklevel=2)
