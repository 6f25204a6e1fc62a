"""``restore-point``: the moment before an Alembic revision."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from .arguments import connected, json_option
from .console import Console
from .errors import needs

if TYPE_CHECKING:
    from alembic.script import ScriptDirectory
    from sqlalchemy.engine import Engine


@click.command(
    "restore-point",
    context_settings={"ignore_unknown_options": True},  # -1 is a revision
    epilog="""\b
    Example:
      mo-pitr restore-point 4f2a91c07d3e -c alembic.ini
    """,
)
@click.argument("revision")
@click.option(
    "--version-table",
    metavar="NAME",
    help="Alembic's version table, where several projects migrate one database.",
)
@json_option
@connected
def restore_point(engine: Engine, revision: str, version_table: str | None, as_json: bool) -> int:
    """Print the moment just before an Alembic revision ran, and what brings its tables back.

    Tables that later revisions have destroyed are included. REVISION is as Alembic takes it: an
    identifier or the beginning of one, head, or -1 for the one before the database's version; or
    'downgrade of' an identifier. Give -c for branch labels.

    Nothing is restored. Exits with 1 where a table cannot be brought back.
    """
    with needs("alembic"):
        from ..alembic import restore_point as find
    point = find(engine, revision, version_table=version_table, script=project_script())
    console = Console()
    if as_json:
        console.json(
            {
                "format_version": 1,
                "revision": point.revision,
                "moment": point.moment.isoformat(),
                "statements": point.statements,
                "lost": point.lost,
                "warnings": point.warnings,
                "afterwards": point.afterwards,
            }
        )
    else:
        console.as_it_is(f"-- just before {point.revision}: {point.moment.isoformat()}")
        for warning in point.warnings:
            console.as_it_is(f"-- {warning}")
        for statement in point.statements:
            console.as_it_is(statement)
        for table in point.lost:
            console.line(f"-- {table}: no policy can bring it back to that moment", "red")
        if point.afterwards:
            console.as_it_is("-- then, on the command line:")
        for command in point.afterwards:
            console.as_it_is(f"--   {command}")
    return 1 if point.lost else 0


def project_script() -> ScriptDirectory | None:
    """The project of ``-c``, whose revisions a short or relative identifier is one of."""
    from alembic.config import Config
    from alembic.script import ScriptDirectory
    from alembic.util import CommandError

    parameters = click.get_current_context().params
    if parameters.get("config") is None:
        return None
    try:
        return ScriptDirectory.from_config(
            Config(parameters["config"], ini_section=parameters.get("section") or "alembic")
        )
    except CommandError:  # an alembic.ini that only names a server
        return None
