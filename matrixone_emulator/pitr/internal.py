"""CREATE and DROP PITR as the server's planner does them.

PREPARE checks by these rules, and with the word INTERNAL behind it a statement is carried out by
them: other checks, other texts, a part of the session's transaction, and the id that a table has
now, where an ordinary CREATE PITR of 4.x records the one that it was created with.
"""

from __future__ import annotations

import uuid
from collections.abc import Callable
from typing import Protocol

from ..errors import SqlError
from ..parsing.grammar import CreatePitr, DropPitr
from ..parsing.scanner import unescape
from ..system.accounts import Identity
from ..versions.rules import Rules
from .catalog import Catalog
from .create import check_request, is_taken
from .rows import CLUSTER_OBJECT, PitrRow


class PresentFinder(Protocol):
    """Ids of the account's own objects as they are now, None where there is no such object."""

    def find_account_id(self, name: str) -> int | None: ...

    def present_database_id(self, name: str) -> int | None: ...

    def present_table_id(self, database: str, name: str) -> int | None: ...


def check(who: Identity, stmt: CreatePitr, find: PresentFinder) -> int:
    """Check CREATE, return the id for obj_id; the name is checked only when the row is written."""
    check_request(who, stmt)
    match stmt.level:
        case "cluster":
            return CLUSTER_OBJECT
        case "account":
            found = find.find_account_id(stmt.account) if stmt.account else who.account_id
            missing = f"there is no account {stmt.account}"
        case "database":
            found = find.present_database_id(stmt.database)
            missing = f"database {stmt.database} does not exist"
        case "table":
            found = find.present_table_id(stmt.database, stmt.table)
            missing = f"table {stmt.database}.{stmt.table} does not exist"
            if found is None and find.present_database_id(stmt.database) is None:
                missing = f"database {stmt.database} does not exist"
    if found is None:
        raise SqlError.internal(missing)
    return found


class InternalStatements:
    """INTERNAL statements; each returns the action for the commit of the transaction."""

    def __init__(self, catalog: Catalog, rules: Rules) -> None:
        self._catalog = catalog
        self._rules = rules

    def create(self, who: Identity, stmt: CreatePitr, object_id: int) -> Callable[[], None]:
        """Return the action that creates the PITR; *object_id* comes from `check`."""
        name = self._lookup_name(who, stmt.name, f"{who.account_id} ORDER BY pitr_id")
        if self._catalog.has(who, name):
            if stmt.if_not_exists:
                return _nothing
            raise SqlError.internal(f"pitr {stmt.name} already exists")
        account = stmt.account or who.account
        if is_taken(self._catalog, who, stmt.level, account, stmt.database, stmt.table):
            raise SqlError.internal(_taken(stmt, account))
        self._catalog.check_hidden(stmt.unit)
        now = self._catalog.clock.now()
        row = PitrRow(
            str(uuid.uuid4()),
            name,
            who.account_id,
            now,
            now,
            stmt.level,
            who.account_id,
            account,
            stmt.database,
            stmt.table,
            object_id,
            stmt.length,
            stmt.unit,
            status_changed=now,
        )
        return lambda: self._catalog.insert(row)

    def drop(self, who: Identity, stmt: DropPitr) -> Callable[[], None]:
        name = self._lookup_name(who, stmt.name, str(who.account_id))
        if not self._catalog.has(who, name):
            if stmt.if_exists:
                return _nothing
            raise SqlError.internal(f"pitr {stmt.name} does not exist")
        return lambda: self._catalog.remove(who, name)

    def _lookup_name(self, who: Identity, name: str, behind: str) -> str:
        """The name as the look-up reads it: 3.x puts it unescaped into a query, 4.x quotes it."""
        if self._rules.lookup_quotes_names:
            return name
        before, quote, rest = name.partition("'")
        if quote:
            near = f"{rest}' AND create_account = {behind}"
            column = len(f"SELECT pitr_id FROM mo_catalog.mo_pitr WHERE pitr_name = '{before}'")
            first = len(rest) if rest.isalnum() else 1
            error = SqlError.syntax(near, column=column + first)
            raise SqlError(1105, error.message.removeprefix("SQL parser error: "))
        if not who.is_sys:
            raise SqlError(1064, 'SQL parser error: table "mo_pitr" does not exist')
        return unescape(name)


def _nothing() -> None:
    """Do nothing, as IF [NOT] EXISTS demands."""


def _taken(stmt: CreatePitr, account: str) -> str:
    """Text for a target that is taken; for two levels the server says that it does not exist."""
    return {
        "cluster": "cluster level pitr already exists",
        "account": f"account {account} does not exist",
        "database": f"database `{stmt.database}` already has a pitr",
        "table": f"table {stmt.database}.{stmt.table} does not exist",
    }[stmt.level]
