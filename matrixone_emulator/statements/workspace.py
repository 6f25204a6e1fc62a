"""One client's statements: transactions, dispatch, results (docs/server.md, The commit rule)."""

from __future__ import annotations

import functools
import sqlite3
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from sqlglot import exp

from ..compiler.casts import cast_stored, number_in_text
from ..compiler.query import result_columns
from ..compiler.resolver import Resolver
from ..compiler.session_functions import SessionFunctions
from ..errors import SqlError
from ..functions.registry import Failure, register
from ..parsing import dialect
from ..parsing.lexer import Token, fold_time_parts, names_in_double_quotes, tokens
from ..parsing.redact import unsupported
from ..parsing.refusals import refuse_empty_list
from ..storage.records import DatabaseInfo, Result, SessionContext, TableInfo
from ..storage.shared import Shared
from ..types.columns import UBIGINT, Column, SqlType
from ..types.definition import DatabaseVersion, HiddenTable, Version
from ..types.values import Stored, load
from .constraints import foreign_key_error
from .transaction import Transaction

_LONGEST_SLEEP = 60.0
_LOOK_SECONDS = 0.2


class Workspace(Transaction, SessionFunctions, Resolver):
    """One client's transaction and what its statements use; that client's thread only."""

    def __init__(self, storage: Shared, context: SessionContext) -> None:
        super().__init__(storage, context)
        self.statement_text = ""
        self.errors: list[tuple[int, str]] = []
        self.foreign_key_checks = True
        self._cascaded = 0
        self._failure = Failure()
        register(
            self._connection,
            self._failure,
            {
                "mo_txn": (0, lambda: self.number),
                "mo_cast": (3, functools.partial(cast_stored, self.rules)),
                "mo_number": (1, functools.partial(number_in_text, self.rules)),
                "mo_sleep": (1, self._sleep),
                "mo_single": (2, self._scalar),
                "mo_checks": (0, lambda: int(self.foreign_key_checks)),
                "mo_cascaded": (1, self._count_cascaded),
                "mo_local": (1, self.local),
                "mo_utc": (1, self.utc),
                "mo_from_unixtime": (1, self._from_unixtime),
                "mo_unix_timestamp": (3, self._unix_timestamp),
            },
        )

    def _scalar(self, count: int, value: Stored) -> Stored:
        """The value of a scalar subquery."""
        if count > 1 and self.rules.several_rows_code == 1242:
            raise SqlError(1242, "Subquery returns more than 1 row")
        if count > 1:
            raise SqlError.internal("scalar subquery returns more than 1 row")
        return value

    def _sleep(self, seconds: Stored) -> int:
        """Sleep, until the client has gone at the latest."""
        deadline = time.monotonic() + min(float(str(seconds or 0)), _LONGEST_SLEEP)
        while (left := deadline - time.monotonic()) > 0:
            if self.interrupted.wait(min(left, _LOOK_SECONDS)) or self.gone():
                break
        return 0

    # -- statements --------------------------------------------------------------------

    def dispatch(self, statement: str, found: list[Token]) -> Result:
        raise NotImplementedError

    def execute(self, statement: str, found: list[Token] | None = None) -> Result:
        """Execute one statement, all or nothing; in a transaction of its own if none is open.

        *found*: its tokens, where they are known.
        """
        own = not self.in_transaction
        if own:
            self.begin()
        try:
            result = self._execute_guarded(statement, tokens(statement) if found is None else found)
        except BaseException:
            if own:
                self.rollback()
            raise
        if own:
            self.commit()
        return result

    def _execute_guarded(self, statement: str, found: list[Token]) -> Result:
        self._drop_savepoint()
        if '"' in statement and self.rules.ansi_quotes and "ANSI_QUOTES" in self._sql_mode():
            statement = names_in_double_quotes(statement, found)
            found = tokens(statement)
        self.statement_text = statement
        self.statement_ns = self.store.clock.now()
        self._failure.error = None
        self._cascaded = 0
        self.moment_read = self.account_read = None
        wanted = self.context.variable("foreign_key_checks", "")
        self.foreign_key_checks = str(wanted).lower() not in ("0", "off", "false")
        before = len(self._events), len(self.catalogue.recorded)
        if self._writing:
            self._savepoint_here()
        try:
            return self.dispatch(statement, found)
        except sqlite3.Error as error:
            self._undo(*before)
            raise self._remember_error(self._translated(error, statement)) from error
        except SqlError as error:
            self._undo(*before)
            if error.misses_column and self.rules.missing_column_code == 1054:
                error.code, error.sqlstate = 1054, "42S22"
            if not self.rules.misspells_ambiguous:
                error.message = error.message.replace("ambiguouse column", "ambiguous column")
            self._remember_error(error)
            raise
        except BaseException:
            self._undo(*before)
            raise

    def _remember_error(self, error: SqlError) -> SqlError:
        """Remember an error for SHOW WARNINGS, which keeps the session's last 64."""
        self.errors = [*self.errors[-63:], (error.code, error.message)]
        return error

    def _undo(self, events: int, recorded: int) -> None:
        del self._events[events:]
        self.catalogue.forget(recorded)
        self.undo_last_statement()

    def _translated(self, error: sqlite3.Error, statement: str) -> SqlError:
        if self._failure.error is not None:
            return self._failure.error
        text = str(error)
        if "overflow" in text:
            return SqlError(1690, "data out of range: data type int64, integer overflow")
        return foreign_key_error(text) or unsupported(f"{statement} [{text}]")

    def run(
        self, sql: str, parameters: Sequence[object] | Mapping[str, object] = ()
    ) -> sqlite3.Cursor:
        """Run sqlite text; SqlError of a Python function comes through as itself."""
        try:
            return self._connection.execute(sql, parameters)
        except sqlite3.OperationalError:
            if self._failure.error is not None:
                raise self._failure.error from None
            raise

    def parse(self, statement: str, found: list[Token]) -> exp.Expr:
        refuse_empty_list(statement, found)
        pipes = self.rules.pipes_always_concatenate or "PIPES_AS_CONCAT" in self._sql_mode()
        return dialect.parse(
            fold_time_parts(statement, found), found, self.rules, concatenating=pipes
        )

    def _sql_mode(self) -> str:
        return str(self.context.variable("sql_mode", "")).upper()

    def fetch(
        self,
        sql: str,
        parameters: Mapping[str, object],
        labels: list[str],
        types: list[SqlType],
    ) -> Result:
        """Run a compiled query and load its values."""
        rows: list[tuple[Any, ...]] = self.run(sql, parameters).fetchall()
        if self._failure.error is not None:
            raise self._failure.error
        plain = ("bigint", "int", "smallint", "tinyint", "varchar", "char", "text", "blob", "any")
        if any(kind.kind not in plain or kind == UBIGINT for kind in types):
            loaders = [self._loader(kind) for kind in types]
            rows = [
                tuple(
                    cell if cell is None or loader is None else loader(cell)
                    for cell, loader in zip(row, loaders, strict=True)
                )
                for row in rows
            ]
        return Result(self.columns(labels, types), rows)

    def columns(self, labels: list[str], types: list[SqlType]) -> list[Column]:
        """Columns of a result; BOOL is the word `true` or a TINYINT."""
        if not self.rules.bool_is_word:
            types = [SqlType("tinyint") if kind.kind == "bool" else kind for kind in types]
        return result_columns(labels, types)

    def _loader(self, kind: SqlType) -> Callable[[Stored], object] | None:
        if kind.kind == "timestamp":
            return lambda value: load(self.local(value), kind)
        if kind.kind == "bigint" and kind.unsigned:
            return lambda value: int(value) if isinstance(value, (str, float)) else value
        if kind.kind == "bool" and not self.rules.bool_is_word:
            return None
        if kind.is_integer or kind.kind in ("any", "varbinary", "binary", "blob"):
            return None
        return lambda value: load(value, kind)

    # -- cascades ----------------------------------------------------------------------

    def _count_cascaded(self, count: int) -> None:
        self._cascaded += count

    def take_cascaded(self) -> int:
        """Rows that foreign keys changed along with the statement's own."""
        count, self._cascaded = self._cascaded, 0
        return count

    # For the session layer: the catalogue

    def databases(
        self, at: int | None = None, *, account_id: int | None = None
    ) -> list[DatabaseInfo]:
        account = self.context.account_id if account_id is None else account_id
        found = self.catalogue.databases(account, self.catalogue.number_at(at))
        return [DatabaseInfo(d.id, d.name, d.created_ns) for d in found]

    def find_database(
        self, name: str, *, account_id: int | None = None, at: int | None = None
    ) -> DatabaseInfo | None:
        account = self.context.account_id if account_id is None else account_id
        number = self.catalogue.number_at(at)
        found = self.catalogue.database(account, name, number)
        if found is None and name == "mo_catalog":
            found = self.catalogue.database(0, name, number)
        return None if found is None else DatabaseInfo(found.id, found.name, found.created_ns)

    def find_table(
        self, database: str, name: str, *, account_id: int | None = None, at: int | None = None
    ) -> TableInfo | None:
        account = self.context.account_id if account_id is None else account_id
        number = self.catalogue.number_at(at)
        home = self.catalogue.database(account, database, number)
        if home is None:
            return None
        found = self.catalogue.table(home, name, number)
        if found is None:
            hidden = self.catalogue.hidden(home, name, number)
            return None if hidden is None else _hidden_info(*hidden)
        return _info(found)

    def tables(
        self,
        database: str | None = None,
        *,
        account_id: int | None = None,
        at: int | None = None,
    ) -> list[TableInfo]:
        account = self.context.account_id if account_id is None else account_id
        number = self.catalogue.number_at(at)
        home = None
        if database is not None:
            home = self.catalogue.database(account, database, number)
            if home is None:
                return []
        return [_info(v) for v in self.catalogue.tables(home, number, account)]

    def relations(self, account_id: int, at: int) -> list[tuple[str, str]]:
        """Database and name of each table, view, and hidden table."""
        number = self.catalogue.number_at(at)
        found = self.catalogue.tables(None, number, account_id)
        return [
            (version.database, name)
            for version in found
            for name in (version.name, *(hidden.name for hidden in version.hidden_tables))
        ]

    def drop_database(self, database: DatabaseVersion) -> None:
        """Drop a database and its tables."""
        for version in self.catalogue.tables(database):
            self.catalogue.end_table(version)
            if version.definition.view is None:
                self.emit("drop_table", version, version.id, 0)
        self.catalogue.end_database(database)
        self.emit("drop_database", database, database.id, 0)


def _hidden_info(version: Version, hidden: HiddenTable) -> TableInfo:
    created = version.created_ns
    return TableInfo(hidden.id, version.database, hidden.name, created, hidden.id)


def _info(version: Version) -> TableInfo:
    return TableInfo(
        version.id, version.database, version.name, version.created_ns, version.logical_id
    )
