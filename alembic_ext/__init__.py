"""PITR policies in Alembic migrations; import it as ``sqlalchemy_matrixone_pitr.alembic``.

Importing changes nothing. ``register()``, called in env.py, makes the operations and the comparator
known to Alembic.
"""

from .impl import MatrixOneImpl
from .ops import AlterPitrOp, CreatePitrOp, DropPitrOp, RenewPitrOp
from .registration import pitr_options, register

__all__ = [
    "AlterPitrOp",
    "CreatePitrOp",
    "DropPitrOp",
    "MatrixOneImpl",
    "RenewPitrOp",
    "pitr_options",
    "register",
]
