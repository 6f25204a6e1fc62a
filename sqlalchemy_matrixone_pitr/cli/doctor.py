"""``doctor``: the server, the account, and what of it needs attention, at a glance."""

from __future__ import annotations

import contextlib
import enum
import time
from collections import Counter
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import click

from .arguments import connected, databases, json_option
from .console import Console
from .errors import address
from .policies import next_steps

if TYPE_CHECKING:
    from sqlalchemy.engine import Connection, Engine

    from ..declarations import Databases, Schemas
    from ..extent import Key
    from ..status import ServerState

ADMINISTRATORS: Final = ("moadmin", "accountadmin")
"""The roles that may change policies."""

MOST_NAMES: Final = 5


class Verdict(enum.StrEnum):
    OK = "ok"
    NOTE = "note"
    """Worth knowing; nothing is to be done now."""
    PROBLEM = "problem"


@dataclass(frozen=True)
class Finding:
    """One line of the report.

    :ivar about: what was looked at.
    """

    about: str
    verdict: Verdict
    text: str


@click.command(
    epilog="""\b
    Example:
      mo-pitr doctor shop.models:Base \\
          --url matrixone+pymysql://dump:111@127.0.0.1:6001/shop
    """
)
@click.argument("metadata", metavar="[MODULE:METADATA]", required=False)
@databases
@json_option
@connected
def doctor(
    engine: Engine, metadata: Schemas | None, databases: tuple[str, ...], as_json: bool
) -> int:
    """Look at the connection, the server's version, rights, and what is not protected.

    Of the URL's database, or of each --database. With metadata, tables that they mark Unprotected
    are left out. Exits with 0 where all is well, 1 where something needs attention, 2 where the
    server cannot be asked.
    """
    found = list(_findings(engine, metadata, databases))
    healthy = all(finding.verdict is not Verdict.PROBLEM for finding in found)
    console = Console()
    if as_json:
        console.json(
            {
                "format_version": 1,
                "ok": healthy,
                "findings": [
                    {"about": f.about, "verdict": f.verdict.value, "text": f.text} for f in found
                ],
            }
        )
    else:
        colours = {Verdict.PROBLEM: "red", Verdict.NOTE: "yellow", Verdict.OK: None}
        width = max(len(finding.about) for finding in found)
        for finding in found:
            mark = {Verdict.PROBLEM: "!", Verdict.NOTE: "i", Verdict.OK: " "}[finding.verdict]
            console.line(
                f"{mark} {finding.about.ljust(width)}  {finding.text}",
                colours[finding.verdict],
                indent=" " * (width + 4),
            )
        problems = sum(finding.verdict is Verdict.PROBLEM for finding in found)
        console.line("All is well." if healthy else f"{problems} of these need attention.")
    return 0 if healthy else 1


def _findings(
    engine: Engine, metadata: Schemas | None, databases: Sequence[str]
) -> Iterator[Finding]:
    from sqlalchemy.exc import SQLAlchemyError

    from ..declarations import Databases
    from ..show import reading
    from ..status import read_state
    from .errors import as_commands

    with reading(engine) as connection:
        yield _connection(connection)
        yield _version(connection)
        yield _rights(connection)
    chosen = _databases(engine, databases)
    with reading(engine) as connection:
        try:
            state = read_state(connection, databases=chosen, with_parts=True)
        except SQLAlchemyError as error:
            reason = as_commands(str(error).partition("\n")[0])
            yield Finding("policies", Verdict.PROBLEM, f"cannot be read: {reason}")
            return
    with reading(engine) as connection:
        catalogue = _Catalogue.read(connection, {*chosen, *_databases_of(state)})
    yield from _database(state, chosen, bool(databases))
    yield from _policies(state)
    named = Databases.of(engine).told(state.database)
    yield from _unprotected(state, catalogue, chosen, metadata, named)
    yield from _quirks(state, catalogue)


def _connection(connection: Connection) -> Finding:
    before = time.monotonic()
    connection.exec_driver_sql("SELECT 1")
    took = (time.monotonic() - before) * 1000
    url = connection.engine.url
    return Finding(
        "connection", Verdict.OK, f"{address(url)} by {url.drivername}, {took:.1f} ms an answer"
    )


