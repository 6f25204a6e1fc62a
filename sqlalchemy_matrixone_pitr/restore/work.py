"""The steps of a restore or an undo, on their way: each is done, failed, unknown or not tried.

=========  ==================================================================================
step       on an error
=========  ==================================================================================
copy       nothing was changed: the transaction that clones aside is rolled back
restore    a refusal changed nothing; a lost answer is read back, by the objects' ids
rebuild    rolled back as a whole; a lost answer to COMMIT is read back, by the objects' ids
verify     what was found is said; the safety copy is there
renew      said as left to do; the data are restored
=========  ==================================================================================

Whatever ends it, the report says what is where, and the same call can be made again.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any, NoReturn

from sqlalchemy.engine import Connection, Engine
from sqlalchemy.exc import DBAPIError, SQLAlchemyError

from .. import server
from ..catalog import (
    Key,
    ObjectKey,
    Reference,
    check_cloned,
    indexes_of,
    moment_of_creation,
    object_ids,
)
from ..connections import (
    TextTransaction,
    idle,
    kill_on_abort,
    roll_back,
    run_text,
    side_connection,
)
from ..ddl import RestorePitr
from ..errors import (
    PitrAlreadyExistsError,
    PitrError,
    PitrRestoreError,
    from_dbapi_error,
    is_settled,
)
from ..generations import Policy, is_for, policies
from ..moment import Moment
from ..names import back_quoted
from ..past.definitions import quoted_defaults
from ..past.rows import summaries_of
from ..renewal import conflicting_pitr, renew_under_lock
from ..report import Outcome
from ..show import reading
from ..status import ServerState, read_state
from ..transaction import send_now
from . import records
from .facts import definition_of, views_of
from .preview import RestoreStep
from .rebuild import Rebuild
from .report import OnRestoreProgress, RestoredTable, RestoreProgress, RestoreReport, StepResult
from .targets import Scope
from .verifying import check_rows, check_targets, verify_table


@dataclass(frozen=True, slots=True)
class Job:
    """Job of a restore or an undo.

    :ivar sources: each restored table as in a FROM clause: its state afterwards.
    :ivar before: the present tables that are replaced or dropped, with their ids.
    :ivar objects: the objects that get another id, with the present one; None of those not there.
    :ivar keys: foreign keys of tables in scope; and ``views``: for the record.
    :ivar databases: the databases in scope that are there.
    :ivar undoes: the restore that is undone.
    :ivar compare_rows: whether each row is compared with what it was.
    """

    scope: Scope
    at: Moment | None
    steps: tuple[RestoreStep, ...]
    sources: Mapping[Key, str]
    ways: Mapping[Key, str]
    before: Mapping[Key, int]
    objects: Mapping[ObjectKey, int | None]
    keys: tuple[Reference, ...] = ()
    views: Mapping[Key, str] = field(default_factory=dict)
    restores: tuple[RestorePitr, ...] = ()
    rebuild: Rebuild | None = None
    safety_copy: bool = True
    databases: tuple[str, ...] = ()
    undoes: int | None = None
    compare_rows: bool = False


class Work:
    """A job that is being done; the account lock is held."""

    def __init__(
        self,
        engine: Engine,
        job: Job,
        undo: Callable[..., RestoreReport],
        on_progress: OnRestoreProgress | None = None,
    ) -> None:
        self._engine = engine
        self._job = job
        self._on_progress = on_progress
        self._record: records.NewRecord | None = None
        self._written: tuple[Moment, tuple[records.SafetyCopy, ...]] | None = None
        self.report = RestoreReport(
            str(job.scope),
            job.at,
            steps=[StepResult(step) for step in job.steps],
            _undo=partial(undo, engine),
            _is_async=engine.dialect.is_async,
        )

    def run(self) -> RestoreReport:
        """Do all steps.

        :raises PitrRestoreError: one failed; the report is its ``report``, and in its message.
        """
        restores = iter(self._job.restores)
        does: dict[str, Callable[[StepResult], object]] = {
            "copy": self._copy,
            "restore": lambda result: self._restore(result, next(restores)),
            "rebuild": self._rebuild,
            "verify": self._verify,
            "renew": self._renew,
        }
        total = len(self.report.steps)
        for number, result in enumerate(self.report.steps, 1):
            try:
                self._tell(result, None, number, total)
                try:
                    self._do(result, does[result.step.kind])
                except BaseException as error:
                    self._tell_failure(error, result, number, total)
                    raise
                self._tell(result, result.outcome, number, total)
            except BaseException as error:  # noqa: BLE001 - raised again, with the report
                _raise(error, self._job, self.report)
        return self.report

    def _do(self, result: StepResult, work: Callable[[StepResult], object]) -> None:
        """Do a step; the result has its outcome and time, whatever ends it."""
        began = time.monotonic()
        try:
            work(result)
            if result.outcome is Outcome.NOT_TRIED:
                result.outcome = Outcome.DONE
        except BaseException as error:
            if result.outcome is Outcome.NOT_TRIED:
                result.outcome = Outcome.FAILED
            if isinstance(error, SQLAlchemyError):
                of_driver = None if isinstance(error, PitrError) else getattr(error, "orig", None)
                result.note = str(of_driver or error)
            raise
        finally:
            result.seconds = time.monotonic() - began

    def _tell(self, result: StepResult, outcome: Outcome | None, number: int, total: int) -> None:
        if self._on_progress is not None:
            self._on_progress(RestoreProgress(result.step, outcome, result.seconds, number, total))

    def _tell_failure(
        self, error: BaseException, result: StepResult, number: int, total: int
    ) -> None:
        """Tell of a step that an error has ended; what is told raises nothing in its place."""
        try:
            self._tell(result, result.outcome, number, total)
        except Exception as second:  # noqa: BLE001 - the step's error is what is reported
            error.add_note(f"on_progress failed, too: {second!r}")

    # -- steps

    def _copy(self, result: StepResult) -> None:
        with side_connection(self._engine) as connection, idle(connection):
            record = self._new_record(connection, "begun")
            with self._transaction(connection, result):
                self._write(connection, record)

    def _new_record(self, connection: Connection, state: str) -> records.NewRecord:
        number = records.prepare_records(connection)
        job = self._job
        details = records.details_of(
            job.scope, job.before, job.sources, job.keys, job.views, job.at, job.databases
        )
        self._record = records.NewRecord(number, str(job.scope), job.at, state, job.before, details)
        return self._record

    def _write(
        self, connection: Connection, record: records.NewRecord, as_of: Moment | None = None
    ) -> None:
        self._written = records.write_record(connection, record, as_of)

    def _restore(self, result: StepResult, element: RestorePitr) -> None:
        """RESTORE, whose lost answer is read back."""
        restored: ObjectKey = (element.database or "", element.table)
        with side_connection(self._engine) as connection, idle(connection):
            try:
                with kill_on_abort(self._engine, connection):
                    result.outcome = Outcome.UNKNOWN
                    roll_back(connection)
                    send_now(connection, element, {})
            except SQLAlchemyError:
                if self._has_new_id(result, [restored]):
                    result.note = "the answer was lost, and it was read back"
                    return
                raise
        if not self._has_new_id(result, [restored]):
            raise PitrRestoreError(
                f"RESTORE of {element.target_text} said OK and did nothing: the object is the same "
                "as before. Restore with by_restore=False"
            )
        result.outcome = Outcome.DONE

    def _has_new_id(self, result: StepResult, objects: list[ObjectKey]) -> bool:
        """Whether objects are others than before; the outcome is set by it."""
        with reading(self._engine) as connection:
            ids = object_ids(connection, objects)
        changed = any(ids.get(key) != self._job.objects.get(key) for key in objects)
        result.outcome = Outcome.DONE if changed else Outcome.FAILED
        return changed

    def _rebuild(self, result: StepResult) -> None:
        rebuild = self._job.rebuild
        assert rebuild is not None
        aside = self._job.safety_copy
        with side_connection(self._engine) as connection, idle(connection):
            record = self._new_record(connection, "done") if aside else None
            chosen = connection.exec_driver_sql("SELECT DATABASE()").scalar()
            roll_back(connection)
            left_out: list[str] = []
            with self._transaction(connection, result):
                present: Moment | None = None
                if record is not None:
                    records.lock_tables(connection, self._job.before)
                    # After the past, by its moment: a clone of what a transaction has cloned
                    # already lacks rows to it (docs/server.md, Clones). But what refers to a table
                    # that goes cannot be cloned any more.
                    if set(self._job.before) <= {piece.table for piece in rebuild.pieces}:
                        present = Moment(server.clock(connection))
                    else:
                        self._write(connection, record)
                if self._job.undoes is not None:
                    records.set_state(connection, self._job.undoes, "undone")
                for statement in rebuild.statements():
                    run_text(connection, statement)
                if rebuild.create_views:
                    left_out = list(_create_views(connection, rebuild, chosen))
                check_cloned(connection, self._job.sources)
                for table, source in self._job.sources.items():
                    check_rows(connection, table, source, exactly=True)
                if record is not None and present is not None:
                    self._write(connection, record, present)
                began = (
                    Moment(server.clock(connection)) if record and self._job.at is None else None
                )
            self.report.left += left_out
            if rebuild.create_views and not connection.invalidated and not chosen:
                connection.invalidate()  # it has a database by now
        if began is not None:
            self._set_same_as(began)

    def _set_same_as(self, before: Moment) -> None:
        """Record when the tables are as an undo has left them: its COMMIT, so that what others
        write right after it is known for a change. Without it, it is not known.

        :param before: a moment shortly before the COMMIT.
        """
        with (
            contextlib.suppress(SQLAlchemyError),
            side_connection(self._engine) as connection,
            idle(connection),
        ):
            moment: Moment | None = Moment(server.clock(connection))
            for table in sorted(self._job.sources)[:1]:
                number = object_ids(connection, [table])[table]
                moment = moment_of_creation(connection, table, number, before)
            if moment is not None:
                self._add_details(connection, same_as=moment.nanoseconds)

    def _add_details(self, connection: Connection, **details: Any) -> None:
        assert self._record is not None
        self._record = replace(self._record, details={**self._record.details, **details})
        connection.rollback()
        records.set_details(connection, self._record)
        connection.exec_driver_sql("COMMIT")

    @contextlib.contextmanager
    def _transaction(self, connection: Connection, result: StepResult) -> Iterator[None]:
        """A transaction whose lost COMMIT is read back."""
        transaction = TextTransaction()
        try:
            with transaction.on(self._engine, connection):
                yield
        except DBAPIError as error:
            if not transaction.committing or from_dbapi_error(error) is not None:
                raise
            result.outcome = Outcome.UNKNOWN
            self._keep()
            if not self._is_committed(result):
                self.report.id, self.report.made, self.report.copies = None, None, ()
                raise
            result.note = "the answer was lost, and it was read back"
        except BaseException as error:
            if transaction.committing and not is_settled(error):
                result.outcome = Outcome.UNKNOWN
                self._keep()
            raise
        else:
            result.outcome = Outcome.DONE  # whatever else the step has to do
            self._keep()

    def _is_committed(self, result: StepResult) -> bool:
        """Whether a transaction was committed, by its record, or else by the objects' ids."""
        if self._record is None:
            return self._has_new_id(result, list(self._job.objects))
        with reading(self._engine) as connection:
            made = None if self._written is None else self._written[0]
            there = any(
                (one.id, one.made) == (self._record.id, made)
                for one in records.read_records(connection)
            )
        result.outcome = Outcome.DONE if there else Outcome.FAILED
        return there

    def _keep(self) -> None:
        """Report the safety copies: they are there, or may be."""
        if self._written is not None and self._record is not None:
            self.report.id = self._record.id
            self.report.made, self.report.copies = self._written

    # -- afterwards

    def _verify(self, result: StepResult) -> None:
        """Look at every restored table, and make broken indexes again."""
        job = self._job
        with side_connection(self._engine) as connection, idle(connection):
            if job.ways:
                check_targets(connection, job.sources, job.before)
            indexes = indexes_of(connection, list(job.sources))
            for table, source in sorted(job.sources.items()):
                found = verify_table(
                    self._engine, connection, table, source, indexes.get(table, [])
                )
                name = ".".join(table)
                if found.broken:
                    self.report.left.append(
                        f"index {', '.join(found.broken)} of {name} is broken: drop it, "
                        "and add it again"
                    )
                self.report.tables.append(
                    RestoredTable(name, job.ways[table], found.rows, found.then, found.repaired)
                )
            if job.compare_rows and job.at is not None:
                self.report.left += _differing(self._engine, job.sources, job.at)
            rules = server.rules_of(server.require_matrixone(connection))
            left: dict[Key, str] = {}
            if self._record is not None or rules.copies_double_quotes:
                left = {table: definition_of(connection, table) for table in job.sources}
            if rules.copies_double_quotes:
                self.report.left += _doubled_quotes(left)
            if self._record is not None:
                if job.scope.database is not None:
                    left |= views_of(connection, job.scope.database)
                self._add_details(connection, left=[[*one, text] for one, text in left.items()])
            if self._record is not None and self._record.state == "begun":
                records.set_state(connection, self._record.id, "done")
                connection.exec_driver_sql("COMMIT")

    def _renew(self, result: StepResult) -> None:
        """Renew the policies of the target that do not protect it; the others' work goes on."""
        with reading(self._engine) as connection:
            state = read_state(connection, tables=())
        for policy in _detached_policies(self._job, state):
            try:
                self.report.renewed.append(renew_under_lock(self._engine, policy.name).name)
            except SQLAlchemyError as error:
                result.outcome = Outcome.FAILED
                result.note = f"{policy.name}: {error}"
                # the server takes a detached one for active still
                blocked = isinstance(error, PitrAlreadyExistsError)
                without = ", keep_history=False" if blocked else ""
                self.report.left.append(
                    f"policy {policy.name} does not protect it: renew_pitr(engine, "
                    f"{policy.name!r}{without}). {error}"
                )


