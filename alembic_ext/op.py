"""The operations with their types, for editors and type checkers: ``alembic.op`` is closed to them.

In a migration, beside ``from alembic import op``::

    from sqlalchemy_matrixone_pitr.alembic import op as pitr_op


    def upgrade() -> None:
        pitr_op.create_pitr("orders_week", "7d", table="orders")

They do what ``op.create_pitr`` and its siblings do, and need ``register()`` in env.py likewise.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Concatenate, ParamSpec

from alembic import op as _op
from alembic.operations import Operations

from .ops import AlterPitrOp, CreatePitrOp, DropPitrOp, RenewPitrOp
from .unnamed import DropUnnamedConstraintOp

_P = ParamSpec("_P")


def _proxy(method: Callable[Concatenate[Operations, _P], None]) -> Callable[_P, None]:
    """The operation of that name of ``alembic.op``, with the method's types."""

    @functools.wraps(method)
    def operation(*args: _P.args, **kwargs: _P.kwargs) -> None:
        getattr(_op, method.__name__)(*args, **kwargs)

    return operation


create_pitr = _proxy(CreatePitrOp.create_pitr)
alter_pitr = _proxy(AlterPitrOp.alter_pitr)
drop_pitr = _proxy(DropPitrOp.drop_pitr)
renew_pitr = _proxy(RenewPitrOp.renew_pitr)
drop_unnamed_constraint = _proxy(DropUnnamedConstraintOp.drop_unnamed_constraint)
