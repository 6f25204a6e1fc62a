"""A restore whose connection is cut at a statement: what is said is so, and it can be done again.

The same of an undo, and of Ctrl-C at a statement of either.
``RESTORE_CUTS=all`` cuts at each statement that they send, before and after it.
"""

from __future__ import annotations

import os
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

FEW: dict[str, list[tuple[str, When]]] = {
    "free": [("^RESTORE", "after"), ("CLONE", "after")],
    "own": [("^COMMIT", "after"), ("^INSERT INTO .*SELECT", "after")],
}
FEW_OF_UNDO: list[tuple[str, When]] = [("^COMMIT", "after"), ("CLONE `matrixone_pitr`", "after")]

STEPS = {"clone aside": "^CREATE TABLE `matrixone_pitr`", "by RESTORE": "^RESTORE"}
STEPS_OF_UNDO = {
    "what changed since": "AS p LEFT",
    "clone back": "CLONE `matrixone_pitr`",
    "commit": "^COMMIT",
    "when it was": r"rel_id FROM mo_catalog\.mo_tables \{MO_TS",
    "verify": "^SHOW CREATE TABLE",
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

    def statements(self) -> list[str]:
        self.proxy.clear()
        report = self.restored(self.proxied)
        sent = self.sent()
        self.undone(report.id)
        return sent

    def statements_of_undo(self) -> list[str]:
        report = self.restored(self.beside)
        self.proxy.clear()
        assert undo_restore(self.proxied, report).ok
        return self.sent()

    def sent(self) -> list[str]:
        return list(dict.fromkeys(pattern_of(s) for s in self.proxy.statements))

    def restored(self, engine: Engine) -> RestoreReport:
        report = restore(engine, self.name, self.at)
        assert report.ok, str(report)
        assert state_of(self.beside) == self.then
        return report

    def undone(self, number: int | None) -> None:
        assert number is not None
        assert undo_restore(self.beside, number).ok
        assert state_of(self.beside) == self.before

    def cut(self, pattern: str, when: When) -> None:
        """Restore with a cut; what is said must be so, and the next one must do."""
        self.proxied.dispose()
        self.proxy.cut(pattern, when)
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
            assert report.id in [record.id for record in restore_records(self.beside)]


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
    cuts = FEW[table]
    if ALL:
        cuts = [(p, when) for p in shop.statements() for when in ("before", "after")]
    for pattern, when in cuts:
        shop.cut(pattern, when)


@pytest.mark.slow
@pytest.mark.timeout(3600 if ALL else 300)
def test_an_undo_is_cut_at_each_statement(shop: Restoring) -> None:
    cuts = FEW_OF_UNDO
    if ALL:
        cuts = [(p, when) for p in shop.statements_of_undo() for when in ("before", "after")]
    for pattern, when in cuts:
        shop.undo_ended(partial(shop.proxy.cut, pattern, when))


@pytest.mark.slow
def test_ctrl_c_inside_each_step(shop: Restoring, interrupt: Interrupt) -> None:
    for pattern in STEPS.values():
        shop.proxied.dispose()
        shop.proxy.on(pattern, lambda: interrupt(0.2))
        shop.again(shop.tried_to_restore())


@pytest.mark.slow
@pytest.mark.parametrize("step", STEPS_OF_UNDO)
def test_ctrl_c_inside_an_undo(shop: Restoring, interrupt: Interrupt, step: str) -> None:
    """Also after its COMMIT, when it asks at which moment that was: it is done."""
    shop.undo_ended(lambda: shop.proxy.on(STEPS_OF_UNDO[step], lambda: interrupt(0.2)))
    assert shop.proxy.matching(STEPS_OF_UNDO[step])
