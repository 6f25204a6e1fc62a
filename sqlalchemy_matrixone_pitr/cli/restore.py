"""``restore``, ``restores`` and ``forget``: back as it was, the way back, and its copies."""

from __future__ import annotations

import contextlib
import datetime as dt
import re
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import click

from .arguments import (
    NOTHING_CHANGED,
    changes_the_server,
    confirmed,
    connected,
    dry_run,
    json_option,
    timeout,
    typed,
    unchanged,
    yes,
)
from .console import Console
from .errors import CliError, as_commands
from .moments import Moments, allow_unprotected, moment_option
from .targets import targets_then
from .values import many

if TYPE_CHECKING:
    from sqlalchemy.engine import Engine

    from ..moment import Moment
    from ..restore.preview import RestorePreview
    from ..restore.records import RestoreRecord
    from ..restore.report import RestoreProgress, RestoreReport


@click.command(
    epilog="""\b
    Example:
      mo-pitr restore shop.orders --at '10m ago'
      mo-pitr restore shop.orders shop.lines \\
          --at '2026-11-28 09:30:00+01:00' --dry-run
      mo-pitr restore --undo 7
    """
)
@click.argument("targets", metavar="[TARGET]...", nargs=-1)
@moment_option(
    "--at",
    "The moment to go back to, such as '2026-11-28 09:30:00+01:00', '10m ago', or revision:ID, "
    "just before an Alembic revision ran.",
)
@click.option(
    "--undo",
    type=click.IntRange(min=1),
    metavar="ID",
    help="Bring the state before a restore back.",
)
@click.option("--force", is_flag=True, help="Undo, also where rows were written since: they go.")
@click.option("--by-copies", is_flag=True, help="Never use RESTORE: all in one transaction.")
@click.option("--compare-rows", is_flag=True, help="Compare each row afterwards, too.")
@click.option("--no-safety-copy", is_flag=True, help="Set nothing aside: it cannot be undone.")
@click.option("--no-renew", is_flag=True, help="Leave policies that it ends as they are.")
@allow_unprotected
@timeout
@json_option
@dry_run
@yes
@connected
@changes_the_server
def restore(
    engine: Engine,
    targets: tuple[str, ...],
    at: str | None,
    undo: int | None,
    force: bool,
    by_copies: bool,
    compare_rows: bool,
    no_safety_copy: bool,
    no_renew: bool,
    allow_unprotected: bool,
    timeout: float,
    as_json: bool,
    dry_run: bool,
    yes: bool,
) -> int:
    """Bring tables or a database back as they were: shows what, asks, does it, and verifies.

    TARGET is database.table, or a name: a table of the URL's database, or else a database,
    whichever was there then; 'NAME.*' is the database. Several tables are restored together. What
    is there now is set aside first, in the database matrixone_pitr. Exits with 1 where something is
    left to do.
    """
    if undo is not None:
        if targets or at is not None or dry_run or by_copies or compare_rows or allow_unprotected:
            raise click.UsageError(
                "--undo takes the number of a restore: it restores no TARGET and no moment, and "
                "beside it are only --force, --no-safety-copy, --no-renew, --timeout, --json, --yes"
            )
        kept = {"force": force, "safety_copy": not no_safety_copy, "renew": not no_renew}
        return _undo(engine, undo, {**kept, "timeout": timeout}, as_json, yes)
    if not targets or at is None:
        raise click.UsageError("give a TARGET and --at, or --undo ID")
    if force:
        raise click.UsageError("--force belongs to --undo")
    moments = Moments(engine)
    moment = moments.of("--at", at)
    target: Any = targets_then(engine, targets, moment)
    options: dict[str, Any] = {
        "by_restore": False if by_copies else None,
        "allow_unprotected": allow_unprotected,
        "safety_copy": not no_safety_copy,
        "renew": not no_renew,
    }
    with unchanged():
        preview = _previewed(engine, target, moment, options)
        if not as_json:
            _show(preview)
        if dry_run or not preview.ok:
            if as_json:
                Console().json({"format_version": 1, "preview": preview.to_dict(), "report": None})
            if not preview.ok and not dry_run:
                raise CliError(f"{preview.target} cannot be restored so. {NOTHING_CHANGED}")
            return 0 if preview.ok else 1
        if not yes and not _agreed("to restore this", preview.target, len(targets)):
            raise CliError(NOTHING_CHANGED)
    options |= {"timeout": timeout, "compare_rows": compare_rows}
    report = _restored(engine, target, moment, preview, options, as_json)
    if as_json:
        told = {"preview": preview.to_dict(), "report": report.to_dict()}
        Console().json({"format_version": 1, **told})
    else:
        _show_report(report)
        _show_ways_on(report, moments.stamps)
    return 0 if report.ok else 1


def _agreed(what: str, target: str, tables: int) -> bool:
    """Ask for one word to be typed: the target's name, or of several tables how many they are."""
    if tables > 1:
        return typed(f"Type the number of tables {what}", str(tables))
    return typed(f"Type the target's name {what}", target)


def _previewed(
    engine: Engine, target: Any, moment: Moment, options: dict[str, Any]
) -> RestorePreview:
    from ..restore.preview import preview_restore

    with Console(error=True).working("looking at what is there, and what was"):
        return preview_restore(engine, target, moment, **options)


def _restored(
    engine: Engine,
    target: Any,
    moment: Moment,
    preview: RestorePreview,
    options: dict[str, Any],
    as_json: bool,
) -> RestoreReport:
    from ..restore.restoring import restore

    with _Steps(as_json) as steps:
        return restore(engine, target, moment, preview=preview, on_progress=steps.told, **options)


