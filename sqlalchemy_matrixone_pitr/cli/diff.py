"""``diff``: the rows of a table that changed since a moment."""

from __future__ import annotations

import contextlib
import decimal
import shlex
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, Any, Final

import click

from .arguments import connected, json_option
from .console import Console
from .moments import Moments, allow_unprotected, at_option, command_for, described, moment_option
from .sqlparts import condition
from .targets import table_key
from .values import KINDS, dotted, for_json, limit_option, shown_value, where_option

if TYPE_CHECKING:
    from sqlalchemy.engine import Engine

    from ..past.row_change import RowChange
    from ..past.rows import RowChanges

COLOURS: Final = {"inserted": "green", "updated": "yellow", "deleted": "red"}

MANY: Final = 1000
"""Lines that are written at once."""


@click.command(
    epilog="""\b
    Example:
      mo-pitr diff orders --at '10m ago'
      mo-pitr diff orders --at revision:4f2a91c07d3e --where 'customer = 5' --csv
    """
)
@click.argument("table")
@at_option
@moment_option("--until", "A later moment to compare with.  [default: now]")
@where_option
@limit_option(100, "rows")
@click.option("--csv", "as_csv", is_flag=True, help="Print CSV of all rows, and nothing else.")
@allow_unprotected
@json_option
@connected
def diff(
    engine: Engine,
    table: str,
    at: str,
    until: str | None,
    where: str | None,
    limit: int,
    as_csv: bool,
    allow_unprotected: bool,
    as_json: bool,
) -> None:
    """Show the rows of a table that were inserted, updated and deleted since a moment.

    They are compared by primary key. --json and --csv print all of them, --limit is for the table
    of people.
    """
    from ..past.rows import diff_rows

    if as_json and as_csv:
        raise click.UsageError("give --json or --csv, not both: each is all that is printed")
    moments = Moments(engine)
    then = moments.of("--at", at)
    later = None if until is None else moments.of("--until", until)
    with (
        _progress(f"comparing {table}", printing=as_csv or as_json) as progress,
        diff_rows(
            engine,
            dotted(table_key(engine, table)),
            then,
            until=later,
            where=condition(where),
            allow_unprotected=allow_unprotected,
        ) as changes,
    ):
        found = _Seen(changes, progress)
        if as_csv:
            _write(_csv_lines(found))
            return
        if as_json:
            _write(_json_lines(found))
            return
        shown = list(found.first(limit))
        for _ in found:
            pass  # they are counted
    _show_rows(found, shown, where)


def _progress(
    what: str, *, printing: bool
) -> contextlib.AbstractContextManager[Callable[[str], None]]:
    """The time and the count, unless rows are printed on the terminal meanwhile."""
    if printing and Console().width is not None:
        return contextlib.nullcontext(lambda so_far: None)
    return Console(error=True).working(what)


class _Seen:
    """Changes, and how many of each kind have been seen."""

    def __init__(self, changes: RowChanges, progress: Callable[[str], None]) -> None:
        self.changes = changes
        self.counts = dict.fromkeys(KINDS, 0)
        self._progress = progress

    @property
    def total(self) -> int:
        return sum(self.counts.values())

    def __iter__(self) -> Iterator[RowChange]:
        for change in self.changes:
            self.counts[str(change.kind)] += 1
            if self.total % MANY == 0:
                self._progress(f"{self.total:,} rows")
            yield change

    def first(self, many: int) -> Iterator[RowChange]:
        for change in self:
            yield change
            if self.total == many:
                return

    def __str__(self) -> str:
        return ", ".join(f"{self.counts[kind]} {kind}" for kind in KINDS)


def _show_rows(found: _Seen, shown: Sequence[RowChange], where: str | None) -> None:
    console = Console()
    changes = found.changes
    name = dotted(changes.table)
    if shown:
        console.table(
            ("KEY", "ROW", "CHANGE"),
            [
                (", ".join(map(shown_value, change.key)), _row(change), str(change.kind))
                for change in shown
            ],
            styles=COLOURS,
        )
    if found.total > len(shown):
        console.line(f"... and {found.total - len(shown)} more (--limit, --csv)")
    if shown:
        console.line("")
    until = f" until {changes.until}" if changes.until is not None else ""
    console.line(f"{name} since {changes.at}{until}: {found}")
    if not changes.key:
        console.line(f"{name} has no key that tells its rows apart: none counts as updated.")
    for columns, had in ((changes.added_columns, "later"), (changes.dropped_columns, "before")):
        if columns:
            console.line(f"Not compared, since the table had them {had} only: {', '.join(columns)}")
    if shown and changes.until is None and changes.key:
        again = "" if where is None else f" --where {shlex.quote(where)}"
        console.as_it_is(f"Undo them: {command_for('undo', name, changes.at)}{again}")


def _row(change: RowChange) -> str:
    if change.before is not None and change.after is not None:
        return ", ".join(
            f"{name}: {shown_value(change.before[name])} -> {shown_value(change.after[name])}"
            for name in change.changed
        )
    row = change.before if change.before is not None else change.after
    return ", ".join(f"{name}: {shown_value(value)}" for name, value in (row or {}).items())


def _json_lines(found: _Seen) -> Iterator[str]:
    """One object, whose changes are a line each."""
    import json

    changes = found.changes
    plain = Console().is_plain
    head = {
        "format_version": 1,
        "table": dotted(changes.table),
        "at": described(changes.at),
        "until": None if changes.until is None else described(changes.until),
        "key": changes.key,
        "added_columns": changes.added_columns,
        "dropped_columns": changes.dropped_columns,
    }
    yield json.dumps(head, ensure_ascii=plain)[:-1] + ', "changes": ['
    last = None
    for change in found:
        if last is not None:
            yield f"{last},"
        last = json.dumps(
            {
                "kind": str(change.kind),
                "key": [for_json(value) for value in change.key],
                "before": _row_for_json(change.before),
                "after": _row_for_json(change.after),
                "changed": change.changed,
            },
            ensure_ascii=plain,
        )
    if last is not None:
        yield last
    yield f'], "summary": {json.dumps(found.counts)}}}'


def _row_for_json(row: dict[str, Any] | None) -> dict[str, object] | None:
    return None if row is None else {name: for_json(value) for name, value in row.items()}


def _csv_lines(found: _Seen) -> Iterator[str]:
    """The kind of change, then the row before and after; NULL is empty, a text is in quotes."""
    columns = found.changes.columns
    sides = ("before", "after")
    yield ",".join(map(_cell, ["kind", *(f"{side}.{name}" for side in sides for name in columns)]))
    for change in found:
        values = [
            None if row is None else row[name]
            for row in (change.before, change.after)
            for name in columns
        ]
        yield ",".join(map(_cell, [str(change.kind), *values]))


def _cell(value: Any) -> str:
    if value is None:
        return ""
    if not isinstance(value, int | float | decimal.Decimal):
        doubled = str(for_json(value)).replace('"', '""')
        return f'"{doubled}"'
    return str(value)


def _write(lines: Iterable[str]) -> None:
    """Lines on standard output, many at once."""
    console = Console()
    some: list[str] = []
    for line in lines:
        some.append(line)
        if len(some) == MANY:
            console.as_it_is("\n".join(some))
            some = []
    if some:
        console.as_it_is("\n".join(some))
