"""The PITR statements of a migration: what each means is decided when it is sent.

They are sent after the transaction's COMMIT, those of one revision under the account lock once. A
policy's name means its newest generation then, so that what the transaction's other statements and
other programs have done before counts, and several processes that migrate at once end with each
policy once.

The revision is recorded by then. So what the server would refuse, and what is not there, is told by
a warning that says what to do, and one that is refused does not keep the others from being done.
"""

from __future__ import annotations

import contextlib
import dataclasses
import logging
import warnings
import weakref
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Self

from sqlalchemy.engine import Connection, CursorResult
from sqlalchemy.exc import DBAPIError, SAWarning

from sqlalchemy_matrixone_pitr.catalog import object_ids
from sqlalchemy_matrixone_pitr.connections import kill_on_abort, roll_back
from sqlalchemy_matrixone_pitr.ddl import (
    AlterPitr,
    CreatePitr,
    DropPitr,
    PitrDDLElement,
    overlay,
    resolve_database,
)
from sqlalchemy_matrixone_pitr.errors import (
    PitrAfterCommitError,
    PitrAlreadyExistsError,
    PitrError,
    from_dbapi_error,
    is_name_taken,
)
from sqlalchemy_matrixone_pitr.flush import SENT, MakeBatch, nothing_sent
from sqlalchemy_matrixone_pitr.generations import (
    Policy,
    Target,
    find_pitr,
    find_policy,
    is_detached,
    object_of,
    split_generation,
    target_of,
    target_text,
)
from sqlalchemy_matrixone_pitr.held import range_of_renewal
from sqlalchemy_matrixone_pitr.locking import account_lock
from sqlalchemy_matrixone_pitr.model import Pitr, PitrLevel, PitrRange, PitrStatus
from sqlalchemy_matrixone_pitr.names import fit_pitr_name, renew_command
from sqlalchemy_matrixone_pitr.renewal import (
    conflicting_pitr,
    history_not_kept,
    renewal,
    renewed_pitr,
)
from sqlalchemy_matrixone_pitr.show import reading
from sqlalchemy_matrixone_pitr.status import ServerState, read_state, wait_until_told
from sqlalchemy_matrixone_pitr.transaction import (
    TransactionalDDLElement,
    pending_pitrs,
    pending_result,
)

from .refusals import as_refusal

log = logging.getLogger("alembic.runtime.matrixone_pitr")

HOW_TO_REPAIR = (
    "The migration itself is committed, and the revision is recorded: it will not run again. See "
    "what is missing with alembic check or mo-pitr plan MODULE:metadata, mend the cause, and "
    "create it with mo-pitr apply MODULE:metadata. Later revisions go on: of a policy that they "
    "alter or drop and that is not there they only warn."
)

HOW_TO_DROP = (
    "The migration itself is committed, and the revision is recorded: it will not run again. What "
    "it drops may still be there: mo-pitr show lists it, and mo-pitr apply --drop-undeclared "
    "MODULE:metadata or PitrManager(engine).delete(name) drops it."
)

IF_COMMITTED = (
    "alembic current says whether the server has committed the revision all the same. If it has, "
    "the revision will not run again: mo-pitr plan MODULE:metadata says what is missing, or left"
)


@dataclass(slots=True)
class Batch:
    """State that the elements of one revision share while they are sent; the account lock is held.

    :ivar state: the policies of the account, with what the elements before have done.
    """

    state: ServerState

    def note(self, element: PitrDDLElement) -> None:
        """Remember what an element has done."""
        self.state = dataclasses.replace(self.state, pitrs=overlay(self.state.pitrs, [element]))


@contextlib.contextmanager
def _batch(connection: Connection, elements: Sequence[TransactionalDDLElement]) -> Iterator[Batch]:
    found = [e.concerned() for e in elements if isinstance(e, MigrationElement)]
    pitrs = [pitr for pitr in found if pitr is not None]
    with account_lock(connection), kill_on_abort(connection.engine, connection):
        roll_back(connection)  # idle again, which asking for its session has ended
        with reading(connection) as aside:
            state = read_state(
                aside,
                databases={pitr.database_name for pitr in pitrs if pitr.database_name},
                tables={pitr.table_name for pitr in pitrs if pitr.table_name},
            )
            made = (e.pitr for e in elements if isinstance(e, CreatePitr) and _may_make(e, state))
            wait_until_told(aside, state, made)
        yield Batch(state)


