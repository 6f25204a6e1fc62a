"""``undo``: bring the rows of tables back as they were."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

import click

from .arguments import (
    NOTHING_CHANGED,
    confirmed,
    connected,
    dry_run,
    json_option,
    unchanged,
    yes,
)
from .console import Console
from .errors import CliError
from .moments import Moments, allow_unprotected, at_option, described, moment_option
from .sqlparts import condition
from .targets import table_key
from .values import KINDS, dotted, for_json, where_option

if TYPE_CHECKING:
    from sqlalchemy.engine import Engine

    from ..past.rows import DiffSummary
    from ..past.undo import UndoReport


@click.command(
    epilog="""\b
    Example:
      mo-pitr undo orders --at '10m ago'
      mo-pitr undo orders --at '2h ago' --until '90m ago' --on-conflict skip
      mo-pitr undo orders parts \\
          --at '2026-11-28 09:30:00+01:00' --kind deleted --yes
    """
)
@click.argument("tables", metavar="TABLE...", nargs=-1, required=True)
@at_option
@moment_option(
    "--until",
    "Take back only what changed until then; what changed again since is a conflict.  "
    "[default: now]",
)
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
    help="Of rows that cannot be as they were beside what is there now, and of those that changed "
    "again since --until: change nothing at all, leave them out, or write them, and delete what "
    "has their UNIQUE value.",
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
    until: str | None,
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
    wanted = _Undo(engine, tables, at, until, where, kinds or KINDS, on_conflict, allow_unprotected)
    with unchanged():
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


class _Undo:
    """An undo as it was asked for; its moment is found once."""

    def __init__(
        self,
        engine: Engine,
        tables: Sequence[str],
        at: str,
        until: str | None,
        where: str | None,
        kinds: Sequence[str],
        on_conflict: str,
        allow_unprotected: bool,
    ) -> None:
        if where is not None and len(tables) > 1:
            raise click.UsageError("--where is on the columns of one table: give one TABLE")
        self.engine = engine
        self.tables = list(tables)
        self.names = [dotted(table_key(engine, table)) for table in tables]
        moments = Moments(engine)
        self.at = moments.of("--at", at)
        self.until = None if until is None else moments.of("--until", until)
        self.kinds = [kind for kind in KINDS if kind in kinds]
        self._allowed = allow_unprotected
        self._where = condition(where)
        self._options: Any = {
            "until": self.until,
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
                    until=self.until,
                    where=self._where,
                    allow_unprotected=self._allowed,
                )
                for table in self.tables
            ]

    def rows(self, preview: Iterable[DiffSummary]) -> int:
        """Number of rows that will change."""
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

    @property
    def _until(self) -> str:
        return "" if self.until is None else f" until {self.until}"

    def show(self, preview: Sequence[DiffSummary]) -> None:
        console = Console()
        for name, summary in zip(self.names, preview, strict=True):
            console.line(f"{name} since {self.at}{self._until}: {summary}")
        if len(self.kinds) < len(KINDS):
            console.line(f"Only what was {' or '.join(self.kinds)} is taken back.")
        if not self.rows(preview):
            console.line("There is nothing to undo.")

    def do(self, preview: Sequence[DiffSummary] | None) -> UndoReport:
        """Write, and commit.

        :param preview: what a person has agreed to, which must be so still.
        """
        from ..errors import is_settled
        from ..past.undo import undo_changes

        with self.engine.connect() as connection:
            with unchanged():
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
            except BaseException as error:
                if not is_settled(error):
                    error.add_note("Whether the rows are back is not known: `mo-pitr diff` tells.")
                raise
        return report

    def show_report(self, report: UndoReport) -> None:
        done, *left = str(report).splitlines()
        console = Console()
        console.line(f"Done: {done}", "green")
        for line in left:
            console.line(line, "yellow", indent="  ")
        if report.complete:
            whole = self._where is None and self.until is None
            what = "Nothing differs any more" if whole else "None of them differs"
            console.line(f"{what} from what was there.")

    def print_json(self, preview: Sequence[DiffSummary], report: UndoReport | None) -> None:
        Console().json(
            {
                "format_version": 1,
                "at": described(self.at),
                "until": None if self.until is None else described(self.until),
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
            {
                "key": [for_json(value) for value in conflict.key],
                "reason": conflict.reason,
                "changed_again": conflict.changed_again,
            }
            for conflict in table.conflicts
        ],
        "remaining": _counts(table.remaining),
        "dropped_columns": table.dropped_columns,
    }


def _counts(summary: DiffSummary) -> dict[str, int]:
    return {kind: getattr(summary, kind) for kind in KINDS}
