"""Functions for env.py: ``register()`` once, ``pitr_options()`` in ``context.configure``."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable
from typing import Any

from alembic.autogenerate import comparators, renderers
from alembic.operations import BatchOperations, Operations
from alembic.util import DispatchPriority

from sqlalchemy_matrixone_pitr.declarations import Schemas, metadatas
from sqlalchemy_matrixone_pitr.model import check_flag
from sqlalchemy_matrixone_pitr.names import check_database_name

from .compare import compare_pitrs, leave_times_alone
from .conflicts import PitrConflictsOp, do_nothing, render
from .impl import register_impl
from .keys import read_keys_as_declared
from .offline import DATABASE, watch_scripts
from .ops import OPERATIONS, AlterPitrOp, CreatePitrOp, DropPitrOp, RenewPitrOp
from .order import order_drops
from .rebuild import AfterRevision, watch_revisions
from .refusals import as_refusals, watch_errors
from .render import RENDERERS
from .toimpl import alter_pitr, create_pitr, drop_pitr, renew_pitr
from .unnamed import (
    DropUnnamedConstraintOp,
    drop_unnamed_constraint,
    render as render_unnamed,
    write_unnamed,
)

_lock = threading.Lock()
_done = False

OnVersionApply = Callable[..., Any]


def register() -> None:
    """Make ``op.create_pitr`` and its siblings, and autogenerate's comparator, known to Alembic.

    For the process; called again, it does nothing. Safe beside other extensions: nothing of theirs
    is replaced.
    """
    global _done
    watch_revisions()
    with _lock:
        if _done:
            return
        for name, op in OPERATIONS.items():
            Operations.register_operation(name)(op)
        Operations.register_operation("drop_unnamed_constraint")(DropUnnamedConstraintOp)
        BatchOperations.register_operation(
            "drop_unnamed_constraint", "batch_drop_unnamed_constraint"
        )(DropUnnamedConstraintOp)
        for kind, implementation in (
            (CreatePitrOp, create_pitr),
            (AlterPitrOp, alter_pitr),
            (DropPitrOp, drop_pitr),
            (RenewPitrOp, renew_pitr),
            (DropUnnamedConstraintOp, drop_unnamed_constraint),
        ):
            Operations.implementation_for(kind)(implementation)
        Operations.implementation_for(PitrConflictsOp)(do_nothing)
        renderers.dispatch_for(PitrConflictsOp)(render)
        renderers.dispatch_for(DropUnnamedConstraintOp)(render_unnamed)
        for kind_of_op, renderer in RENDERERS.items():
            renderers.dispatch_for(kind_of_op)(renderer)
        first, last = DispatchPriority.FIRST, DispatchPriority.LAST
        comparators.dispatch_for("autogenerate", priority=first)(leave_times_alone)
        comparators.dispatch_for("autogenerate", priority=first)(read_keys_as_declared)
        comparators.dispatch_for("autogenerate", priority=last)(order_drops)
        comparators.dispatch_for("autogenerate", priority=last)(write_unnamed)
        comparators.dispatch_for("autogenerate", priority=last)(compare_pitrs)
        register_impl()
        watch_scripts()
        watch_errors()
        _done = True


@as_refusals
def pitr_options(
    target_metadata: Schemas | None = None,
    *,
    on_version_apply: OnVersionApply | Iterable[OnVersionApply] = (),
    compare_pitr: bool = True,
    drop_undeclared: bool = False,
    record_times: bool = True,
    database: str | None = None,
) -> dict[str, Any]:
    """Keyword arguments for ``context.configure(..., **pitr_options(metadata))``.

    :param target_metadata: whose tables' policies are renewed when a migration rebuilds them.
    :param on_version_apply: callbacks of your own for that parameter.
    :param compare_pitr: False leaves policies out of autogenerate and ``alembic check``.
    :param drop_undeclared: let autogenerate drop policies that nobody declares.
    :param record_times: remember when each revision ran, for ``mo-pitr restore-point``, in a small
        table beside ``alembic_version``.
    :param database: of policies that name none, in ``--sql`` scripts; for an env.py of several
        databases. Else it is that of ``-x pitr_database=``, of ``context.configure(url=)``, or of
        ``sqlalchemy.url``.
    """
    watch_revisions()
    check_flag("compare_pitr", compare_pitr)
    check_flag("drop_undeclared", drop_undeclared)
    check_flag("record_times", record_times)
    if target_metadata is not None:
        metadatas(target_metadata)
    own = (on_version_apply,) if callable(on_version_apply) else tuple(on_version_apply)
    options: dict[str, Any] = {
        "on_version_apply": (*own, AfterRevision(target_metadata, record_times)),
    }
    if not compare_pitr:  # what is left out may stand beside **pitr_options()
        options["compare_pitr"] = False
    if drop_undeclared:
        options["matrixone_pitr_drop_undeclared"] = True
    if database is not None:
        options[DATABASE] = check_database_name(database)
    return options
