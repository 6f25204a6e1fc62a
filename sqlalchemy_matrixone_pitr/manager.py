"""PITR management with the method names of the MatrixOne SDK, on an Engine or in a transaction.

===============================  ==========================================================
manager                          a call takes effect
===============================  ==========================================================
:class:`PitrManager`             at once, on a connection of its own
:class:`TransactionPitrManager`  when the transaction commits; a rollback discards it
===============================  ==========================================================

The asyncio forms are in ``aio.py`` and make no decision of their own.
"""

from __future__ import annotations

import builtins
import contextlib
import datetime as dt
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from sqlalchemy.engine import Connection, Engine

from .connections import kill_on_abort, refuse_in_past
from .ddl import AlterPitr, CreatePitr, DropPitr, RestorePitr, overlay
from .declarations import real_database
from .errors import PitrAlreadyExistsError, PitrNotFoundError, PitrValidationError
from .generations import find_pitr, find_policy, policies, split_generation
from .locking import DEFAULT_TIMEOUT, account_lock
from .model import Pitr, PitrLevel, PitrRange, PitrUnit, RangeLike, range_of_arguments
from .moment import Moment
from .names import check_pitr_name, fold
from .reflection import get_pitrs
from .renewal import is_rebuilt, renew_pitr, renewal, renewed_pitr
from .session import SessionFlush
from .show import filters, own_account, read_generations, read_pitrs, reading
from .status import read_state
from .transaction import TransactionalDDLElement, attach, execute, pending_pitrs, send_idle

if TYPE_CHECKING:
    from sqlalchemy.orm import Session, scoped_session


class _PitrMethods:
    """Methods of both managers, which differ in how they create, read, alter and delete.

    ``range_value`` and ``range_unit`` are the SDK's; a range such as ``"7d"`` takes the place of
    both: see :func:`range_of_arguments`.
    """

    def create_cluster_pitr(
        self, name: str, range_value: int | RangeLike = 1, range_unit: PitrUnit | str | None = None
    ) -> Pitr:
        """Protect the whole cluster (sys only)."""
        return self.create(Pitr.cluster(name, _range(range_value, range_unit)))

    def create_account_pitr(
        self,
        name: str,
        account_name: str | None = None,
        range_value: int | RangeLike = 1,
        range_unit: PitrUnit | str | None = None,
    ) -> Pitr:
        """Protect the current account, or (sys only) another one."""
        range = _range(range_value, range_unit)
        return self.create(Pitr.account(name, range, account_name=account_name))

    def create_database_pitr(
        self,
        name: str,
        database_name: str,
        range_value: int | RangeLike = 1,
        range_unit: PitrUnit | str | None = None,
    ) -> Pitr:
        """Protect a database and all that is in it."""
        range = _range(range_value, range_unit)
        return self.create(Pitr.database(name, range, database_name=database_name))

    def create_table_pitr(
        self,
        name: str,
        database_name: str,
        table_name: str,
        range_value: int | RangeLike = 1,
        range_unit: PitrUnit | str | None = None,
    ) -> Pitr:
        """Protect one table. ALTER TABLE may end that protection: see :class:`PitrStatus`."""
        range = _range(range_value, range_unit)
        return self.create(Pitr.table(name, table_name, range, database_name=database_name))

    def create(self, pitr: Pitr, if_not_exists: bool = False) -> Pitr:
        """Create a policy and return it as declared; ``created_time`` is None until it is read."""
        raise NotImplementedError

    def get(self, name: str) -> Pitr:
        """The policy of that name: of a renewed one, its newest generation.

        :raises PitrNotFoundError: this account has made none.
        """
        found = self._find(check_pitr_name(name))
        if found is None:
            raise _not_found(name)
        return found

    def exists(self, name: str) -> bool:
        """Whether this account has made a policy of that name, at any level and of any status."""
        return self._find(check_pitr_name(name), times=False) is not None

    def list(
        self,
        level: PitrLevel | str | None = None,
        account_name: str | None = None,
        database_name: str | None = None,
        table_name: str | None = None,
        *,
        generations: bool = False,
    ) -> builtins.list[Pitr]:
        """The policies that this account has made, newest first.

        In a transaction they are as its COMMIT will leave them; those that wait come first.

        :param generations: also the older generations of renewed policies.
        """
        found = self._list(
            level=level,
            account_name=account_name,
            database_name=database_name,
            table_name=table_name,
        )
        return found if generations else _newest(found)

    def restore(
        self,
        name: str,
        at: Moment | dt.datetime | str,
        *,
        level: PitrLevel | str | None = None,
        account: str | None = None,
        from_account: str | None = None,
        database: str | None = None,
        table: str | None = None,
        check: bool = True,
        renew: bool = False,
    ) -> None:
        """Restore a target from the policy, at once: see :class:`RestorePitr`.

        No rollback undoes it, and it is never queued. Policies that it detached are named in a
        warning.

        :param check: False sends the statement without asking for foreign keys.
        :param renew: True renews the policies that the restore detached.
        :raises PitrRestoreError: the server would do nothing and say OK, or it refused.
        :raises PitrPermissionError: this user may not ask for foreign keys.
        :raises PitrTransactionError: inside a transaction, where a Session always is.
        """
        self._restore(
            RestorePitr(
                name, at, level, account, from_account, database, table, check=check, renew=renew
            )
        )

    def _list(self, *, database_name: str | None, **scope: Any) -> builtins.list[Pitr]:
        raise NotImplementedError

    def _restore(self, element: RestorePitr) -> None:
        raise NotImplementedError

    def _find(self, name: str, *, times: bool = True) -> Pitr | None:
        raise NotImplementedError


