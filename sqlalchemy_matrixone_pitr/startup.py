"""Policies that are there when a program starts, whoever made the tables.

:func:`ensure_pitrs` and :func:`install_engine_hook` may be called by many processes at once.
"""

from __future__ import annotations

import os
import threading
import warnings
import weakref
from typing import TYPE_CHECKING, Any

from sqlalchemy import event
from sqlalchemy.engine import Connection, Engine
from sqlalchemy.exc import SAWarning

from .apply import apply_plan, warn_not_done
from .connections import current_database
from .declarations import Databases, Schemas, bind_declarations, declares_any
from .errors import PitrValidationError
from .generations import object_of
from .locking import DEFAULT_TIMEOUT
from .model import PitrStatus
from .plan.actions import Action
from .plan.compare import compare
from .plan.reading import plan_bound, read_declared
from .report import ApplyReport, carried
from .show import read_pitrs, reading

if TYPE_CHECKING:
    from sqlalchemy.ext.asyncio import AsyncEngine

_lock = threading.Lock()


def ensure_pitrs(
    engine: Engine, metadata: Schemas, *, timeout: float = DEFAULT_TIMEOUT
) -> ApplyReport:
    """Create the declared policies that are missing, at once; for the start of a program.

    Two reading statements at most when all is well: what is listed, by name, target and range, is
    taken for present (``mo-pitr check`` also finds what is detached). Otherwise it is planned and
    applied under the account lock, so that many processes may start at once: the first creates, the
    others find it done. Nothing destructive is done; what is left is said in a warning. Tables that
    do not exist yet are passed over.

    :param timeout: seconds to wait for the account lock.
    :raises PitrError: something could not be done; the message has the whole report.

    >>> from sqlalchemy import MetaData, create_engine
    >>> engine, metadata = create_engine(url), MetaData()
    >>> declare_pitrs(metadata, Pitr.account("nightly", "7d"))
    >>> print(ensure_pitrs(engine, metadata))
    1 done
    >>> print(ensure_pitrs(engine, metadata))
    nothing to do
    """
    if not isinstance(engine, Engine):
        raise PitrValidationError(
            f"ensure_pitrs takes an Engine, not {type(engine).__name__}: it uses connections of "
            "its own; for an AsyncEngine there is ensure_pitrs_async"
        )
    if not declares_any(metadata):
        warnings.warn(
            "the metadata declare no policy, so ensure_pitrs protects nothing: are the modules "
            "with the models imported before it is called?",
            SAWarning,
            stacklevel=2,
        )
    names = Databases.of(engine)
    with reading(engine) as connection:
        listed = [pitr.with_status(PitrStatus.ACTIVE) for pitr in read_pitrs(connection, {})]
        names = names.told(lambda: current_database(connection))
        if compare(bind_declarations(metadata, names).pitrs, listed).in_sync:
            return ApplyReport()
    bound, state = read_declared(engine, metadata, with_parts=False)
    plan = plan_bound(bound, state)

    def exists(action: Action) -> bool:
        return action.pitr.database_name is None or object_of(action.pitr) in state.objects

    def possible(action: Action) -> bool:
        return exists(action) and not action.destructive

    left = [action for action in plan.destructive if exists(action)]
    report = apply_plan(engine, plan.only(possible), keep_going=True, timeout=timeout)
    report.raise_for_failed()
    with carried(lambda: report, str):  # a warning may be an error
        warn_not_done(left)
    return report


class _Hook:
    """Runs :func:`ensure_pitrs` at the first checkout of each process."""

    def __init__(self, engine: Engine, metadata: Schemas, timeout: float) -> None:
        self._engine = weakref.ref(engine)
        self.metadata = metadata
        self._timeout = timeout
        self._done_in: int | None = None

    def __call__(self, connection: Connection) -> None:
        engine = self._engine()
        process = os.getpid()
        with _lock:
            if self._done_in == process or engine is None:
                return
            self._done_in = process  # also for the connections that ensure_pitrs makes itself
        try:
            ensure_pitrs(engine, self.metadata, timeout=self._timeout)
        except BaseException:
            self._done_in = None
            connection.close()
            raise


_hooks: weakref.WeakKeyDictionary[Engine, list[_Hook]] = weakref.WeakKeyDictionary()


def install_engine_hook(
    engine: Engine | AsyncEngine, metadata: Schemas, *, timeout: float = DEFAULT_TIMEOUT
) -> None:
    """Let an engine call :func:`ensure_pitrs` once in each process, at its first checkout.

    It uses connections of its own, so that a pool of one is enough. Other threads do not wait for
    it. An error is raised from that checkout, and the next one tries again. Tables that do not
    exist yet are left for ``create_all``. Called twice for the same metadata, it does nothing more.

    >>> from sqlalchemy import MetaData, create_engine
    >>> engine, metadata = create_engine(url), MetaData()
    >>> declare_pitrs(metadata, Pitr.account("nightly", "7d"))
    >>> install_engine_hook(engine, metadata)
    >>> with engine.connect() as conn:
    ...     PitrManager(engine).exists("nightly")
    True
    """
    sync: Any = getattr(engine, "sync_engine", engine)
    if not isinstance(sync, Engine):
        raise PitrValidationError(
            f"install_engine_hook takes an Engine or AsyncEngine, not {type(engine).__name__}"
        )
    with _lock:
        hooks = _hooks.setdefault(sync, [])
        if any(hook.metadata is metadata for hook in hooks):
            return
        hook = _Hook(sync, metadata, timeout)
        hooks.append(hook)
    event.listen(sync, "engine_connect", hook)
