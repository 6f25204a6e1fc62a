"""MatrixOne point-in-time recovery (PITR) as a first-class part of SQLAlchemy.

A name is loaded when it is first used (PEP 562), so that importing the package costs next to
nothing; type checkers read the imports below.
"""

import importlib
import sys
import types
import typing

if typing.TYPE_CHECKING:
    from .aio import (
        AsyncPitrManager as AsyncPitrManager,
        AsyncRowChanges as AsyncRowChanges,
        AsyncTransactionPitrManager as AsyncTransactionPitrManager,
        apply_plan_async as apply_plan_async,
        check_kept_async as check_kept_async,
        coverage_async as coverage_async,
        diff_rows_async as diff_rows_async,
        diff_summary_async as diff_summary_async,
        dropped_objects_async as dropped_objects_async,
        ensure_pitrs_async as ensure_pitrs_async,
        find_change_async as find_change_async,
        find_changes_async as find_changes_async,
        forget_copies_async as forget_copies_async,
        get_pitrs_async as get_pitrs_async,
        get_recovery_windows_async as get_recovery_windows_async,
        hold_async as hold_async,
        holds_async as holds_async,
        moment_now_async as moment_now_async,
        past_session_async as past_session_async,
        plan_pitrs_async as plan_pitrs_async,
        preview_restore_async as preview_restore_async,
        prune_history_async as prune_history_async,
        release_async as release_async,
        renew_pitr_async as renew_pitr_async,
        restore_async as restore_async,
        restore_copy_async as restore_copy_async,
        restore_records_async as restore_records_async,
        undo_changes_async as undo_changes_async,
        undo_restore_async as undo_restore_async,
        undo_sql_async as undo_sql_async,
        undrop_async as undrop_async,
    )
    from .apply import (
        apply_plan as apply_plan,
    )
    from .coverage.coverage import coverage as coverage
    from .coverage.model import (
        Gap as Gap,
        Kept as Kept,
        Verdict as Verdict,
        Window as Window,
        WindowKind as WindowKind,
    )
    from .coverage.reading import (
        check_kept as check_kept,
    )
    from .coverage.report import CoverageReport as CoverageReport, Difference as Difference
    from .coverage.risks import Risk as Risk, RiskKind as RiskKind
    from .coverage.table import CoverageState as CoverageState, TableCoverage as TableCoverage
    from .ddl import (
        AlterPitr as AlterPitr,
        CreatePitr as CreatePitr,
        DropPitr as DropPitr,
        RestorePitr as RestorePitr,
    )
    from .declarations import (
        declare_pitrs as declare_pitrs,
        declared_pitrs as declared_pitrs,
    )
    from .errors import (
        PastConflictError as PastConflictError,
        PastError as PastError,
        PastNotKeptError as PastNotKeptError,
        PastNotKeptWarning as PastNotKeptWarning,
        PastWriteError as PastWriteError,
        PitrAfterCommitError as PitrAfterCommitError,
        PitrAlreadyExistsError as PitrAlreadyExistsError,
        PitrError as PitrError,
        PitrLockTimeoutError as PitrLockTimeoutError,
        PitrNotFoundError as PitrNotFoundError,
        PitrPermissionError as PitrPermissionError,
        PitrRestoreError as PitrRestoreError,
        PitrTargetError as PitrTargetError,
        PitrTransactionError as PitrTransactionError,
        PitrUnprotectedError as PitrUnprotectedError,
        PitrUnsupportedError as PitrUnsupportedError,
        PitrValidationError as PitrValidationError,
    )
    from .events import (
        install_events as install_events,
    )
    from .held import Hold as Hold
    from .hold import hold as hold, holds as holds, release as release
    from .inspection import (
        inspect as inspect,
    )
    from .locking import (
        account_lock as account_lock,
    )
    from .manager import (
        PitrManager as PitrManager,
        TransactionPitrManager as TransactionPitrManager,
    )
    from .model import (
        Pitr as Pitr,
        PitrLevel as PitrLevel,
        PitrRange as PitrRange,
        PitrStatus as PitrStatus,
        PitrUnit as PitrUnit,
        RangeLike as RangeLike,
        RecoveryWindow as RecoveryWindow,
    )
    from .moment import (
        Moment as Moment,
        MomentLike as MomentLike,
    )
    from .past.changes import (
        Change as Change,
        NotThere as NotThere,
        find_change as find_change,
        find_changes as find_changes,
    )
    from .past.conflicts import (
        UndoConflict as UndoConflict,
    )
    from .past.copies import (
        CopiedTable as CopiedTable,
        CopyReport as CopyReport,
    )
    from .past.dropped import (
        DroppedObject as DroppedObject,
        dropped_objects as dropped_objects,
        undrop as undrop,
    )
    from .past.elements import (
        as_of as as_of,
    )
    from .past.row_change import (
        ChangeKind as ChangeKind,
        RowChange as RowChange,
    )
    from .past.rows import (
        DiffSummary as DiffSummary,
        RowChanges as RowChanges,
        diff_rows as diff_rows,
        diff_summary as diff_summary,
    )
    from .past.session import (
        moment_of as moment_of,
        past_session as past_session,
    )
    from .past.undo import (
        UndoneTable as UndoneTable,
        UndoReport as UndoReport,
        undo_changes as undo_changes,
        undo_sql as undo_sql,
    )
    from .plan.actions import (
        Action as Action,
        Alter as Alter,
        Conflict as Conflict,
        Create as Create,
        Drop as Drop,
        Plan as Plan,
        Renew as Renew,
    )
    from .plan.compare import (
        compare as compare,
    )
    from .plan.reading import (
        plan_pitrs as plan_pitrs,
    )
    from .reflection import (
        get_pitrs as get_pitrs,
        get_recovery_windows as get_recovery_windows,
    )
    from .renewal import (
        prune_history as prune_history,
        renew_pitr as renew_pitr,
    )
    from .report import (
        ApplyReport as ApplyReport,
        Failure as Failure,
    )
    from .restore.copy import (
        restore_copy as restore_copy,
    )
    from .restore.preview import (
        RestorePreview as RestorePreview,
        preview_restore as preview_restore,
    )
    from .restore.records import (
        RestoreRecord as RestoreRecord,
        forget_copies as forget_copies,
        restore_records as restore_records,
    )
    from .restore.report import RestoreReport as RestoreReport
    from .restore.restoring import restore as restore
    from .restore.undoing import undo_restore as undo_restore
    from .schema import (
        DatabasePitr as DatabasePitr,
        TablePitr as TablePitr,
        Unprotected as Unprotected,
    )
    from .startup import (
        ensure_pitrs as ensure_pitrs,
        install_engine_hook as install_engine_hook,
    )
    from .transaction import (
        pending_pitrs as pending_pitrs,
    )

