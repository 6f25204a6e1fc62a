"""Coverage as gauges in Prometheus' text format 0.0.4.

The names follow those that operators of backups know: barman and CloudNativePG call the earliest
moment that can be restored the first recoverability point. Times are seconds since 1970.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Final, TypeAlias

from ..extent import Extent
from ..model import PitrStatus
from ..moment import Moment
from .risks import RiskKind
from .table import CoverageState, TableCoverage

PREFIX: Final = "matrixone_pitr_"

Sample: TypeAlias = "tuple[tuple[tuple[str, str], ...], float]"
"""Labels and a value."""


def to_text(families: Iterable[tuple[str, str, Iterable[Sample]]]) -> str:
    """Gauges as text: name, help and samples of each; without samples a gauge is left out.

    >>> print(to_text([("up", "Whether it is.", [((("name", 'a"b'),), 1.0)])]), end="")
    # HELP matrixone_pitr_up Whether it is.
    # TYPE matrixone_pitr_up gauge
    matrixone_pitr_up{name="a\\"b"} 1
    """
    lines: list[str] = []
    for name, help_text, samples in families:
        shown = [f"{PREFIX}{name}{_labels(labels)} {_number(value)}" for labels, value in samples]
        if shown:
            lines += [
                f"# HELP {PREFIX}{name} {_escaped(help_text)}",
                f"# TYPE {PREFIX}{name} gauge",
                *shown,
            ]
    return "".join(f"{line}\n" for line in lines)


def _labels(labels: Iterable[tuple[str, str]]) -> str:
    shown = ",".join(f'{name}="{_quoted(value)}"' for name, value in labels)
    return f"{{{shown}}}" if shown else ""


def _escaped(text: str) -> str:
    return text.replace("\\", "\\\\").replace("\n", "\\n")


def _quoted(text: str) -> str:
    return _escaped(text).replace('"', '\\"')


def _number(value: float) -> str:
    return str(int(value)) if value == int(value) else repr(value)


def seconds(moment: Moment) -> float:
    """A moment as seconds since 1970, to the microsecond."""
    return moment.nanoseconds // 1000 / 1_000_000


def families(
    account: str,
    now: Moment,
    tables: Sequence[TableCoverage],
    statuses: Iterable[PitrStatus | None],
    risks: Iterable[RiskKind],
) -> Iterator[tuple[str, str, list[Sample]]]:
    """The gauges of a coverage.

    :param statuses: of the policies.
    :param risks: the kinds of those that are there.
    """
    of = ("account", account)

    def each(value_of: Callable[[TableCoverage], float | None]) -> list[Sample]:
        return [
            ((of, ("database", table.database_name), ("table", table.table_name)), value)
            for table in tables
            if (value := value_of(table)) is not None
        ]

    def counted(label: str, members: Iterable[str], found: Iterable[str]) -> list[Sample]:
        counts = Counter(found)
        return [((of, (label, member)), float(counts[member])) for member in members]

    yield (
        "first_recoverability_point",
        "Earliest moment that the table can be restored to, in seconds since 1970.",
        each(lambda table: None if (first := table.restorable_from) is None else seconds(first)),
    )
    yield (
        "last_available_timestamp",
        "Latest moment that the table can be restored to, in seconds since 1970.",
        each(lambda table: _last(table, now)),
    )
    yield (
        "gap_seconds",
        "Seconds after the first recoverability point that nothing keeps.",
        each(lambda table: None if table.restorable_from is None else _gaps(table, now)),
    )
    yield (
        "table_protected",
        "Whether an active policy keeps all of the table: 1 all, 0.5 its rows only, 0 nothing.",
        each(lambda table: table.extent / Extent.ALL if table.exists else None),
    )
    yield (
        "requirement_met",
        "Whether the table has an active policy of the required range.",
        each(
            lambda table: (
                None if table.requirement is None else float(bool(table.meets_requirement))
            )
        ),
    )
    yield (
        "tables",
        "Tables by the state of their protection.",
        counted("state", list(CoverageState), [one.state for one in tables]),
    )
    yield (
        "policies",
        "Policies by their status.",
        counted("status", list(PitrStatus), [one for one in statuses if one is not None]),
    )
    yield (
        "risks",
        "Risks within a day, by kind.",
        counted("kind", list(RiskKind), risks),
    )
    yield (
        "collected_timestamp",
        "When the server was asked, by its clock, in seconds since 1970.",
        [((of,), seconds(now))],
    )


def _last(table: TableCoverage, now: Moment) -> float | None:
    if table.restorable_from is None:
        return None
    return seconds(table.restorable_until or now)


def _gaps(table: TableCoverage, now: Moment) -> float:
    gaps = sum((gap.end or now).nanoseconds - gap.begin.nanoseconds for gap in table.gaps)
    return gaps // 1000 / 1_000_000
