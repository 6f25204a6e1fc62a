"""``show``, ``renew`` and ``prune``: the server's policies as they are, with no metadata."""

from __future__ import annotations

import enum
from collections.abc import Collection, Sequence
from typing import TYPE_CHECKING, Final

import click

from .arguments import (
    NOTHING_SENT,
    changes_the_server,
    confirmed,
    connected,
    databases,
    dry_run,
    json_option,
    sql_option,
    timeout,
    yes,
)
from .console import Console
from .errors import CliError, as_commands

if TYPE_CHECKING:
    import datetime as dt

    from sqlalchemy.engine import Engine

    from ..ddl import PitrDDLElement
    from ..generations import Policy
    from ..model import Pitr
    from ..status import ServerState

STATUS_COLOURS = {
    "detached": "red",
    "active": "green",
    "unknown": "yellow",
    "rows only": "yellow",
    "nothing": "red",
}


MANY_STEPS: Final = 5
"""Number of policies above which the same advice is given in one line."""


@click.command(
    epilog="""\b
    Example:
      mo-pitr show --database shop \\
          --url matrixone+pymysql://dump:111@127.0.0.1:6001/
    """
)
@click.option("--history", is_flag=True, help="Also the older generations of renewed policies.")
@databases
@json_option
@connected
def show(engine: Engine, history: bool, databases: tuple[str, ...], as_json: bool) -> None:
    """List this account's policies, and whether each still protects its object."""
    from ..coverage.expiry import earliest
    from ..extent import in_words, shortfalls
    from ..generations import policies
    from ..server import rules_of

    state = read(engine, with_parts=True)
    of_databases = wanted(state.pitrs, databases)
    found = policies(of_databases)
    pitrs = of_databases if history else [policy.current for policy in found]
    pitrs = sorted(pitrs, key=lambda pitr: pitr.name)
    short = list(shortfalls(state.pitrs, state.parts, rules_of(state.version)))
    kept = {one.policy: str(one.kept) for one in short}
    begins = {
        pitr.name: earliest(pitr, state.now, state.detached_at.get(pitr.name)) for pitr in pitrs
    }
    if as_json:
        described = [_described(pitr, kept.get(pitr.name), begins[pitr.name]) for pitr in pitrs]
        Console().json({"format_version": 1, "policies": described})
        return
    console = Console()
    if not pitrs:
        where = f" for {', '.join(databases)}" if databases else ""
        console.line(f"This account has no policies{where}.")
        return
    console.table(
        ("NAME", "PROTECTS", "RANGE", "STATUS", "RESTORABLE FROM (UTC)"),
        [_row(pitr, kept.get(pitr.name), begins[pitr.name]) for pitr in pitrs],
        styles=STATUS_COLOURS,
    )
    shown = {pitr.name for pitr in pitrs}
    steps = [*next_steps(state, found), *in_words([one for one in short if one.policy in shown])]
    if steps:
        console.line("")
    for step in steps:
        console.line(step, indent="  ")


def read(engine: Engine, *, with_parts: bool = False) -> ServerState:
    """All policies of the account, and the objects that they are for."""
    from ..show import reading
    from ..status import read_state

    with reading(engine) as connection:
        return read_state(connection, tables=(), with_parts=with_parts)


def wanted(pitrs: Sequence[Pitr], databases: Collection[str]) -> list[Pitr]:
    """The policies of databases and of their tables; without databases all."""
    from ..names import fold

    folded = {fold(name) for name in databases}
    return [pitr for pitr in pitrs if not folded or pitr.database_name in folded]


class _Step(enum.StrEnum):
    """The advice about a policy that protects nothing new, as it reads for several of them."""

    CREATE = "what they protect is gone. Create it again, then `mo-pitr renew NAME` of each"
    DROP_HISTORY = (
        "`mo-pitr renew NAME --drop-history` of each protects it again; the server lets its "
        "history not be kept"
    )
    RENEW = "`mo-pitr renew NAME` of each protects it again"

    @classmethod
    def of(cls, state: ServerState, policy: Policy) -> _Step:
        *_, database, table = policy.target
        if database is not None and (database, table) not in state.objects:
            return cls.CREATE
        if any(pitr.name in state.stale_active for pitr in policy.generations):
            return cls.DROP_HISTORY
        return cls.RENEW

    def for_one(self, policy: Policy) -> str:
        from ..ddl import DropPitr
        from ..generations import target_text
        from ..names import renew_command

        match self:
            case _Step.CREATE:
                return (
                    f"{target_text(policy.target)} is gone. Create it again, then "
                    f"`{renew_command(policy.name)}`; or give its history up with "
                    f"{DropPitr.of(policy.current)}"
                )
            case _Step.DROP_HISTORY:
                return (
                    f"`{renew_command(policy.name, drop_history=True)}` protects it again; the "
                    "server lets its history not be kept"
                )
            case _Step.RENEW:
                return f"`{renew_command(policy.name)}` protects it again"


