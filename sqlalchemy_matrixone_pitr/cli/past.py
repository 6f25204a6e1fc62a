"""``when``, ``diff`` and ``undo``: find the moment, see the rows, bring them back."""

from __future__ import annotations

import contextlib
import datetime as dt
import decimal
import math
import shlex
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, Any, Final

import click

from .arguments import confirmed, connected, dry_run, json_option, yes
from .console import Console
from .errors import CliError, needs
from .restore_point import project_script
from .sqlparts import at_a_moment, condition, tables_of

if TYPE_CHECKING:
    from sqlalchemy import SelectBase, TextClause
    from sqlalchemy.engine import Engine

    from ..catalog import Key
    from ..moment import Moment
    from ..past.changes import Change
    from ..past.row_change import RowChange
    from ..past.rows import DiffSummary, RowChanges
    from ..past.undo import UndoReport

REVISION: Final = "revision:"
"""Before an Alembic revision: the moment just before it ran."""

NOTHING_CHANGED: Final = "Nothing was changed."

KINDS: Final = ("inserted", "updated", "deleted")

COLOURS: Final = {"inserted": "green", "updated": "yellow", "deleted": "red"}

INTEGERS: Final = ("TINYINT", "SMALLINT", "MEDIUMINT", "INT", "BIGINT")

MANY: Final = 1000
"""Lines that are written at once."""

_LONGEST: Final = 60
"""Characters of a value that people see."""


def _moment_option(name: str, help: str, **more: Any) -> Callable[..., Any]:
    return click.option(name, metavar="MOMENT", help=help, **more)


at_option = _moment_option(
    "--at",
    "The moment, such as '2026-11-28 09:30:00+01:00', '10m ago', or revision:ID, just before an "
    "Alembic revision ran.",
    required=True,
)
where_option = click.option(
    "--where",
    metavar="CONDITION",
    help="Only rows of which this was true then or is now, such as \"item = 'lamp'\".",
)
allow_unprotected = click.option(
    "--allow-unprotected",
    is_flag=True,
    help="Read what no policy keeps, too: once the server has collected it, it is empty.",
)


def _limit_option(default: int, what: str) -> Callable[..., Any]:
    return click.option(
        "--limit",
        type=click.IntRange(min=1),
        default=default,
        show_default=True,
        metavar="N",
        help=f"So many {what} are listed.",
    )


# --------------------------------------------------------------------------------------------- when


@click.command(
    epilog="""\b
    Example:
      mo-pitr when orders --row 42
      mo-pitr when orders "SELECT count(*) FROM orders WHERE item = 'lamp'" --since '2h ago'
    """
)
@click.argument("table")
@click.argument("select", required=False)
@click.option(
    "--row",
    metavar="KEY",
    help="The row with this primary key; the values of several columns with a comma between them.",
)
@_moment_option("--since", "Where to begin.", default="1h ago", show_default=True)
@_moment_option("--until", "Where to end.  [default: now]")
@click.option(
    "--resolution",
    type=click.FloatRange(min=0.000001),
    default=1.0,
    show_default=True,
    metavar="SECONDS",
    help="How exactly a change is found.",
)
@click.option(
    "--samples",
    type=click.IntRange(2, 10_000),
    default=32,
    show_default=True,
    help="Moments that are read first: what flips and flips back between two is not seen.",
)
@click.option("--latest", is_flag=True, help="Only the latest change, with fewer reads.")
@_limit_option(20, "changes, the latest,")
@allow_unprotected
@json_option
@connected
def when(
    engine: Engine,
    table: str,
    select: str | None,
    row: str | None,
    since: str,
    until: str | None,
    resolution: float,
    samples: int,
    latest: bool,
    limit: int,
    allow_unprotected: bool,
    as_json: bool,
) -> None:
    """Find when the answer of a SELECT changed, or when a row came and went.

    SELECT gives one value, such as count(*), and names tables without a moment. TABLE is one of
    them.
    """
    from ..past.changes import find_change, find_changes

    if (select is None) == (row is None):
        raise click.UsageError(
            f'give a SELECT or --row KEY: "SELECT count(*) FROM {table}", or --row 42'
        )
    moments = _Moments(engine)
    start = moments.of("--since", since)
    end = moments.now if until is None else moments.of("--until", until)
    key = _key(engine, table)
    statement: SelectBase | TextClause
    tables: Sequence[Key]
    if row is not None:
        statement, tables = _count_of_row(engine, key, row, start), [key]
    else:
        assert select is not None
        statement, tables = _select(engine, key, select, start)
    options: Any = {
        "since": start,
        "until": end,
        "resolution": dt.timedelta(seconds=resolution),
        "samples": samples,
        "tables": [".".join(one) for one in tables],
        "allow_unprotected": allow_unprotected,
    }
    with _counted_reads(engine, f"reading {_name(key)}"):
        if latest:
            found = [change] if (change := find_change(engine, statement, **options)) else []
        else:
            found = find_changes(engine, statement, **options)
    if as_json:
        _when_as_json(key, start, end, found)
    else:
        _show_changes(key, start, end, found[-limit:], len(found), samples, is_row=row is not None)


