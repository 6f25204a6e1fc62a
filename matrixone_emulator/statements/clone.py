"""CLONE of tables and databases: copies with their rows, which RESTORE makes too.

docs/server.md, Clones.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from ..compiler.query import Compiler
from ..errors import SqlError
from ..parsing.lexer import tokens
from ..storage.records import Result
from ..storage.snapshots import refuse_other_snapshot
from ..types.definition import DatabaseVersion, IndexDef, Named, Version
from .keys import own_keys_follow, refuse_keyless_parent
from .show_create import create_table_text, fail_on_default, printed_default
from .workspace import Workspace


def copy_table(
    session: Workspace,
    source: Version,
    at: int | None,
    home: DatabaseVersion,
    name: str,
    *,
    old_database: str = "",
    rows: str = "",
) -> Version:
    """*source* with its rows of *at*, or *rows*, as a new table of *home*.

    Rows and indexes are copied apart, each as far as its history is kept: an index whose history
    is lost lacks every row that is not. CLONE and RESTORE read the definition from SHOW CREATE
    TABLE, with what that doubles.
    """
    keys = tuple(
        replace(key.copied(), parent_database=home.name)
        if key.parent_database == old_database
        else key.copied()
        for key in own_keys_follow(source, home.name, name)
    )
    if session.rules.quotes_doubled_in_expressions:
        fail_on_default(source, create_table_text(source, session.rules))
    indexes, lacking = _copied_indexes(session, source, at)
    definition = replace(source.definition.copied(), name=name, foreign_keys=keys, indexes=indexes)
    columns = tuple(
        column
        if column.default is None or not column.default.startswith("'")
        else replace(column, default=printed_default(column.default, session.rules))
        for column in definition.columns
    )
    definition = replace(definition, columns=columns)
    if old_database and definition.view_database == old_database:
        definition = replace(definition, view_database=home.name)
    text = session.store.sources.get(source.version, "")
    if definition.view is None:
        rows = rows or session.catalogue.rows_sql(source, at)
    version = session.catalogue.add_table(home, definition, source=text)
    if rows:
        names = ", ".join(column.key for column in definition.columns)
        session.run(
            f"INSERT INTO {version.table} ({names}, _from, _lacks) "
            f"SELECT {names}, {session.number}, _lacks || '{lacking}' FROM {rows}"
        )
        start = definition.auto_start
        session.store.next_block(source.physical, version.physical, start)
    return version


def _copied_indexes(
    session: Workspace, source: Version, at: int | None
) -> tuple[tuple[IndexDef, ...], str]:
    """The indexes of a copy, and the marks of those that lack every row of it."""
    indexes, lacking = [], ""
    for index in source.definition.indexes:
        if not session.store.collector.keeps(source.index_objects(index), at):
            index = replace(index, mark=index.mark or f"[{index.id}]")
            lacking += index.mark
        indexes.append(index)
    return tuple(indexes), lacking


def refuse_broken_view(session: Workspace, view: Version, at: int | None) -> None:
    """Refuse a view that cannot be read, since it refers to what is not there."""
    named = ".".join("`{}`".format(name.replace("`", "``")) for name in (view.database, view.name))
    text = f"SELECT 1 FROM {named}" + ("" if at is None else f" {{MO_TS = {at}}}")
    Compiler(text, session, view.database).query(session.parse(text, tokens(text)))


def without_foreign_keys(session: Workspace, work: Callable[[], None]) -> None:
    """Run *work*, which copies table by table: foreign keys hold again at its end only."""
    checks, session.foreign_key_checks = session.foreign_key_checks, False
    try:
        work()
    finally:
        session.foreign_key_checks = checks


def parents_first(versions: list[Version], *, circles: bool = True) -> list[Version]:
    """Tables before those whose foreign keys refer to them, views last.

    :param circles: False refuses keys that make a circle.
    """
    waiting = sorted(versions, key=lambda version: version.definition.view is not None)
    ordered: list[Version] = []
    while waiting:
        names = {(version.database, version.name) for version in waiting}
        ready = [
            version
            for version in waiting
            if not any(
                (key.parent_database, key.parent_table) in names
                and (key.parent_database, key.parent_table) != (version.database, version.name)
                for key in version.definition.foreign_keys
            )
        ]
        if not ready and not circles:
            raise SqlError.internal("There is a cycle in dependency graph")
        ready = ready or waiting
        ordered += ready
        waiting = [version for version in waiting if version not in ready]
    return ordered


def saying_ok(session: Workspace, make: Callable[[], Result], ok: Result) -> Result:
    """Before 4.x a CLONE that fails after BEGIN says OK: what it has made until then stays."""
    try:
        return make()
    except SqlError as error:
        silent = session.explicit and session.rules.failing_clones_say_ok
        if error.code == 1235 or not silent:
            raise
        return ok


def check_clone(session: Workspace, source: Named, moment: str) -> tuple[Version, int | None]:
    """The table to copy, and the moment as of which."""
    at = session.moment(moment) if moment else None
    number = session.catalogue.number_at(at)
    past_home = session.catalogue.database(
        session.past_account(number), session.database_name(source.database), number
    )
    past = None
    if past_home is not None:
        past = session.catalogue.table(past_home, source.name, number)
    if past is None:
        raise SqlError(
            1064, f"SQL parser error: table {source.database}-{source.name} does not exist"
        )
    if past.definition.view is not None:
        raise SqlError.internal(f"{past.database}.{past.name} is not BASE TABLE")
    _check_snapshot(session, moment, past, whole=False)
    return past, at


def _check_snapshot(session: Workspace, moment: str, past: Version, *, whole: bool) -> None:
    """Refuse a clone from a snapshot of something else; *whole*: of the table's database."""
    if not moment.strip().upper().startswith("SNAPSHOT"):
        return
    snapshot = session.snapshot(moment)
    if whole and snapshot.level == "table":
        raise SqlError.internal(
            "cannot use a table-level snapshot to clone cluster/account/database"
        )
    follows = session.rules.snapshots_follow_rebuilds
    refuse_other_snapshot(
        snapshot,
        Named(past.database, past.name),
        past.database_id,
        past.logical_id if follows else past.id,
    )