def next_steps(state: ServerState, found: Sequence[Policy]) -> list[str]:
    """Advice about policies that protect nothing new: a line each, or of many with the same advice
    one line."""
    together: dict[_Step, list[Policy]] = {}
    for policy in found:
        if policy.detached:
            together.setdefault(_Step.of(state, policy), []).append(policy)
    lines: dict[str, str] = {}
    for step, some in together.items():
        if len(some) > MANY_STEPS:
            names = ", ".join(policy.name for policy in some)
            lines[some[0].name] = (
                f"{len(some)} policies protect nothing new: {step.value}. These are: {names}."
            )
            continue
        for policy in some:
            lines[policy.name] = (
                f"{policy.current.name} protects nothing new: {step.for_one(policy)}."
            )
    return [lines[policy.name] for policy in found if policy.name in lines]


def _row(pitr: Pitr, kept: str | None, begin: dt.datetime | None) -> tuple[str, ...]:
    """
    :param kept: how much of its table the policy keeps, where that is not all.
    :param begin: the earliest moment that it can restore.
    """
    from ..generations import target_text

    return (
        pitr.name,
        target_text(pitr),
        str(pitr.range),
        kept or ("" if pitr.status is None else pitr.status.value),
        f"{begin:%Y-%m-%d %H:%M:%S}" if begin else "-",
    )


def _described(pitr: Pitr, kept: str | None, begin: dt.datetime | None) -> dict[str, object]:
    return {
        "name": pitr.name,
        "level": pitr.level.value,
        "account_name": pitr.account_name,
        "database_name": pitr.database_name,
        "table_name": pitr.table_name,
        "range": str(pitr.range),
        "status": None if pitr.status is None else pitr.status.value,
        "kept": kept,
        "restorable_from": begin and begin.isoformat(),
        "created_time": pitr.created_time and pitr.created_time.isoformat(),
        "modified_time": pitr.modified_time and pitr.modified_time.isoformat(),
    }


@click.command(
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
@timeout
@json_option
@sql_option
@dry_run
@yes
@changes_the_server
@connected
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

    from ..renewal import renew_pitr

    if as_sql or dry_run:
        newest, elements = _renewal(engine, name, not drop_history)
        if as_sql:
            Console().script(elements)
        elif dry_run:
            _say_renewal(newest, bool(elements), as_json, "would_renew", "would protect it")
    if dry_run:
        return
    if drop_history and not yes and not confirmed(f"Drop the history of {name!r}?"):
        raise CliError(NOTHING_SENT)
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

    from ..names import check_pitr_name
    from ..renewal import renewal_of, renewed_pitr

    state = read(engine)
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        policy, elements = renewal_of(state, check_pitr_name(name), keep_history)
    for warning in said:
        Console(error=True).line(as_commands(str(warning.message)), indent="  ")
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


@click.command(
    epilog="""\b
    Example:
      mo-pitr prune --dry-run --url matrixone+pymysql://dump:111@127.0.0.1:6001/
    """
)
@timeout
@json_option
@sql_option
@dry_run
@yes
@changes_the_server
@connected
def prune(
    engine: Engine, timeout: float, as_json: bool, as_sql: bool, dry_run: bool, yes: bool
) -> None:
    """Drop older generations that hold nothing any more."""
    from ..ddl import DropPitr
    from ..renewal import prunable, prune_history

    found = prunable(read(engine))
    if as_sql:
        Console().script(DropPitr.of(pitr) for pitr in found)
    elif not as_json:
        for pitr in found:
            Console().line(f"- drop {pitr.name}")
    if found and not dry_run:
        many = "it" if len(found) == 1 else f"{len(found)} of them"
        if not yes and not confirmed(f"Drop {many}?"):
            raise CliError(NOTHING_SENT)
        found = prune_history(engine, timeout=timeout)
    if as_json:
        names = [pitr.name for pitr in found]
        Console().json({"format_version": 1, "dropped" if not dry_run else "would_drop": names})
    else:
        done = "would be dropped" if dry_run else "dropped"
        Console(error=as_sql).line(f"{len(found)} {done}.")
