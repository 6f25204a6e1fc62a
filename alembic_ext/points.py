"""Restore points: the moment just before a revision, and what brings its tables back."""

from __future__ import annotations

import datetime as dt
import graphlib
import re
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Final, TypeVar

from alembic.script import ScriptDirectory
from alembic.util import CommandError
from sqlalchemy import text
from sqlalchemy.engine import Connection, Engine
from sqlalchemy.exc import DBAPIError

from sqlalchemy_matrixone_pitr import server
from sqlalchemy_matrixone_pitr.catalog import (
    Key,
    ObjectKey,
    foreign_keys,
    names_of,
    referring,
    table_ids,
    table_parts,
)
from sqlalchemy_matrixone_pitr.connections import current_database, roll_back
from sqlalchemy_matrixone_pitr.coverage.expiry import earliest
from sqlalchemy_matrixone_pitr.coverage.model import Known, Policy
from sqlalchemy_matrixone_pitr.coverage.reading import ids_then, read_known
from sqlalchemy_matrixone_pitr.coverage.verdicts import judge
from sqlalchemy_matrixone_pitr.ddl import RestorePitr
from sqlalchemy_matrixone_pitr.errors import PitrNotFoundError, PitrValidationError
from sqlalchemy_matrixone_pitr.extent import Extent, Parts, covers, kept_by
from sqlalchemy_matrixone_pitr.generations import is_detached, policies, split_generation
from sqlalchemy_matrixone_pitr.model import Pitr, PitrLevel
from sqlalchemy_matrixone_pitr.moment import Moment
from sqlalchemy_matrixone_pitr.names import renew_command
from sqlalchemy_matrixone_pitr.show import reading
from sqlalchemy_matrixone_pitr.status import ServerState, read_state

from .times import DOWNGRADE, TABLE, Progress, Row, read_rows

V = TypeVar("V")


@dataclass(frozen=True, slots=True)
class RestorePoint:
    """The moment just before a revision ran, and what would bring its tables back.

    :ivar moment: aware, UTC: nothing of the revision was committed yet.
    :ivar statements: a RESTORE for each table of that moment that the revision, or a later one,
        dropped or rebuilt, in the order that their foreign keys need.
    :ivar lost: tables that no policy can bring back to that moment, as ``database.table``.
    :ivar warnings: what has to be done before a statement has its effect, and what is left over.
    :ivar afterwards: commands to run when the statements are done: the version that the database
        has then, and the policies that a RESTORE ends.
    """

    revision: str
    moment: dt.datetime
    statements: list[str]
    lost: list[str]
    warnings: list[str] = field(default_factory=list)
    afterwards: list[str] = field(default_factory=list)


def restore_point(
    engine: Engine,
    revision: str,
    *,
    version_table: str | None = None,
    script: ScriptDirectory | None = None,
) -> RestorePoint:
    """The restore point of a revision that ran on the engine's database.

    :param revision: as Alembic takes it: an identifier or the beginning of one, ``head``,
        ``current``, ``-1`` or ``ae10+2``. Relative ones are counted from the database's version.
        ``downgrade of`` and an identifier is that revision's downgrade.
    :param version_table: Alembic's, where several projects migrate one database.
    :param script: of the project; without it ``head`` is the database's version, branch labels are
        not known, and revisions are those that are recorded.
    :raises PitrNotFoundError: it is not recorded here.
    :raises PitrValidationError: it is recorded of several projects, or stands for several.
    """
    with reading(engine) as connection:
        database = current_database(connection)
        projects = _projects(connection, database)
        found = {}
        for name, project in projects.items():
            if version_table in (None, name):
                row = _find(project, revision, script)
                if row is not None:
                    found[name] = row
        if not found:
            raise PitrNotFoundError(
                f"revision {revision!r} is not recorded of database {database}: only revisions "
                "that ran with pitr_options() in env.py are",
                name=revision,
            )
        if len(found) > 1:
            raise PitrValidationError(
                f"revision {revision!r} is recorded of several projects, with the version tables "
                f"{', '.join(sorted(found))}: say which one, as version_table",
                name=revision,
            )
        [(name, row)] = found.items()
        return _point(connection, row, projects[name])


