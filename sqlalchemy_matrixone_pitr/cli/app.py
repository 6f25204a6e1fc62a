"""The group ``mo-pitr``: its commands, its help, and its exit code.

A command's module is imported when the command is named, and imports what it needs when it runs:
``mo-pitr --help`` needs click alone, and is quick.
"""

from __future__ import annotations

import contextlib
import difflib
import importlib
import sys
from typing import Final

import click

from .console import Console, flushed
from .errors import CliError, notes, short_errors

HELP = {"help_option_names": ["-h", "--help"]}


COMMANDS: Final = {
    "demo": ("servers", "Show the package at work in eleven steps."),
    "serve": ("servers", "Run the embedded MatrixOne until Ctrl-C."),
    "doctor": (
        "doctor",
        "Look at the connection, the server's version, rights, and what is not protected.",
    ),
    "show": (
        "policies",
        "List this account's policies, and whether each still protects its object.",
    ),
    "info": (
        "info",
        "Show what can be restored: from when until when, and by which policy.",
    ),
    "import": (
        "adoption",
        "Print the declarations that adopt the policies that the server has.",
    ),
    "plan": (
        "declared",
        "Show what would make the server's policies those that are declared.",
    ),
    "check": (
        "declared",
        "Exit with 1 where the server's policies are not those that are declared.",
    ),
    "apply": (
        "declared",
        "Make the server's policies those that are declared: shows the plan, asks, does it.",
    ),
    "renew": ("policies", "Protect a policy's object again after it was rebuilt."),
    "prune": ("policies", "Drop older generations that hold nothing any more."),
    "restore-point": (
        "restore_point",
        "Print the moment just before an Alembic revision ran, and what brings its tables back.",
    ),
    "when": (
        "when",
        "Find when the answer of a SELECT changed, or when a row came and went.",
    ),
    "diff": (
        "diff",
        "Show the rows of a table that were inserted, updated and deleted since a moment.",
    ),
    "undo": (
        "undo",
        "Bring the rows of tables back as they were: shows how many, asks, does it.",
    ),
    "dropped": (
        "dropped",
        "List the tables and databases that were dropped, the latest first.",
    ),
    "undrop": (
        "dropped",
        "Bring a dropped table or database back as it was at last: shows what, asks, does it.",
    ),
    "restore": (
        "restore",
        "Bring tables or a database back as they were: shows what, asks, does it, and verifies.",
    ),
    "restores": (
        "restore",
        "List the restores that can be undone, and what they have set aside, newest first.",
    ),
    "forget": (
        "restore",
        "Drop what restores have set aside: they cannot be undone any more.",
    ),
    "hold": (
        "hold",
        "Let nothing of tables or a database age out while people investigate.",
    ),
    "holds": ("hold", "List the holds that are in force, and what they are for."),
    "release": ("hold", "End a hold: give each policy its range back."),
    "copy": (
        "copying",
        "Copy a table or database as it was beside the original: shows what, asks, does it.",
    ),
}
"""The commands in the order in which they are needed: the module, the first line of the help"""


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
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name in COMMANDS and cmd_name not in self.commands:
            module = importlib.import_module(f".{COMMANDS[cmd_name][0]}", __package__)
            found = vars(module).values()
            for command in (one for one in found if isinstance(one, click.Command)):
                if command.name is not None:
                    self.commands[command.name] = command
        return super().get_command(ctx, cmd_name)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl([(name, line) for name, (_, line) in COMMANDS.items()])


@click.group(cls=_Commands, context_settings=HELP)
@click.version_option(package_name="sqlalchemy-matrixone-pitr")
def mo_pitr() -> None:
    """MatrixOne point-in-time recovery (PITR) for SQLAlchemy.

    \b
    Exit codes: 0 done or in sync, 1 drift, 2 error or wrong usage,
    130 interrupted.
    """


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
        for note in [*notes(abort.__context__), *notes(abort)]:
            Console(error=True).line(note)
        click.echo("Interrupted.", err=True)
        return 130
    except click.ClickException as error:
        error.show()
        return 2
    except SystemExit as left:  # click's: completion is done, or nobody reads standard output
        return 2 if left.code else 0
    return code if isinstance(code, int) else 0
