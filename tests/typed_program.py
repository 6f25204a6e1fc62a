"""Type-checked, never run: every public name as a user's program has it (test_typing.py)."""

from __future__ import annotations

import datetime as dt
import warnings

from alembic import context
from alembic.operations import MigrateOperation
from sqlalchemy import (
    Column,
    Connection,
    Engine,
    Integer,
    MetaData,
    Table,
    create_engine,
    func,
    select,
    text,
)
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine
from sqlalchemy.orm import DeclarativeBase, Session

from sqlalchemy_matrixone_pitr import (
    Action,
    Alter,
    AlterPitr,
    ApplyReport,
    AsyncPitrManager,
    AsyncRowChanges,
    AsyncTransactionPitrManager,
    Change,
    ChangeKind,
    Conflict,
    CopiedTable,
    CopyReport,
    CoverageReport,
    CoverageState,
    Create,
    CreatePitr,
    DatabasePitr,
    Difference,
    DiffSummary,
    Drop,
    DroppedObject,
    DropPitr,
    Failure,
    Gap,
    Hold,
    Kept,
    Moment,
    MomentLike,
    NotThere,
    PastConflictError,
    PastError,
    PastNotKeptError,
    PastNotKeptWarning,
    PastWriteError,
    Pitr,
    PitrAfterCommitError,
    PitrAlreadyExistsError,
    PitrError,
    PitrLevel,
    PitrLockTimeoutError,
    PitrManager,
    PitrNotFoundError,
    PitrPermissionError,
    PitrRange,
    PitrRestoreError,
    PitrStatus,
    PitrTargetError,
    PitrTransactionError,
    PitrUnit,
    PitrUnprotectedError,
    PitrUnsupportedError,
    PitrValidationError,
    Plan,
    RangeLike,
    RecoveryWindow,
    Renew,
    RestorePitr,
    RestorePreview,
    RestoreRecord,
    RestoreReport,
    Risk,
    RiskKind,
    RowChange,
    RowChanges,
    TableCoverage,
    TablePitr,
    TransactionPitrManager,
    UndoConflict,
    UndoneTable,
    UndoReport,
    Unprotected,
    Verdict,
    Window,
    WindowKind,
    account_lock,
    apply_plan,
    apply_plan_async,
    as_of,
    check_kept,
    check_kept_async,
    compare,
    coverage,
    coverage_async,
    declare_pitrs,
    declared_pitrs,
    diff_rows,
    diff_rows_async,
    diff_summary,
    diff_summary_async,
    dropped_objects,
    dropped_objects_async,
    ensure_pitrs,
    ensure_pitrs_async,
    find_change,
    find_change_async,
    find_changes,
    find_changes_async,
    forget_copies,
    forget_copies_async,
    get_pitrs,
    get_pitrs_async,
    get_recovery_windows,
    get_recovery_windows_async,
    hold,
    hold_async,
    holds,
    holds_async,
    inspect,
    install_engine_hook,
    install_events,
    moment_now_async,
    moment_of,
    past_session,
    past_session_async,
    pending_pitrs,
    plan_pitrs,
    plan_pitrs_async,
    preview_restore,
    preview_restore_async,
    prune_history,
    prune_history_async,
    release,
    release_async,
    renew_pitr,
    renew_pitr_async,
    restore,
    restore_async,
    restore_copy,
    restore_copy_async,
    restore_records,
    restore_records_async,
    undo_changes,
    undo_changes_async,
    undo_restore,
    undo_restore_async,
    undo_sql,
    undo_sql_async,
    undrop,
    undrop_async,
)
from sqlalchemy_matrixone_pitr.alembic import (
    AlterPitrOp,
    CreatePitrOp,
    DropPitrOp,
    DropUnnamedConstraintOp,
    MatrixOneImpl,
    RenewPitrOp,
    RestorePoint,
    guard_migrations,
    op,
    pitr_options,
    register,
    restore_point,
)
from sqlalchemy_matrixone_pitr.emulator import Emulator


class Base(DeclarativeBase):
    pass