def _may_make(element: CreatePitr, state: ServerState) -> bool:
    """Whether an element may make a PITR: its policy is not surely protecting its object."""
    policy = find_policy(state.pitrs, split_generation(element.name)[0], target_of(element.pitr))
    return policy is None or policy.current.status is not PitrStatus.ACTIVE


class MigrationElement(PitrDDLElement):
    """Base of the elements of a migration."""

    note_on_failure = HOW_TO_REPAIR
    note_on_failed_commit = IF_COMMITTED
    independent = True
    batch: ClassVar[MakeBatch | None] = _batch

    def concerned(self) -> Pitr | None:
        """The policy with its target, where it is known."""
        return getattr(self, "pitr", None)

    def as_raised(self, error: PitrAfterCommitError) -> PitrAfterCommitError:
        return as_refusal(error)

    def decided(self, shared: Batch) -> PitrDDLElement | None:
        element = self.decide(shared.state)
        return None if element is None else element.with_real_names()

    def touched(self, shared: Batch) -> frozenset[object]:
        """Its policy's name and object, and the objects of PITRs that have this name."""
        names = {
            split_generation(name)[0] for name in (self.name, getattr(self, "policy", None)) if name
        }
        pitrs = [pitr for pitr in shared.state.pitrs if split_generation(pitr.name)[0] in names]
        concerned = self.concerned()
        if concerned is not None:
            pitrs.append(concerned)
        return frozenset((*names, *map(_object_for_sure, pitrs)))

    def note(self, connection: Connection, shared: Batch, done: Sequence[PitrDDLElement]) -> None:
        for one in done:
            shared.note(one)
            _note_made(connection, one)
            log.info("%s", _done(one))

    def _send(self, connection: Connection, options: Mapping[str, Any]) -> CursorResult[Any]:
        """Send it alone, at once: on an AUTOCOMMIT connection."""
        with _batch(connection, [self]) as alone:
            element = self.decided(alone)
            if element is None:
                return pending_result(connection)
            done: list[Any] = options.get(SENT, [])
            sent = element._send(connection, {**options, SENT: done})
            self.note(connection, alone, done)
            return sent

    def decide(self, state: ServerState) -> PitrDDLElement | None:
        """Return the element to send now; None is nothing.

        :param state: the policies there are, read under the account lock.
        """
        raise NotImplementedError


def _object_for_sure(pitr: Pitr) -> tuple[str, ...]:
    """The same for two PITRs that may be for one object: an account may be named or not, and a
    server may take large letters for small ones."""
    if pitr.database_name is None:
        return (pitr.level,)
    return (pitr.level, pitr.database_name.lower(), (pitr.table_name or "").lower())


_made: weakref.WeakKeyDictionary[Connection, set[str]] = weakref.WeakKeyDictionary()


def _note_made(connection: Connection, element: PitrDDLElement) -> None:
    if isinstance(element, CreatePitr):
        _made.setdefault(connection, set()).add(element.name)


def made_by(connection: Connection) -> frozenset[str]:
    """The names of the PITRs that migrations have made on a connection."""
    return frozenset(_made.get(connection, ()))


def _done(element: PitrDDLElement) -> str:
    """Describe the effect of a statement, as Alembic describes its own.

    >>> _done(DropPitr("orders_week"))
    'Dropped PITR orders_week'
    """
    if isinstance(element, CreatePitr):
        verb = "Created" if split_generation(element.name)[1] == 1 else "Renewed policy as"
        pitr = element.pitr
        return f"{verb} PITR {pitr.name} of {target_text(pitr)}, {pitr.range}"
    if isinstance(element, AlterPitr):
        return f"Altered PITR {element.name} to {element.range}"
    return f"Dropped PITR {element.name}"


# ------------------------------------------------------------------------------------------- create


