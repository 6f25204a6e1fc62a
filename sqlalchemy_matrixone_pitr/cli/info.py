"""``info``: what can be restored, from when until when, by what; what is at risk comes first."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Final

import click

from ..printing import one_line
from .arguments import connected, databases, json_option
from .console import MOST_NAMES, Console, warn
from .errors import CliError
from .moments import Moments, moment_option
from .targets import table_key

if TYPE_CHECKING:
    from sqlalchemy.engine import Engine

    from ..catalog import Key
    from ..coverage.report import CoverageReport
    from ..coverage.risks import Risk
    from ..coverage.table import TableCoverage
    from ..declarations import Schemas
    from ..moment import Moment

UNMET: Final = 1
"""Exit code where a table has less than it is required to have."""

STATE_COLOURS: Final = {
    "covered": "green",
    "rows only": "yellow",
    "unknown": "yellow",
    "detached": "red",
    "not covered": "red",
    "gone": "yellow",
}

_GRAVEST_FIRST: Final = (
    "not covered",
    "detached",
    "unknown",
    "rows only",
    "gone",
    "covered",
    "unprotected",
)


@click.command(
    epilog="""\b
    Example:
      mo-pitr info --database shop --require 7d
      mo-pitr info shop.models:Base \\
          --prometheus > /var/lib/node_exporter/matrixone_pitr.prom
    """
)
@click.argument("metadata", metavar="[MODULE:METADATA]", required=False)
@databases
@click.option(
    "--table",
    "tables",
    multiple=True,
    metavar="NAME",
    help="Only this table, such as orders or shop.orders; may be given several times.",
)
@click.option(
    "--require",
    metavar="RANGE",
    help="The range that a table must have for which none is declared, such as 7d: exits with 1 "
    "where one has less.",
)
@moment_option("--at", "A moment in question: says where it is lost, or soon will be.")
@click.option(
    "--within",
    default="24h",
    show_default=True,
    metavar="RANGE",
    help="How far ahead to look for what is about to be lost.",
)
@json_option
@click.option("--prometheus", is_flag=True, help="Print gauges in Prometheus' text format.")
@click.option("--timeline", is_flag=True, help="Draw it over time.")
@click.option(
    "--svg",
    type=click.Path(dir_okay=False),
    metavar="FILE",
    help="Draw it over time into an SVG file, which a browser shows.",
)
@connected
def info(
    engine: Engine,
    metadata: Schemas | None,
    databases: tuple[str, ...],
    tables: tuple[str, ...],
    require: str | None,
    at: str | None,
    within: str,
    as_json: bool,
    prometheus: bool,
    timeline: bool,
    svg: str | None,
) -> int:
    """Show what can be restored: from when until when, and by which policy.

    Tables of MODULE:METADATA, each with the range that is declared for it; without it all tables.
    What is at risk comes first.
    """
    from ..coverage.coverage import coverage
    from ..coverage.timeline import to_svg, to_text

    _check_one_form({"--json": as_json, "--prometheus": prometheus, "--timeline": timeline})
    moment = None if at is None else Moments(engine).of("--at", at)
    report = coverage(engine, metadata, databases=databases or None, require=require, at=moment)
    if metadata is not None and not report.tables:
        warn(
            "the metadata have no table: nothing is told. Are the modules with the models imported?"
        )
    if tables:
        report = _only(report, {name: table_key(engine, name) for name in tables})
    if as_json:
        Console().json({"format_version": 1, **report.to_dict()})
    elif prometheus:
        Console().as_it_is(report.to_prometheus().rstrip("\n"))
    elif timeline:
        Console().picture(partial(to_text, report))
    else:
        _show(report, report.at_risk(within))
    if svg is not None:
        _write(svg, to_svg(report))
    unmet = any(one.requirement and not one.meets_requirement for one in report.tables)
    return UNMET if unmet else 0


def _check_one_form(given: dict[str, bool]) -> None:
    names = [name for name, is_given in given.items() if is_given]
    if len(names) > 1:
        raise click.UsageError(f"give {' or '.join(names)}, not both: each is all that is printed")


def _write(path: str, text: str) -> None:
    try:
        Path(path).write_text(text, encoding="utf-8")
    except OSError as error:
        raise CliError(f"cannot write {path}: {error.strerror}") from error


def _only(report: CoverageReport, wanted: Mapping[str, Key]) -> CoverageReport:
    """The report of some tables.

    :param wanted: by the names that were given.
    """
    there = {one.key for one in report.tables}
    for name, key in wanted.items():
        if key not in there:
            raise CliError(f"there is no table {name}, nor a policy for one")
    tables = tuple(one for one in report.tables if one.key in wanted.values())
    theirs = {pitr.name for one in tables for pitr in one.policies}
    return replace(
        report,
        tables=tables,
        pitrs=tuple(pitr for pitr in report.pitrs if pitr.name in theirs),
        gone=tuple(pitr for pitr in report.gone if pitr.name in theirs),
        held={name: before for name, before in report.held.items() if name in theirs},
    )


def _show(report: CoverageReport, risks: Sequence[Risk]) -> None:
    console = Console()
    for line in _risk_lines(risks):
        console.line(line, "yellow", indent="  ")
    for line in _gap_lines(report.tables):
        console.line(line, "yellow", indent="  ")
    if report.held:
        held = ", ".join(f"{name} ({before})" for name, before in report.held.items())
        console.line(f"held (mo-pitr holds), range when released: {held}", indent="  ")
    if not report.tables:
        console.line("There is no table, nor a policy for one.")
        return
    if risks:
        console.line("")
    console.table(
        ("TABLE", "BY", "RESTORABLE FROM (UTC)", "UNTIL", "STATE"),
        [_row(one) for one in sorted(report.tables, key=_gravest_first)],
        styles=STATE_COLOURS,
    )
    counts = Counter(one.state.value for one in report.tables)
    shown = ", ".join(f"{counts[state]} {state}" for state in _GRAVEST_FIRST if counts[state])
    many = "1 table" if len(report.tables) == 1 else f"{len(report.tables)} tables"
    console.line(f"{many}: {shown}, as of {_second(report.now)} UTC")


def _risk_lines(risks: Sequence[Risk]) -> Iterator[str]:
    """A line for each risk; those that differ in their table alone together."""
    together: dict[tuple[str, str], list[str]] = {}
    for risk in risks:
        what = risk.message.removeprefix(f"{risk.subject}: ")
        together.setdefault((risk.kind.value, what), []).append(risk.subject)
    by_kind = Counter(kind for kind, _ in together)
    printed: Counter[str] = Counter()
    for (kind, what), subjects in together.items():
        printed[kind] += 1
        if printed[kind] <= MOST_NAMES:
            left = len(subjects) - MOST_NAMES
            more = f" and {left} more" if left > 0 else ""
            yield one_line(f"{kind}: {', '.join(subjects[:MOST_NAMES])}{more}: {what}")
        elif printed[kind] == by_kind[kind]:
            yield f"{kind}: {by_kind[kind] - MOST_NAMES} more (--json)"


def _gap_lines(tables: Sequence[TableCoverage]) -> Iterator[str]:
    """A line for each gap that has ended: the others are risks."""
    found = [(one, gap) for one in tables for gap in one.gaps if gap.end is not None]
    for one, gap in found[:MOST_NAMES]:
        assert gap.end is not None
        yield one_line(
            f"gap: {one.database_name}.{one.table_name} from {_second(gap.begin)} to "
            f"{_second(gap.end)} UTC: {gap.reason}"
        )
    if len(found) > MOST_NAMES:
        yield f"gap: {len(found) - MOST_NAMES} more (--json)"


def _gravest_first(table: TableCoverage) -> tuple[int, str, str]:
    return _GRAVEST_FIRST.index(table.state.value), *table.key


def _row(table: TableCoverage) -> tuple[str, ...]:
    first, last = table.restorable_from, table.restorable_until
    names = dict.fromkeys(one.by for one in table.windows if one.kept.value == "kept")
    perhaps = dict.fromkeys(one.by for one in table.windows if one.by not in names)
    return (
        f"{table.database_name}.{table.table_name}",
        ", ".join([*names, *(f"{name}?" for name in perhaps)]) or "-",
        "-" if first is None else _second(first),
        "-" if first is None else "now" if last is None else _second(last),
        table.state.value,
    )


def _second(moment: Moment) -> str:
    return f"{moment.datetime():%Y-%m-%d %H:%M:%S}"
