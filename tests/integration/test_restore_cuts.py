"""A restore whose connection is cut at a statement: what is said is so, and it can be done again.

The same of an undo, and of Ctrl-C at a statement of either.
``RESTORE_CUTS=all`` cuts at each statement that they send, before and after it.
"""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Callable, Iterator
from functools import partial

import pytest
from sqlalchemy import Engine, create_engine

from sqlalchemy_matrixone_pitr import (
    Moment,
    Pitr,
    PitrRestoreError,
    RestoreReport,
    forget_copies,
    restore,
    restore_records,
    undo_restore,
)
from sqlalchemy_matrixone_pitr.report import Outcome
from sqlalchemy_matrixone_pitr.restore.report import RestoreProgress
from tests.conftest import Server
from tests.integration.restoring import State, make_shop, state_of
from tests.interrupts import Interrupt
from tests.past.tables import say, take_moment
from tests.policies import protect
from tests.proxy import Proxy, When, pattern_of

ALL = os.environ.get("RESTORE_CUTS") == "all"

Cut = tuple[str, When, int]
"""A statement's pattern, before or after it, and which of those that match."""

FEW: dict[str, list[Cut]] = {
    "free": [("^RESTORE", "after", 1), ("CLONE", "after", 1)],
    "own": [("^INSERT INTO .*SELECT", "after", 1)],
}
FEW_OF_UNDO: list[Cut] = [("CLONE `matrixone_pitr`", "after", 1)]

COMMIT = "^COMMIT", 2
"""That of the tables: the first one is of the package's own database."""

STEPS = {
    "clone aside": ("^CREATE TABLE `matrixone_pitr`", 1),
    "commit of the copy": COMMIT,
    "by RESTORE": ("^RESTORE", 1),
}
STEPS_OF_UNDO = {
    "what changed since": ("AS p LEFT", 1),
    "clone back": ("CLONE `matrixone_pitr`", 1),
    "commit": COMMIT,
    "when it was": (r"rel_id FROM mo_catalog\.mo_tables \{MO_TS", 1),
    "verify": ("^SHOW CREATE TABLE", 1),
}


def report_of(error: BaseException) -> RestoreReport | None:
    found = getattr(error, "report", None)
    return found if isinstance(found, RestoreReport) else None


class Restoring:
    """A table that is restored again and again, through a proxy that cuts."""

    def __init__(self, proxied: Engine, proxy: Proxy, beside: Engine, table: str) -> None:
        self.proxied, self.proxy, self.beside = proxied, proxy, beside
        self.name = f"{beside.url.database}.{table}"
        self.at: Moment = take_moment(beside)
        self.then = state_of(beside)
        say(beside, f"DELETE FROM {table} WHERE id = 2")
        self.before = state_of(beside)
        self.made: list[int] = []
        self.told: list[RestoreProgress] = []

    def cuts(self) -> list[Cut]:
        self.proxy.clear()
        report = self.restored(self.proxied)
        sent = self.sent()
        self.undone(report.id)
        return sent

    def cuts_of_undo(self) -> list[Cut]:
        report = self.restored(self.beside)
        self.proxy.clear()
        assert undo_restore(self.proxied, report).ok
        return self.sent()

    def sent(self) -> list[Cut]:
        """Each statement that was sent, as a place to cut at."""
        numbers: Counter[str] = Counter()
        cuts: list[Cut] = []
        for pattern in map(pattern_of, self.proxy.statements):
            numbers[pattern] += 1
            cuts += [(pattern, "before", numbers[pattern]), (pattern, "after", numbers[pattern])]
        return cuts

    def restored(self, engine: Engine) -> RestoreReport:
        report = restore(engine, self.name, self.at)
        assert report.ok, str(report)
        assert state_of(self.beside) == self.then
        return report

    def undone(self, number: int | None) -> None:
        assert number is not None
        assert undo_restore(self.beside, number).ok
        assert state_of(self.beside) == self.before

    def cut(self, cut: Cut) -> None:
        """Restore with a cut; what is said must be so, and the next one must do."""
        self.proxied.dispose()
        self.proxy.cut(*cut)
        self.again(self.tried_to_restore())

    def tried_to_restore(self) -> RestoreReport | None:
        return self.tried(
            lambda: restore(self.proxied, self.name, self.at, on_progress=self.told.append),
            self.then,
        )

    def tried(self, work: Callable[[], RestoreReport], goal: State) -> RestoreReport | None:
        """The outcome of work that something ends, by the report and by ``on_progress``."""
        self.told.clear()
        try:
            report: RestoreReport | None = work()
        except BaseException as error:
            report = report_of(error)
        self.proxy.cut("never", "before")
        self.check(report, state_of(self.beside), goal)
        tried = (
            [] if report is None else [s for s in report.steps if s.outcome.value != "not_tried"]
        )
        told = [(one.step, one.outcome, one.seconds) for one in self.told]
        assert told[::2] == [(one.step, None, 0.0) for one in tried]
        assert told[1::2] == [(one.step, one.outcome, one.seconds) for one in tried]
        assert all(one.seconds > 0 for one in tried)
        return report

    def again(self, report: RestoreReport | None) -> None:
        """Restore after one that was ended, and back."""
        last = self.restored(self.beside)
        if report is not None and report.id is not None and report.began:
            # the first one's copy has the state before both
            assert undo_restore(self.beside, report.id, force=True).ok
            assert state_of(self.beside) == self.before
        else:
            self.undone(last.id)

    def undo_ended(self, end: Callable[[], object]) -> None:
        """Restore, and undo; something ends the undo, and the next one must do."""
        restored = self.restored(self.beside)
        self.proxied.dispose()
        end()
        report = self.tried(
            lambda: undo_restore(self.proxied, restored, on_progress=self.told.append), self.before
        )
        done = state_of(self.beside) == self.before
        if done:
            with pytest.raises(PitrRestoreError, match="is undone already"):
                undo_restore(self.beside, restored)
        else:
            assert undo_restore(self.beside, restored).ok
        assert state_of(self.beside) == self.before
        if done and report is not None:
            assert undo_restore(self.beside, report, force=True).ok
            assert state_of(self.beside) == self.then
            say(self.beside, f"DELETE FROM {self.name} WHERE id = 2")

    def check(self, report: RestoreReport | None, state: State, goal: State) -> None:
        start = self.before if goal is self.then else self.then
        if report is None:
            assert state == start
            return
        work = [s for s in report.steps if s.step.kind in ("restore", "rebuild")]
        (step,) = work
        expected = {
            Outcome.DONE: [goal],
            Outcome.FAILED: [start],
            Outcome.NOT_TRIED: [start],
            Outcome.UNKNOWN: [goal, start],
        }
        assert state in expected[step.outcome], str(report)
        if report.id is not None:
            made = {(record.id, record.made) for record in restore_records(self.beside)}
            unknown = "whether these copies are there is unknown" in str(report)
            assert (report.id, report.made) in made or unknown, str(report)


