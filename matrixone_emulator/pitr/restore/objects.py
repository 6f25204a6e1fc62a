"""Tables, databases and accounts put back as they were.

docs/server.md, RESTORE; Where RESTORE does nothing and says OK.
"""

from __future__ import annotations

from ...errors import SqlError
from ...statements.clone import (
    copy_table,
    parents_first,
    refuse_broken_view,
    without_foreign_keys,
)
from ...statements.workspace import Workspace
from ...storage.records import SYSTEM_DATABASES
from ...types.definition import DatabaseVersion, Version


def restore_table(session: Workspace, database: str, name: str, at: int) -> None:
    """Put back a table as it was at *at*, under a new id, in a transaction of its own."""
    session.in_own_transaction(lambda: _restore_table(session, database, name, at))


def restore_database(session: Workspace, name: str, at: int) -> None:
    """Put back a database as it was at *at*, in a transaction of its own."""
    session.in_own_transaction(lambda: _restore_database(session, name, at))


def restore_account(session: Workspace, account: int, at: int, *, into: int | None = None) -> None:
    """Put back an account as it was at *at*, also into another one."""
    session.in_own_transaction(
        lambda: _restore_account(session, account, at, account if into is None else into)
    )


def _restore_table(session: Workspace, database: str, name: str, at: int) -> None:
    account = session.context.account_id
    number = session.catalogue.number_at(at)
    past_home = session.catalogue.database(account, database, number)
    past = None if past_home is None else session.catalogue.table(past_home, name, number)
    if past is None:
        raise SqlError.internal(
            f"table '{name}' does not exists at timestamp: {session.store.clock.local_text(at, 9)}"
        )
    home = session.catalogue.database(account, database)
    if home is None:
        home = session.catalogue.add_database(account, database)
        session.emit("create_database", home, 0, home.id)
    present = session.catalogue.table(home, name)
    if present is not None and session.catalogue.children(present):
        return  # the server leaves a table that is referred to, be it by itself, and answers OK
    for key in past.definition.foreign_keys:
        parent_home = session.catalogue.database(account, key.parent_database)
        is_own = (key.parent_database, key.parent_table) == (database, name)
        if not is_own and (
            parent_home is None or session.catalogue.table(parent_home, key.parent_table) is None
        ):
            if not session.rules.restore_needs_parents:
                return  # 2.2 restores nothing either, and answers OK
            raise SqlError(1146, f"no such table {key.parent_database}.{key.parent_table}")
    without_foreign_keys(session, lambda: _put_back(session, past, at, home))


def _put_back(session: Workspace, past: Version, at: int, home: DatabaseVersion) -> None:
    present = session.catalogue.table(home, past.name)
    if present is not None:
        children = session.catalogue.children(present)
        new = _swap(session, past, at, home, present)
        for child, _ in children:
            if child.version != present.version:
                session.catalogue.sync_triggers(child)
        old_id = present.id
    else:
        new = copy_table(session, past, at, home, past.name)
        old_id = 0
    if past.definition.view is None:
        session.emit("restore_table", new, old_id, new.id)


def _swap(
    session: Workspace,
    past: Version,
    at: int,
    home: DatabaseVersion,
    present: Version,
) -> Version:
    """Drop the present table and put the past one in its place."""
    if past.physical != present.physical or past.definition.view is not None:
        session.catalogue.end_table(present)
        return copy_table(session, past, at, home, past.name)
    rows = "temp.restored_rows"
    session.run(f"CREATE TABLE {rows} AS SELECT * FROM {session.catalogue.rows_sql(past, at)}")
    session.catalogue.end_table(present)
    version = copy_table(session, past, at, home, past.name, rows=rows)
    session.run(f"DROP TABLE {rows}")
    return version


