"""A restore whose connection is cut at a statement: what is said is so, and it can be done again.

``RESTORE_CUTS=all`` cuts at each statement that a restore sends, before and after it.
"""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest
from sqlalchemy import Engine, create_engine

from sqlalchemy_matrixone_pitr import (
    Moment,
    Pitr,
    RestoreReport,
    forget_copies,
    restore,
    restore_records,
    undo_restore,
)
from sqlalchemy_matrixone_pitr.report import Outcome
from tests.conftest import Server
from tests.integration.restoring import State, make_shop, protect, state_of
from tests.past.tables import say, take_moment
from tests.proxy import Proxy, When, pattern_of

ALL = os.environ.get("RESTORE_CUTS") == "all"

FEW: dict[str, list[tuple[str, When]]] = {
    "free": [("^RESTORE", "after"), ("CLONE", "after")],
    "own": [("^COMMIT", "after"), ("^INSERT INTO .*SELECT", "after")],
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

    def statements(self) -> list[str]:
        self.proxy.clear()
        report = self.restored(self.proxied)
        sent = list(dict.fromkeys(pattern_of(s) for s in self.proxy.statements))
        self.undone(report.id)
        return sent

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
        try:
            report: RestoreReport | None = restore(self.proxied, self.name, self.at)
        except Exception as error:  # of any class that a lost connection may have
            report = report_of(error)
            self.check(report, state_of(self.beside))
        else:
            self.check(report, state_of(self.beside))
        self.proxy.cut("never", "before")
        last = self.restored(self.beside)
        if report is not None and report.id is not None and report.began:
            # the first one's copy has the state before both
            assert undo_restore(self.beside, report.id, force=True).ok
            assert state_of(self.beside) == self.before
        else:
            self.undone(last.id)

    def check(self, report: RestoreReport | None, state: State) -> None:
        if report is None:
            assert state == self.before
            return
        work = [s for s in report.steps if s.step.kind in ("restore", "rebuild")]
        (step,) = work
        expected = {
            Outcome.DONE: [self.then],
            Outcome.FAILED: [self.before],
            Outcome.NOT_TRIED: [self.before],
            Outcome.UNKNOWN: [self.then, self.before],
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


@pytest.mark.slow
@pytest.mark.timeout(3600 if ALL else 300)
@pytest.mark.parametrize("table", ["free", "own"])
def test_cut_at_each_statement(
    proxied_engine: Engine, proxy: Proxy, beside: Engine, prefix: str, table: str
) -> None:
    make_shop(beside)
    protect(beside, Pitr.database(f"{prefix}_d", "1d"), Pitr.table(f"{prefix}_t", table, "1d"))
    shop = Restoring(proxied_engine, proxy, beside, table)
    cuts = FEW[table]
    if ALL:
        cuts = [(p, when) for p in shop.statements() for when in ("before", "after")]
    for pattern, when in cuts:
        shop.cut(pattern, when)