def _version(connection: Connection) -> Finding:
    from .. import server

    version = server.require_matrixone(connection)
    if version == server.DEVELOPMENT:
        return Finding(
            "version",
            Verdict.NOTE,
            "a development build, which counts as newer than any release; this package was "
            "measured on releases up to 4.2.0",
        )
    told = ".".join(map(str, version))
    if version in server.MEASURED:
        return Finding("version", Verdict.OK, f"MatrixOne {told}, measured with this package")
    measured = ", ".join(".".join(map(str, known)) for known in server.MEASURED)
    return Finding(
        "version",
        Verdict.NOTE,
        f"MatrixOne {told}, not measured: its rules are taken from its neighbours ({measured})",
    )


def _rights(connection: Connection) -> Finding:
    account, user, role = connection.exec_driver_sql(
        "SELECT current_account_name(), current_user(), current_role()"
    ).one()
    who = f"{str(user).partition('@')[0]} of account {account}, role {role}"
    if role in ADMINISTRATORS:
        return Finding("rights", Verdict.OK, f"{who}: may change policies")
    return Finding(
        "rights",
        Verdict.PROBLEM,
        f"{who}: may not change policies, for which {' or '.join(ADMINISTRATORS)} must be the "
        "active role",
    )


def _databases(engine: Engine, named: Sequence[str]) -> list[str]:
    from ..names import fold

    if named:
        return [fold(name) for name in named]
    with engine.connect() as connection:
        default = connection.dialect.default_schema_name
    return [default] if default else []


def _databases_of(state: ServerState) -> set[str]:
    return {pitr.database_name for pitr in state.pitrs if pitr.database_name is not None}


def _database(state: ServerState, chosen: Sequence[str], named: bool) -> Iterator[Finding]:
    if not chosen:
        yield Finding(
            "database",
            Verdict.NOTE,
            "the URL names none, so tables are not looked at: name one in it, or with --database",
        )
    for name in chosen:
        if (name, None) in state.objects:
            how = "by --database" if named else "the URL's"
            yield Finding("database", Verdict.OK, f"{name}, {how}")
        else:
            yield Finding("database", Verdict.PROBLEM, f"{name} does not exist")


def _policies(state: ServerState) -> Iterator[Finding]:
    from ..generations import policies

    found = policies(state.pitrs)
    detached = [policy for policy in found if policy.detached]
    text = f"{len(found)} of this account, {len(detached)} of them detached"
    yield Finding("policies", Verdict.OK, text)
    for step in next_steps(state, detached):
        yield Finding("detached", Verdict.PROBLEM, step)
    if state.held:
        held = _some([f"{name} ({before})" for name, before in sorted(state.held.items())])
        yield Finding("held", Verdict.NOTE, f"range when released (mo-pitr holds): {held}")
    counts = Counter(pitr.name for pitr in state.pitrs)
    twice = sorted(name for name, count in counts.items() if count > 1)
    if twice:
        yield Finding(
            "catalogue",
            Verdict.PROBLEM,
            f"SHOW PITR lists {_some(twice)} more than once: CREATE PITR of several programs at "
            "once has damaged the server's catalogue",
        )


def _unprotected(
    state: ServerState,
    catalogue: _Catalogue,
    chosen: Sequence[str],
    metadata: Schemas | None,
    named: Databases,
) -> Iterator[Finding]:
    from ..declarations import unprotected_tables
    from ..extent import Covered

    covered = Covered(state.pitrs)
    if covered.everything:
        return
    accepted = unprotected_tables(metadata, named) if metadata is not None else ()
    bare = [
        table
        for table in catalogue.tables
        if table[0] in chosen
        and table not in accepted
        and not table[1].startswith("alembic_")
        and table not in covered
    ]
    if bare:
        yield Finding(
            "unprotected",
            Verdict.PROBLEM,
            f"{_many_tables(bare)} without an active policy: {_some(_dotted(bare))}",
        )
    elif chosen:
        yield Finding("unprotected", Verdict.OK, "no table")


# ------------------------------------------------------------------------------------------- quirks