def _point(connection: Connection, row: Row, project: _Project) -> RestorePoint:
    moment = row.began
    later = [one for one in project.rows if one.began >= moment]
    databases = {row.migrated, *(of for one in later for of, _ in one.touched or ())} - {""}
    state = read_state(connection, databases=databases)
    local = server.local_time_text(connection, moment)
    then = _if_known(connection, lambda: table_ids(connection, databases, at=moment))
    now = table_ids(connection, databases)
    known = {database for database, _ in then}
    if any(pitr.created_time and pitr.created_time < moment for pitr in state.pitrs):
        known |= databases  # the server keeps the catalogue as far back as any policy reaches
    touched = _touched(row, later, known, then, now)
    children = referring(foreign_keys(connection, to={of for of, _ in touched}))
    statements, lost, warnings = [], [], _leftovers(row, project, then, now)
    restored = []
    parts = _if_known(connection, lambda: table_parts(connection, touched, at=moment))
    rules = server.rules_of(state.version)
    keeping = _keeping(connection, touched, Moment.of(moment))
    for of, table in _in_order(connection, touched, moment):
        of_table = parts.get((of, table), Parts())
        pitr = keeping.reaching((of, table), of_table)
        if pitr is None or _UNFIT.search(of + table):
            lost.append(f"{of}.{table}")
            continue
        if (of, table) in children:
            warnings.append(
                f"{of}.{table}: RESTORE restores nothing, and says OK, as long as foreign "
                f"keys of {names_of(children[of, table])} refer to it: drop them first"
            )
        if kept_by(pitr.level, of_table, rules) is Extent.ROWS:
            warnings.append(
                f"{of}.{table}: rows only: {pitr.name}, a table-level policy, does not keep its "
                f"indexes ({', '.join(of_table.indexes)}): drop them after the RESTORE, and add "
                "them again"
            )
        element = RestorePitr(pitr.name, local, database=of, table=table)
        statements.append(f"{element};")
        restored.append((of, table))
    afterwards = _afterwards(row, state, restored) if statements else []
    return RestorePoint(row.version_num, moment, statements, lost, warnings, afterwards)


_UNFIT: Final = re.compile(r"[\s`\"']")
"""Characters that the server takes in no name of a RESTORE (2.2 to 4.2)."""


def _if_known(connection: Connection, read: Callable[[], dict[Key, V]]) -> dict[Key, V]:
    """Read an earlier catalogue; nothing where that is gone."""
    try:
        return read()
    except DBAPIError as error:
        if error.connection_invalidated:
            raise
        roll_back(connection)
        return {}


def _touched(
    row: Row,
    later: Iterable[Row],
    known: Collection[str],
    then: dict[Key, int],
    now: dict[Key, int],
) -> set[Key]:
    """The tables of the moment that revisions since have dropped or rebuilt.

    Of a revision that has not told which, those that are not there any more.

    :param known: the databases whose tables of the moment are surely known.
    """
    here = set(now.values())
    found: set[Key] = set()
    for one in later:
        if one.touched is None:
            found |= {key for key in then if key[0] == one.migrated and then[key] not in here}
        else:
            found |= {
                key for key in one.touched if one is row or key in then or key[0] not in known
            }
    return {key for key in found if key not in then or then[key] not in here}


def _leftovers(row: Row, project: _Project, then: dict[Key, int], now: dict[Key, int]) -> list[str]:
    """The objects that a RESTORE of tables leaves as they are."""
    warnings = []
    if row.progress is not Progress.COMMITTED and row.version_num not in project.heads:
        warnings.append(
            f"{row.version_num} has begun, and is not known to have been committed: see alembic "
            "current"
        )
    before = {rel_id: key for key, rel_id in then.items()}
    new = []
    for key, rel_id in sorted(now.items()):
        if key[0] != row.migrated or key[1] in (TABLE, row.version_table):
            continue
        if rel_id in before and before[rel_id] != key:
            warnings.append(f"{names_of([before[rel_id]])} was renamed to {key[1]}: rename it back")
        elif then and rel_id not in before and key not in then:
            new.append(key)
    if new:
        warnings.append(f"made since: drop {names_of(new)} before the revisions run again")
    return warnings


