"""``dropped`` and ``undrop``: the tables and databases that are gone, and back again."""

from __future__ import annotations

import shlex
from collections import Counter
from collections.abc import Sequence
from typing import TYPE_CHECKING, Final

import click

from .arguments import connected, dry_run, json_option, yes
from .console import Console
from .copying import carry_out, sql_option
from .errors import CliError
from .moments import Moments, allow_unprotected, counted_reads, moment_option
from .targets import choose, meanings
from .values import limit_option, many

if TYPE_CHECKING:
    from sqlalchemy.engine import Engine

    from ..catalog import ObjectKey
    from ..moment import Moment
    from ..past.dropped import DroppedObject

_COLOURS: Final = {"kept": "green", "probably there": "yellow", "not kept": "red"}

since_option = moment_option(
    "--since", "Where to begin.  [default: as far back as a policy reaches, an hour at least]"
)
samples_option = click.option(
    "--samples",
    type=click.IntRange(2, 10_000),
    default=128,
    show_default=True,
    help="Moments at which the catalogue is read: what came and went between two is not seen.",
)


@click.command(
    epilog="""\b
    Example:
      mo-pitr dropped
      mo-pitr dropped --database shop --since '7d ago'
    """
)
@click.option("--database", metavar="NAME", help="Only this database, and what was in it.")
@since_option
@samples_option
@limit_option(100, "drops, the latest,")
@json_option
@connected
def dropped(
    engine: Engine,
    database: str | None,
    since: str | None,
    samples: int,
    limit: int,
    as_json: bool,
) -> None:
    """List the tables and databases that were dropped, the latest first.

    The server keeps no such list: its catalogue is read as it was. What was altered, truncated or
    restored was not dropped.
    """
    from ..past.dropped import dropped_objects

    start = None if since is None else Moments(engine).of("--since", since)
    with counted_reads(engine, "reading the catalogue"):
        found = dropped_objects(engine, database=database, since=start, samples=samples)
    if as_json:
        described = [one.to_dict() for one in found]
        Console().json({"format_version": 1, "dropped": described})
    else:
        _show(found, limit, start)


def _show(found: Sequence[DroppedObject], limit: int, start: Moment | None) -> None:
    console = Console()
    if not found:
        since = "" if start is None else f" since {start}"
        console.line(
            f"Nothing that was dropped is found{since}: give an earlier --since, or more --samples."
        )
        return
    console.table(
        ("OBJECT", "LAST THERE", "ROWS"),
        [(one.name, _last_there(one), _rows(one)) for one in found[:limit]],
        styles=_COLOURS,
    )
    if len(found) > limit:
        console.line(f"... and {len(found) - limit} more, earlier (--limit)")
    console.line("")
    for reason in dict.fromkeys(one.reason for one in found[:limit] if one.reason):
        console.line(f"Not surely kept: {reason}", "yellow", indent="  ")
    latest = next((one for one in found if not one.with_database), found[0])
    console.as_it_is(f"Bring it back: {_command(latest, found)}")


def _last_there(one: DroppedObject) -> str:
    """The moment, which ``--at`` takes, and what is special."""
    notes = [
        f"with {many(len(one.tables), 'table')}" if one.table_name is None else "",
        "with its database" if one.with_database else "",
        "there again since" if one.recreated else "",
    ]
    said = ", ".join(filter(None, notes))
    return f"{one.last}{said and f'  ({said})'}"


def _rows(one: DroppedObject) -> str:
    from ..coverage.model import Kept

    return {Kept.KEPT: "kept", Kept.PROBABLE: "probably there"}.get(one.kept, "not kept")


def _command(one: DroppedObject, found: Sequence[DroppedObject]) -> str:
    made = f"mo-pitr undrop {shlex.quote(one.name)}"
    if Counter(other.name for other in found)[one.name] > 1:
        made += f" --at '{one.last}'"
    if one.recreated:
        made += f" --into {shlex.quote((one.table_name or one.database_name) + '_back')}"
    return made


@click.command(
    epilog="""\b
    Example:
      mo-pitr undrop orders
      mo-pitr undrop shop.orders --at '2026-11-28 09:30:00Z' \\
          --into shop.orders_then
    """
)
@click.argument("object")
@click.option(
    "--into", metavar="NAME", help="Another name, which is free: of a table also database.table."
)
@moment_option(
    "--at",
    "Of several drops of one name: the first after this moment, such as its LAST THERE in "
    "`mo-pitr dropped`.",
)
@since_option
@samples_option
@allow_unprotected
@json_option
@sql_option
@dry_run
@yes
@connected
def undrop(
    engine: Engine,
    object: str,
    into: str | None,
    at: str | None,
    since: str | None,
    samples: int,
    allow_unprotected: bool,
    as_json: bool,
    as_sql: bool,
    dry_run: bool,
    yes: bool,
) -> int:
    """Bring a dropped table or database back as it was at last: shows what, asks, does it.

    OBJECT is database.table, or a name: a table of the URL's database, or else a database,
    whichever was dropped; 'NAME.*' is the database.
    """
    from ..past.dropped import undropping

    if at is not None and since is not None:
        raise click.UsageError("give --at or --since, not both: --at is where the search begins")
    option, begin = ("--at", at) if at is not None else ("--since", since)
    start = None if begin is None else Moments(engine).of(option, begin)
    with counted_reads(engine, "reading the catalogue"):
        found = _drops_of(engine, object, start, samples)
    if not found:
        raise CliError(
            f"no drop of {object} is found: `mo-pitr dropped` lists those that are, with --since "
            "or more --samples perhaps others"
        )
    if len(found) > 1 and at is None:
        each = "\n".join(f"  {_command(one, found)}" for one in found)
        raise CliError(f"{found[0].name} was dropped {len(found)} times: choose one\n{each}")
    wanted = undropping(engine, found[-1], into=into, allow_unprotected=allow_unprotected)
    return carry_out(
        wanted, as_json=as_json, as_sql=as_sql, dry_run=dry_run, yes=yes, verb="Bring back"
    )


def _drops_of(
    engine: Engine, name: str, start: Moment | None, samples: int
) -> Sequence[DroppedObject]:
    """The drops of a table, or else of a database, the latest first."""
    from ..past.dropped import dropped_objects

    meant = meanings(engine, name)
    drops: dict[ObjectKey, list[DroppedObject]] = {}
    for key in meant:
        dropped = dropped_objects(engine, database=key[0], since=start, samples=samples)
        drops[key] = [one for one in dropped if (one.database_name, one.table_name) == key]
    there = [key for key, found in drops.items() if found]
    return drops[choose(name, meant, there)] if there else []