def clone_table(
    session: Workspace, source: Named, moment: str, home: DatabaseVersion, name: str
) -> None:
    """CREATE TABLE ... CLONE db.t {MO_TS = n}: a copy beside the original."""
    past, at = check_clone(session, source, moment)

    def work() -> None:
        for key in past.definition.foreign_keys:
            own = (key.parent_database, key.parent_table) == (past.database, past.name)
            if not own and session.catalogue.parent(past, key) is None:
                named = f"{session.context.database}.{key.parent_table}"
                raise SqlError(1146, f"no such table {named}")
            refuse_keyless_parent(session, past, past.definition, key)
        version = copy_table(session, past, at, home, name)
        session.emit("create_table", version, 0, version.id)

    without_foreign_keys(session, work)


def clone_database(session: Workspace, source: str, moment: str, name: str) -> None:
    """CREATE DATABASE ... CLONE db {MO_TS = n}."""
    at = session.moment(moment) if moment else None
    number = session.catalogue.number_at(at)
    past = session.catalogue.database(session.past_account(number), source, number)
    if number == 0 and session.rules.missing_database_clones_empty:
        # Before the server made anything, not even the table was there that it asks.
        code = session.rules.missing_table_code
        raise SqlError(code, 'SQL parser error: table "mo_foreign_keys" does not exist')
    if past is None and session.rules.missing_database_clones_empty:
        home = session.catalogue.add_database(session.context.account_id, name)
        session.emit("create_database", home, 0, home.id)
        return
    if past is None and session.rules.missing_database_is_unselected:
        raise SqlError(1046, "No database selected")
    if past is None:
        raise SqlError(1049, f"Unknown database {source}")

    def work() -> None:
        home = session.catalogue.add_database(session.context.account_id, name)
        session.emit("create_database", home, 0, home.id)
        tables = session.catalogue.tables(past, number)
        for version in parents_first(tables, circles=session.rules.database_clone_takes_circles):
            _check_snapshot(session, moment, version, whole=True)
            if version.definition.view is not None:
                refuse_broken_view(session, version, at)
            copied = copy_table(
                session,
                version,
                at,
                home,
                version.name,
                old_database=past.name,
            )
            for key in copied.definition.foreign_keys:
                refuse_keyless_parent(session, copied, copied.definition, key)
            if copied.definition.view is None:
                session.emit("create_table", copied, 0, copied.id)

    without_foreign_keys(session, work)