def _show(preview: RestorePreview) -> None:
    console = Console()
    kept = f", kept by {', '.join(preview.policies)}" if preview.policies else ""
    console.line(f"{preview.target} as of {preview.at}{kept}", indent="  ")
    for table in preview.tables:
        console.line(f"  {table}", indent="    ")
    for obstacle in preview.obstacles:
        console.line(f"  not by RESTORE: {as_commands(obstacle)}", indent="    ")
    for number, step in enumerate(preview.steps, 1):
        console.line(f"  {number}. {step}", indent="    ")
        if step.kind == "restore":
            for statement in step.statements:
                console.as_it_is(f"     {statement}")
    for cost in preview.costs:
        console.line(f"  note: {as_commands(cost)}", "yellow", indent="    ")
    for problem in preview.problems:
        console.line(f"  problem: {as_commands(problem)}", "red", indent="    ")


def _show_report(report: RestoreReport) -> None:
    console = Console()
    for table in report.tables:
        console.line(f"  {table}", indent="    ")
    if report.renewed:
        console.line(f"  protected again by {', '.join(report.renewed)}", indent="    ")
    for left in report.left:
        console.line(f"  left to do: {as_commands(left)}", "yellow", indent="    ")
    done = "Done" if report.ok else "Done, but not all"
    console.line(
        f"{done}: {many(len(report.tables), 'table')}, verified.",
        "green" if report.ok else "yellow",
    )


def _show_ways_on(report: RestoreReport, stamps: Sequence[str] = ()) -> None:
    console = Console()
    if report.id is not None:
        console.as_it_is(f"Undo it: mo-pitr restore --undo {report.id}")
    for stamp in stamps:
        console.as_it_is(f"Tell Alembic: {stamp}")


class _Steps:
    """The steps as they are done, with the time that each took."""

    def __init__(self, as_json: bool) -> None:
        self._console = Console(error=as_json)
        self._working = contextlib.ExitStack()

    def __enter__(self) -> _Steps:
        return self

    def __exit__(self, *raised: Any) -> None:
        self._working.close()

    def told(self, progress: RestoreProgress) -> None:
        number = f"{progress.number}/{progress.total}"
        self._working.close()  # its line is gone before another one is written
        if progress.outcome is None:
            what = f"restoring: {number} {progress.step.kind}"
            self._working.enter_context(Console(error=True).working(what))
            return
        self._console.line(
            f"{number} {progress.step.kind}: {progress.outcome}, {progress.seconds:.1f} s",
            "green" if progress.outcome.value == "done" else "red",
        )


def _undo(engine: Engine, number: int, options: dict[str, Any], as_json: bool, yes: bool) -> int:
    from ..restore.records import restore_records
    from ..restore.undoing import undo_restore

    with unchanged():
        found = [record for record in restore_records(engine) if record.id == number]
        if not found:
            raise CliError(
                f"there is no restore {number}, or its copies were forgotten: `mo-pitr restores` "
                f"lists them. {NOTHING_CHANGED}"
            )
        if not as_json:
            _show_record(found[0])
        tables = len(found[0].scope.tables)
        if not yes and not _agreed("to undo this", found[0].target, tables):
            raise CliError(NOTHING_CHANGED)
    with _Steps(as_json) as steps:  # of what was shown, should its number be another's by now
        report = undo_restore(engine, found[0], on_progress=steps.told, **options)
    if as_json:
        Console().json({"format_version": 1, "report": report.to_dict()})
    else:
        _show_report(report)
        _show_ways_on(report)
    return 0 if report.ok else 1


# ------------------------------------------------------------------------------------------ copies


@click.command(
    epilog="""\b
    Example:
      mo-pitr restores
    """
)
@json_option
@connected
def restores(engine: Engine, as_json: bool) -> None:
    """List the restores that can be undone, and what they have set aside, newest first."""
    from ..restore.records import restore_records

    found = restore_records(engine)
    if as_json:
        Console().json({"format_version": 1, "restores": [one.to_dict() for one in found]})
        return
    if not found:
        Console().line("There is none.")
    for record in found:
        _show_record(record)


def _show_record(record: RestoreRecord) -> None:
    console = Console()
    console.line(str(record), indent="  ")
    for copy in record.copies:
        console.line(f"  {copy.table} before it: {copy.copy}, {many(copy.rows, 'row')}")


@click.command(
    epilog="""\b
    Example:
      mo-pitr forget 7
      mo-pitr forget --older-than 30d
    """
)
@click.argument("ids", metavar="[ID]...", nargs=-1, type=click.IntRange(min=1))
@click.option("--older-than", metavar="LENGTH", help="All that are as old, such as 12h or 30d.")
@timeout
@yes
@connected
@changes_the_server
def forget(
    engine: Engine, ids: tuple[int, ...], older_than: str | None, timeout: float, yes: bool
) -> None:
    """Drop what restores have set aside: they cannot be undone any more."""
    from ..restore.records import forget_copies

    if bool(ids) == (older_than is not None):
        raise click.UsageError("give the IDs of restores, or --older-than")
    length = None if older_than is None else _length(older_than)
    if not yes and not confirmed("Drop the safety copies?"):
        raise CliError(NOTHING_CHANGED)
    forgotten = forget_copies(engine, older_than=length, ids=ids or None, timeout=timeout)
    for record in forgotten:
        Console().line(f"forgotten: {record}", indent="  ")
    if not forgotten:
        Console().line("There was nothing to forget.")


def _length(text: str) -> dt.timedelta:
    found = re.fullmatch(r"(\d{1,5})([hd])", text)
    if found is None:
        raise click.BadParameter(
            f"{text!r} is no length: write 12h or 30d", param_hint="'--older-than'"
        )
    return dt.timedelta(hours=int(found[1]) * (24 if found[2] == "d" else 1))