def _restore_database(session: Workspace, name: str, at: int) -> None:
    account = session.context.account_id
    number = session.catalogue.number_at(at)
    past = session.catalogue.database(account, name, number)
    if past is None:
        raise SqlError.internal(
            f"database '{name}' does not exists at timestamp: "
            f"{session.store.clock.local_text(at, 9)}"
        )
    parents_first(session.catalogue.tables(past, number), circles=False)
    without_foreign_keys(session, lambda: _database_back(session, account, past, at))


def _database_back(session: Workspace, account: int, past: DatabaseVersion, at: int) -> None:
    present = session.catalogue.database(account, past.name)
    if present is not None and _is_kept(session, present):
        _related_tables_back(session, past, at, present)
        return
    _whole_database_back(session, account, past, at)
    _check_views(session, past.name, at)


def _check_views(session: Workspace, database: str, at: int) -> None:
    """Refuse to restore a database with a view that cannot be read, then or now."""
    home = session.catalogue.database(session.context.account_id, database)
    for view in [] if home is None else session.catalogue.tables(home):
        if view.definition.view is not None:
            refuse_broken_view(session, view, at)
            refuse_broken_view(session, view, None)


def _whole_database_back(session: Workspace, account: int, past: DatabaseVersion, at: int) -> None:
    present = session.catalogue.database(account, past.name)
    old_id = 0
    if present is not None:
        old_id = present.id
        for version in session.catalogue.tables(present):
            session.catalogue.end_table(version)
            if version.definition.view is None:
                session.emit("drop_table", version, version.id, 0)
        session.catalogue.end_database(present)
    new = session.catalogue.add_database(account, past.name)
    number = session.catalogue.number_at(at)
    for version in parents_first(session.catalogue.tables(past, number)):
        copy_table(session, version, at, new, version.name)
    session.emit("restore_database", new, old_id, new.id)


def _is_kept(session: Workspace, database: DatabaseVersion) -> bool:
    """Whether a foreign key keeps the server from dropping this database."""
    itself = session.rules.restore_keeps_self_references
    return any(
        child.database != version.database or (itself and child.name == version.name)
        for version in session.catalogue.tables(database)
        for child, _ in session.catalogue.children(version)
    )


def _kept_tables(session: Workspace, database: DatabaseVersion) -> set[str]:
    """The tables that the server cannot drop: another database's foreign key refers to them, or
    their own, or one of a table that it cannot drop."""
    children = {
        version.name: session.catalogue.children(version)
        for version in session.catalogue.tables(database)
    }
    kept: set[str] = set()
    while True:
        more = {
            name
            for name, found in children.items()
            for child, _ in found
            if child.database != database.name or child.name == name or child.name in kept
        }
        if more <= kept:
            return kept
        kept |= more


def _related_tables_back(
    session: Workspace, past: DatabaseVersion, at: int, present: DatabaseVersion
) -> None:
    """Restore a database that the server cannot drop: only those of its tables that foreign keys
    inside of it relate and that can be dropped. The server answers OK.
    """
    kept = _kept_tables(session, present)
    versions = session.catalogue.tables(past, session.catalogue.number_at(at))
    related = set()
    for version in versions:
        for key in version.definition.foreign_keys:
            if key.parent_database == past.name:
                related |= {version.name, key.parent_table}
    for version in parents_first([v for v in versions if v.name in related]):
        if version.name not in kept:
            _put_back(session, version, at, present)


def _restore_account(session: Workspace, account: int, at: int, into: int) -> None:
    """Restore every database of an account but the system's; drop those that came later.

    All are dropped first: foreign keys between them keep none.
    """
    number = session.catalogue.number_at(at)

    def work() -> None:
        past = [
            database
            for database in session.catalogue.databases(account, number)
            if database.name not in SYSTEM_DATABASES
        ]
        names = {database.name for database in past}
        for database in session.catalogue.databases(into):
            if database.name not in SYSTEM_DATABASES and database.name not in names:
                session.drop_database(database)
        for database in past:
            _whole_database_back(session, into, database, at)

    without_foreign_keys(session, work)
