"""The group ``mo-pitr``: its commands, its help, and its exit code.

A command imports what it needs when it runs, so that ``mo-pitr --help`` needs click alone and is
quick.
"""

from __future__ import annotations

import contextlib
import difflib
import sys

import click

from . import (
    adoption,
    copying,
    declared,
    diff,
    doctor,
    dropped,
    policies,
    restore_point,
    servers,
    undo,
    when,
)
from .console import Console, flushed
from .errors import CliError, notes, short_errors

HELP = {"help_option_names": ["-h", "--help"]}


class _Commands(click.Group):
    """A group that prints what its commands do whole, and says which one may have been meant."""

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        try:
            return super().resolve_command(ctx, args)
        except click.UsageError as error:
            near = difflib.get_close_matches(args[0], self.list_commands(ctx), n=1)
            if not near or "Did you mean" in error.message:
                raise
            raise click.UsageError(f"{error.message} Did you mean {near[0]!r}?", ctx) from error

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(self.commands)  # in the order in which they are needed

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl(
                [
                    (name, (command.help or "").partition("\n\n")[0].replace("\n", " "))
                    for name, command in self.commands.items()
                ]
            )


@click.group(cls=_Commands, context_settings=HELP)
@click.version_option(package_name="sqlalchemy-matrixone-pitr")
def mo_pitr() -> None:
    """MatrixOne point-in-time recovery (PITR) for SQLAlchemy.

    \b
    Exit codes: 0 done or in sync, 1 drift, 2 error or wrong usage,
    130 interrupted.
    """


for command in (
    servers.demo,
    servers.serve,
    doctor.doctor,
    policies.show,
    adoption.import_,
    declared.plan,
    declared.check,
    declared.apply,
    policies.renew,
    policies.prune,
    restore_point.restore_point,
    when.when,
    diff.diff,
    undo.undo,
    dropped.dropped,
    dropped.undrop,
    copying.copy,
):
    mo_pitr.add_command(command)


def run() -> int:
    """Run the command line; the exit code. Only a command itself says 1."""
    code = 2
    with contextlib.suppress(OSError):  # of standard error, where nothing can be said
        code = _run()
    return code if flushed() else 2


def _run() -> int:
    try:
        if sys.stdout is None:
            raise CliError("standard output is closed")
        with short_errors():
            code = mo_pitr.main(prog_name="mo-pitr", standalone_mode=False)
    except click.Abort as abort:
        for note in [*notes(abort.__cause__), *notes(abort)]:
            Console(error=True).line(note)
        click.echo("Interrupted.", err=True)
        return 130
    except click.ClickException as error:
        error.show()
        return 2
    except SystemExit as left:  # click's: completion is done, or nobody reads standard output
        return 2 if left.code else 0
    return code if isinstance(code, int) else 0