@pytest.fixture
def beside(server: Server, database: str) -> Iterator[Engine]:
    """An engine that is not cut; copies are forgotten."""
    engine = create_engine(server.url(database=database))
    before = {record.id for record in restore_records(engine)}
    yield engine
    forget_copies(engine, ids=[r.id for r in restore_records(engine) if r.id not in before])
    engine.dispose()


@pytest.fixture
def shop(
    request: pytest.FixtureRequest,
    proxied_engine: Engine,
    proxy: Proxy,
    beside: Engine,
    prefix: str,
) -> Restoring:
    """A shop one of whose tables is restored."""
    table = getattr(request, "param", "free")
    make_shop(beside)
    protect(beside, Pitr.database(f"{prefix}_d", "1d"), Pitr.table(f"{prefix}_t", table, "1d"))
    return Restoring(proxied_engine, proxy, beside, table)


@pytest.mark.parametrize("fails", [False, True])
def test_a_step_that_fails_is_told(shop: Restoring, fails: bool) -> None:
    """An error of ``on_progress`` is a note then: the step's own is what ended it."""
    shop.proxy.cut("^RESTORE", "before")
    told: list[tuple[str, str]] = []

    def tell(progress: RestoreProgress) -> None:
        if progress.outcome is not None:
            told.append((progress.step.kind, progress.outcome.value))
        if progress.outcome is Outcome.FAILED and fails:
            raise ValueError("nobody listens")

    with pytest.raises(PitrRestoreError, match="was not begun") as caught:
        restore(shop.proxied, shop.name, shop.at, on_progress=tell)
    assert told == [("copy", "done"), ("restore", "failed")]
    cause = caught.value.__cause__
    notes = getattr(cause, "__notes__", [])
    assert any("on_progress failed, too: ValueError('nobody listens')" in n for n in notes) is fails
    shop.again(report_of(caught.value))


@pytest.mark.slow
@pytest.mark.timeout(3600 if ALL else 300)
@pytest.mark.parametrize(("shop", "table"), [("free", "free"), ("own", "own")], indirect=["shop"])
def test_cut_at_each_statement(shop: Restoring, table: str) -> None:
    for cut in shop.cuts() if ALL else FEW[table]:
        shop.cut(cut)


@pytest.mark.slow
@pytest.mark.timeout(3600 if ALL else 300)
def test_an_undo_is_cut_at_each_statement(shop: Restoring) -> None:
    for cut in shop.cuts_of_undo() if ALL else FEW_OF_UNDO:
        shop.undo_ended(partial(shop.proxy.cut, *cut))


@pytest.mark.slow
def test_ctrl_c_inside_each_step(shop: Restoring, interrupt: Interrupt) -> None:
    for pattern, number in STEPS.values():
        shop.proxied.dispose()
        shop.proxy.on(pattern, lambda: interrupt(0.2), number)
        shop.again(shop.tried_to_restore())