class CreateWhereMissing(MigrationElement, CreatePitr):
    """CREATE PITR, of a policy that must not be there.

    One of that name for the same object that still protects it is what is wanted; one that protects
    nothing any more is renewed. Anything else in the way is the server's to refuse.
    """

    was_there: bool | None = None
    """Whether the transaction had the object; None until :func:`look_for_objects` has looked."""

    def resolve(self, connection: Connection, options: Mapping[str, Any]) -> Self:
        return super().resolve(connection, options).with_real_names()

    def decide(self, state: ServerState) -> PitrDDLElement | None:
        name, target = split_generation(self.name)[0], target_of(self.pitr)
        return self.decide_policy(state, find_policy(state.pitrs, name, target))

    def decide_policy(self, state: ServerState, policy: Policy | None) -> PitrDDLElement | None:
        """Return the element to send, given the generations that exist."""
        if policy is not None and not policy.detached:
            return self.decide_attached(state.unheld(policy.current))
        if object_of(self.pitr) not in state.objects and self.allow_missing():
            return None
        if policy is None:
            return self.creation()
        other = conflicting_pitr(state, policy)
        if other is not None:
            return self.decide_protected(other)
        return self.renewal(state, policy)

    def renewal(self, state: ServerState, policy: Policy) -> PitrDDLElement | None:
        """The renewal of a policy that protects nothing any more."""
        return next_generation(state, policy, self.pitr.range)

    def decide_protected(self, other: Pitr) -> PitrDDLElement | None:
        """Decide for a policy that protects nothing, on an object that another one protects."""
        raise PitrAlreadyExistsError(
            f"PITR {self.name!r} is not created: {target_text(other)} has the policy {other.name} "
            f"({other.range}), and the server takes one active policy per object: alter that one, "
            "or drop it first",
            name=self.name,
        )

    def creation(self) -> CreatePitr:
        """Decide for a policy that does not exist."""
        return CreatePitr(self.pitr, self.if_not_exists)

    def allow_missing(self) -> bool:
        """Whether the object may be missing: it was dropped or renamed since."""
        if self.was_there:
            _warn(
                f"PITR {self.name!r} is not created: {target_text(self.pitr)} is not there any "
                "more, dropped or renamed"
            )
        return bool(self.was_there)

    def decide_attached(self, there: Pitr) -> PitrDDLElement | None:
        """Decide for a policy that protects its object."""
        if there.range != self.pitr.range and not self.if_not_exists:
            raise PitrAlreadyExistsError(
                f"PITR {there.name!r} is there with range {there.range}, the migration creates it "
                f"with {self.pitr.range}: alter or drop it first",
                name=self.name,
            )
        return None


def look_for_objects(connection: Connection) -> None:
    """Look which objects of waiting elements the transaction has, before something may drop them;
    at most one statement for tables, and one for databases."""
    unseen = {
        element: object_of(element.pitr)
        for element in pending_pitrs(connection)
        if isinstance(element, CreateWhereMissing) and element.was_there is None
    }
    of_database = {key for key in unseen.values() if key[0]}
    there = object_ids(connection, of_database) if of_database else {}
    for element, key in unseen.items():
        element.was_there = key in there


class RenewWhereDetached(CreateWhereMissing):
    """The next generation of a policy; one that still protects its object gets the range alone.

    :ivar known: names of PITRs that were there before the revision, or that the run has made. Any
        other one was made by another process meanwhile, perhaps for the table as it was: that one
        keeps nothing from before the revision, and is replaced where it is in the way. None is all.
    :ivar newcomer: only a policy that another process has made is meant.
    :ivar ended: names of PITRs that the revision has ended for sure, by a rebuild. An account other
        than sys is not told that of one which was made in the same second.
    """

    known: frozenset[str] | None = None
    newcomer = False
    ended: frozenset[str] = frozenset()

    def decide_policy(self, state: ServerState, policy: Policy | None) -> PitrDDLElement | None:
        if policy is not None and self.ended:
            policy = self._as_ended(policy)
        if not self.newcomer:
            return super().decide_policy(state, policy)
        if policy is None or not policy.detached or not self._made_meanwhile(policy):
            return None
        return self.renewal(state, policy)

    def renewal(self, state: ServerState, policy: Policy) -> PitrDDLElement | None:
        range = policy.current.range if self.newcomer else self.pitr.range
        return next_generation(state, policy, range, self._made_meanwhile(policy))

    def _as_ended(self, policy: Policy) -> Policy:
        generations = tuple(
            pitr.with_status(PitrStatus.DETACHED)
            if pitr.status is PitrStatus.UNKNOWN and pitr.name in self.ended
            else pitr
            for pitr in policy.generations
        )
        return dataclasses.replace(policy, generations=generations)

    def _made_meanwhile(self, policy: Policy) -> frozenset[str]:
        known = self.known
        names = {pitr.name for pitr in policy.generations}
        return frozenset() if known is None else frozenset(names - known)

    def creation(self) -> CreatePitr:
        return CreatePitr(self.pitr.with_name(split_generation(self.name)[0]))

    def allow_missing(self) -> bool:
        if not self.was_there:
            _warn(f"PITR {self.name!r} is not renewed: {target_text(self.pitr)} is not there")
        return True

    def decide_attached(self, there: Pitr) -> PitrDDLElement | None:
        return None if there.range == self.pitr.range else AlterPitr(there.name, self.pitr.range)

    def decide_protected(self, other: Pitr) -> PitrDDLElement | None:
        _warn(
            f"PITR {self.name!r} is not renewed: {target_text(other)} has the policy {other.name} "
            f"({other.range}), and the server takes one active policy per object"
        )
        return None