def _range(value: int | RangeLike, unit: PitrUnit | str | None) -> PitrRange:
    """The range of a ``create_*``: a number without a unit is days, as in the SDK."""
    return range_of_arguments(value, unit, PitrUnit.DAY)


def _name_to_drop(name: str) -> tuple[str, PitrValidationError | None]:
    """A name to look for; somebody else's policy may have one that we would not give.

    :return: the name, folded, and what is raised where no policy has it.
    :raises PitrValidationError: no policy can have it.
    """
    try:
        return check_pitr_name(name), None
    except PitrValidationError as error:
        if not isinstance(name, str) or "\\" not in name:
            raise
        return fold(name), error


def _not_found(name: str) -> PitrNotFoundError:
    return PitrNotFoundError(
        f"PITR {name!r} does not exist in this account: names belong to the account that made "
        "them; list() shows them",
        name=name,
    )


class PitrManager(_PitrMethods):
    """PITR management on an Engine: each call takes effect at once and raises its own error.

    A call uses an idle connection of its own, never one that the caller holds.

    >>> from sqlalchemy import create_engine
    >>> pitrs = PitrManager(create_engine(url))
    >>> pitrs.create_account_pitr("nightly", range_value=7)
    Pitr('nightly', 'account', '7d')
    >>> pitrs.delete("nightly"), pitrs.delete("nightly")
    (True, False)

    :param serialize: take the account lock for each change, so that several programs that create
        the same policy at once cannot corrupt the catalogue of MatrixOne 3.0.9.
    :param timeout: seconds to wait for that lock.
    """

    def __init__(
        self, bind: Engine, *, serialize: bool = False, timeout: float = DEFAULT_TIMEOUT
    ) -> None:
        if not isinstance(bind, Engine):
            raise PitrValidationError(
                f"PitrManager takes an Engine, not {type(bind).__name__}: for a Connection or "
                "Session use TransactionPitrManager; for an AsyncEngine AsyncPitrManager"
            )
        self._engine = bind
        self._serialize = serialize
        self._timeout = timeout

    def create(self, pitr: Pitr, if_not_exists: bool = False) -> Pitr:
        """Create a policy: one statement, no read-back.

        :raises PitrAlreadyExistsError: the name, or an active policy for the object, is there.
        :raises PitrTargetError: the object is missing.
        """
        element = CreatePitr(pitr, if_not_exists)
        element.check_dialect(self._engine.dialect)
        with self._changing(CreatePitr) as connection:
            self._send(element, connection)
        return pitr

    def _list(self, *, database_name: str | None, **scope: Any) -> list[Pitr]:
        return get_pitrs(self._engine, database_name=database_name, **scope)

    def alter(
        self, name: str, range_value: int | RangeLike, range_unit: PitrUnit | str | None = None
    ) -> Pitr:
        """Change the range and return the policy; ``modified_time`` is None until it is read.

        Every ALTER, even to the range it has, makes the server's shown window start anew.

        :raises PitrNotFoundError: this account has made none of that name.
        """
        range = range_of_arguments(range_value, range_unit)
        wanted = check_pitr_name(name)
        with self._changing(AlterPitr) as connection:
            there = _find(connection, wanted)
            if there is not None:
                self._send(AlterPitr(there.name, range), connection)
        if there is None:
            raise _not_found(name)
        return there.with_range(range)

    def delete(self, name: str) -> bool:
        """Drop the policy; False where this account has none of that name.

        Of a renewed one its newest generation goes; the older ones stay, and with them its history.
        """
        wanted, refusal = _name_to_drop(name)
        try:
            with self._changing(DropPitr) as connection:
                found = _find(connection, wanted, times=False)
                if found is not None:
                    self._send(DropPitr.of(found), connection)
        except PitrNotFoundError:
            return False
        if found is None and refusal is not None:
            raise refusal
        return found is not None

    def renew(self, name: str, keep_history: bool = True) -> Pitr:
        """Protect the policy's object again after it was rebuilt: see :func:`renew_pitr`."""
        return renew_pitr(self._engine, name, keep_history, timeout=self._timeout)

    def _restore(self, element: RestorePitr) -> None:
        element.check_dialect(self._engine.dialect)
        refuse_in_past(self._engine.get_execution_options(), type(element).__name__)
        element.send_aside(self._engine, {})

    def _find(self, name: str, *, times: bool = True) -> Pitr | None:
        with reading(self._engine) as connection:
            return _find(connection, name, times=times)

    @contextlib.contextmanager
    def _changing(self, by: type[TransactionalDDLElement]) -> Iterator[Connection]:
        """A connection to change one policy on; under the account lock where that is wanted."""
        refuse_in_past(self._engine.get_execution_options(), by.__name__)
        with contextlib.ExitStack() as stack:
            if self._serialize:
                stack.enter_context(account_lock(self._engine, self._timeout))
            connection = stack.enter_context(reading(self._engine))
            if self._serialize:
                stack.enter_context(kill_on_abort(self._engine, connection))
            yield connection

    def _send(self, element: TransactionalDDLElement, connection: Connection) -> None:
        attach(self._engine)
        send_idle(connection, element, self._engine.get_execution_options(), {})


