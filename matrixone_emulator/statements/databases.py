"""CREATE and DROP of databases."""

from __future__ import annotations

import re

from ..errors import SqlError
from ..names import fold
from ..parsing.ddl_statements import (
    CreateDatabase,
    DropDatabase,
)
from ..parsing.refusals import refuse_odd_name
from ..storage.records import SYSTEM_DATABASES, Result
from ..types.definition import (
    Version,
)
from .clone import clone_database, saying_ok
from .workspace import Workspace


def create_database(session: Workspace, statement: CreateDatabase) -> Result:
    if not statement.clone:
        return _create_database(session, statement)
    ok = Result(affected=1)
    return saying_ok(session, lambda: _create_database(session, statement), ok)


def _create_database(session: Workspace, statement: CreateDatabase) -> Result:
    account = session.context.account_id
    name = statement.name
    refuse_odd_name(name)
    if name in SYSTEM_DATABASES or session.catalogue.database(account, name) is not None:
        quiet = not statement.clone or session.rules.database_clone_checks_if_not_exists
        if statement.if_not_exists and quiet:
            return Result(affected=1)
        raise SqlError(1007, f"database {name} already exists")
    if statement.clone:
        clone_database(session, statement.clone, statement.moment, name)
        return Result()
    database = session.catalogue.add_database(account, name)
    session.emit("create_database", database, 0, database.id)
    return Result(affected=1)


def drop_database(session: Workspace, statement: DropDatabase) -> Result:
    refuse_odd_name(statement.name)
    database = session.catalogue.database(session.context.account_id, statement.name)
    if database is None:
        if statement.if_exists:
            return Result(affected=int(not session.rules.drop_database_counts_tables))
        raise SqlError(1008, f"Can't drop database '{statement.name}'; database doesn't exist")
    if statement.name in SYSTEM_DATABASES:
        raise SqlError.internal("do not have privilege to execute the statement")
    inside = {version.version for version in session.catalogue.tables(database)}
    for version in session.catalogue.tables(database):
        for child, _ in session.catalogue.children(version):
            if child.version not in inside:
                raise SqlError.internal(
                    "can not drop database. It has been referenced by foreign keys"
                )
    if not session.rules.drop_database_quotes_names:
        for version in session.catalogue.tables(database):
            _refuse_back_quote(version)
    session.drop_database(database)
    if fold(session.context.database) == statement.name:
        session.context.database = ""  # a rollback does not choose it again
    return Result(affected=len(inside) if session.rules.drop_database_counts_tables else 1)


def _refuse_back_quote(version: Version) -> None:
    """Refuse tables with a back-quote: 3.x drops them by statements that do not double it."""
    before, quote, after = version.name.partition("`")
    if quote:
        word = re.match(r"\w*", after)
        end = len(f"drop table if exists `{version.database}`.`{before}`") + len(
            word.group() if word else ""
        )
        message = SqlError.syntax(f"{after}`;", column=end).message
        raise SqlError(1105, message.removeprefix("SQL parser error: "))
