"""Preview of a restore: :func:`preview_restore`. It never writes."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from sqlalchemy.engine import Connection
from sqlalchemy.exc import DBAPIError

from .. import server
from ..catalog import Key, Reference, names_of, numbered_columns
from ..connections import Bind, idle, roll_back, side_connection, unwrap
from ..coverage.model import Kept
from ..ddl import RestorePitr
from ..declarations import Databases
from ..errors import PitrRestoreError, PitrValidationError
from ..generations import is_for, policies, target_of
from ..model import PitrStatus
from ..moment import Moment, MomentLike
from ..names import OWN_DATABASE
from ..past.opening import to_moment
from ..plan.costs import replacing_cost
from ..show import typed_errors
from .decision import Decision, Way, decide
from .facts import COUNTED, Facts, has_columns, read_facts, read_text
from .rebuild import Rebuild, rebuild_of
from .records import TABLE
from .targets import RestoreTarget, Scope, find_scope


@dataclass(frozen=True, slots=True)
class TablePreview:
    """A table of a restore.

    :ivar name: ``database.table``.
    :ivar way: ``restore`` by RESTORE, ``clone`` and ``rows`` in a transaction, or ``drop``.
    :ivar change: ``changes``, ``comes back`` or ``disappears``.
    :ivar rows_now: None where they are not counted, or it is not there; and ``rows_then``.
    :ivar columns: names of columns that only one of both states has, or of which the type differs.
    """

    name: str
    way: Way
    change: str
    rows_now: int | None
    rows_then: int | None
    columns: tuple[str, ...] = ()

    def to_dict(self) -> dict[str, Any]:
        """Plain values, for JSON."""
        return {
            "table": self.name,
            "way": str(self.way),
            "change": self.change,
            "rows_now": self.rows_now,
            "rows_then": self.rows_then,
            "columns": list(self.columns),
        }

    def __str__(self) -> str:
        rows = f"{_number(self.rows_now)} now, {_number(self.rows_then)} then"
        columns = f"; columns that differ: {', '.join(self.columns)}" if self.columns else ""
        return f"{self.name} {self.change}: rows {rows}{columns}"


def _number(value: int | None) -> str:
    return "none" if value is None else f"{value:,}"


@dataclass(frozen=True, slots=True)
class RestoreStep:
    """A step of a restore.

    :ivar kind: ``copy``, ``restore``, ``rebuild``, ``verify`` or ``renew``.
    :ivar text: the step in words.
    :ivar statements: the SQL that does it, where it is known beforehand.
    """

    kind: str
    text: str
    statements: tuple[str, ...] = ()

    def to_dict(self) -> dict[str, Any]:
        """Plain values, for JSON."""
        return {"kind": self.kind, "text": self.text, "statements": list(self.statements)}

    def __str__(self) -> str:
        return self.text


@dataclass(frozen=True, slots=True)
class RestorePreview:
    """The answer of :func:`preview_restore`.

    >>> from sqlalchemy import create_engine
    >>> engine = create_engine(url)
    >>> preview = preview_restore(engine, f"{engine.url.database}.nothing", "0s ago")
    >>> preview.ok, preview.problems[0].partition(" at ")[0].partition(".")[2]
    (False, 'nothing')

    :ivar target: the database, or the tables.
    :ivar at: the moment that comes back.
    :ivar policies: the policies and snapshots that keep it.
    :ivar by_restore: by RESTORE; otherwise by copies in one transaction.
    :ivar obstacles: why RESTORE is not used.
    :ivar steps: what is done, in order.
    :ivar tables: every table that is there, now or afterwards.
    :ivar detached: the policies that will not protect their object any more, and are renewed.
    :ivar problems: each stops the restore.
    :ivar costs: each is accepted by restoring.
    """

    target: str
    at: Moment
    policies: tuple[str, ...]
    by_restore: bool
    obstacles: tuple[str, ...]
    steps: tuple[RestoreStep, ...]
    tables: tuple[TablePreview, ...]
    detached: tuple[str, ...]
    problems: tuple[str, ...]
    costs: tuple[str, ...]
    fingerprint: tuple[object, ...] = field(repr=False, compare=False, default=())

    @property
    def ok(self) -> bool:
        """Whether nothing stops the restore."""
        return not self.problems

    @property
    def statements(self) -> tuple[str, ...]:
        """The statements that bring the past back."""
        return tuple(text for step in self.steps for text in step.statements)

    def to_dict(self) -> dict[str, Any]:
        """Plain values, for JSON."""
        return {
            "target": self.target,
            "at": str(self.at),
            "ok": self.ok,
            "policies": list(self.policies),
            "by_restore": self.by_restore,
            "obstacles": list(self.obstacles),
            "steps": [step.to_dict() for step in self.steps],
            "tables": [table.to_dict() for table in self.tables],
            "detached": list(self.detached),
            "problems": list(self.problems),
            "costs": list(self.costs),
        }

    def __str__(self) -> str:
        kept = f", kept by {', '.join(self.policies)}" if self.policies else ""
        lines = [f"{self.target} as of {self.at}{kept}"]
        lines += [f"  {table}" for table in self.tables]
        lines += [f"  because {obstacle}" for obstacle in self.obstacles]
        lines += [f"  step {number}: {step}" for number, step in enumerate(self.steps, 1)]
        lines += [f"  cost: {cost}" for cost in self.costs]
        lines += [f"  PROBLEM: {problem}" for problem in self.problems]
        return "\n".join(lines)


def preview_restore(
    bind: Bind,
    target: RestoreTarget,
    at: MomentLike | str,
    *,
    safety_copy: bool = True,
    renew: bool = True,
    by_restore: bool | None = None,
    allow_unprotected: bool = False,
) -> RestorePreview:
    """Say what :func:`restore` would do, without doing any of it.

    It reads on a connection of its own, and sends nothing that writes.

    :param target: a Table, a mapped class, ``"db.table"``, a database's name, or several tables.
    :param at: a Moment, an aware datetime, nanoseconds, or text as :meth:`Moment.parse` reads it.
    :param safety_copy: as :func:`restore` will be told; and ``renew``.
    :param by_restore: False never uses RESTORE: all is done by copies in one transaction.
    :param allow_unprotected: what nothing surely keeps is a cost, not a problem.
    :raises PitrPermissionError: this user may not read the catalogue or the policies.
    :raises PitrValidationError: the target is none, or the moment lies in the future.

    >>> import time
    >>> from sqlalchemy import create_engine, text
    >>> engine = create_engine(url)
    >>> with engine.begin() as conn:
    ...     made = conn.execute(text("CREATE TABLE crates (id INT PRIMARY KEY)"))
    ...     made = conn.execute(CreatePitr(Pitr.table("crates_week", "crates", "7d")))
    >>> time.sleep(1.1)  # policies know seconds
    >>> name = f"{engine.url.database}.crates"
    >>> preview = preview_restore(engine, name, Moment.now(engine))
    >>> preview.ok, preview.policies, [step.kind for step in preview.steps]
    (True, ('crates_week',), ['copy', 'restore', 'verify', 'renew'])
    """
    found = unwrap(bind, "preview_restore()")
    scope = find_scope(target, Databases.of(bind))
    with side_connection(found) as connection, idle(connection), typed_errors():
        server.require_matrixone(connection)
        moment = to_moment(at, Moment(server.clock(connection)))
        options = Options(by_restore, allow_unprotected, safety_copy, renew)
        return prepare(connection, scope, moment, options).preview


@dataclass(frozen=True, slots=True)
class Options:
    """Options of the caller."""

    by_restore: bool | None = None
    allow_unprotected: bool = False
    safety_copy: bool = True
    renew: bool = True


@dataclass(frozen=True, slots=True)
class Prepared:
    """A preview, and what it was made from."""

    preview: RestorePreview
    facts: Facts
    decision: Decision
    restores: tuple[RestorePitr, ...] = ()
    rebuild: Rebuild | None = None


def prepare(connection: Connection, scope: Scope, at: Moment, options: Options) -> Prepared:
    """Read all that a restore depends on, and decide how it is done."""
    facts = read_facts(connection, scope, at)
    roll_back(connection)
    whole = Moment(at.nanoseconds // 1000 * 1000)  # RESTORE knows microseconds
    try:
        text = server.local_time_text(connection, whole.datetime())
        no_text = ""
    except PitrRestoreError as error:
        text, no_text = "", str(error)
    decision = decide(facts, by_restore=options.by_restore, no_text=no_text)
    problems = list(_problems(facts, options))
    taken = TABLE.problem(connection) if options.safety_copy else None
    if taken is not None:
        problems.append(f"{taken}; safety_copy=False restores without a way back")
    restores: tuple[RestorePitr, ...] = ()
    rebuild = None
    if decision.by_restore:
        facts = replace(facts, at=whole)
        restores = tuple(
            RestorePitr(name, text, database=database, table=table).with_real_names()
            for (database, table), name in decision.policies.items()
        )
    elif not problems:
        try:
            rebuild = rebuild_of(facts, decision, _definitions(connection, facts, decision))
        except DBAPIError as error:
            if error.connection_invalidated:
                raise
            roll_back(connection)
            problems.append(f"the definition of a table as it was cannot be read: {error.orig}")
    made = Prepared(_Empty, facts, decision, restores, rebuild)
    costs = tuple(_costs(connection, made, options))
    return replace(made, preview=_preview(made, tuple(problems), costs, options))


_Empty: Any = None


def _definitions(connection: Connection, facts: Facts, decision: Decision) -> dict[Key, str]:
    """The definitions as they were, of the tables whose rows are copied."""
    return {
        table: str(
            connection.exec_driver_sql(
                f"SHOW CREATE TABLE {read_text(table, facts.at)}".replace("%", "%%")
            ).one()[1]
        )
        for table, way in decision.ways.items()
        if way is Way.ROWS
    }


def _preview(
    made: Prepared, problems: tuple[str, ...], costs: tuple[str, ...], options: Options
) -> RestorePreview:
    facts, decision = made.facts, made.decision
    kept_by = {name for verdict in facts.verdicts.values() for name in verdict.by}
    return RestorePreview(
        target=str(facts.scope),
        at=facts.at,
        policies=tuple(sorted(set(decision.policies.values()) or kept_by)),
        by_restore=decision.by_restore,
        obstacles=decision.obstacles,
        steps=() if problems else tuple(_steps(made, options)),
        tables=tuple(_tables(facts, decision.ways)),
        detached=detached_by(facts, decision),
        problems=problems,
        costs=costs,
        fingerprint=_fingerprint(made),
    )


def _fingerprint(made: Prepared) -> tuple[object, ...]:
    """Fingerprint of what the restore relies on: ids, foreign keys, policies; not rows."""
    facts = made.facts
    return (
        tuple(sorted(facts.now.ids.items(), key=str)),
        tuple(sorted(facts.now.kinds.items())),
        tuple(sorted(facts.now.keys)),
        tuple(
            sorted((p.name, str(p.range), str(p.status), target_of(p)) for p in facts.state.pitrs)
        ),
        tuple(str(restore) for restore in made.restores),
        () if made.rebuild is None else tuple(made.rebuild.statements()),
    )


def detached_by(facts: Facts, decision: Decision) -> tuple[str, ...]:
    """The policies that protect what will be another object, or none, to the server."""
    found = []
    for pitr in facts.state.pitrs:
        whole = facts.scope.database if decision.by_restore else None
        if pitr.status is not PitrStatus.DETACHED and is_for(pitr, decision.ways, whole):
            found.append(pitr.name)
    return tuple(sorted(found))


def _tables(facts: Facts, ways: Mapping[Key, Way]) -> Iterator[TablePreview]:
    for table in sorted(ways):
        then = None if facts.then is None else facts.then.shapes.get(table)
        now = facts.now.shapes.get(table)
        columns: set[str] = set()
        if then is not None and now is not None:
            sides = [{(column.key, column.type) for column in side.columns} for side in (then, now)]
            columns = {name for name, _ in sides[0] ^ sides[1]}
        yield TablePreview(
            ".".join(table),
            ways[table],
            "disappears" if then is None else "comes back" if now is None else "changes",
            facts.rows_now.get(table),
            facts.rows_then.get(table),
            tuple(sorted(columns)),
        )


# ------------------------------------------------------------------------------------------ steps


def _steps(made: Prepared, options: Options) -> Iterator[RestoreStep]:
    facts, rebuild = made.facts, made.rebuild
    many = len(facts.present)
    aside = f"clone {many} table{'' if many == 1 else 's'} of now into database {OWN_DATABASE}"
    if options.safety_copy and rebuild is None:
        yield RestoreStep("copy", f"{aside}, from which it can be undone")
    for restore in made.restores:
        yield RestoreStep("restore", f"RESTORE of {restore.target_text}", (str(restore),))
    if rebuild is not None:
        first = f"{aside}; then " if options.safety_copy else ""
        yield RestoreStep(
            "rebuild",
            f"in one transaction, all or nothing: {first}{_in_words(rebuild)}, and count their "
            "rows before COMMIT",
            ("BEGIN", *rebuild.statements(), *(text for _, text in rebuild.create_views), "COMMIT"),
        )
    yield RestoreStep(
        "verify",
        "verify: every table is there with as many rows as then, and its indexes find what a full "
        "scan finds; broken ones are made again",
    )
    if options.renew:
        yield RestoreStep("renew", "renew the policies that do not protect it any more")


def _in_words(rebuild: Rebuild) -> str:
    parts = []
    others = {key.table for key in rebuild.drop_keys} - set(rebuild.drop_tables)
    if others:
        parts.append(f"set aside foreign keys of {names_of(sorted(others))}")
    if rebuild.drop_tables:
        parts.append(f"drop {names_of(rebuild.drop_tables)}")
    cloned = [piece.table for piece in rebuild.pieces if piece.definition is None]
    copied = [piece.table for piece in rebuild.pieces if piece.definition is not None]
    if cloned:
        parts.append(f"make {names_of(cloned)} again by CLONE")
    if copied:
        parts.append(f"make {names_of(copied)} again by definition and rows")
    if rebuild.add_keys:
        parts.append("add the foreign keys")
    if rebuild.create_views:
        parts.append(f"create the views {names_of(view for view, _ in rebuild.create_views)}")
    return ", ".join(parts) or "nothing"


# --------------------------------------------------------------------------------------- problems


def _problems(facts: Facts, options: Options) -> Iterator[str]:
    """Why a restore is not begun."""
    if facts.then is None:
        yield f"the catalogue of {facts.at} is gone: it is before all that the server remembers"
        return
    yield from _missing(facts)
    if options.safety_copy and facts.present and not facts.rules.clones:
        yield (
            "this server has no CLONE, by which what is there now is set aside: safety_copy=False "
            "restores all the same, and cannot be undone"
        )
    for table in facts.restored:
        if facts.now.kinds.get(table, "r") not in ("r", "p", "cluster"):
            yield f"{names_of([table])} is something else by now, and no table: drop it first"
        verdict = facts.verdicts.get(table)
        if verdict is not None and verdict.kept is not Kept.KEPT and not options.allow_unprotected:
            yield (
                f"nothing surely keeps the history of {names_of([table])}: {verdict.reason}. Where "
                "the server has collected it, the table would come back empty; "
                "allow_unprotected=True restores it all the same"
            )
    for table, reason in facts.unreadable.items():
        yield f"the past of {names_of([table])} cannot be read: {reason}"
    yield from _broken_keys(facts)


def _missing(facts: Facts) -> Iterator[str]:
    scope, then = facts.scope, facts.then
    assert then is not None
    hint = "it was made later, or dropped before (dropped_objects() tells)"
    if scope.database is not None and (scope.database, None) not in then.ids:
        yield f"there was no database {scope.database} at {facts.at}: {hint}"
    what = {"v": "a view", "S": "a sequence", "e": "an external table"}
    for table in scope.tables:
        kind = then.kinds.get(table, "")
        if kind in what:
            yield f"{names_of([table])} was {what[kind]}, which is not restored by itself"
        elif table not in then.ids:
            yield f"there was no table {names_of([table])} at {facts.at}: {hint}"


def _broken_keys(facts: Facts) -> Iterator[str]:
    """Foreign keys that would refer to what is not there."""
    then = facts.then
    assert then is not None
    for key in facts.border_now:
        if not has_columns(then.shapes.get(key.parent), key):
            yield (
                f"{_key(key)} refers to {', '.join(key.parent_columns)} of "
                f"{names_of([key.parent])}, which was no key then: drop this foreign key first, or "
                f"restore {names_of([key.table])} as well"
            )
    for key in facts.border_then:
        if not has_columns(facts.parents.get(key.parent), key):
            yield (
                f"{_key(key)} refers to {names_of([key.parent])}, which is not there, or not with "
                "that key: restore it as well"
            )
    for orphans in facts.orphans:
        if not orphans.rows:
            continue
        child, parent = names_of([orphans.key.table]), names_of([orphans.key.parent])
        rows = f"{orphans.rows:,} row{'' if orphans.rows == 1 else 's'}"
        if orphans.inside:
            yield (
                f"{rows} of {child} then refer to rows of {parent} that are not there now: restore "
                "it as well, or bring single rows back with undo_changes()"
            )
        else:
            yield (
                f"{rows} of {child} refer to rows of {parent} that were not there then: restore "
                f"{child} as well, or delete them first"
            )


def _key(key: Reference) -> str:
    return f"foreign key {key.name} of {names_of([key.table])}"


# ------------------------------------------------------------------------------------------ costs


def _costs(connection: Connection, made: Prepared, options: Options) -> Sequence[str]:
    facts, decision = made.facts, made.decision
    found = []
    many = len(set(facts.present) | set(facts.restored))
    if many > COUNTED:
        found.append(f"the rows of {many:,} tables were not counted")
    if not options.safety_copy:
        found.append("there is no safety copy: it cannot be undone")
    if facts.present:
        found.append(
            "it waits, without end, for others whose open transactions have written to what it "
            "replaces; Ctrl-C ends the wait, and nothing is changed"
        )
    if facts.present and decision.by_restore:
        found.append(
            "RESTORE takes no heed of others: rows that they write between the safety copy and it "
            "are in neither. Stop them, or give by_restore=False"
        )
    if options.allow_unprotected:
        lost = [t for t, v in facts.verdicts.items() if v.kept is not Kept.KEPT]
        if lost:
            found.append(f"nothing surely keeps the history of {names_of(sorted(lost))}")
    if facts.removed and facts.scope.database is not None:
        found.append(f"made later, and dropped: {names_of(facts.removed)}")
    found += _of_partitions(facts)
    found += _of_copies(made)
    detached = detached_by(facts, decision)
    if detached and not options.renew:
        found.append(f"these policies protect nothing afterwards: {', '.join(detached)}")
    if options.renew:
        found += _not_renewed(facts, decision)
    for database in facts.scope.databases if facts.then is not None else ():
        numbered = numbered_columns(connection, database, at=facts.at)
        cloned = [t for t, _ in numbered if decision.ways.get((database, t)) is not Way.ROWS]
        cloned = [t for t in cloned if (database, t) in decision.ways]
        if cloned:
            found.append(f"AUTO_INCREMENT of {', '.join(cloned)} goes on with the next block")
    return found


def _not_renewed(facts: Facts, decision: Decision) -> Iterator[str]:
    """The policies that a renewal would have to drop, with their history."""
    for policy in policies(facts.state.pitrs):
        if is_for(policy.current, decision.ways, facts.scope.database):
            for pitr in policy.generations:
                if pitr.name in facts.state.stale_active:
                    yield f"{policy.name} will not be renewed: {replacing_cost(pitr)}"


def _of_partitions(facts: Facts) -> Iterator[str]:
    """Before 4.0 whatever makes a table again forgets how it is partitioned."""
    if facts.then is None or not facts.rules.copies_forget_partitions:
        return
    parts = facts.then.parts
    tables = [one for one in facts.restored if one in parts and parts[one].partitioned]
    if tables:
        yield (
            f"this version forgets the partitions of {names_of(tables)}: the rows come back, and "
            "PARTITION BY does not, nor does an undo bring it back"
        )


def _of_copies(made: Prepared) -> Iterator[str]:
    """The costs of making tables again by copies."""
    facts, rebuild = made.facts, made.rebuild
    if facts.scope.database is None or facts.then is None:
        return
    left = facts.now.named("S", "e")
    if left and rebuild is not None:
        yield f"left as they are now: the sequences and external tables {names_of(left)}"
    if facts.routines and rebuild is not None:
        yield f"left as they are now: functions and procedures {', '.join(facts.routines)}"
    gone = sorted(set(facts.then.named("S", "e")) - set(left))
    if gone:
        yield f"not brought back: the sequences and external tables {names_of(gone)}"
    now, then = facts.views
    views = sorted(view for view in now.keys() | then.keys() if now.get(view) != then.get(view))
    views = [view for view in views if view not in facts.broken_views]
    if views:
        yield f"views that will be as they were: {names_of(views)}"
    made_again = () if rebuild is None else (view for view, _ in rebuild.create_views)
    left_out = sorted(set(facts.broken_views).intersection(made_again))
    if left_out:
        yield (
            f"views that are left out, since they refer to what was not there: {names_of(left_out)}"
        )


def check_same(preview: RestorePreview, fresh: RestorePreview) -> None:
    """Refuse a preview that is not so any more.

    :raises PitrRestoreError: something has changed since.
    """
    if preview.fingerprint != fresh.fingerprint:
        raise PitrRestoreError(
            f"the preview of {preview.target} is stale: tables, foreign keys or policies have "
            f"changed since. Nothing was sent; look at the new one:\n{fresh}"
        )


def check_of(preview: object, scope: Scope, at: Moment) -> RestorePreview:
    """
    :raises PitrValidationError: it is no preview, or one of something else.
    """
    if not isinstance(preview, RestorePreview):
        raise PitrValidationError("preview is one of preview_restore(), or None")
    if (preview.target, preview.at) not in (
        (str(scope), at),
        (str(scope), Moment(at.nanoseconds // 1000 * 1000)),
    ):
        raise PitrValidationError(
            f"the preview is of {preview.target} at {preview.at}, not of {scope} at {at}"
        )
    return preview