def _afterwards(row: Row, state: ServerState, restored: Collection[Key]) -> list[str]:
    """The version, which no RESTORE of other tables changes; and the policies of the tables, which
    are new ones to the server."""
    stamp = [] if row.before is None else [f"alembic stamp {' '.join(row.before) or 'base'}"]
    renewals = [
        renew_command(policy.name)
        for policy in policies(state.pitrs)
        if policy.target[2:] in restored
    ]
    return [*stamp, *renewals]


# ------------------------------------------------------------------------------- finding a revision


@dataclass(frozen=True, slots=True)
class _Project:
    """The times that one version table's revisions have recorded.

    :ivar heads: the versions that the database has.
    """

    rows: list[Row]
    heads: list[str]

    def row(self, revision: str) -> Row | None:
        return next((row for row in self.rows if row.version_num == revision), None)


def _projects(connection: Connection, database: str | None) -> dict[str, _Project]:
    """By their version tables: of the database itself, else from where Alembic's
    ``version_table_schema`` has put them."""
    places = connection.execute(
        text(
            "SELECT reldatabase FROM mo_catalog.mo_tables WHERE account_id = current_account_id() "
            "AND relname = :table"
        ),
        {"table": TABLE},
    ).scalars()
    found: dict[str, _Project] = {}
    for place in sorted(places, key=lambda place: (place != database, place)):
        rows: dict[str, list[Row]] = {}
        for row in read_rows(connection, place, database):
            rows.setdefault(row.version_table, []).append(row)
        for name, of_project in rows.items():
            if name not in found:
                found[name] = _Project(of_project, _versions(connection, place, name))
    return found


def _versions(connection: Connection, place: str, version_table: str) -> list[str]:
    quote = connection.dialect.identifier_preparer.quote_identifier
    try:
        return sorted(
            connection.exec_driver_sql(
                f"SELECT version_num FROM {quote(place)}.{quote(version_table)}"
            ).scalars()
        )
    except DBAPIError as error:
        if error.connection_invalidated:
            raise
        roll_back(connection)
        return []


_RELATIVE: Final = re.compile(r"(?:(?P<branch>.+?)@)?(?P<from>\w+)?(?P<steps>[+-]\d+)")
"""As Alembic's own: ``-1``, ``ae10+2``, ``orders@head-1``."""


def _find(project: _Project, revision: str, script: ScriptDirectory | None) -> Row | None:
    """The row of a revision; None where it is not recorded."""
    exact = project.row(revision)
    if exact is not None or revision.startswith(DOWNGRADE):
        return exact
    names = _by_script(project, script, revision) if script else _by_rows(project, revision)
    if len(names) > 1:
        raise PitrValidationError(
            f"{revision!r} stands for several revisions, {', '.join(sorted(names))}: name one",
            name=revision,
        )
    return next((project.row(name) for name in names), None)


def _by_script(project: _Project, script: ScriptDirectory, revision: str) -> set[str]:
    def resolve(name: str) -> set[str]:
        return {found.revision for found in script.get_revisions(name) if found is not None}

    def down(name: str) -> set[str]:
        found = script.get_revision(name)
        below = None if found is None else found.down_revision
        return {below} if isinstance(below, str) else set(below or ())

    def up(name: str) -> set[str]:
        found = script.get_revision(name)
        return set() if found is None else set(found.nextrev)

    def of_branch(name: str, label: str) -> bool:
        found = script.get_revision(name)
        return found is not None and label in found.branch_labels

    try:
        if revision == "current":
            return set(project.heads)
        match = _RELATIVE.fullmatch(revision)
        if match is None:
            return resolve(revision)
        branch, start = match["branch"], match["from"]
        if start is None:
            names = {name for name in project.heads if not branch or of_branch(name, branch)}
        else:
            names = resolve(f"{branch}@{start}" if branch else start)
        return _walk(names, int(match["steps"]), up, down)
    except (CommandError, AssertionError) as error:  # the latter of "" and "@"
        why = str(error) or f"Can't locate revision identified by {revision!r}"
        raise PitrNotFoundError(why, name=revision) from error