_NAMES = {
    "aio": (
        "AsyncPitrManager",
        "AsyncRowChanges",
        "AsyncTransactionPitrManager",
        "apply_plan_async",
        "check_kept_async",
        "coverage_async",
        "diff_rows_async",
        "diff_summary_async",
        "dropped_objects_async",
        "ensure_pitrs_async",
        "find_change_async",
        "find_changes_async",
        "get_pitrs_async",
        "get_recovery_windows_async",
        "moment_now_async",
        "past_session_async",
        "plan_pitrs_async",
        "prune_history_async",
        "renew_pitr_async",
        "forget_copies_async",
        "hold_async",
        "holds_async",
        "release_async",
        "preview_restore_async",
        "restore_async",
        "restore_copy_async",
        "restore_records_async",
        "undo_restore_async",
        "undo_changes_async",
        "undo_sql_async",
        "undrop_async",
    ),
    "apply": ("apply_plan",),
    "coverage.coverage": ("coverage",),
    "coverage.model": (
        "Gap",
        "Kept",
        "Verdict",
        "Window",
        "WindowKind",
    ),
    "coverage.reading": ("check_kept",),
    "coverage.report": (
        "CoverageReport",
        "Difference",
    ),
    "coverage.risks": (
        "Risk",
        "RiskKind",
    ),
    "coverage.table": (
        "CoverageState",
        "TableCoverage",
    ),
    "ddl": (
        "AlterPitr",
        "CreatePitr",
        "DropPitr",
        "RestorePitr",
    ),
    "declarations": (
        "declare_pitrs",
        "declared_pitrs",
    ),
    "errors": (
        "PastConflictError",
        "PastError",
        "PastNotKeptError",
        "PastNotKeptWarning",
        "PastWriteError",
        "PitrAfterCommitError",
        "PitrAlreadyExistsError",
        "PitrError",
        "PitrLockTimeoutError",
        "PitrNotFoundError",
        "PitrPermissionError",
        "PitrRestoreError",
        "PitrTargetError",
        "PitrTransactionError",
        "PitrUnprotectedError",
        "PitrUnsupportedError",
        "PitrValidationError",
    ),
    "events": ("install_events",),
    "held": ("Hold",),
    "hold": ("hold", "holds", "release"),
    "inspection": ("inspect",),
    "locking": ("account_lock",),
    "manager": (
        "PitrManager",
        "TransactionPitrManager",
    ),
    "model": (
        "Pitr",
        "PitrLevel",
        "PitrRange",
        "PitrStatus",
        "PitrUnit",
        "RangeLike",
        "RecoveryWindow",
    ),
    "moment": (
        "Moment",
        "MomentLike",
    ),
    "past.changes": (
        "Change",
        "NotThere",
        "find_change",
        "find_changes",
    ),
    "past.conflicts": ("UndoConflict",),
    "past.copies": (
        "CopiedTable",
        "CopyReport",
    ),
    "past.dropped": (
        "DroppedObject",
        "dropped_objects",
        "undrop",
    ),
    "past.elements": ("as_of",),
    "past.row_change": (
        "ChangeKind",
        "RowChange",
    ),
    "past.rows": (
        "DiffSummary",
        "RowChanges",
        "diff_rows",
        "diff_summary",
    ),
    "past.session": (
        "moment_of",
        "past_session",
    ),
    "past.undo": (
        "UndoneTable",
        "UndoReport",
        "undo_changes",
        "undo_sql",
    ),
    "plan.actions": (
        "Action",
        "Alter",
        "Conflict",
        "Create",
        "Drop",
        "Plan",
        "Renew",
    ),
    "plan.compare": ("compare",),
    "plan.reading": ("plan_pitrs",),
    "reflection": (
        "get_pitrs",
        "get_recovery_windows",
    ),
    "renewal": (
        "prune_history",
        "renew_pitr",
    ),
    "report": (
        "ApplyReport",
        "Failure",
    ),
    "restore.copy": ("restore_copy",),
    "restore.preview": ("RestorePreview", "preview_restore"),
    "restore.records": ("RestoreRecord", "forget_copies", "restore_records"),
    "restore.report": ("RestoreReport",),
    "restore.restoring": ("restore",),
    "restore.undoing": ("undo_restore",),
    "schema": (
        "DatabasePitr",
        "TablePitr",
        "Unprotected",
    ),
    "startup": (
        "ensure_pitrs",
        "install_engine_hook",
    ),
    "transaction": ("pending_pitrs",),
}
"""The public names of each module"""

_HOMES = {name: module for module, names in _NAMES.items() for name in names}

__all__ = sorted(_HOMES)


def __getattr__(name: str) -> object:
    """Load a public name from its module."""
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    found = getattr(importlib.import_module(f".{_HOMES[name]}", __name__), name)
    globals()[name] = found
    return found


def __dir__() -> list[str]:
    return sorted({*globals(), *_HOMES})


class _Package(types.ModuleType):
    """A package whose functions are not hidden by its sub-packages of the same name."""

    def __setattr__(self, name: str, value: object) -> None:
        if not (name in _HOMES and isinstance(value, types.ModuleType)):
            super().__setattr__(name, value)


sys.modules[__name__].__class__ = _Package
