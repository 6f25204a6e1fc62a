"""The asyncio forms: the same code, run in SQLAlchemy's greenlet. No decision is made here.

Needs ``sqlalchemy[asyncio]`` (the extras ``aiomysql`` and ``asyncmy`` bring it); importing this
module does not.
"""

from __future__ import annotations

import builtins
import datetime as dt
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, ParamSpec, TypeVar

from .apply import apply_plan
from .declarations import Schemas
from .errors import PitrValidationError
from .locking import DEFAULT_TIMEOUT
from .manager import PitrManager, TransactionPitrManager
from .model import Pitr, PitrLevel, PitrUnit, RangeLike, RecoveryWindow
from .moment import Moment
from .plan.actions import Include, Plan
from .plan.reading import plan_pitrs
from .reflection import get_pitrs, get_recovery_windows
from .renewal import prune_history, renew_pitr
from .report import ApplyReport, OnProgress
from .startup import ensure_pitrs

if TYPE_CHECKING:
    from sqlalchemy.ext.asyncio import (
        AsyncConnection,
        AsyncEngine,
        AsyncSession,
        async_scoped_session,
    )

_P = ParamSpec("_P")
_R = TypeVar("_R")


async def _run(function: Callable[_P, _R], *args: _P.args, **kwargs: _P.kwargs) -> _R:
    from sqlalchemy.util import greenlet_spawn

    return await greenlet_spawn(lambda: function(*args, **kwargs))


def _sync(bind: Any) -> Any:
    """The Engine, Connection or Session inside an asyncio one."""
    if callable(bind) and hasattr(bind, "registry"):  # async_scoped_session
        bind = bind()
    for attribute in ("sync_connection", "sync_session", "sync_engine"):
        if hasattr(bind, attribute):
            inner = getattr(bind, attribute)
            if inner is None:
                raise PitrValidationError(
                    "the AsyncConnection is not started: await it, or use async with"
                )
            return inner
    raise PitrValidationError(
        f"{type(bind).__name__} is not an asyncio engine, connection or session: the functions and "
        "managers without async in their name take the others"
    )