@pytest.mark.slow
@pytest.mark.parametrize("step", STEPS_OF_UNDO)
def test_ctrl_c_inside_an_undo(shop: Restoring, interrupt: Interrupt, step: str) -> None:
    """Also after its COMMIT, when it asks at which moment that was: it is done."""
    pattern, number = STEPS_OF_UNDO[step]
    shop.undo_ended(lambda: shop.proxy.on(pattern, lambda: interrupt(0.2), number))
    assert shop.proxy.matching(pattern)


@pytest.mark.one_version
@pytest.mark.parametrize("when", ["before", "after"])
@pytest.mark.parametrize(
    ("shop", "kind", "sent"),
    [
        ("free", "copy", "^CREATE TABLE `matrixone_pitr`.`copy"),
        ("own", "rebuild", r"^CREATE TABLE `\w+`.`own`"),
    ],
    indirect=["shop"],
)
def test_a_lost_answer_to_commit_is_read_back(
    shop: Restoring, kind: str, sent: str, when: When
) -> None:
    shop.proxy.cut(COMMIT[0], when, COMMIT[1])
    report = shop.tried_to_restore()
    assert report is not None
    (step,) = [step for step in report.steps if step.step.kind == kind]
    records = [(record.id, record.made) for record in restore_records(shop.beside)]
    if when == "after":
        assert report.ok, str(report)
        assert step.note == "the answer was lost, and it was read back"
        assert (report.id, report.made) in records
    else:
        assert (step.outcome, report.id, report.copies) == (Outcome.FAILED, None, ())
        assert records == []
    assert len(shop.proxy.matching(sent)) == 1
    shop.again(report)


@pytest.mark.one_version
@pytest.mark.parametrize("when", ["before", "after"])
def test_a_lost_answer_is_read_back_without_a_record(shop: Restoring, when: When) -> None:
    """An undo without a safety copy writes none: the tables' ids tell."""
    restored = shop.restored(shop.beside)
    shop.proxy.cut("^COMMIT", when)
    report = shop.tried(
        lambda: undo_restore(
            shop.proxied, restored, safety_copy=False, on_progress=shop.told.append
        ),
        shop.before,
    )
    assert report is not None
    done = when == "after"
    assert (report.ok, report.id) == (done, None)
    assert ("read back" in str(report)) is done
    assert len(shop.proxy.matching(r"^CREATE TABLE `\w+`.`free`")) == 1
    if not done:
        shop.undone(restored.id)


@pytest.mark.one_version
@pytest.mark.parametrize(
    ("shop", "kind"), [("free", "copy"), ("own", "rebuild")], indirect=["shop"]
)
def test_a_lost_answer_that_nobody_can_read_back(shop: Restoring, kind: str) -> None:
    """It is unknown, and where the copies would be is said."""

    def lose() -> None:
        shop.proxy.cut("^COMMIT", "after")
        shop.proxy.on("^COMMIT", shop.proxy.refuse)

    shop.proxy.on("^INSERT INTO `matrixone_pitr`", lose)
    report = shop.tried_to_restore()
    assert report is not None
    (step,) = [step for step in report.steps if step.step.kind == kind]
    assert step.outcome is Outcome.UNKNOWN
    assert f"restore_records() lists restore {report.id} if they are" in str(report)
    assert [one.id for one in restore_records(shop.beside)] == [report.id]
    shop.again(report)


@pytest.mark.one_version
@pytest.mark.parametrize("when", ["before", "after"])
def test_an_undo_that_does_not_know_when_it_was(shop: Restoring, when: When) -> None:
    """It is done; what others write after it cannot be told from it, and is not lost unasked."""
    restored = shop.restored(shop.beside)
    shop.proxy.cut(STEPS_OF_UNDO["when it was"][0], when)
    undone = undo_restore(shop.proxied, restored)
    assert undone.ok, str(undone)
    assert state_of(shop.beside) == shop.before
    with pytest.raises(PitrRestoreError, match=r"whether rows of .*\.free were written since"):
        undo_restore(shop.beside, undone)
    assert undo_restore(shop.beside, undone, force=True).ok
    assert state_of(shop.beside) == shop.then


@pytest.mark.one_version
def test_a_foreign_key_that_is_made_just_before_restore(shop: Restoring) -> None:
    """The server says OK and does nothing then; so it is not said to be restored."""
    key = "CREATE TABLE late (p INT, CONSTRAINT f FOREIGN KEY (p) REFERENCES free (id))"
    shop.proxy.on("^RESTORE", lambda: say(shop.beside, key))
    with pytest.raises(PitrRestoreError, match="said OK and did nothing") as caught:
        restore(shop.proxied, shop.name, shop.at)
    report = report_of(caught.value)
    assert report is not None
    assert [step.outcome.value for step in report.steps[:2]] == ["done", "failed"]
    assert "by_restore=False" in report.steps[1].note
    say(shop.beside, "DROP TABLE late")
    shop.again(report)
    say(shop.beside, key)
    assert restore(shop.beside, shop.name, shop.at, by_restore=False).ok