class Order(Base):
    __tablename__ = "orders"
    __table_args__ = (TablePitr("7d"),)

    id = Column(Integer, primary_key=True)


metadata = MetaData()
Table("carts", metadata, Column("id", Integer), Unprotected("gone in an hour"))
declare_pitrs(metadata, DatabasePitr("1mo"), Pitr.account("nightly", "7d"), require_all=True)
install_events(metadata)
ranges: list[RangeLike] = ["7d", (7, "d"), PitrRange(7, PitrUnit.DAY), dt.timedelta(days=7)]


def names(connection: Connection) -> list[str]:
    """Elements have names."""
    connection.execute(CreatePitr(Pitr.table("orders_week", "orders", "7d")))
    connection.execute(AlterPitr("orders_week", ranges[0]))
    connection.execute(DropPitr("orders_week", if_exists=True))
    connection.execute(RestorePitr("week", dt.datetime.now(dt.UTC), database="shop"))
    return [element.name for element in pending_pitrs(connection)]


def read(engine: Engine) -> tuple[list[Pitr], list[RecoveryWindow]]:
    found: list[Pitr] = inspect(engine).get_pitrs(level=PitrLevel.TABLE, with_status=True)
    found += get_pitrs(engine, database_name="shop")
    active = [pitr for pitr in found if pitr.status is PitrStatus.ACTIVE]
    windows: list[RecoveryWindow] = get_recovery_windows(engine)
    return active, windows


def make_it_so(engine: Engine) -> ApplyReport:
    plan: Plan = plan_pitrs(engine, [Base, metadata])
    actions: tuple[Action, ...] = plan.only(lambda action: not isinstance(action, Drop)).actions
    kinds = [type(action) for action in actions if isinstance(action, Create | Alter | Renew)]
    conflicts: tuple[Conflict, ...] = plan.conflicts
    report: ApplyReport = apply_plan(engine, plan, on_progress=lambda progress: kinds)
    failures: list[Failure] = report.failed
    for failure in failures:
        print(failure.action.pitr.name, failure.error, conflicts)
    again: Plan = compare(declared_pitrs(metadata, database_name="shop"), get_pitrs(engine))
    print(again.summary(), ensure_pitrs(engine, metadata).ok)
    install_engine_hook(engine, metadata)
    return report


def manage(engine: Engine, session: Session) -> Pitr:
    manager = PitrManager(engine, serialize=True)
    manager.create_table_pitr("week", "shop", "orders", "7d")
    manager.create_database_pitr("month", "shop", 1, "mo")
    manager.create_account_pitr("nightly", range_value=dt.timedelta(days=7))
    manager.create_cluster_pitr("all", (1, PitrUnit.YEAR))
    waiting = TransactionPitrManager(session)
    waiting.alter("week", "14d")
    gone: bool = waiting.delete("month")
    with account_lock(engine):
        pruned: list[Pitr] = prune_history(engine)
    print(gone, pruned)
    return renew_pitr(engine, "week")


async def manage_async(engine: AsyncEngine, connection: AsyncConnection) -> list[Pitr]:
    await AsyncPitrManager(engine).create_table_pitr("week", "shop", "orders", "7d")
    await AsyncTransactionPitrManager(connection).alter("week", PitrRange.parse("14d"))
    plan = await plan_pitrs_async(engine, metadata)
    report: ApplyReport = await apply_plan_async(engine, plan)
    await ensure_pitrs_async(engine, metadata)
    renewed: Pitr = await renew_pitr_async(engine, "week")
    print(report.ok, renewed, await get_recovery_windows_async(engine))
    await prune_history_async(engine)
    return await get_pitrs_async(engine)