def _differing(engine: Engine, tables: Iterable[Key], at: Moment) -> Iterator[str]:
    """Compare each row with what it was; what differs is left to do."""
    for table, differs in summaries_of(engine, sorted(tables), at).items():
        if differs:
            yield (
                f"{'.'.join(table)} is not as it was: {differs} since; see diff_rows() and "
                "undo_changes()"
            )


def _doubled_quotes(definitions: Mapping[Key, str]) -> Iterator[str]:
    """Changes of restored tables by the server, without a word: see docs/server.md, Clones."""
    for table, text in sorted(definitions.items()):
        columns = quoted_defaults(text)
        if columns:
            yield (
                f"the quotes in the default of {', '.join(columns)} of {'.'.join(table)} are "
                "doubled by this version: ALTER TABLE ... ALTER COLUMN ... SET DEFAULT sets it "
                "again, and rebuilds the table, whose own policy is to be renewed then"
            )


def _raise(error: BaseException, job: Job, report: RestoreReport) -> NoReturn:
    """Raise an error with the report.

    :raises PitrRestoreError: of any error of SQLAlchemy's or ours.
    """
    if isinstance(error, SQLAlchemyError):
        what = "was not begun" if not report.began else "is not finished"
        undo = "" if job.undoes is None else f"undo of restore {job.undoes}, "
        raised = PitrRestoreError(
            f"the {undo}restore of {job.scope} {what}.\n{report}",
            statement=getattr(error, "statement", None),
            orig=getattr(error, "orig", None),
        )
        raised.report = report  # type: ignore[attr-defined]
        raise raised from error
    error.add_note(str(report))
    error.report = report  # type: ignore[attr-defined]
    raise error