def _by_rows(project: _Project, revision: str) -> set[str]:
    """Without the scripts: what has run tells what it followed."""
    rows = {row.version_num: row for row in project.rows if not _is_downgrade(row)}

    def resolve(name: str) -> set[str]:
        if name in ("current", "head", "heads"):
            return set(project.heads)
        return {name} if name in rows else {row for row in rows if row.startswith(name)}

    def down(name: str) -> set[str]:
        return set(rows[name].down or ()) if name in rows else set()

    def up(name: str) -> set[str]:
        return {row.version_num for row in rows.values() if name in (row.down or ())}

    match = _RELATIVE.fullmatch(revision)
    if match is None:
        return resolve(revision)
    if match["branch"]:
        return set()
    names = resolve(match["from"]) if match["from"] else set(project.heads)
    return _walk(names, int(match["steps"]), up, down)


def _is_downgrade(row: Row) -> bool:
    return row.version_num.startswith(DOWNGRADE)


def _walk(
    names: set[str],
    steps: int,
    up: Callable[[str], set[str]],
    down: Callable[[str], set[str]],
) -> set[str]:
    for _ in range(abs(steps)):
        names = {found for name in names for found in (up if steps > 0 else down)(name)}
    return names


# --------------------------------------------------------------------------------- what restores it


def _in_order(connection: Connection, tables: Collection[Key], moment: dt.datetime) -> list[Key]:
    """Order by foreign keys, the referred-to first; else by name."""
    if len(tables) < 2:
        return list(tables)
    referred: dict[Key, set[Key]] = {key: set() for key in sorted(tables)}
    for key, parent in foreign_keys(connection, of={of for of, _ in tables}, at=moment):
        if key in referred and parent in referred and key != parent:
            referred[key].add(parent)
    try:
        return list(graphlib.TopologicalSorter(referred).static_order())
    except graphlib.CycleError:
        return list(referred)


@dataclass(frozen=True, slots=True)
class _Keeping:
    """The policies of the present, asked for a moment.

    :ivar then: the ids of the moment; None where they are forgotten.
    """

    known: Known
    moment: Moment
    then: Mapping[ObjectKey, int] | None

    def reaching(self, key: Key, parts: Parts) -> Pitr | None:
        """A policy that contained the table at the moment, reaches it, and keeps something of it.

        The one that keeps most first, then the narrowest, and the oldest generation: SHOW PITR
        tells whole seconds, so that of two which were made in one second both may seem to have
        been there.

        :param parts: of the table at the moment.
        """
        order = list(PitrLevel)

        def preference(policy: Policy) -> tuple[int, int, str, int]:
            pitr = policy.pitr
            kept = kept_by(pitr.level, parts, self.known.rules)
            return -kept, -order.index(pitr.level), *split_generation(pitr.name)

        for policy in sorted(self.known.policies, key=preference):
            if self._keeps(policy, key, parts):
                return policy.pitr
        return None

    def _keeps(self, policy: Policy, key: Key, parts: Parts) -> bool:
        """Whether RESTORE takes a policy for the table and the moment, and brings something."""
        pitr = policy.pitr
        if pitr.level is PitrLevel.CLUSTER or not covers(pitr, *key):
            return False
        if kept_by(pitr.level, parts, self.known.rules) is Extent.NOTHING:
            return False
        begin = earliest(pitr, self.known.now.datetime())
        if begin is None or Moment.of(begin) >= self.moment:
            return False
        if self.then is None:
            return not is_detached(pitr)
        verdict = judge(
            replace(self.known, policies=[policy], snapshots=()), key, self.moment, self.then
        )
        return verdict is not None and pitr.name in verdict.by


def _keeping(connection: Connection, touched: Collection[Key], moment: Moment) -> _Keeping:
    """Read what keeps tables at a moment: four statements."""
    if not touched:
        return _Keeping(Known(moment, (), {}, {}), moment, None)
    known = read_known(connection, touched)
    return _Keeping(known, moment, ids_then(connection, touched, moment))
