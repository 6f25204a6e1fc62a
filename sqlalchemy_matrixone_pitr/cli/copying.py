"""``copy``: a table or database as it was, beside the original; and how any copy is made here."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

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
from .moments import Moments, allow_unprotected, at_option, described
from .targets import target_then
from .values import many

if TYPE_CHECKING:
    from sqlalchemy.engine import Engine

    from ..past.copies import CopiedTable, Copying, CopyPreview, CopyReport

sql_option = click.option(
    "--sql", "as_sql", is_flag=True, help="Print the statements as a script, and send none."
)

_MADE_BY: Final = {True: "CLONE", False: "its rows"}


@click.command(
    epilog="""\b
    Example:
      mo-pitr copy orders --at '10m ago' orders_then
      mo-pitr copy shop --at revision:4f2a91c07d3e shop_then
    """
)
@click.argument("source")
@at_option
@click.argument("into")
@allow_unprotected
@json_option
@sql_option
@dry_run
@yes
@connected
def copy(
    engine: Engine,
    source: str,
    at: str,
    into: str,
    allow_unprotected: bool,
    as_json: bool,
    as_sql: bool,
    dry_run: bool,
    yes: bool,
) -> int:
    """Copy a table or database as it was beside the original: shows what, asks, does it.

    SOURCE is database.table, or a name: a table of the URL's database, or else a database,
    whichever was there then; 'NAME.*' is the database. INTO is a name that is free: of a table in
    its database, or with another one, as database.table.
    """
    from ..restore.copy import copying

    moment = Moments(engine).of("--at", at)
    with Console(error=True).working(f"looking at {source}"):
        wanted = copying(
            engine,
            target_then(engine, source, moment),
            moment,
            into,
            allow_unprotected=allow_unprotected,
        )
    return carry_out(wanted, as_json=as_json, as_sql=as_sql, dry_run=dry_run, yes=yes)


def carry_out(
    wanted: Copying, *, as_json: bool, as_sql: bool, dry_run: bool, yes: bool, verb: str = "Copy"
) -> int:
    """Show what would be made, ask, and make it."""
    with unchanged():
        with Console(error=True).working("counting rows"):
            preview = wanted.preview()
        if as_sql:
            Console().script(preview.statements)
            return 0
        if not as_json:
            _show(preview)
        if dry_run:
            if as_json:
                _print_json(preview, None)
            return 0
        if not yes and not confirmed(_question(preview, verb)):
            raise CliError(NOTHING_CHANGED)
    with Console(error=True).working(f"copying {_size(preview)}"):
        report = wanted.make()
    if as_json:
        _print_json(preview, report)
        return 0
    console = Console()
    done, *lacks = str(report).splitlines()
    console.line(f"Done: {done}", "green")
    for lack in lacks:
        console.line(lack, "yellow", indent="    ")
    return 0


def _size(preview: CopyPreview) -> str:
    return f"{many(len(preview.tables), 'table')}, {many(preview.rows, 'row')}"


def _question(preview: CopyPreview, verb: str) -> str:
    into = "" if preview.into == preview.source else f" as {preview.into}"
    return f"{verb} {preview.source} as of {preview.at}{into}: {_size(preview)}?"


def _show(preview: CopyPreview) -> None:
    console = Console()
    console.line(f"{preview.source} as of {preview.at}")
    if preview.tables:
        console.table(
            ("TABLE", "MADE BY", "ROWS"),
            [(table.name, _MADE_BY[table.cloned], f"{table.rows:,}") for table in preview.tables],
            styles={},
        )
    if not preview.rows:
        console.line("No row was there.", "yellow")


def _print_json(preview: CopyPreview, report: CopyReport | None) -> None:
    Console().json(
        {
            "format_version": 1,
            "source": preview.source,
            "into": preview.into,
            "at": described(preview.at),
            "tables": [_described_table(table) for table in preview.tables],
            "done": report is not None,
            "lacks": [] if report is None else list(report.lacks),
        }
    )


def _described_table(table: CopiedTable) -> dict[str, object]:
    return {"table": table.name, "rows": table.rows, "cloned": table.cloned}