class TransactionPitrManager(_PitrMethods):
    """PITR management inside a transaction: effective at its COMMIT, discarded by its rollback.

    ``get``, ``list`` and ``exists`` see what is committed, with this transaction's own waiting
    statements laid over it.

    :param bind: a Connection, or a Session, whose transaction it is.
    :param bind_arguments: as of :meth:`sqlalchemy.orm.Session.connection`, for a session with
        several binds.

    An error after COMMIT is a :class:`PitrAfterCommitError`. With a Session it is raised when the
    session's transaction has ended: its objects are persistent, the session is usable.

    >>> from sqlalchemy import create_engine
    >>> engine = create_engine(url)
    >>> with engine.begin() as conn:
    ...     pitrs = TransactionPitrManager(conn)
    ...     nightly = pitrs.create_account_pitr("nightly", range_value=7)
    ...     pitrs.exists("nightly"), PitrManager(engine).exists("nightly")
    (True, False)
    >>> PitrManager(engine).exists("nightly")
    True
    """

    def __init__(
        self,
        bind: Connection | Session | scoped_session[Any],
        bind_arguments: Mapping[str, Any] | None = None,
    ) -> None:
        if isinstance(bind, Connection):
            if bind_arguments is not None:
                raise PitrValidationError("bind_arguments are for a Session, not a Connection")
        elif not hasattr(bind, "get_bind") or hasattr(bind, "sync_session"):
            raise PitrValidationError(
                f"TransactionPitrManager takes a Connection or Session, not {type(bind).__name__}: "
                "for an Engine use PitrManager; for asyncio AsyncTransactionPitrManager"
            )
        self._bind = bind
        self._bind_arguments = dict(bind_arguments) if bind_arguments is not None else None

    def _connection(self) -> Connection:
        if isinstance(self._bind, Connection):
            return self._bind
        # a copy each time: SQLAlchemy takes the bind out of it
        arguments = self._bind_arguments
        return self._bind.connection(None if arguments is None else dict(arguments))

    def _execute(self, element: TransactionalDDLElement) -> None:
        session = None
        if not isinstance(self._bind, Connection):
            # a scoped_session stands for the Session of its scope
            of_scope = self._bind() if callable(self._bind) else self._bind
            session = SessionFlush.of(of_scope)
        execute(self._connection(), element, {}, session=session)

    def create(self, pitr: Pitr, if_not_exists: bool = False) -> Pitr:
        """Create a policy at COMMIT.

        What the server would refuse then is found out then, except what is plain already: the
        name given twice in this transaction.
        """
        element = CreatePitr(pitr, if_not_exists)
        waiting = {
            queued.name
            for queued in pending_pitrs(self._connection())
            if isinstance(queued, CreatePitr | DropPitr)
        }
        if pitr.name in waiting and not if_not_exists and self.exists(pitr.name):
            raise PitrAlreadyExistsError(
                f"PITR {pitr.name!r} is created in this transaction already: names are per "
                "account; choose another name",
                name=pitr.name,
            )
        self._execute(element)
        return pitr

    def _list(self, *, database_name: str | None, **scope: Any) -> list[Pitr]:
        connection = self._connection()
        wanted = filters(database_name=real_database(connection, database_name), **scope)
        waiting = pending_pitrs(connection)
        with reading(connection) as aside:
            # all of them where some wait: a name may be held by a policy that the filters leave out
            committed = read_pitrs(aside, {} if waiting else wanted)
            own = own_account(aside) if "account_name" in wanted else ""
        return [pitr for pitr in overlay(committed, waiting) if _matches(pitr, wanted, own)]

    def alter(
        self, name: str, range_value: int | RangeLike, range_unit: PitrUnit | str | None = None
    ) -> Pitr:
        """Change the range at COMMIT; returns the policy with its new range.

        :raises PitrNotFoundError: neither committed nor created in this transaction.
        """
        range = range_of_arguments(range_value, range_unit)
        found = self.get(name)
        self._execute(AlterPitr(found.name, range))
        return found.with_range(range)

    def delete(self, name: str) -> bool:
        """Drop the policy at COMMIT; False, and nothing waits, where there is none of that name."""
        wanted, refusal = _name_to_drop(name)
        found = self._find(wanted, times=False)
        if found is None:
            if refusal is not None:
                raise refusal
            return False
        self._execute(DropPitr.of(found))
        return True

    def renew(self, name: str, keep_history: bool = True) -> Pitr:
        """Create the policy's next generation at COMMIT, where its object was rebuilt.

        Rebuilt before, or in this transaction. See :func:`renew_pitr`.

        :raises PitrNotFoundError: not committed.
        """
        connection = self._connection()
        with reading(connection.engine) as aside:
            state = read_state(aside, tables=())
        policy = find_policy(state.pitrs, check_pitr_name(name))
        if policy is None:
            raise _not_found(name)
        if not policy.detached and not is_rebuilt(connection, policy, state):
            return policy.current
        for element in renewal(state, policy, keep_history):
            self._execute(element)
        return renewed_pitr(policy, keep_history)

    def _restore(self, element: RestorePitr) -> None:
        self._execute(element)

    def _find(self, name: str, *, times: bool = True) -> Pitr | None:
        connection = self._connection()
        waiting = [
            element
            for element in pending_pitrs(connection)
            if name in (element.pitr_name, split_generation(element.pitr_name)[0])
        ]
        with reading(connection) as aside:
            committed = read_generations(aside, name, times=times)
        return find_pitr(overlay(committed, waiting), name)


def _find(connection: Connection, name: str, *, times: bool = True) -> Pitr | None:
    return find_pitr(read_generations(connection, name, times=times), name)


def _newest(pitrs: list[Pitr]) -> list[Pitr]:
    """Each policy once: its newest generation; in the order they came in."""
    newest = {policy.current.name for policy in policies(pitrs)}
    return [pitr for pitr in pitrs if pitr.name in newest]


def _matches(pitr: Pitr, wanted: Mapping[str, str], own: str) -> bool:
    """Whether SHOW PITR would find it: it shows the account at all levels but the cluster's."""
    account = None if pitr.level is PitrLevel.CLUSTER else pitr.account_name or own
    shown = {
        "pitr_level": pitr.level.value,
        "account_name": account,
        "database_name": pitr.database_name,
        "table_name": pitr.table_name,
    }
    return all(shown[column] == value for column, value in wanted.items())
