"""MatrixOne point-in-time recovery (PITR) as a first-class part of SQLAlchemy."""

from .aio import (
    AsyncPitrManager,
    AsyncTransactionPitrManager,
    get_pitrs_async,
    get_recovery_windows_async,
)
from .ddl import AlterPitr, CreatePitr, DropPitr, RestorePitr
from .errors import (
    PitrAfterCommitError,
    PitrAlreadyExistsError,
    PitrError,
    PitrNotFoundError,
    PitrPermissionError,
    PitrRestoreError,
    PitrTargetError,
    PitrTransactionError,
    PitrUnsupportedError,
    PitrValidationError,
)
from .manager import PitrManager, TransactionPitrManager
from .model import Pitr, PitrLevel, PitrRange, PitrStatus, PitrUnit, RecoveryWindow
from .reflection import get_pitrs, get_recovery_windows
from .transaction import pending_pitrs

__all__ = [
    "AlterPitr",
    "AsyncPitrManager",
    "AsyncTransactionPitrManager",
    "CreatePitr",
    "DropPitr",
    "Pitr",
    "PitrAfterCommitError",
    "PitrAlreadyExistsError",
    "PitrError",
    "PitrLevel",
    "PitrManager",
    "PitrNotFoundError",
    "PitrPermissionError",
    "PitrRange",
    "PitrRestoreError",
    "PitrStatus",
    "PitrTargetError",
    "PitrTransactionError",
    "PitrUnit",
    "PitrUnsupportedError",
    "PitrValidationError",
    "RecoveryWindow",
    "RestorePitr",
    "TransactionPitrManager",
    "get_pitrs",
    "get_pitrs_async",
    "get_recovery_windows",
    "get_recovery_windows_async",
    "pending_pitrs",
]