class _InPlaceOf(CreatePitr):
    """CREATE PITR, after PITRs that are in its way are dropped."""

    def __init__(self, pitr: Pitr, dropped: Sequence[str]) -> None:
        super().__init__(pitr)
        self.dropped = tuple(dropped)

    def _send(self, connection: Connection, options: Mapping[str, Any]) -> CursorResult[Any]:
        for name in self.dropped:
            DropPitr.named(name)._send(connection, options)
            connection.exec_driver_sql("COMMIT")
        return CreatePitr(self.pitr).with_real_names()._send(connection, options)


class NameWhereDetached(MigrationElement):
    """Nothing but a warning, where a policy that nobody declares protects nothing any more.

    :param pitr: the policy, with the server's names.
    """

    def __init__(self, pitr: Pitr) -> None:
        self.pitr = pitr
        self.name = pitr.name

    def decide(self, state: ServerState) -> PitrDDLElement | None:
        policy = find_policy(state.pitrs, split_generation(self.name)[0], target_of(self.pitr))
        if (
            policy is not None
            and policy.detached
            and conflicting_pitr(state, policy) is None
            and object_of(self.pitr) in state.objects
        ):
            _warn(
                f"{target_text(policy.target)} is there again, and its policy {policy.name!r} "
                f"protects nothing new: {renew_command(policy.name)}"
            )
        return None

    def __str__(self) -> str:
        return f"-- see whether {self.name} protects {target_text(self.pitr)}"


class _NextGeneration(CreatePitr):
    """CREATE PITR beside the older generations, which the server may take for active still.

    Only sys sees that beforehand.

    :ivar replaceable: generations that may be dropped where they are in the way.
    """

    policy: Policy
    replaceable: frozenset[str]

    def _send(self, connection: Connection, options: Mapping[str, Any]) -> CursorResult[Any]:
        try:
            return super()._send(connection, options)
        except (DBAPIError, PitrError) as error:
            typed = from_dbapi_error(error) if isinstance(error, DBAPIError) else error
            if not isinstance(typed, PitrAlreadyExistsError) or is_name_taken(typed):
                raise
            nothing_sent(options)
            if self.replaceable:
                roll_back(connection)
                instead = _in_place_of(self.policy, self.replaceable, self.pitr.range)
                return instead._send(connection, options)
            why = history_not_kept(self.policy, self.policy.generations[-1])
            _warn_not_renewed(self.policy, str(why))
            return pending_result(connection)


def next_generation(
    state: ServerState,
    policy: Policy,
    range: PitrRange,
    replaceable: frozenset[str] = frozenset(),
) -> CreatePitr | None:
    """The element that renews a policy that protects nothing; a warning where nothing can.

    :param replaceable: generations that may be dropped where they are in the way.
    """
    range = range_of_renewal(policy, range, state.held)
    in_the_way = state.stale_active & {pitr.name for pitr in policy.generations}
    if in_the_way and in_the_way <= replaceable:
        return _in_place_of(policy, in_the_way, range)
    try:
        [create] = renewal(state, policy)
    except PitrAlreadyExistsError as error:
        _warn_not_renewed(policy, str(error))
        return None
    assert isinstance(create, CreatePitr)
    renewed = _NextGeneration(create.pitr.with_range(range))
    renewed.policy = policy
    renewed.replaceable = replaceable
    return renewed


def _in_place_of(policy: Policy, dropped: frozenset[str], range: PitrRange) -> _InPlaceOf:
    """The policy's newest generation, made anew if it is one of those that are dropped."""
    current = policy.current
    pitr = current if current.name in dropped else renewed_pitr(policy)
    return _InPlaceOf(pitr.with_range(range), sorted(dropped))


