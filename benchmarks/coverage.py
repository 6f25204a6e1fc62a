"""Coverage at scale, apart from the server: from rows to windows, risks and gauges."""

from __future__ import annotations

import datetime as dt
import functools
from typing import Any

from benchmarks.measure import Spread, interleaved, paired_ratio, print_table, processor_seconds
from sqlalchemy_matrixone_pitr import CoverageReport, PitrRange
from sqlalchemy_matrixone_pitr.catalog import tables_of
from sqlalchemy_matrixone_pitr.coverage.computing import Requirements, cover
from sqlalchemy_matrixone_pitr.coverage.inventory import known_of, with_policies
from sqlalchemy_matrixone_pitr.server import rules_of
from sqlalchemy_matrixone_pitr.status import recorded_of

NOW = dt.datetime(2026, 11, 29, 12)
DATABASES = 100

Rows = list[tuple[Any, ...]]


def run(rounds: int) -> None:
    """``coverage`` of many tables: half have a policy of their own, half of the databases too."""
    sizes = (10_000, 100_000)
    rows = {size: (table_rows(size), policy_rows(size)) for size in sizes}

    def computed(size: int) -> float:
        return processor_seconds(lambda: computed_from(*rows[size]))

    def told(size: int) -> float:
        report = computed_from(*rows[size])
        return processor_seconds(
            lambda: (report.at_risk(), report.to_prometheus(), report.to_dict())
        )

    for what, action in (("Coverage computed", computed), ("Coverage told", told)):
        samples = interleaved(
            {f"{size:,}": functools.partial(action, size) for size in sizes}, min(rounds, 5)
        )
        base = next(iter(samples.values()))
        shown = []
        for name, times in samples.items():
            took, ratio = Spread.of(times), paired_ratio(times, base)
            shown.append((name, f"{took.median * 1000:.0f}", f"{ratio.median:.1f}"))
        print_table(f"{what} (no I/O; processor time)", ("tables", "ms", "times 10,000"), shown)


def computed_from(tables: Rows, policies: Rows) -> CoverageReport:
    """The report of what the server answers."""
    found = tables_of(tables)
    pitrs, recorded = recorded_of(policies)
    inventory = with_policies(known_of(found, rules_of((4, 2, 0))), found, pitrs, recorded)
    keys = [(database, table) for database, table in found.objects if table is not None]
    return cover(inventory, keys, Requirements(PitrRange.parse("7d")))


def table_rows(size: int) -> Rows:
    """A row for each table, as the catalogue has them; every third has an index of two columns."""
    rows: Rows = []
    for number in range(size):
        database = number % DATABASES
        made, altered = NOW - dt.timedelta(days=400), NOW - dt.timedelta(days=number % 50)
        of_database = ("sys", "", NOW, f"d{database}", 1000 + database, made)
        id_ = 10_000 + number
        row = (*of_database, f"t{number}", id_, id_, altered, 0, "r")
        rows += [(*row, "u"), (*row, "u")] if number % 3 == 0 else [(*row, None)]
    return rows


def policy_rows(size: int) -> Rows:
    """A row for each policy, as mo_pitr has them: of every second table and database."""
    times = [int((NOW - dt.timedelta(days=30)).timestamp()) * 10**9] * 3
    rows: Rows = [
        (f"p{n}", 1, 10_000 + n, *times, "table", "sys", f"d{n % DATABASES}", f"t{n}", 7, "d")
        for n in range(0, size, 2)
    ]
    rows += [
        (f"d{n}", 1, 1000 + n, *times, "database", "sys", f"d{n}", "", 14, "d")
        for n in range(0, DATABASES, 2)
    ]
    return rows
