"""MatrixOne point-in-time recovery (PITR) as a first-class part of SQLAlchemy."""

from .aio import (
    AsyncPitrManager,
    AsyncRowChanges,
    AsyncTransactionPitrManager,
    apply_plan_async,
    check_kept_async,
    diff_rows_async,
    diff_summary_async,
    dropped_objects_async,
    ensure_pitrs_async,
    find_change_async,
    find_changes_async,
    get_pitrs_async,
    get_recovery_windows_async,
    moment_now_async,
    past_session_async,
    plan_pitrs_async,
    prune_history_async,
    renew_pitr_async,
    restore_copy_async,
    undo_changes_async,
    undo_sql_async,
    undrop_async,
)
from .apply import apply_plan
from .coverage.model import Kept, Verdict
from .coverage.reading import check_kept
from .ddl import AlterPitr, CreatePitr, DropPitr, RestorePitr
from .declarations import declare_pitrs, declared_pitrs
from .errors import (
    PastConflictError,
    PastError,
    PastNotKeptError,
    PastNotKeptWarning,
    PastWriteError,
    PitrAfterCommitError,
    PitrAlreadyExistsError,
    PitrError,
    PitrLockTimeoutError,
    PitrNotFoundError,
    PitrPermissionError,
    PitrRestoreError,
    PitrTargetError,
    PitrTransactionError,
    PitrUnprotectedError,
    PitrUnsupportedError,
    PitrValidationError,
)
from .events import install_events
from .inspection import inspect
from .locking import account_lock
from .manager import PitrManager, TransactionPitrManager
from .model import Pitr, PitrLevel, PitrRange, PitrStatus, PitrUnit, RangeLike, RecoveryWindow
from .moment import Moment, MomentLike
from .past.changes import Change, NotThere, find_change, find_changes
from .past.conflicts import UndoConflict
from .past.copies import CopiedTable, CopyReport
from .past.dropped import DroppedObject, dropped_objects, undrop
from .past.elements import as_of
from .past.row_change import ChangeKind, RowChange
from .past.rows import DiffSummary, RowChanges, diff_rows, diff_summary
from .past.session import moment_of, past_session
from .past.undo import UndoneTable, UndoReport, undo_changes, undo_sql
from .plan.actions import Action, Alter, Conflict, Create, Drop, Plan, Renew
from .plan.compare import compare
from .plan.reading import plan_pitrs
from .reflection import get_pitrs, get_recovery_windows
from .renewal import prune_history, renew_pitr
from .report import ApplyReport, Failure
from .restore.copy import restore_copy
from .schema import DatabasePitr, TablePitr, Unprotected
from .startup import ensure_pitrs, install_engine_hook
from .transaction import pending_pitrs

__all__ = [
    "Action",
    "Alter",
    "AlterPitr",
    "ApplyReport",
    "AsyncPitrManager",
    "AsyncRowChanges",
    "AsyncTransactionPitrManager",
    "Change",
    "ChangeKind",
    "Conflict",
    "CopiedTable",
    "CopyReport",
    "Create",
    "CreatePitr",
    "DatabasePitr",
    "DiffSummary",
    "Drop",
    "DropPitr",
    "DroppedObject",
    "Failure",
    "Kept",
    "Moment",
    "MomentLike",
    "NotThere",
    "PastConflictError",
    "PastError",
    "PastNotKeptError",
    "PastNotKeptWarning",
    "PastWriteError",
    "Pitr",
    "PitrAfterCommitError",
    "PitrAlreadyExistsError",
    "PitrError",
    "PitrLevel",
    "PitrLockTimeoutError",
    "PitrManager",
    "PitrNotFoundError",
    "PitrPermissionError",
    "PitrRange",
    "PitrRestoreError",
    "PitrStatus",
    "PitrTargetError",
    "PitrTransactionError",
    "PitrUnit",
    "PitrUnprotectedError",
    "PitrUnsupportedError",
    "PitrValidationError",
    "Plan",
    "RangeLike",
    "RecoveryWindow",
    "Renew",
    "RestorePitr",
    "RowChange",
    "RowChanges",
    "TablePitr",
    "TransactionPitrManager",
    "UndoConflict",
    "UndoReport",
    "UndoneTable",
    "Unprotected",
    "Verdict",
    "account_lock",
    "apply_plan",
    "apply_plan_async",
    "as_of",
    "check_kept",
    "check_kept_async",
    "compare",
    "declare_pitrs",
    "declared_pitrs",
    "diff_rows",
    "diff_rows_async",
    "diff_summary",
    "diff_summary_async",
    "dropped_objects",
    "dropped_objects_async",
    "ensure_pitrs",
    "ensure_pitrs_async",
    "find_change",
    "find_change_async",
    "find_changes",
    "find_changes_async",
    "get_pitrs",
    "get_pitrs_async",
    "get_recovery_windows",
    "get_recovery_windows_async",
    "inspect",
    "install_engine_hook",
    "install_events",
    "moment_now_async",
    "moment_of",
    "past_session",
    "past_session_async",
    "pending_pitrs",
    "plan_pitrs",
    "plan_pitrs_async",
    "prune_history",
    "prune_history_async",
    "renew_pitr",
    "renew_pitr_async",
    "restore_copy",
    "restore_copy_async",
    "undo_changes",
    "undo_changes_async",
    "undo_sql",
    "undo_sql_async",
    "undrop",
    "undrop_async",
]
