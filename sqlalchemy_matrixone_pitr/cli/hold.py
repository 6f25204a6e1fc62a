"""``hold``, ``holds`` and ``release``: nothing ages out while people investigate."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from .arguments import changes_the_server, connected, json_option, timeout
from .console import Console
from .targets import targets_held

if TYPE_CHECKING:
    from sqlalchemy.engine import Engine

    from ..held import Hold


@click.command(
    epilog="""\b
    Example:
      mo-pitr hold shop --reason 'orders were lost on Friday'
      mo-pitr hold shop.orders shop.lines --reason 'incident 4711'
    """
)
@click.argument("targets", metavar="TARGET...", nargs=-1, required=True)
@click.option("--reason", required=True, help="For whoever finds the hold.")
@timeout
@json_option
@connected
@changes_the_server
def hold(
    engine: Engine, targets: tuple[str, ...], reason: str, timeout: float, as_json: bool
) -> None:
    """Let nothing of tables or a database age out while people investigate.

    TARGET is database.table, or a name: a table of the URL's database, or else a database,
    whichever is there or has a policy; 'NAME.*' is the database. Several are tables. The ranges of
    the policies that cover it are lengthened to 100 years, and recorded, until `mo-pitr release`.
    """
    from ..hold import hold

    made = hold(engine, targets_held(engine, targets), reason, timeout=timeout)
    _show([made], as_json)
    if not as_json:
        Console().as_it_is(f"End it: mo-pitr release {made.id}")


@click.command(
    epilog="""\b
    Example:
      mo-pitr holds
    """
)
@json_option
@connected
def holds(engine: Engine, as_json: bool) -> None:
    """List the holds that are in force, and what they are for."""
    from ..hold import holds

    _show(holds(engine), as_json)


@click.command(
    epilog="""\b
    Example:
      mo-pitr release 3
    """
)
@click.argument("id", type=click.IntRange(min=1))
@timeout
@json_option
@connected
@changes_the_server
def release(engine: Engine, id: int, timeout: float, as_json: bool) -> None:
    """End a hold: give each policy its range back.

    What is out of the range may be collected from then on.
    """
    from ..hold import release

    ended = release(engine, id, timeout=timeout)
    _show([ended], as_json)
    for note in () if as_json else ended.notes:
        Console().line(f"  {note}", "yellow", indent="    ")


def _show(found: list[Hold], as_json: bool) -> None:
    if as_json:
        Console().json({"format_version": 1, "holds": [one.to_dict() for one in found]})
    elif not found:
        Console().line("There is none.")
    for one in [] if as_json else found:
        Console().line(str(one), indent="  ")
