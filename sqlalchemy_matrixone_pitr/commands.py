"""The commands of ``mo-pitr``: what each takes and prints. What it does is in the package.

A command imports what it needs when it runs, so that ``mo-pitr --help`` needs click alone and is
quick. What they share, the URL, the metadata, the output, is in ``console.py``.
"""

from __future__ import annotations

import contextlib
import difflib
import functools
import signal
import sys
import threading
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import click

from .console import (
    CliError,
    Console,
    flushed,
    load_metadata,
    needs,
    notes,
    on_engine,
    server_url,
    short_errors,
    waiting_is_said,
)

if TYPE_CHECKING:
    from sqlalchemy.engine import Engine

    from .apply import ApplyReport
    from .ddl import PitrDDLElement
    from .declarations import Schemas
    from .model import Pitr
    from .plan import Plan

DRIFT = 1
"""Exit code of what is not as declared."""

MANY = 20
"""From so many actions on, ``apply`` shows a progress bar."""


class _Commands(click.Group):
    """A group that says which command may have been meant."""

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


@click.group(cls=_Commands)
@click.version_option(package_name="sqlalchemy-matrixone-pitr")
def mo_pitr() -> None:
    """MatrixOne point-in-time recovery (PITR) for SQLAlchemy.

    Exit codes: 0 done or in sync, 1 drift, 2 error or wrong usage, 130 interrupted.
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
        for note in notes(abort.__cause__):
            Console(error=True).line(note)
        click.echo("Interrupted.", err=True)
        return 130
    except click.ClickException as error:
        error.show()
        return 2
    except SystemExit as left:  # click's: completion is done, or nobody reads standard output
        return 2 if left.code else 0
    return code if isinstance(code, int) else 0


# ------------------------------------------------------------------------------------------ options


def _connection_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """``--url`` and ``-c``; the command gets the engine, and the metadata that it names.

    What others' code prints meanwhile goes to standard error.
    """

    @click.option(
        "--url",
        metavar="URL",
        help="The server, such as matrixone+pymysql://user:password@host:6001/shop "
        "[env var: MATRIXONE_URL]",
    )
    @click.option(
        "-c",
        "--config",
        type=click.Path(exists=True, dir_okay=False),
        metavar="FILE",
        help="An alembic.ini, whose sqlalchemy.url is the server, whatever MATRIXONE_URL says.",
    )
    @click.option(
        "-n",
        "--name",
        "section",
        metavar="SECTION",
        help="The section of that file, as alembic's own -n.  [default: alembic]",
    )
    @functools.wraps(command)
    def with_engine(
        *args: Any, url: str | None, config: str | None, section: str | None, **kwargs: Any
    ) -> Any:
        server = server_url(url, config, section)
        with contextlib.redirect_stdout(sys.stderr):
            if "metadata" in kwargs:
                kwargs["metadata"] = load_metadata(kwargs["metadata"])
            return on_engine(server, lambda engine: command(engine, *args, **kwargs))

    return with_engine


_json = click.option("--json", "as_json", is_flag=True, help="Print JSON, and nothing else.")
_sql = click.option("--sql", "as_sql", is_flag=True, help="Print what is to be done as a script.")
_dry_run = click.option("--dry-run", is_flag=True, help="Only show what would be done.")
_yes = click.option("--yes", "-y", is_flag=True, help="Do not ask.")
_drop_undeclared = click.option(
    "--drop-undeclared",
    is_flag=True,
    help="Also drop policies in the declared databases that nobody declares.",
)
_metadata = click.argument("metadata", metavar="MODULE:METADATA")
_timeout = click.option(
    "--timeout",
    type=click.FloatRange(min=0, min_open=True),
    default=30.0,
    show_default=True,
    metavar="SECONDS",
    help="How long to wait for another program that is changing policies.",
)


# ----------------------------------------------------------------------------------------- commands


@mo_pitr.command(
    epilog="""\b
    Example:
      mo-pitr show --url matrixone+pymysql://dump:111@127.0.0.1:6001/
    """
)
@click.option("--history", is_flag=True, help="Also the older generations of renewed policies.")
@_json
@_connection_options
def show(engine: Engine, history: bool, as_json: bool) -> None:
    """List this account's policies, and whether each still protects its object."""
    from .generations import policies, target_text
    from .reflection import get_pitrs

    pitrs = get_pitrs(engine, with_status=True)
    if not history:
        newest = {policy.current.name for policy in policies(pitrs)}
        pitrs = [pitr for pitr in pitrs if pitr.name in newest]
    pitrs.sort(key=lambda pitr: pitr.name)
    if as_json:
        Console().json(
            {
                "format_version": 1,
                "policies": [
                    {
                        "name": pitr.name,
                        "level": pitr.level.value,
                        "account_name": pitr.account_name,
                        "database_name": pitr.database_name,
                        "table_name": pitr.table_name,
                        "range": str(pitr.range),
                        "status": None if pitr.status is None else pitr.status.value,
                        "created_time": pitr.created_time and pitr.created_time.isoformat(),
                        "modified_time": pitr.modified_time and pitr.modified_time.isoformat(),
                    }
                    for pitr in pitrs
                ],
            }
        )
        return
    Console().table(
        ("NAME", "PROTECTS", "RANGE", "STATUS", "CREATED (UTC)"),
        [
            (
                pitr.name,
                target_text(pitr),
                str(pitr.range),
                "" if pitr.status is None else pitr.status.value,
                f"{pitr.created_time:%Y-%m-%d %H:%M:%S}" if pitr.created_time else "",
            )
            for pitr in pitrs
        ],
        styles={"detached": "red", "active": "green", "unknown": "yellow"},
        empty="This account has no policies.",
    )


