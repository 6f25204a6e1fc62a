"""The asyncio forms: the same code, run in SQLAlchemy's greenlet. No decision is made here.

Needs ``sqlalchemy[asyncio]`` (the extras ``aiomysql`` and ``asyncmy`` bring it); importing this
module does not.
"""

from __future__ import annotations

import functools
import itertools
from collections.abc import Callable, Coroutine, Iterable, Mapping
from typing import TYPE_CHECKING, Any, Concatenate, ParamSpec, TypeAlias, TypeVar

from sqlalchemy import Engine

from .apply import apply_plan
from .coverage.coverage import coverage
from .coverage.reading import check_kept
from .errors import PitrValidationError
from .hold import hold, holds, release
from .locking import DEFAULT_TIMEOUT
from .manager import PitrManager, TransactionPitrManager
from .moment import Moment, MomentLike
from .past.changes import find_change, find_changes
from .past.comparison import Target, Where
from .past.dropped import dropped_objects, undrop
from .past.row_change import RowChange
from .past.rows import RowChanges, diff_rows, diff_summary
from .past.session import past_arguments, past_engines, prepare
from .past.undo import undo_changes, undo_sql
from .plan.reading import plan_pitrs
from .reflection import get_pitrs, get_recovery_windows
from .renewal import prune_history, renew_pitr
from .restore.copy import restore_copy
from .restore.preview import preview_restore
from .restore.records import forget_copies, restore_records
from .restore.restoring import restore
from .restore.undoing import undo_restore
from .startup import ensure_pitrs

if TYPE_CHECKING:
    from sqlalchemy.ext.asyncio import (
        AsyncConnection,
        AsyncEngine,
        AsyncSession,
        async_scoped_session,
        async_sessionmaker,
    )

    AsyncBind: TypeAlias = (
        AsyncEngine | AsyncConnection | AsyncSession | async_scoped_session[AsyncSession]
    )

_P = ParamSpec("_P")
_R = TypeVar("_R")
_F = TypeVar("_F", bound=Callable[..., Any])


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


def _method(
    function: Callable[Concatenate[Any, _P], _R],
) -> Callable[Concatenate[_AsyncPitrMethods, _P], Coroutine[Any, Any, _R]]:
    """A manager's method of the same name and signature, awaited."""

    @functools.wraps(function)
    async def call(self: _AsyncPitrMethods, /, *args: _P.args, **kwargs: _P.kwargs) -> _R:
        method: Callable[_P, _R] = getattr(self._manager, function.__name__)
        return await _run(method, *args, **kwargs)

    return _documented(call, f":meth:`PitrManager.{function.__name__}`")


def _awaited(
    function: Callable[Concatenate[Any, _P], _R],
) -> Callable[Concatenate[AsyncBind, _P], Coroutine[Any, Any, _R]]:
    """A function of the same signature whose first argument is an asyncio bind, awaited."""

    @functools.wraps(function)
    async def call(bind: AsyncBind, /, *args: _P.args, **kwargs: _P.kwargs) -> _R:
        return await _run(function, _sync(bind), *args, **kwargs)

    call.__name__ = call.__qualname__ = f"{function.__name__}_async"
    return _documented(call, f":func:`{function.__name__}`")


def _awaited_on_engine(
    function: Callable[Concatenate[Engine, _P], _R],
) -> Callable[Concatenate[AsyncEngine, _P], Coroutine[Any, Any, _R]]:
    """The same for a function that takes nothing but an engine."""
    return _awaited(function)


def _documented(call: _F, what: str) -> _F:
    call.__module__ = __name__
    call.__doc__ = f"Await {what}, whose arguments and errors it has."
    return call


class _AsyncPitrMethods:
    """Every call is the sync manager's, awaited."""

    @property
    def _manager(self) -> PitrManager | TransactionPitrManager:
        raise NotImplementedError

    create_cluster_pitr = _method(PitrManager.create_cluster_pitr)
    create_account_pitr = _method(PitrManager.create_account_pitr)
    create_database_pitr = _method(PitrManager.create_database_pitr)
    create_table_pitr = _method(PitrManager.create_table_pitr)
    create = _method(PitrManager.create)
    get = _method(PitrManager.get)
    list = _method(PitrManager.list)
    alter = _method(PitrManager.alter)
    delete = _method(PitrManager.delete)
    exists = _method(PitrManager.exists)
    renew = _method(PitrManager.renew)
    restore = _method(PitrManager.restore)


class AsyncPitrManager(_AsyncPitrMethods):
    """:class:`PitrManager` on an AsyncEngine: each call takes effect at once.

    >>> import asyncio
    >>> from sqlalchemy.ext.asyncio import create_async_engine
    >>> async def protect():
    ...     engine = create_async_engine(url.replace("pymysql", "aiomysql"))
    ...     nightly = await AsyncPitrManager(engine).create_account_pitr("nightly", None, "7d")
    ...     await engine.dispose()
    ...     return nightly
    >>> asyncio.run(protect())
    Pitr('nightly', 'account', '7d')
    """

    def __init__(
        self, bind: AsyncEngine, *, serialize: bool = False, timeout: float = DEFAULT_TIMEOUT
    ) -> None:
        self._of_engine = PitrManager(_sync(bind), serialize=serialize, timeout=timeout)

    @property
    def _manager(self) -> PitrManager:
        return self._of_engine