def _when_as_json(key: Key, start: Moment, end: Moment, found: Sequence[Change]) -> None:
    def side(moment: Moment, value: Any) -> dict[str, object]:
        from ..past.changes import NotThere

        there = value is not NotThere()
        return {
            **_described(moment),
            "there": there,
            "value": _for_json(value) if there else None,
        }

    Console().json(
        {
            "format_version": 1,
            "table": _name(key),
            "since": _described(start),
            "until": _described(end),
            "changes": [
                {
                    "before": side(change.before, change.value_before),
                    "after": side(change.after, change.value_after),
                }
                for change in found
            ],
        }
    )


def _show_changes(
    key: Key,
    start: Moment,
    end: Moment,
    shown: Sequence[Change],
    total: int,
    samples: int,
    *,
    is_row: bool,
) -> None:
    console = Console()
    if not shown:
        what = "the row neither came nor went" if is_row else "the answer did not change"
        console.line(
            f"From {start} to {end} {what}, at {samples} moments. What flips and flips back "
            "between two of them is not seen: give more --samples, or another --since."
        )
        return
    if total > len(shown):
        console.line(f"{total - len(shown)} more, earlier (--limit)")
    value = _presence if is_row else _of_answer
    console.table(
        ("BEFORE", "AFTER", "WAS", "BECAME"),
        [
            (
                str(change.before),
                str(change.after),
                value(change.value_before),
                value(change.value_after),
            )
            for change in shown
        ],
        styles={"not there": "red", "there": "green", "no table": "red"},
    )
    console.line("")
    console.as_it_is(f"What changed since: {_command('diff', _name(key), shown[-1].before)}")


def _presence(count: Any) -> str:
    from ..past.changes import NotThere

    if count is NotThere():
        return "no table"
    return "there" if count else "not there"


def _of_answer(value: Any) -> str:
    from ..past.changes import NotThere

    return "no table" if value is NotThere() else _shown(value)


def _select(
    engine: Engine, key: Key, select: str, start: Moment
) -> tuple[TextClause, Sequence[Key]]:
    """A SELECT that says when it reads, and the tables that it reads."""
    from sqlalchemy import text

    from ..coverage.reading import ask
    from ..past.changes import MOMENT_PARAMETER

    read = tables_of(select)
    keys = {table: _key(engine, table.name) for table in read}
    if key not in keys.values():
        names = ", ".join(sorted({_name(one) for one in keys.values()}))
        raise click.UsageError(f"the SELECT reads {names}, and not {_name(key)}")
    indexed = {
        (verdict.database_name, verdict.table_name)
        for verdict in ask(engine, list(keys.values()), start)
        if verdict.by and verdict.indexes
    }
    made = at_a_moment(select, read, MOMENT_PARAMETER, lambda table: keys[table] not in indexed)
    return text(made), list(dict.fromkeys(keys.values()))