@dataclass(frozen=True)
class _Catalogue:
    """The facts of the catalogue that quirks depend on.

    :ivar tables: ordinary ones.
    :ivar referred: those that foreign keys of other tables refer to.
    """

    tables: Sequence[Key]
    referred: Mapping[Key, Key]

    @classmethod
    def read(cls, connection: Connection, databases: Collection[str]) -> _Catalogue:
        """Two statements; what an account may not read is empty."""

        def read(statement: str) -> list[Any]:
            from sqlalchemy import bindparam, text
            from sqlalchemy.exc import DBAPIError

            wanted = text(statement).bindparams(bindparam("databases", expanding=True))
            with contextlib.suppress(DBAPIError):
                rows = connection.execute(wanted, {"databases": sorted(databases) or [""]})
                return [tuple(row) for row in rows]
            connection.rollback()
            return []

        tables = read(
            "SELECT reldatabase, relname FROM mo_catalog.mo_tables "
            "WHERE account_id = current_account_id() AND relkind = 'r' "
            "AND reldatabase IN :databases ORDER BY reldatabase, relname"
        )
        referred = read(
            "SELECT refer_db_name, refer_table_name, db_name, table_name "
            "FROM mo_catalog.mo_foreign_keys WHERE refer_db_name IN :databases"
        )
        return cls(
            [(database, table) for database, table in tables if "%!%" not in table],
            {tuple(row[:2]): tuple(row[2:]) for row in referred if row[:2] != row[2:]},
        )


def _quirks(state: ServerState, catalogue: _Catalogue) -> Iterator[Finding]:
    """Surprises of this version, where there is something they concern."""
    from .. import server
    from ..extent import Covered, in_words, shortfalls

    rules = server.rules_of(state.version)
    covered = Covered(state.pitrs)

    def note(text: str) -> Finding:
        return Finding("quirk", Verdict.NOTE, text)

    if rules.concurrent_create_damages:
        yield note(
            "programs that create one policy at the same time damage the catalogue: `mo-pitr "
            "apply`, ensure_pitrs and migrations take a lock; a manager does with serialize=True"
        )
    if rules.rebuilt_stays_active and covered.tables:
        yield note(
            "a rebuilt table's policy goes on blocking another one: to renew it, its history must "
            "be dropped (`mo-pitr renew NAME --drop-history`)"
        )
    rebuilt = sorted(key for key in state.rebuilt if key[1] is not None)
    mine = [(database, str(table)) for database, table in rebuilt]
    if rules.logical_ids and mine:
        yield note(
            f"{_many_tables(mine)} rebuilt since made ({_some(_dotted(mine))}): a CREATE PITR that "
            "is sent as text protects nothing there; `mo-pitr apply` and `renew` send one that does"
        )
    if rules.restore_by_pattern:
        for table, other in _confused(catalogue.tables):
            yield note(
                f"RESTORE of {'.'.join(table)} is refused while {'.'.join(other)} exists: its name "
                "is looked for as a pattern, in which _ stands for any character"
            )
    for line in in_words(shortfalls(state.pitrs, state.parts, rules)):
        yield note(line)
    blocked = sorted(table for table in catalogue.referred if table in covered)
    if blocked:
        yield note(
            f"RESTORE of {_some(_dotted(blocked))} alone restores nothing and says OK, while "
            "another table's foreign key refers to it: drop the referring tables first, and "
            "restore them after it"
        )


def _confused(tables: Sequence[Key]) -> Iterator[tuple[Key, Key]]:
    """Pairs of which the first one's name, as a pattern of LIKE, matches the second one's."""
    by_length: dict[tuple[str, int], list[Key]] = {}
    for table in tables:
        by_length.setdefault((table[0], len(table[1])), []).append(table)
    for alike in by_length.values():
        for table in alike:
            if "_" not in table[1]:
                continue
            for other in alike:
                if other != table and all(
                    a in ("_", b) for a, b in zip(table[1], other[1], strict=True)
                ):
                    yield table, other
                    break


def _dotted(tables: Sequence[Key]) -> list[str]:
    return [".".join(table) for table in tables]


def _some(names: Sequence[str]) -> str:
    left = len(names) - MOST_NAMES
    return ", ".join(names[:MOST_NAMES]) + (f" and {left} more" if left > 0 else "")


def _many_tables(tables: Sequence[Key]) -> str:
    return "1 table" if len(tables) == 1 else f"{len(tables)} tables"
