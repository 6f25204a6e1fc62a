"""PITR policies in Alembic migrations; import it as ``sqlalchemy_matrixone_pitr.alembic``.

Importing changes nothing. ``register()``, called in env.py, makes the operations and the comparator
known to Alembic.
"""

from . import op
from .guard import guard_migrations
from .impl import MatrixOneImpl
from .ops import AlterPitrOp, CreatePitrOp, DropPitrOp, RenewPitrOp
from .points import RestorePoint, restore_point
from .registration import pitr_options, register
from .unnamed import DropUnnamedConstraintOp

__all__ = [
    "AlterPitrOp",
    "CreatePitrOp",
    "DropPitrOp",
    "DropUnnamedConstraintOp",
    "MatrixOneImpl",
    "RenewPitrOp",
    "RestorePoint",
    "guard_migrations",
    "op",
    "pitr_options",
    "register",
    "restore_point",
]