@mo_pitr.command(
    epilog="""\b
    Example:
      mo-pitr plan shop.models:Base --url matrixone+pymysql://dump:111@127.0.0.1:6001/shop
    """
)
@_metadata
@_drop_undeclared
@_json
@_sql
@click.option("--exit-code", is_flag=True, help="Exit with 1 where the server is not as declared.")
@_connection_options
def plan(
    engine: Engine,
    metadata: Schemas,
    drop_undeclared: bool,
    as_json: bool,
    as_sql: bool,
    exit_code: bool,
) -> int:
    """Show what would make the server's policies those that are declared."""
    found = _plan(engine, metadata, drop_undeclared)
    _show_plan(found, as_json, as_sql)
    return DRIFT if exit_code and not found.in_sync else 0


@mo_pitr.command(
    epilog="""\b
    Example:
      mo-pitr check shop.models:Base --url matrixone+pymysql://dump:111@127.0.0.1:6001/shop
    """
)
@_metadata
@_drop_undeclared
@_json
@_sql
@_connection_options
def check(
    engine: Engine, metadata: Schemas, drop_undeclared: bool, as_json: bool, as_sql: bool
) -> int:
    """Exit with 1 where the server's policies are not those that are declared."""
    found = _plan(engine, metadata, drop_undeclared)
    _show_plan(found, as_json, as_sql)
    return 0 if found.in_sync else DRIFT


@mo_pitr.command(
    epilog="""\b
    Example:
      mo-pitr apply shop.models:Base --url matrixone+pymysql://dump:111@127.0.0.1:6001/shop
    """
)
@_metadata
@_drop_undeclared
@click.option(
    "--allow-destructive",
    is_flag=True,
    help="Also do that after which less can be restored: drop, shorten, move.",
)
@click.option(
    "--concurrency",
    type=click.IntRange(1, 64),
    default=4,
    show_default=True,
    help="Connections that send at once.",
)
@click.option("--keep-going", is_flag=True, help="Go on after an error.")
@_timeout
@_json
@_sql
@_dry_run
@_yes
@_connection_options
def apply(
    engine: Engine,
    metadata: Schemas,
    drop_undeclared: bool,
    allow_destructive: bool,
    concurrency: int,
    keep_going: bool,
    timeout: float,
    as_json: bool,
    as_sql: bool,
    dry_run: bool,
    yes: bool,
) -> int:
    """Make the server's policies those that are declared: shows the plan, asks, does it."""
    found = _plan(engine, metadata, drop_undeclared)
    if dry_run:
        _show_plan(found, as_json, as_sql)
        return 0
    if not as_json:
        _show_plan(found, False, as_sql)
    if found.destructive and not allow_destructive:
        costs = "".join(f"\n  {action}\n    {action.cost}" for action in found.destructive)
        raise CliError(
            f"{len(found.destructive)} actions are destructive, and nothing was sent; give "
            f"--allow-destructive to do them:{costs}"
        )
    if found.actions and not yes and not _confirmed(f"Apply {found.summary()}?"):
        click.echo("Nothing was sent.", err=True)
        return DRIFT
    try:
        report = _apply(engine, found, concurrency, keep_going, timeout)
    except BaseException as error:
        if as_json and (so_far := getattr(error, "report", None)) is not None:
            _show_report(found, so_far)
        raise
    if as_json:
        _show_report(found, report)
    elif found.actions or found.conflicts:
        Console(error=as_sql or not report.ok).report(report)
    return 0 if report.ok else 2