def _count_of_row(engine: Engine, key: Key, row: str, start: Moment) -> SelectBase:
    """A SELECT that counts the row with a primary key: 1 or 0."""
    from sqlalchemy import func, select

    table = _keyed_table(engine, key, start)
    columns = list(table.columns)
    values = [row] if len(columns) == 1 else [part.strip() for part in row.split(",")]
    if len(values) != len(columns):
        names = ", ".join(column.name for column in columns)
        raise click.UsageError(
            f"the primary key of {_name(key)} is {names}: give --row {len(columns)} values, with a "
            f"comma between them, not {row!r}"
        )
    conditions = [
        column == _key_value(column, value) for column, value in zip(columns, values, strict=True)
    ]
    return select(func.count()).select_from(table).where(*conditions)


def _key_value(column: Any, value: str) -> int | str:
    from sqlalchemy import Integer

    if not isinstance(column.type, Integer):
        return value
    try:
        return int(value)
    except ValueError:
        raise click.UsageError(
            f"--row {value!r} is no value of {column.name}, an integer"
        ) from None


def _keyed_table(engine: Engine, key: Key, start: Moment) -> Any:
    """A table with the columns of its primary key, now; of one that is gone, at the start."""
    from sqlalchemy import BigInteger, Column, MetaData, Table
    from sqlalchemy.exc import DBAPIError
    from sqlalchemy.sql.elements import quoted_name
    from sqlalchemy.types import NullType

    from .. import server
    from ..catalog import read_shape
    from ..connections import roll_back, side_connection
    from ..errors import is_not_there

    shape = None
    with side_connection(engine) as side:
        version = server.require_matrixone(side)
        for at in (None, start):
            if shape is None:
                side.rollback()
                try:
                    shape = read_shape(side, version, key, at=at)
                except DBAPIError as error:
                    if at is None or not is_not_there(error):
                        raise
                    roll_back(side)
    if shape is None:
        raise CliError(
            f"{_name(key)} is there neither now nor at {start}: choose a --since at which it was"
        )
    if not shape.primary:
        raise CliError(
            f"{_name(key)} has no primary key, so --row names none: give a SELECT, such as "
            f'"SELECT count(*) FROM {key[1]} WHERE ..."'
        )
    columns = [column for name in shape.primary if (column := shape.column(name)) is not None]
    return Table(
        quoted_name(key[1], True),
        MetaData(),
        *(
            Column(
                quoted_name(column.name, True),
                BigInteger() if column.type.partition(" ")[0] in INTEGERS else NullType(),
            )
            for column in columns
        ),
        schema=quoted_name(key[0], True),
    )


# --------------------------------------------------------------------------------------------- diff