def _detached_policies(job: Job, state: ServerState) -> Iterator[Policy]:
    """The policies of a job's target that do not protect it, and that nothing stands in the way of
    renewing."""
    dropped = () if job.rebuild is None else job.rebuild.drop_databases
    whole = None if job.scope.database in dropped else job.scope.database
    for policy in policies(state.pitrs):
        of_it = is_for(policy.current, job.sources, whole)
        if of_it and policy.detached and conflicting_pitr(state, policy) is None:
            yield policy


def _create_views(connection: Connection, rebuild: Rebuild, chosen: Any) -> Iterator[str]:
    """Create views, again and again as long as one more can be: they may be of each other.

    :return: what is left to do: one that cannot be created was broken before, and keeps nobody's
        rows from coming back.
    """
    left = list(rebuild.create_views)
    failed: list[tuple[Key, str, DBAPIError]] = []
    while left:
        failed = []
        for view, text in left:
            run_text(connection, f"USE {back_quoted(view[0])}")
            try:
                run_text(connection, text)
            except DBAPIError as error:
                if error.connection_invalidated:
                    raise
                failed.append((view, text, error))
        if len(failed) == len(left):
            break
        left = [(view, text) for view, text, _ in failed]
    for view, text, refused in failed:
        name = ".".join(view)
        yield f"view {name} is not there, since it cannot be created: {refused.orig}. {text}"
    if chosen:
        run_text(connection, f"USE {back_quoted(str(chosen))}")