def past(engine: Engine, like: MomentLike) -> list[int]:
    moment: Moment = Moment.of(like)
    verdicts: list[Verdict] = check_kept(engine, Order, moment)
    surely = [verdict for verdict in verdicts if verdict.kept is Kept.KEPT]
    warnings.simplefilter("error", PastNotKeptWarning)
    then: type[Order] = as_of(Order, moment)
    rows = as_of(Order.__table__, moment, name="then")
    try:
        with engine.connect() as connection, past_session(engine, moment) as session:
            ids = list(connection.scalars(select(rows.c.id)))
            print(session.scalars(select(then)).all())
            for order in session.scalars(select(Order)):
                print(order.id, moment_of(order))
    except PastNotKeptError as error:
        print(error.name)
        return []
    except (PastWriteError, PastError):
        raise
    return ids if surely else []


async def past_by_asyncio(engine: AsyncEngine) -> list[Verdict]:
    moment: Moment = await moment_now_async(engine)
    async with await past_session_async(engine, moment) as session:
        print((await session.scalars(select(Order))).all())
    return await check_kept_async(engine, Order, moment)


def take_back(engine: Engine, connection: Connection, table: Table) -> UndoReport:
    statement = select(func.count()).select_from(table)
    changes: list[Change] = find_changes(engine, statement, since="1h ago")
    latest: Change | None = find_change(engine, statement, since="1h ago", until="1m ago")
    if latest is None or isinstance(latest.value_before, NotThere):
        latest = changes[-1]
    found: RowChanges = diff_rows(engine, table, latest.before, where=table.c.id > 5)
    with found:
        for change in found:
            row: RowChange = change
            if row.kind is ChangeKind.UPDATED and row.before is not None:
                print(row.key, row.before["id"], row.changed, found.added_columns)
    counts: DiffSummary = diff_summary(engine, "shop.orders", latest.before, until=latest.after)
    print(counts.total, undo_sql(engine, table, latest.before))
    try:
        return undo_changes(connection, [table], latest.before, kinds={"deleted"})
    except PastConflictError as error:
        conflicts: tuple[UndoConflict, ...] = error.conflicts
        print(conflicts[0].reason)
    report = undo_changes(connection, table, latest.before, until=latest.after, on_conflict="skip")
    undone: UndoneTable = report.tables[0]
    print(undone.remaining)
    return report


async def take_back_async(engine: AsyncEngine, connection: AsyncConnection) -> UndoReport:
    statement = text("SELECT count(*) FROM orders {MO_TS = :moment}")
    await find_change_async(engine, statement, since="1h ago", tables=["orders"])
    changes = await find_changes_async(engine, statement, since="1h ago", tables=["orders"])
    rows: AsyncRowChanges = await diff_rows_async(engine, "orders", changes[0].before)
    async for row in rows:
        print(row.key)
    print(await diff_summary_async(engine, "orders", changes[0].before))
    print(await undo_sql_async(engine, "orders", changes[0].before))
    return await undo_changes_async(connection, "orders", changes[0].before)


def dropped(engine: Engine) -> list[str]:
    found: list[DroppedObject] = dropped_objects(engine, database="shop", since="7d ago")
    back = [undrop(engine, one, into=f"{one.name}_back") for one in found if one.kept is Kept.KEPT]
    copy: CopyReport = restore_copy(engine, Order, found[0].last, "orders_then")
    tables: tuple[CopiedTable, ...] = copy.tables
    return [report.into for report in (*back, copy)] + [table.name for table in tables]


def bad_day(engine: Engine) -> list[str]:
    preview: RestorePreview = preview_restore(engine, [Order, "shop.lines"], "10m ago")
    if not preview.ok:
        return list(preview.problems)
    report: RestoreReport = restore(engine, [Order, "shop.lines"], preview.at, preview=preview)
    assert report.id is not None
    undone = report.undo() if report.left else undo_restore(engine, report.id, force=True)
    records: list[RestoreRecord] = restore_records(engine)
    forgotten = forget_copies(engine, older_than=dt.timedelta(days=7))
    return [str(one) for one in (undone, *records, *forgotten)]


def incident(engine: Engine) -> list[Hold]:
    held: Hold = hold(engine, [Order, "shop.lines"], "orders were lost")
    return [*holds(engine, released=True), release(engine, held.id)]