class AsyncTransactionPitrManager(_AsyncPitrMethods):
    """:class:`TransactionPitrManager` in an AsyncConnection's or AsyncSession's transaction.

    >>> import asyncio
    >>> from sqlalchemy.ext.asyncio import create_async_engine
    >>> async def roll_back():
    ...     engine = create_async_engine(url.replace("pymysql", "aiomysql"))
    ...     async with engine.connect() as conn:
    ...         pitrs = AsyncTransactionPitrManager(conn)
    ...         await pitrs.create_account_pitr("weekly", range_value="7d")
    ...         there = await pitrs.exists("weekly")
    ...         await conn.rollback()
    ...         afterwards = await pitrs.exists("weekly")
    ...     await engine.dispose()
    ...     return there, afterwards
    >>> asyncio.run(roll_back())
    (True, False)
    """

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


get_pitrs_async = _awaited(get_pitrs)
get_recovery_windows_async = _awaited(get_recovery_windows)
plan_pitrs_async = _awaited(plan_pitrs)
apply_plan_async = _awaited_on_engine(apply_plan)
ensure_pitrs_async = _awaited_on_engine(ensure_pitrs)
renew_pitr_async = _awaited(renew_pitr)
prune_history_async = _awaited(prune_history)
find_changes_async = _awaited(find_changes)
find_change_async = _awaited(find_change)
diff_summary_async = _awaited(diff_summary)
undo_sql_async = _awaited(undo_sql)
dropped_objects_async = _awaited(dropped_objects)
undrop_async = _awaited(undrop)
restore_copy_async = _awaited(restore_copy)
preview_restore_async = _awaited(preview_restore)
restore_async = _awaited(restore)
undo_restore_async = _awaited(undo_restore)
restore_records_async = _awaited(restore_records)
hold_async = _awaited(hold)
release_async = _awaited(release)
holds_async = _awaited(holds)
forget_copies_async = _awaited(forget_copies)
undo_changes_async = _awaited(undo_changes)


class AsyncRowChanges:
    """The changes of :func:`diff_rows_async`, for ``async for``; see :class:`RowChanges`.

    Read to the end or closed, by ``async with`` or :meth:`aclose`: the statement runs until then.
    """

    def __init__(self, changes: RowChanges) -> None:
        self._changes = changes
        self._here: list[RowChange] = []
        self.table = changes.table
        self.at = changes.at
        self.until = changes.until
        self.columns = changes.columns
        self.key = changes.key
        self.added_columns = changes.added_columns
        self.dropped_columns = changes.dropped_columns

    def __aiter__(self) -> AsyncRowChanges:
        return self

    async def __anext__(self) -> RowChange:
        if not self._here:
            self._here = await _run(list, itertools.islice(self._changes, 500))
            self._here.reverse()
        if not self._here:
            raise StopAsyncIteration
        return self._here.pop()

    async def aclose(self) -> None:
        """See :meth:`RowChanges.close`."""
        self._here.clear()
        await _run(self._changes.close)

    async def __aenter__(self) -> AsyncRowChanges:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.aclose()


async def diff_rows_async(
    bind: AsyncBind,
    table: Target,
    at: MomentLike | str,
    *,
    until: MomentLike | str | None = None,
    where: Where = None,
    columns: Iterable[Any] | None = None,
    allow_unprotected: bool = False,
) -> AsyncRowChanges:
    """Await :func:`diff_rows`; then read with ``async for``.

    >>> import asyncio
    >>> from sqlalchemy import text
    >>> from sqlalchemy.ext.asyncio import create_async_engine
    >>> async def ask() -> None:
    ...     engine = create_async_engine(url.replace("pymysql", "aiomysql"))
    ...     async with engine.begin() as connection:
    ...         await connection.execute(text("CREATE TABLE crates (id INT PRIMARY KEY)"))
    ...     await asyncio.sleep(0.1)
    ...     now = await moment_now_async(engine)
    ...     changes = await diff_rows_async(engine, "crates", now, allow_unprotected=True)
    ...     async with changes:
    ...         async for change in changes:
    ...             print(change.kind, change.key)
    ...     await engine.dispose()
    >>> asyncio.run(ask())
    """
    return AsyncRowChanges(
        await _run(
            diff_rows,
            _sync(bind),
            table,
            at,
            until=until,
            where=where,
            columns=columns,
            allow_unprotected=allow_unprotected,
        )
    )


async def past_session_async(
    bind: AsyncEngine | async_sessionmaker[Any],
    moment: MomentLike,
    *,
    allow_unprotected: bool = False,
) -> AsyncSession:
    """An AsyncSession in which everything is as it was at a moment; see :func:`past_session`.

    >>> import asyncio
    >>> from sqlalchemy import text
    >>> from sqlalchemy.ext.asyncio import create_async_engine
    >>> async def ask() -> None:
    ...     engine = create_async_engine(url.replace("pymysql", "aiomysql"))
    ...     now = await moment_now_async(engine)
    ...     async with await past_session_async(engine, now, allow_unprotected=True) as then:
    ...         print(await then.scalar(text("SELECT 1")))
    ...     await engine.dispose()
    >>> asyncio.run(ask())
    1
    """
    from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession, async_sessionmaker

    at = Moment.of(moment)
    arguments = past_arguments(
        bind, at, allow_unprotected, maker=async_sessionmaker, engine=AsyncEngine
    )
    kind: Any = bind.class_ if isinstance(bind, async_sessionmaker) else AsyncSession
    made: AsyncSession = kind(**arguments)
    await _run(prepare, made.sync_session, at, past_engines(arguments))
    return made


async def moment_now_async(
    bind: AsyncBind,
) -> Moment:
    """See :meth:`Moment.now`."""
    return await _run(Moment.now, _sync(bind))


check_kept_async = _awaited(check_kept)
coverage_async = _awaited(coverage)