@mo_pitr.command(
    epilog="""\b
    Example:
      mo-pitr renew orders_week --url matrixone+pymysql://dump:111@127.0.0.1:6001/
    """
)
@click.argument("name")
@click.option(
    "--drop-history",
    is_flag=True,
    help="Drop the old generations instead of keeping what was before.",
)
@_timeout
@_json
@_sql
@_dry_run
@_yes
@_connection_options
def renew(
    engine: Engine,
    name: str,
    drop_history: bool,
    timeout: float,
    as_json: bool,
    as_sql: bool,
    dry_run: bool,
    yes: bool,
) -> None:
    """Protect a policy's object again after it was rebuilt.

    Creates the policy's next generation; the old one stays, and keeps what was before.
    """
    import warnings

    from .recovery import renew_pitr

    if as_sql or dry_run:
        newest, elements = _renewal(engine, name, not drop_history)
        if as_sql and not as_json:
            Console().script(elements)
        elif dry_run:
            _say_renewal(newest, bool(elements), as_json, "would_renew", "would protect it")
    if dry_run:
        return
    if drop_history and not yes and not _confirmed(f"Drop the history of {name!r}?"):
        raise CliError("nothing was sent")
    with warnings.catch_warnings():
        if drop_history:
            warnings.simplefilter("ignore")  # that was asked for, and said
        renewed = renew_pitr(engine, name, not drop_history, timeout=timeout)
    _say_renewal(
        renewed, renewed.status is None, as_json, "renewed", "protects it now", error=as_sql
    )


def _renewal(
    engine: Engine, name: str, keep_history: bool
) -> tuple[Pitr, Sequence[PitrDDLElement]]:
    """The PITR that would be a policy's newest, and what would be executed for that.

    What could no longer be restored is said on standard error.
    """
    import warnings

    from .names import check_pitr_name
    from .recovery import renewal_of, renewed_pitr
    from .reflection import read_state, reading

    with reading(engine) as connection:
        state = read_state(connection, tables=())
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        policy, elements = renewal_of(state, check_pitr_name(name), keep_history)
    for warning in said:
        Console(error=True).line(str(warning.message))
    return renewed_pitr(policy, keep_history) if elements else policy.current, elements


def _say_renewal(
    pitr: Pitr, renewed: bool, as_json: bool, key: str, verb: str, *, error: bool = False
) -> None:
    if as_json:
        Console().json({"format_version": 1, "name": pitr.name, key: renewed})
    elif renewed:
        Console(error=error).line(f"{pitr.name} {verb}.")
    else:
        Console(error=error).line(f"{pitr.name} still protects it: nothing is to be done.")


@mo_pitr.command(
    epilog="""\b
    Example:
      mo-pitr prune --dry-run --url matrixone+pymysql://dump:111@127.0.0.1:6001/
    """
)
@_timeout
@_json
@_sql
@_dry_run
@_yes
@_connection_options
def prune(
    engine: Engine, timeout: float, as_json: bool, as_sql: bool, dry_run: bool, yes: bool
) -> None:
    """Drop older generations that hold nothing any more."""
    from .ddl import DropPitr
    from .recovery import prunable, prune_history
    from .reflection import read_state, reading

    with reading(engine) as connection:
        found = prunable(read_state(connection, tables=()))
    if as_sql and not as_json:
        Console().script(DropPitr(pitr.name) for pitr in found)
    elif not as_json:
        for pitr in found:
            Console().line(f"- drop {pitr.name}")
    if found and not dry_run:
        if not yes and not _confirmed(f"Drop {len(found)} of them?"):
            raise CliError("nothing was sent")
        found = prune_history(engine, timeout=timeout)
    if as_json:
        names = [pitr.name for pitr in found]
        Console().json({"format_version": 1, "dropped" if not dry_run else "would_drop": names})
    else:
        done = "would be dropped" if dry_run else "dropped"
        Console(error=as_sql).line(f"{len(found)} {done}.")