def _warn_not_renewed(policy: Policy, why: str) -> None:
    _warn(
        f"{target_text(policy.target)} was rebuilt, truncated or replaced, and its policy "
        f"{policy.name!r} protects nothing new. It is not renewed: {why}. On the command line: "
        f"{renew_command(policy.name, drop_history=True)}"
    )


# ----------------------------------------------------------------------------------- alter and drop


class _OfNewest(MigrationElement):
    """Base of the elements that change a policy's newest generation.

    :ivar policy: the name that the migration gives.
    :ivar expected: the policy, where the migration says what it is for: another one of that name is
        somebody else's.
    """

    policy: str
    expected: Pitr | None

    def concerned(self) -> Pitr | None:
        return self.expected

    @property
    def wanted(self) -> Target | None:
        """The policy's target, if the migration names it."""
        return None if self.expected is None else target_of(self.expected)

    def resolve(self, connection: Connection, options: Mapping[str, Any]) -> Self:
        if self.expected is None or self.resolved:
            return self
        resolved = self.with_real_names()
        if self.expected.level in (PitrLevel.DATABASE, PitrLevel.TABLE):
            database = resolve_database(connection, self.expected.declared_database, options)
            resolved.expected = self.expected.with_database(database)
        return resolved

    def is_foreign(self, there: Pitr) -> bool:
        """Whether it is for something else, which a warning says."""
        if self.expected is None or target_of(there) == target_of(self.expected):
            return False
        _warn(
            f"PITR {there.name!r} is for {target_text(there)}, not for "
            f"{target_text(self.expected)}: it is left as it is"
        )
        return True


class AlterNewest(_OfNewest, AlterPitr):
    """ALTER PITR, unless it has the range already; CREATE PITR where it is missing and is known.

    :param name: the generation's, as it is expected.
    """

    def __init__(self, policy: str, range: PitrRange, name: str, expected: Pitr | None) -> None:
        super().__init__(name, range)
        self.policy = policy
        self.expected = expected

    def decide(self, state: ServerState) -> PitrDDLElement | None:
        there = find_pitr(state.pitrs, self.policy, self.wanted)
        if there is None:  # somebody else's of that name
            there = find_pitr(state.pitrs, self.policy)
        if there is not None:
            held = state.held.get(there.name)
            if self.range in (there.range, held) or self.is_foreign(there):
                return None
            if held is not None:
                _warn(
                    f"PITR {there.name!r} is held (holds() says why), and altered to {self.range} "
                    "all the same: what is out of that can be collected"
                )
            return AlterPitr(there.name, self.range)
        if self.expected is None:
            _warn_missing(self.policy, f"alter_pitr to {self.range} has done nothing")
            return None
        create = CreateWhereMissing(self.expected.with_range(self.range))
        create.was_there = True
        element = create.decide(state)
        if element is not None:
            _warn_missing(self.policy, f"alter_pitr creates it, with {self.range}")
        return element


class DropNewest(_OfNewest, DropPitr):
    """DROP PITR.

    :param name: the generation's, as it is expected.
    :param if_exists: say nothing where there is none.
    :param if_active: only one that still protects its object; what is left else is history.
    """

    note_on_failure = HOW_TO_DROP

    def __init__(
        self, policy: str, name: str, expected: Pitr | None, if_exists: bool, if_active: bool
    ) -> None:
        super().__init__(fit_pitr_name(name), if_exists)
        self.name = name  # which somebody else may have given
        self.policy = policy
        self.expected = expected
        self.if_active = if_active

    def decide(self, state: ServerState) -> PitrDDLElement | None:
        there = find_pitr(state.pitrs, self.policy, self.wanted)
        if there is None:  # somebody else's of that name
            there = find_pitr(state.pitrs, self.policy)
        if there is None:
            if not self.if_exists and not self.if_active:
                _warn_missing(self.policy, "drop_pitr has done nothing")
            return None
        if self.is_foreign(there) or (self.if_active and is_detached(there)):
            return None
        return DropPitr.of(there)


def _warn_missing(name: str, what: str) -> None:
    _warn(
        f"PITR {name!r} does not exist in this account: {what}. A revision before may have failed "
        "to create it. alembic check says what is missing, mo-pitr apply MODULE:metadata creates it"
    )


def _warn(message: str) -> None:
    warnings.warn(message, SAWarning, stacklevel=2)