async def incident_async(engine: AsyncEngine) -> list[Hold]:
    held = await hold_async(engine, "shop", "orders were lost")
    return [*await holds_async(engine), await release_async(engine, held.id)]


async def bad_day_async(engine: AsyncEngine) -> bool:
    preview = await preview_restore_async(engine, "shop", "10m ago")
    report = await restore_async(engine, "shop", preview.at, preview=preview)
    assert report.id is not None
    await undo_restore_async(engine, report.id)
    records = await restore_records_async(engine)
    return len(await forget_copies_async(engine, ids=[one.id for one in records])) > 0


async def dropped_async(engine: AsyncEngine) -> CopyReport:
    found = await dropped_objects_async(engine, since=Moment.parse("2026-11-22 09:30Z"))
    await undrop_async(engine, found[0])
    return await restore_copy_async(engine, "shop.orders", "1h ago", "shop.orders_then")


def covered(engine: Engine) -> int:
    report: CoverageReport = coverage(engine, metadata, require="7d", at=Moment.now(engine))
    for table in report.tables:
        one: TableCoverage = table
        state: CoverageState = one.state
        windows: tuple[Window, ...] = one.windows_at(report.now)
        gaps: tuple[Gap, ...] = one.gaps
        kinds = [window.kind is WindowKind.POLICY for window in windows]
        print(one.key, state, kinds, gaps, one.restorable_at(report.now), one.restorable_from)
    risks: tuple[Risk, ...] = report.at_risk(within="7d")
    different: tuple[Difference, ...] = report.differences
    print([risk.when for risk in risks if risk.kind is RiskKind.LETTING_GO], different)
    print(report.to_prometheus(), report.to_dict(), report.table("shop", "orders"))
    return 0 if report.ok else report.exit_code


async def covered_async(engine: AsyncEngine) -> CoverageReport:
    return await coverage_async(engine, databases=["shop"], require=dt.timedelta(days=7))


def errors(engine: Engine) -> list[str]:
    try:
        with engine.begin() as connection:
            names(connection)
    except PitrAfterCommitError as error:
        lists = (error.done, error.failed, error.unknown, error.not_tried)
        return [element.name for elements in lists for element in elements]
    except (
        PitrAlreadyExistsError,
        PitrLockTimeoutError,
        PitrNotFoundError,
        PitrPermissionError,
        PitrRestoreError,
        PitrTargetError,
        PitrTransactionError,
        PitrUnprotectedError,
        PitrUnsupportedError,
        PitrValidationError,
    ) as error:
        return [error.name or "", str(error.errno), error.statement or ""]
    except PitrError:
        raise
    return []


def env() -> None:
    """The part of an env.py that is ours."""
    register()
    guard_migrations(require="1d")
    guard_migrations(dt.timedelta(days=1))
    options = pitr_options([Base.metadata, metadata], drop_undeclared=True, record_times=False)
    context.configure(target_metadata=[Base.metadata, metadata], **options)


def upgrade() -> None:
    op.create_pitr("orders_week", "7d", table="orders")
    op.create_pitr(None, "7d", database="shop", table="orders", if_not_exists=True)
    op.alter_pitr("orders_week", "14d", existing_range="7d", existing_table="orders")
    op.renew_pitr("orders_week", range="14d", table="orders", generation=2)
    op.drop_pitr("orders_week", existing_range="14d", existing_table="orders", if_exists=True)


def before_revision(engine: Engine, operations: list[MigrateOperation]) -> list[str]:
    ours = (CreatePitrOp, AlterPitrOp, RenewPitrOp, DropPitrOp)
    named = [one.name or "" for one in operations if isinstance(one, ours)]
    unnamed = [one for one in operations if isinstance(one, DropUnnamedConstraintOp)]
    point: RestorePoint = restore_point(engine, "head")
    print(unnamed, point, MatrixOneImpl.__dialect__)
    return named


def main() -> None:
    with Emulator(version="4.2.0") as server:
        engine = create_engine(server.url(database="shop"))
        with Session(engine) as session:
            print(read(engine), make_it_so(engine), manage(engine, session), errors(engine))