class _AsyncPitrMethods:
    """Every call is the sync manager's, awaited."""

    @property
    def _manager(self) -> PitrManager | TransactionPitrManager:
        raise NotImplementedError

    async def create_cluster_pitr(
        self, name: str, range_value: int | RangeLike = 1, range_unit: PitrUnit | str | None = None
    ) -> Pitr:
        """See :meth:`PitrManager.create_cluster_pitr`."""
        return await _run(self._manager.create_cluster_pitr, name, range_value, range_unit)

    async def create_account_pitr(
        self,
        name: str,
        account_name: str | None = None,
        range_value: int | RangeLike = 1,
        range_unit: PitrUnit | str | None = None,
    ) -> Pitr:
        """See :meth:`PitrManager.create_account_pitr`."""
        return await _run(
            self._manager.create_account_pitr, name, account_name, range_value, range_unit
        )

    async def create_database_pitr(
        self,
        name: str,
        database_name: str,
        range_value: int | RangeLike = 1,
        range_unit: PitrUnit | str | None = None,
    ) -> Pitr:
        """See :meth:`PitrManager.create_database_pitr`."""
        return await _run(
            self._manager.create_database_pitr, name, database_name, range_value, range_unit
        )

    async def create_table_pitr(
        self,
        name: str,
        database_name: str,
        table_name: str,
        range_value: int | RangeLike = 1,
        range_unit: PitrUnit | str | None = None,
    ) -> Pitr:
        """See :meth:`PitrManager.create_table_pitr`."""
        return await _run(
            self._manager.create_table_pitr,
            name,
            database_name,
            table_name,
            range_value,
            range_unit,
        )

    async def create(self, pitr: Pitr, if_not_exists: bool = False) -> Pitr:
        """See :meth:`PitrManager.create`."""
        return await _run(self._manager.create, pitr, if_not_exists)

    async def get(self, name: str) -> Pitr:
        """See :meth:`PitrManager.get`."""
        return await _run(self._manager.get, name)

    async def list(
        self,
        level: PitrLevel | str | None = None,
        account_name: str | None = None,
        database_name: str | None = None,
        table_name: str | None = None,
        *,
        generations: bool = False,
    ) -> builtins.list[Pitr]:
        """See :meth:`PitrManager.list`."""
        return await _run(
            self._manager.list,
            level,
            account_name,
            database_name,
            table_name,
            generations=generations,
        )

    async def alter(
        self, name: str, range_value: int | RangeLike, range_unit: PitrUnit | str | None = None
    ) -> Pitr:
        """See :meth:`PitrManager.alter`."""
        return await _run(self._manager.alter, name, range_value, range_unit)

    async def delete(self, name: str) -> bool:
        """See :meth:`PitrManager.delete`."""
        return await _run(self._manager.delete, name)

    async def exists(self, name: str) -> bool:
        """See :meth:`PitrManager.exists`."""
        return await _run(self._manager.exists, name)

    async def renew(self, name: str, keep_history: bool = True) -> Pitr:
        """See :meth:`PitrManager.renew`."""
        return await _run(self._manager.renew, name, keep_history)

    async def restore(
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
        """See :meth:`PitrManager.restore`."""
        await _run(
            self._manager.restore,
            name,
            at,
            level=level,
            account=account,
            from_account=from_account,
            database=database,
            table=table,
            check=check,
            renew=renew,
        )


class AsyncPitrManager(_AsyncPitrMethods):
    """:class:`PitrManager` on an AsyncEngine: each call takes effect at once."""

    def __init__(
        self, bind: AsyncEngine, *, serialize: bool = False, timeout: float = DEFAULT_TIMEOUT
    ) -> None:
        self._of_engine = PitrManager(_sync(bind), serialize=serialize, timeout=timeout)

    @property
    def _manager(self) -> PitrManager:
        return self._of_engine


class AsyncTransactionPitrManager(_AsyncPitrMethods):
    """:class:`TransactionPitrManager` in an AsyncConnection's or AsyncSession's transaction."""

    def __init__(
        self,
        bind: AsyncConnection | AsyncSession | async_scoped_session[Any],
        bind_arguments: Mapping[str, Any] | None = None,
    ) -> None:
        self._bind = bind
        self._bind_arguments = bind_arguments
        if not hasattr(bind, "registry"):
            _ = self._manager  # what does not fit is refused now

    @property
    def _manager(self) -> TransactionPitrManager:
        # made for each call: an async_scoped_session stands for the session of the calling task
        return TransactionPitrManager(_sync(self._bind), self._bind_arguments)


async def get_pitrs_async(
    bind: AsyncEngine | AsyncConnection | AsyncSession | async_scoped_session[Any],
    *,
    level: PitrLevel | str | None = None,
    account_name: str | None = None,
    database_name: str | None = None,
    table_name: str | None = None,
    with_status: bool = False,
) -> list[Pitr]:
    """See :func:`get_pitrs`."""
    return await _run(
        get_pitrs,
        _sync(bind),
        level=level,
        account_name=account_name,
        database_name=database_name,
        table_name=table_name,
        with_status=with_status,
    )


async def get_recovery_windows_async(
    bind: AsyncEngine | AsyncConnection | AsyncSession | async_scoped_session[Any],
    *,
    account_name: str | None = None,
    database_name: str | None = None,
    table_name: str | None = None,
) -> list[RecoveryWindow]:
    """See :func:`get_recovery_windows`."""
    return await _run(
        get_recovery_windows,
        _sync(bind),
        account_name=account_name,
        database_name=database_name,
        table_name=table_name,
    )


async def plan_pitrs_async(
    bind: AsyncEngine | AsyncConnection | AsyncSession | async_scoped_session[Any],
    metadata: Schemas,
    *,
    drop_undeclared: bool = False,
    include: Include | None = None,
) -> Plan:
    """See :func:`plan_pitrs`."""
    return await _run(
        plan_pitrs, _sync(bind), metadata, drop_undeclared=drop_undeclared, include=include
    )


async def apply_plan_async(
    engine: AsyncEngine,
    plan: Plan,
    concurrency: int = 4,
    allow_destructive: bool = False,
    on_progress: OnProgress | None = None,
    *,
    keep_going: bool = False,
    timeout: float = DEFAULT_TIMEOUT,
) -> ApplyReport:
    """See :func:`apply_plan`; ``on_progress`` is an ordinary function."""
    return await _run(
        apply_plan,
        _sync(engine),
        plan,
        concurrency,
        allow_destructive,
        on_progress,
        keep_going=keep_going,
        timeout=timeout,
    )


async def ensure_pitrs_async(
    engine: AsyncEngine, metadata: Schemas, *, timeout: float = DEFAULT_TIMEOUT
) -> ApplyReport:
    """See :func:`ensure_pitrs`."""
    return await _run(ensure_pitrs, _sync(engine), metadata, timeout=timeout)


async def renew_pitr_async(
    bind: AsyncEngine | AsyncConnection | AsyncSession | async_scoped_session[Any],
    name: str,
    keep_history: bool = True,
    *,
    timeout: float = DEFAULT_TIMEOUT,
) -> Pitr:
    """See :func:`renew_pitr`."""
    return await _run(renew_pitr, _sync(bind), name, keep_history, timeout=timeout)


async def prune_history_async(
    bind: AsyncEngine | AsyncConnection | AsyncSession | async_scoped_session[Any],
    *,
    timeout: float = DEFAULT_TIMEOUT,
) -> list[Pitr]:
    """See :func:`prune_history`."""
    return await _run(prune_history, _sync(bind), timeout=timeout)