@click.command(
    epilog="""\b
    Example:
      mo-pitr diff orders --at '10m ago'
      mo-pitr diff orders --at revision:4f2a91c07d3e --where 'customer = 5' --csv
    """
)
@click.argument("table")
@at_option
@_moment_option("--until", "A later moment to compare with.  [default: now]")
@where_option
@_limit_option(100, "rows")
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
    moments = _Moments(engine)
    then = moments.of("--at", at)
    later = None if until is None else moments.of("--until", until)
    with (
        _progress(f"comparing {table}", printing=as_csv or as_json) as progress,
        diff_rows(
            engine,
            table,
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
    name = _name(changes.table)
    if shown:
        console.table(
            ("KEY", "ROW", "CHANGE"),
            [
                (", ".join(map(_shown, change.key)), _row(change), str(change.kind))
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
        console.as_it_is(f"Undo them: {_command('undo', name, changes.at)}{again}")


def _row(change: RowChange) -> str:
    if change.before is not None and change.after is not None:
        return ", ".join(
            f"{name}: {_shown(change.before[name])} -> {_shown(change.after[name])}"
            for name in change.changed
        )
    row = change.before if change.before is not None else change.after
    return ", ".join(f"{name}: {_shown(value)}" for name, value in (row or {}).items())


def _json_lines(found: _Seen) -> Iterator[str]:
    """One object, whose changes are a line each."""
    import json

    changes = found.changes
    head = {
        "format_version": 1,
        "table": _name(changes.table),
        "at": _described(changes.at),
        "until": None if changes.until is None else _described(changes.until),
        "key": changes.key,
        "added_columns": changes.added_columns,
        "dropped_columns": changes.dropped_columns,
    }
    yield json.dumps(head, ensure_ascii=False)[:-1] + ', "changes": ['
    last = None
    for change in found:
        if last is not None:
            yield f"{last},"
        last = json.dumps(
            {
                "kind": str(change.kind),
                "key": [_for_json(value) for value in change.key],
                "before": _row_for_json(change.before),
                "after": _row_for_json(change.after),
                "changed": change.changed,
            },
            ensure_ascii=False,
        )
    if last is not None:
        yield last
    yield f'], "summary": {json.dumps(found.counts)}}}'


def _row_for_json(row: dict[str, Any] | None) -> dict[str, object] | None:
    return None if row is None else {name: _for_json(value) for name, value in row.items()}


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
        doubled = str(_for_json(value)).replace('"', '""')
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


# --------------------------------------------------------------------------------------------- undo


@click.command(
    epilog="""\b
    Example:
      mo-pitr undo orders --at '10m ago'
      mo-pitr undo orders parts --at '2026-11-28 09:30:00+01:00' --kind deleted --yes
    """
)
@click.argument("tables", metavar="TABLE...", nargs=-1, required=True)
@at_option
@where_option
@click.option(
    "--kind",
    "kinds",
    multiple=True,
    type=click.Choice(KINDS),
    help="Only what was inserted, updated or deleted since; may be given several times.",
)
@click.option(
    "--on-conflict",
    type=click.Choice(["error", "skip", "replace"]),
    default="error",
    show_default=True,
    help="Of rows that cannot be as they were beside what is there now: change nothing at all, "
    "leave them out, or delete what has their UNIQUE value.",
)
@allow_unprotected
@json_option
@click.option(
    "--sql", "as_sql", is_flag=True, help="Print the statements as a script, and send none."
)
@dry_run
@yes
@connected
def undo(
    engine: Engine,
    tables: tuple[str, ...],
    at: str,
    where: str | None,
    kinds: tuple[str, ...],
    on_conflict: str,
    allow_unprotected: bool,
    as_json: bool,
    as_sql: bool,
    dry_run: bool,
    yes: bool,
) -> int:
    """Bring the rows of tables back as they were: shows how many, asks, does it.

    In one transaction, on the server: no row goes through this computer. Of several tables the
    foreign keys tell the order. Exits with 1 where rows were left as they are.
    """
    wanted = _Undo(engine, tables, at, where, kinds or KINDS, on_conflict, allow_unprotected)
    with _unchanged():
        if as_sql:
            Console().as_it_is(wanted.script().rstrip("\n"))
            return 0
        if dry_run or not yes:
            wanted.script()  # conflicts are told before anybody is asked
        preview = wanted.preview()
        if not as_json:
            wanted.show(preview)
        if not wanted.rows(preview) or dry_run:
            if as_json:
                wanted.print_json(preview, None)
            return 0
        if not yes and not confirmed(wanted.question(preview)):
            raise CliError(NOTHING_CHANGED)
    report = wanted.do(None if yes else preview)
    if as_json:
        wanted.print_json(preview, report)
    else:
        wanted.show_report(report)
    is_whole = report.complete or (bool(kinds) and not report.skipped)
    return 0 if is_whole else 1


@contextlib.contextmanager
def _unchanged() -> Iterator[None]:
    """Say of what is interrupted that nothing was changed."""
    try:
        yield
    except (KeyboardInterrupt, click.Abort) as interrupt:
        interrupt.add_note(NOTHING_CHANGED)
        raise


class _Undo:
    """An undo as it was asked for; its moment is found once."""

    def __init__(
        self,
        engine: Engine,
        tables: Sequence[str],
        at: str,
        where: str | None,
        kinds: Sequence[str],
        on_conflict: str,
        allow_unprotected: bool,
    ) -> None:
        if where is not None and len(tables) > 1:
            raise click.UsageError("--where is on the columns of one table: give one TABLE")
        self.engine = engine
        self.tables = list(tables)
        self.names = [_name(_key(engine, table)) for table in tables]
        self.at = _Moments(engine).of("--at", at)
        self.kinds = [kind for kind in KINDS if kind in kinds]
        self._allowed = allow_unprotected
        self._where = condition(where)
        self._options: Any = {
            "where": self._where,
            "kinds": self.kinds,
            "on_conflict": on_conflict,
            "allow_unprotected": allow_unprotected,
        }

    def script(self) -> str:
        """The statements; finding them finds conflicts too."""
        from ..past.undo import undo_sql

        with Console(error=True).working(f"comparing {', '.join(self.names)}"):
            return undo_sql(self.engine, self.tables, self.at, **self._options)

    def preview(self, bind: Any = None) -> list[DiffSummary]:
        """The changes since, counted for each table."""
        from ..past.rows import diff_summary

        with Console(error=True).working(f"counting {', '.join(self.names)}"):
            return [
                diff_summary(
                    self.engine if bind is None else bind,
                    table,
                    self.at,
                    where=self._where,
                    allow_unprotected=self._allowed,
                )
                for table in self.tables
            ]

    def rows(self, preview: Iterable[DiffSummary]) -> int:
        """How many rows will change."""
        return sum(getattr(summary, kind) for summary in preview for kind in self.kinds)

    def question(self, preview: Sequence[DiffSummary]) -> str:
        """The changes to be made, the opposite of those since."""
        opposite = {"inserted": "delete", "updated": "change back", "deleted": "insert"}
        made = {
            opposite[kind]: many
            for kind in self.kinds
            if (many := sum(getattr(summary, kind) for summary in preview))
        }
        parts = [f"{verb} {many:,}" for verb, many in made.items()]
        rows = "row" if sum(made.values()) == 1 else "rows"
        return f"As of {self.at}: {', '.join(parts)} {rows}?"

    def show(self, preview: Sequence[DiffSummary]) -> None:
        console = Console()
        for name, summary in zip(self.names, preview, strict=True):
            console.line(f"{name} since {self.at}: {summary}")
        if len(self.kinds) < len(KINDS):
            console.line(f"Only what was {' or '.join(self.kinds)} is taken back.")
        if not self.rows(preview):
            console.line("There is nothing to undo.")

    def do(self, preview: Sequence[DiffSummary] | None) -> UndoReport:
        """Write, and commit.

        :param preview: what a person has agreed to, which must be so still.
        """
        from ..past.undo import undo_changes

        with self.engine.connect() as connection:
            with _unchanged():
                if preview is not None:
                    now = self.preview(connection)
                    if now != preview:
                        raise CliError(
                            f"meanwhile others have changed rows, and {self.rows(now)} are to be "
                            f"undone now. {NOTHING_CHANGED} Run it again"
                        )
                with Console(error=True).working(f"writing {', '.join(self.names)}"):
                    report = undo_changes(connection, self.tables, self.at, **self._options)
            try:
                connection.commit()
            except KeyboardInterrupt as interrupt:
                interrupt.add_note("Whether the rows are back is not known: `mo-pitr diff` tells.")
                raise
        return report

    def show_report(self, report: UndoReport) -> None:
        done, *left = str(report).splitlines()
        console = Console()
        console.line(f"Done: {done}", "green")
        for line in left:
            console.line(line, "yellow", indent="  ")
        if report.complete:
            whole = "Nothing differs any more" if self._where is None else "None of them differs"
            console.line(f"{whole} from what was there.")

    def print_json(self, preview: Sequence[DiffSummary], report: UndoReport | None) -> None:
        Console().json(
            {
                "format_version": 1,
                "at": _described(self.at),
                "kinds": self.kinds,
                "changes": {
                    name: _counts(summary)
                    for name, summary in zip(self.names, preview, strict=True)
                },
                "done": report is not None,
                "complete": None if report is None else report.complete,
                "tables": [] if report is None else [_described_table(t) for t in report.tables],
            }
        )


def _described_table(table: Any) -> dict[str, object]:
    return {
        "table": table.name,
        "inserted": table.inserted,
        "updated": table.updated,
        "deleted": table.deleted,
        "skipped": table.skipped,
        "conflicts": [
            {"key": [_for_json(value) for value in conflict.key], "reason": conflict.reason}
            for conflict in table.conflicts
        ],
        "remaining": _counts(table.remaining),
        "dropped_columns": table.dropped_columns,
    }


def _counts(summary: DiffSummary) -> dict[str, int]:
    return {kind: getattr(summary, kind) for kind in KINDS}


# ------------------------------------------------------------------------------------------ shared


class _Moments:
    """Moments that options say, all by one reading of the server's clock."""

    def __init__(self, engine: Engine) -> None:
        from ..moment import Moment

        self._engine = engine
        self.now = Moment.now(engine)

    def of(self, option: str, text: str) -> Moment:
        """A moment that has passed, or that just before an Alembic revision."""
        from ..errors import PitrValidationError
        from ..moment import Moment

        try:
            if text.startswith(REVISION):
                return self._of_revision(text.removeprefix(REVISION))
            return Moment.parse(text, now=self.now).check_past(self.now)
        except PitrValidationError as error:
            raise click.BadParameter(str(error), param_hint=f"'{option}'") from error

    def _of_revision(self, revision: str) -> Moment:
        from ..moment import Moment

        with needs("alembic"):
            from ..alembic import restore_point
        return Moment.of(restore_point(self._engine, revision, script=project_script()).moment)


def _key(engine: Engine, table: str) -> Key:
    from ..declarations import Databases
    from ..past.comparison import find_table

    return find_table(table, Databases.of(engine))[0]


def _name(key: Key) -> str:
    return ".".join(key)


def _described(moment: Moment) -> dict[str, object]:
    return {"moment": str(moment), "nanoseconds": moment.nanoseconds}


def _command(command: str, name: str, at: Moment) -> str:
    return f"mo-pitr {command} {shlex.quote(name)} --at '{at}'"


def _for_json(value: Any) -> Any:
    """A value as JSON has it; what JSON does not know, or would round, is a text."""
    if value is None or isinstance(value, bool | int | str):
        return value
    if isinstance(value, float) and math.isfinite(value):
        return value
    if isinstance(value, bytes | bytearray):
        return f"0x{value.hex()}"
    if isinstance(value, dt.datetime | dt.date):
        return value.isoformat()
    return str(value)


def _shown(value: Any) -> str:
    """A value for people: NULL, and texts in quotes; not the whole of a long one."""
    if value is None:
        return "NULL"
    value = repr(value) if isinstance(value, str) else str(_for_json(value))
    return value if len(value) <= _LONGEST else f"{value[: _LONGEST - 3]}..."


@contextlib.contextmanager
def _counted_reads(engine: Engine, what: str) -> Iterator[None]:
    """The number of reads of the past so far, on a terminal."""
    from sqlalchemy import event

    reads = 0
    with Console(error=True).working(what) as progress:

        def count(connection: Any, cursor: Any, statement: str, *rest: Any) -> None:
            nonlocal reads
            if "{MO_TS" in statement:
                reads += 1
                progress(f"{reads:,} reads")

        event.listen(engine, "after_cursor_execute", count)
        try:
            yield
        finally:
            event.remove(engine, "after_cursor_execute", count)
