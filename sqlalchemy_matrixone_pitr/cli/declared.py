"""``plan``, ``check`` and ``apply``: the declared policies against the server's."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import click

from .arguments import (
    NOTHING_SENT,
    changes_the_server,
    confirmed,
    connected,
    drop_undeclared,
    dry_run,
    json_option,
    metadata_argument,
    require_policies,
    sql_option,
    timeout,
    yes,
)
from .console import Console, announce_interrupt, warn
from .errors import CliError

if TYPE_CHECKING:
    from sqlalchemy.engine import Engine

    from ..declarations import Schemas
    from ..plan.actions import Plan
    from ..report import ApplyReport

DRIFT: Final = 1
"""Exit code of what is not as declared."""

MANY: Final = 20
"""From so many actions on, ``apply`` shows a progress bar."""


@click.command(
    epilog="""\b
    Example:
      mo-pitr plan shop.models:Base \\
          --url matrixone+pymysql://dump:111@127.0.0.1:6001/shop
    """
)
@metadata_argument
@drop_undeclared
@require_policies
@json_option
@sql_option
@click.option("--exit-code", is_flag=True, help="Exit with 1 where the server is not as declared.")
@connected
def plan(
    engine: Engine,
    metadata: Schemas,
    drop_undeclared: bool,
    require_policies: bool,
    as_json: bool,
    as_sql: bool,
    exit_code: bool,
) -> int:
    """Show what would make the server's policies those that are declared."""
    found = _Found(engine, metadata, drop_undeclared, require_policies)
    found.show(as_json, as_sql)
    return DRIFT if exit_code and not found.plan.in_sync else 0


@click.command(
    epilog="""\b
    Example:
      mo-pitr check shop.models:Base \\
          --url matrixone+pymysql://dump:111@127.0.0.1:6001/shop
    """
)
@metadata_argument
@drop_undeclared
@require_policies
@json_option
@sql_option
@connected
def check(
    engine: Engine,
    metadata: Schemas,
    drop_undeclared: bool,
    require_policies: bool,
    as_json: bool,
    as_sql: bool,
) -> int:
    """Exit with 1 where the server's policies are not those that are declared."""
    found = _Found(engine, metadata, drop_undeclared, require_policies)
    found.show(as_json, as_sql)
    return 0 if found.plan.in_sync else DRIFT


@click.command(
    epilog="""\b
    Example:
      mo-pitr apply shop.models:Base \\
          --url matrixone+pymysql://dump:111@127.0.0.1:6001/shop
    """
)
@metadata_argument
@drop_undeclared
@require_policies
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
@timeout
@json_option
@sql_option
@dry_run
@yes
@changes_the_server
@connected
def apply(
    engine: Engine,
    metadata: Schemas,
    drop_undeclared: bool,
    require_policies: bool,
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
    found = _Found(engine, metadata, drop_undeclared, require_policies)
    plan = found.plan
    if dry_run:
        found.show(as_json, as_sql)
        return 0
    if not as_json:
        found.show(False, as_sql)
    if plan.destructive and not allow_destructive:
        _refuse_destructive(plan)
    if plan.actions and not yes and not confirmed(f"Apply {plan.summary()}?"):
        Console(error=True).line(NOTHING_SENT)
        return DRIFT
    try:
        report = _apply(engine, plan, concurrency, keep_going, timeout)
    except BaseException as error:
        if as_json and (so_far := getattr(error, "report", None)) is not None:
            found.show_report(so_far)
        raise
    if as_json:
        found.show_report(report)
    elif plan.actions or plan.conflicts:
        Console(error=as_sql or not report.ok).report(report)
    return 0 if report.ok else 2


class _Found:
    """A plan, and how much it was made of: an empty declaration is in sync with anything."""

    def __init__(
        self, engine: Engine, metadata: Schemas, drop_undeclared: bool, required: bool
    ) -> None:
        from ..declarations import metadatas
        from ..plan.reading import plan_pitrs

        self.plan: Plan = plan_pitrs(engine, metadata, drop_undeclared=drop_undeclared)
        self.policies = len(self.plan.scope.declared)
        self.tables = sum(len(one.tables) for one in metadatas(metadata))
        if self.policies:
            return
        nothing = f"the metadata declare no policy ({_many(self.tables, 'table')})"
        if required:
            raise CliError(f"{nothing}, and --require-policies was given. {NOTHING_SENT}")
        warn(
            f"{nothing}: nothing is checked. Are the modules with the models imported? "
            "--require-policies makes this an error."
        )

    def show(self, as_json: bool, as_sql: bool) -> None:
        if as_json:
            Console().json(self.to_dict())
        elif as_sql:
            statements = (sent for action in self.plan.actions for sent in action.statements)
            Console().script(statements, self.plan.conflicts)
        else:
            Console().plan(
                self.plan,
                f"in sync: {_many(self.policies, 'policy')}, {_many(self.tables, 'table')}",
            )

    def show_report(self, report: ApplyReport) -> None:
        Console().json({"format_version": 1, "plan": self.to_dict(), "report": report.to_dict()})

    def to_dict(self) -> dict[str, Any]:
        counts = {"policies": self.policies, "tables": self.tables}
        return {**self.plan.to_dict(), "declared": counts}


def _many(count: int, what: str) -> str:
    plural = f"{what[:-1]}ies" if what.endswith("y") else f"{what}s"
    return f"{count} {what if count == 1 else plural}"


def _refuse_destructive(plan: Plan) -> None:
    costs = "".join(f"\n  {action}\n    {action.cost}" for action in plan.destructive)
    many = len(plan.destructive)
    are = "action is" if many == 1 else "actions are"
    them = "it" if many == 1 else "them"
    raise CliError(
        f"{many} {are} destructive, and nothing was sent; give --allow-destructive to do "
        f"{them}:{costs}"
    )


def _apply(
    engine: Engine, plan: Plan, concurrency: int, keep_going: bool, timeout: float
) -> ApplyReport:
    from ..apply import apply_plan

    with announce_interrupt(), Console(error=True).progress(len(plan.actions), MANY) as advance:
        return apply_plan(
            engine,
            plan,
            concurrency,
            allow_destructive=True,  # asked before
            on_progress=lambda progress: advance(),
            keep_going=keep_going,
            timeout=timeout,
        )