@mo_pitr.command(
    "restore-point",
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
@_json
@_connection_options
def restore_point(engine: Engine, revision: str, version_table: str | None, as_json: bool) -> int:
    """Print the moment just before an Alembic revision ran, and what brings its tables back.

    Nothing is restored. Exits with 1 where a table cannot be brought back.
    """
    with needs("alembic"):
        from .alembic import restore_point as find
    point = find(engine, revision, version_table=version_table)
    if as_json:
        Console().json(
            {
                "format_version": 1,
                "revision": point.revision,
                "moment": point.moment.isoformat(),
                "statements": point.statements,
                "lost": point.lost,
                "warnings": point.warnings,
            }
        )
    else:
        Console().line(f"-- just before {point.revision}: {point.moment.isoformat()}")
        for warning in point.warnings:
            Console().line(f"-- {warning}")
        for statement in point.statements:
            Console().line(statement)
        for table in point.lost:
            Console().line(f"-- {table}: no policy can bring it back to that moment", "red")
    return DRIFT if point.lost else 0


def _plan(engine: Engine, metadata: Schemas, drop_undeclared: bool) -> Plan:
    from .plan import plan_pitrs

    return plan_pitrs(engine, metadata, drop_undeclared=drop_undeclared)


def _show_plan(found: Plan, as_json: bool, as_sql: bool) -> None:
    if as_json:
        Console().json(found.to_dict())
    elif as_sql:
        statements = (sent for action in found.actions for sent in action.statements)
        Console().script(statements, found.conflicts)
    else:
        Console().plan(found)


def _show_report(plan: Plan, report: ApplyReport) -> None:
    Console().json({"format_version": 1, "plan": plan.to_dict(), "report": report.to_dict()})


def _confirmed(question: str) -> bool:
    """Ask; on a pipe there is nobody to ask."""
    if sys.stdin is None or not sys.stdin.isatty():
        raise CliError("not on a terminal, so nobody can be asked: give --yes. Nothing was sent.")
    return click.confirm(question, err=True)


def _apply(
    engine: Engine, found: Plan, concurrency: int, keep_going: bool, timeout: float
) -> ApplyReport:
    from .apply import apply_plan

    with waiting_is_said(), Console(error=True).progress(len(found.actions), MANY) as advance:
        return apply_plan(
            engine,
            found,
            concurrency,
            allow_destructive=True,  # asked before
            on_progress=lambda progress: advance(),
            keep_going=keep_going,
            timeout=timeout,
        )


# ---------------------------------------------------------------------------------------- emulator


@mo_pitr.command(
    epilog="""\b
    Example:
      mo-pitr serve --port 6001 --version 3.0.9
    """
)
@click.option(
    "--port",
    type=click.IntRange(0, 65535),
    default=0,
    show_default=True,
    help="Port on 127.0.0.1; 0 takes a free one.",
)
@click.option(
    "--version",
    default="4.2.0",
    show_default=True,
    help="MatrixOne version to be: 2.2.2, 3.0.9 or 4.2.0.",
)
@click.option(
    "--timezone",
    default="UTC",
    show_default=True,
    metavar="ZONE",
    help="Zone of the server process, such as Europe/Berlin.",
)
@click.option("--log", is_flag=True, help="Print each statement on standard error.")
def serve(port: int, version: str, timezone: str, log: bool) -> None:
    """Run the embedded MatrixOne until Ctrl-C.

    Prints its URL. It listens on this machine only, and keeps nothing: when it stops, its data is
    gone.
    """
    with needs("cli", "emulator"):
        from .emulator import Emulator
    stopped = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: stopped.set())
    try:
        emulator = Emulator(version, port, timezone=timezone, log=sys.stderr if log else None)
    except (ValueError, KeyError) as error:  # KeyError: no such zone
        raise click.UsageError(str(error)) from error
    try:
        emulator.start()
    except OSError as error:
        raise click.UsageError(f"port {port}: {error.strerror}") from error
    try:
        click.echo(f"MatrixOne emulator {version}, Ctrl-C stops it.")
        click.echo(f"  SQLAlchemy  {emulator.url()}")
        click.echo(f"  mysql       mysql -h {emulator.host} -P {emulator.port} -u dump -p111")
        while not stopped.wait(0.2):
            pass
    finally:
        emulator.stop()
    click.echo("Stopped.")


@mo_pitr.command(
    epilog="""\b
    Example:
      mo-pitr demo
    """
)
@click.option(
    "--url",
    metavar="URL",
    help="A real server instead, such as matrixone+pymysql://dump:111@127.0.0.1:6001/; the demo "
    "makes a database demo_shop there and drops it.",
)
def demo(url: str | None) -> None:
    """Show the package at work in ten steps.

    Needs no server: it runs against the embedded MatrixOne, over the wire.
    """
    with short_errors(url), needs("cli", "emulator", "pymysql", "aiomysql"):
        from .demo import main

        main(url)
