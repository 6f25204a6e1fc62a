"""One client's statements: transactions, dispatch, results (section 2)."""

from __future__ import annotations

import contextlib
import datetime
import sqlite3
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from itertools import pairwise
from typing import TYPE_CHECKING, Any

from sqlglot import exp

from . import ddlparse, dialect
from .columns import UBIGINT, Column, SqlType, Stored, load
from .definition import DatabaseVersion, Version
from .dml import Writer
from .errors import SqlError
from .functions import Failure, register
from .lexer import Token, fold_time_parts, names_in_double_quotes, syntax_error, tokens
from .literals import literal_rows
from .locks import never
from .query import Compiler, result_columns
from .records import DatabaseInfo, Event, EventKind, Result, SessionContext, TableInfo
from .resolver import Resolver
from .surroundings import Surroundings
from .tables import Tables

if TYPE_CHECKING:
    from .storage import Storage

_LONGEST_SLEEP = 60.0
_LOOK_SECONDS = 0.2
_PRUNE_EVERY = 64
"""Transactions between two looks for history that need not be kept."""


class StorageSession(Surroundings, Resolver):
    """One client's statements; used by that client's thread only."""

    def __init__(self, storage: Storage, context: SessionContext) -> None:
        self.storage = storage
        self.store = storage.store
        self.context = context
        self.in_transaction = False
        self.number = 0
        self.statement_text = ""
        self.errors: list[tuple[int, str]] = []
        self.gone: Callable[[], bool] = never
        """Whether the client has left, so that waiting for it is in vain"""
        self.interrupted = threading.Event()
        self.foreign_key_checks = True
        self._writing = False
        self._savepoint = False
        self.explicit = False
        """Whether BEGIN opened the transaction: then a clone is part of it"""
        self._cascaded = 0
        self._events: list[Event] = []
        self.at_commit: list[Callable[[], None]] = []
        """What is to be done beside sqlite when the open transaction is committed"""
        self._clones: list[str] = []
        self._failure = Failure()
        self._connection = self.store.connect()
        self.catalogue = Tables(self._connection, self.store, lambda: self.number)
        register(
            self._connection,
            self._failure,
            {
                "mo_txn": (0, lambda: self.number),
                "mo_sleep": (1, self._sleep),
                "mo_single": (2, self._single),
                "mo_checks": (0, lambda: int(self.foreign_key_checks)),
                "mo_cascaded": (1, self._note_cascaded),
                "mo_local": (1, self.local),
                "mo_utc": (1, self.utc),
                "mo_from_unixtime": (1, self._from_unixtime),
                "mo_unix_timestamp": (2, self._unix_timestamp),
            },
        )

    def workspace(self) -> StorageSession:
        return self

    # Transactions

    def begin(self) -> None:
        """Open a transaction; sqlite is locked by the first write only."""
        if self.in_transaction:
            self.commit()
        self.in_transaction = True

    def commit(self) -> None:
        self.in_transaction = False
        if self._writing:
            at = self.store.clock.now()
            keep = self.storage.keep_history
            if keep is not None and self.number % _PRUNE_EVERY == 0:
                self.catalogue.prune(at - keep // datetime.timedelta(microseconds=1) * 1000)
            self._connection.execute("INSERT INTO txn VALUES (?, ?)", (self.number, at))
            self._connection.execute("COMMIT")
            events = [
                Event(e.kind, e.account_id, e.database, e.table, e.old_id, e.new_id, at)
                for e in self._events
            ]
            try:
                if events:
                    for listener in self.storage.on_commit:
                        listener(events)
                self._act()
            finally:
                self._end()
        else:
            try:
                self._act()
            finally:
                self._end()

    def _act(self) -> None:
        for action in self.at_commit:
            action()

    def rollback(self) -> None:
        self.in_transaction = False
        if self._writing:
            self._connection.execute("ROLLBACK")
        clones = self._clones
        self._end()
        for statement in clones:
            # Made inside the one open sqlite transaction, they are made again without it.
            self._run_clone(statement)

    def _end(self) -> None:
        self._events = []
        self.at_commit = []
        self._clones = []
        self.explicit = False
        self._savepoint = False
        if self._writing:
            self._writing = False
            self.store.gate.leave(self)
        self.storage.locks.release(self)

    def start_writing(self) -> None:
        """Become the one writer, waiting for the one before."""
        if self._writing:
            return
        self.store.gate.enter(self, self.context.deadline_seconds, self.gone)
        try:
            self._connection.execute("BEGIN IMMEDIATE")
            row = self._connection.execute("SELECT max(number) FROM txn").fetchone()
        except BaseException:
            self.store.gate.leave(self)
            raise
        self.number = int(row[0] or 0) + 1
        self._writing = True

    def undo_last_statement(self) -> None:
        """Undo what the last statement of the open transaction wrote, and only that."""
        if self._writing and self._savepoint:
            self._connection.execute("ROLLBACK TO statement")
            self._connection.execute("RELEASE statement")
            self._savepoint = False

    def _drop_savepoint(self) -> None:
        if self._savepoint:
            self._connection.execute("RELEASE statement")
            self._savepoint = False

    def interrupt(self) -> None:
        """Break off what sqlite is doing for this session, for good; from another thread."""
        self.interrupted.set()
        with contextlib.suppress(sqlite3.ProgrammingError):
            self._connection.interrupt()

    def _single(self, count: int, value: Stored) -> Stored:
        """The value of a scalar subquery."""
        if count > 1 and self.version >= (4, 0, 0):
            raise SqlError(1242, "Subquery returns more than 1 row")
        if count > 1:
            raise SqlError.internal("scalar subquery returns more than 1 row")
        return value

    def _sleep(self, seconds: Stored) -> int:
        """SLEEP, until the client is gone at the latest."""
        deadline = time.monotonic() + min(float(str(seconds or 0)), _LONGEST_SLEEP)
        while (left := deadline - time.monotonic()) > 0:
            if self.interrupted.wait(min(left, _LOOK_SECONDS)) or self.gone():
                break
        return 0

    def close(self) -> None:
        try:
            self.rollback()
        except sqlite3.Error:
            self._end()
        self.store.disconnect(self._connection)

    def emit(
        self, kind: EventKind, version: DatabaseVersion | Version, old_id: int, new_id: int
    ) -> None:
        """Remember an event for the commit."""
        table = version.name if isinstance(version, Version) else None
        database = version.database if isinstance(version, Version) else version.name
        self._events.append(Event(kind, version.account_id, database, table, old_id, new_id))

    # Statements

    def execute(self, statement: str) -> Result:
        """One statement, all of it or nothing; a transaction of its own where none is open."""
        own = not self.in_transaction
        if own:
            self.begin()
        try:
            result = self._guarded(statement)
        except BaseException:
            if own:
                self.rollback()
            raise
        if own:
            self.commit()
        return result

    def _guarded(self, statement: str) -> Result:
        self._drop_savepoint()
        if '"' in statement and self.version >= (4, 0, 0) and "ANSI_QUOTES" in self._sql_mode():
            statement = names_in_double_quotes(statement)
        self.statement_text = statement
        self.statement_ns = self.store.clock.now()
        self._failure.error = None
        self._cascaded = 0
        self.moment_read = None
        wanted = self.context.variable("foreign_key_checks", "")
        self.foreign_key_checks = str(wanted).lower() not in ("0", "off", "false")
        events = len(self._events)
        if self._writing:
            self._savepoint_here()
        try:
            return self._dispatch(statement)
        except sqlite3.Error as error:
            self._undo(events)
            raise self._noted(self._translated(error, statement)) from error
        except SqlError as error:
            self._undo(events)
            self._noted(error)
            raise
        except BaseException:
            self._undo(events)
            raise

    def _noted(self, error: SqlError) -> SqlError:
        """For SHOW WARNINGS, which keeps the session's last 64."""
        self.errors = [*self.errors[-63:], (error.code, error.message)]
        return error

    def _undo(self, events: int) -> None:
        del self._events[events:]
        self.undo_last_statement()

    def _savepoint_here(self) -> None:
        self._connection.execute("SAVEPOINT statement")
        self._savepoint = True

    def write(self) -> None:
        """To be called before the first change of a statement."""
        self.start_writing()
        if not self._savepoint:
            self._savepoint_here()

    def _translated(self, error: sqlite3.Error, statement: str) -> SqlError:
        if self._failure.error is not None:
            return self._failure.error
        text = str(error)
        if "overflow" in text:
            return SqlError(1690, "data out of range: data type int64, integer overflow")
        if "mo-child" in text or "mo-parent" in text:
            side = (
                "add or update a child row"
                if "mo-child" in text
                else "delete or update a parent row"
            )
            return SqlError.internal(f"Cannot {side}: a foreign key constraint fails")
        return SqlError.unsupported(f"{statement} [{text}]")

    def _dispatch(self, statement: str) -> Result:
        found = tokens(statement)
        first = found[0].upper if found else ""
        if first in ("SELECT", "WITH", "(", "VALUES", "TABLE"):
            return self._select(statement, found)
        if first in ("INSERT", "REPLACE", "UPDATE", "DELETE"):
            return self._change(statement, found, first)
        if first in ("SHOW", "DESC", "DESCRIBE", "EXPLAIN"):
            from .show import show

            return show(self, statement, found)
        if first in ("CREATE", "DROP", "ALTER", "TRUNCATE", "RENAME"):
            return self._define(statement)
        if found and first not in _KNOWN_WORDS and found[0].kind == "word":
            raise syntax_error(statement, found, 0)
        if first == "DO":
            raise SqlError(20105, f"not supported: do{statement[found[0].end :]}")
        raise SqlError.unsupported(statement)

    def _define(self, statement: str) -> Result:
        from .ddl import execute

        parsed = ddlparse.parse(statement, self.version)
        if not (
            isinstance(parsed, (ddlparse.CreateTable, ddlparse.CreateDatabase)) and parsed.clone
        ):
            return execute(self, parsed)
        if self.explicit:
            if not parsed.moment and self.version < (4, 0, 0):
                parsed.moment = f"MO_TS = {self.statement_ns}"
            return execute(self, parsed)
        if not self._writing:
            self._run_clone(statement)
            return Result()
        if not parsed.moment:
            parsed.moment = f"MO_TS = {self.statement_ns}"
        result = execute(self, parsed)
        self._clones.append(statement)
        return result

    def _run_clone(self, statement: str) -> None:
        """Without BEGIN a clone commits by itself (section 6)."""
        other = StorageSession(self.storage, self.context)
        try:
            other.begin()
            other.start_writing()
            other.execute(statement)
            other.commit()
        finally:
            other.close()

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
        pipes = self.version < (4, 0, 0) or "PIPES_AS_CONCAT" in self._sql_mode()
        return dialect.parse(fold_time_parts(statement, found), found, concatenating=pipes)

    def _sql_mode(self) -> str:
        return str(self.context.variable("sql_mode", "")).upper()

    def _select(self, statement: str, found: list[Token]) -> Result:
        for into, target in pairwise(found):
            if into.upper == "INTO" and target.upper in ("OUTFILE", "DUMPFILE"):
                raise SqlError.unsupported(statement)
        tree = self.parse(statement, found)
        for token in found if self.version < (4, 0, 0) else ():
            if token.kind == "operator" and token.text in ("->", "->>"):
                raise syntax_error(statement, found, token.start)
        _refuse_star_alias(statement, found)
        _refuse_unread(statement, found, self.version)
        compiler = Compiler(statement, self, self.context.database)
        compiler.reading_4 = self.version >= (4, 0, 0)
        reading = not self._writing
        if reading:
            self._connection.execute("BEGIN")
        try:
            query = compiler.query(tree)
            if not query.for_update:
                return self.fetch(query.sql, compiler.parameters, query.labels, query.types)
        finally:
            if reading:
                self._connection.execute("COMMIT")
        self._lock_rows(compiler)
        compiler = Compiler(statement, self, self.context.database)
        compiler.reading_4 = self.version >= (4, 0, 0)
        query = compiler.query(tree)
        return self.fetch(query.sql, compiler.parameters, query.labels, query.types)

    def _lock_rows(self, compiler: Compiler) -> None:
        """SELECT ... FOR UPDATE: rows of mo_role by their own lock, others by being the writer."""
        timeout = self.context.deadline_seconds
        for database, name in compiler.reads:
            if (database, name) == ("mo_catalog", "mo_role"):
                key = ("mo_role", self.context.account_id)
                self.storage.locks.acquire(self, key, timeout, self.gone)
            elif (database, name) not in self.storage.virtual:
                self.write()

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
        """Columns of a result; BOOL is the word `true` on 3.x, a TINYINT from 4.0."""
        if self.version >= (4, 0, 0):
            types = [SqlType("tinyint") if kind.kind == "bool" else kind for kind in types]
        return result_columns(labels, types)

    def _loader(self, kind: SqlType) -> Callable[[Stored], object] | None:
        if kind.kind == "timestamp":
            return lambda value: load(self.local(value), kind)
        if kind.kind == "bigint" and kind.unsigned:
            return lambda value: int(value) if isinstance(value, (str, float)) else value
        if kind.kind == "bool" and self.version >= (4, 0, 0):
            return None
        if kind.is_integer or kind.kind in ("any", "varbinary", "binary", "blob"):
            return None
        return lambda value: load(value, kind)

    def _change(self, statement: str, found: list[Token], first: str) -> Result:
        if first == "REPLACE":
            statement = "INSERT" + statement[found[0].end :]
            found = tokens(statement)
        literal = literal_rows(statement, found)
        tree = None if literal is None else dialect.form(literal.text)
        rows = None if literal is None or tree is None else literal.rows
        tree = tree or self.parse(statement, found)
        self.write()
        writer = Writer(self, statement)
        if isinstance(tree, exp.Insert):
            changed = writer.insert(tree, replace=first == "REPLACE", rows=rows)
            if changed.last_insert_id:
                self.last_insert_id = changed.last_insert_id
            elif not changed.generating and first != "REPLACE":
                changed.last_insert_id = self.last_insert_id
        elif isinstance(tree, exp.Update):
            changed = writer.update(tree)
        elif isinstance(tree, exp.Delete):
            changed = writer.delete(tree)
        else:
            raise SqlError.unsupported(statement)
        return Result(
            affected=changed.affected, found=changed.affected, last_insert_id=changed.last_insert_id
        )

    # Cascades

    def _note_cascaded(self, count: int) -> None:
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
        found = None if home is None else self.catalogue.table(home, name, number)
        return None if found is None else _info(found)

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

    # For the session layer: restoring

    def restore_table(
        self, database: str, name: str, at: int, *, account_id: int | None = None
    ) -> None:
        """The table as it was at *at*, under a new id, in a transaction of its own."""
        from .history import restore_table

        self._alone(lambda: restore_table(self, self._account(account_id), database, name, at))

    def restore_database(self, name: str, at: int, *, account_id: int | None = None) -> None:
        from .history import restore_database

        self._alone(lambda: restore_database(self, self._account(account_id), name, at))

    def restore_account(self, account_id: int, at: int, *, into: int | None = None) -> None:
        from .history import restore_account

        self._alone(lambda: restore_account(self, account_id, at, into))

    def _account(self, account_id: int | None) -> int:
        return self.context.account_id if account_id is None else account_id

    def _alone(self, work: Callable[[], None]) -> None:
        if self.in_transaction:
            raise SqlError.internal("unclassified statement appears in uncommitted transaction")
        self.begin()
        try:
            self.statement_ns = self.store.clock.now()
            self.start_writing()
            work()
        except BaseException:
            self.rollback()
            raise
        self.commit()

    def drop_database(self, database: DatabaseVersion) -> None:
        """Drop a database and its tables."""
        for version in self.catalogue.tables(database):
            self.catalogue.end_table(version)
            if version.definition.view is None:
                self.emit("drop_table", version, version.id, 0)
        self.catalogue.end_database(database)
        self.emit("drop_database", database, database.id, 0)


def _info(version: Version) -> TableInfo:
    return TableInfo(
        version.id, version.database, version.name, version.created_ns, version.logical_id
    )


_KNOWN_WORDS = frozenset(
    {
        "ALTER",
        "ANALYZE",
        "BACKUP",
        "BEGIN",
        "CALL",
        "CHECK",
        "COMMIT",
        "DATA",
        "DEALLOCATE",
        "DO",
        "EXECUTE",
        "GRANT",
        "KILL",
        "LOAD",
        "LOCK",
        "PREPARE",
        "RELEASE",
        "RESET",
        "RESTORE",
        "REVOKE",
        "ROLLBACK",
        "SAVEPOINT",
        "SET",
        "START",
        "UNLOCK",
        "UPGRADE",
        "USE",
    }
)
"""Statements that the server knows and the emulator does not."""

_AFTER_STAR = frozenset(
    [
        "FROM",
        "WHERE",
        "LIMIT",
        "ORDER",
        "UNION",
        "GROUP",
        "HAVING",
        "INTO",
        "FOR",
        "EXCEPT",
        "MINUS",
        "INTERSECT",
    ]
)


_ONE_ARGUMENT = frozenset(["AVG", "MAX", "MIN", "SUM"])


def _refuse_unread(statement: str, found: list[Token], version: tuple[int, int, int]) -> None:
    """What sqlglot reads and the server does not."""
    limited = False
    old = version < (4, 0, 0)
    for index, (token, after) in enumerate(pairwise(found)):
        word = token.upper
        limited = limited or word == "LIMIT"
        if (
            (word == "OFFSET" and after.kind == "number" and not limited)
            or (word == "=" and after.text == "=")
            or (word == "INTO" and after.kind == "variable")
            or (old and word == "FOR" and after.upper == "SHARE")
        ):
            raise syntax_error(statement, found, after.start)
        if old and word == "LOCK" and after.upper == "IN":
            raise syntax_error(statement, found, token.start)
        if after.text == "(" and (word == "COUNT" or word in _ONE_ARGUMENT):
            _refuse_arguments(statement, found, index + 2, word)
        locking = word in ("UPDATE", "SHARE") and index and found[index - 1].upper == "FOR"
        if locking and after.upper in ("OF", "NOWAIT", "SKIP"):
            raise syntax_error(statement, found, after.start)


def _refuse_arguments(statement: str, found: list[Token], at: int, word: str) -> None:
    """An aggregate has one argument, COUNT at least one."""
    depth = 0
    if at < len(found) and found[at].text == ")":
        raise syntax_error(statement, found, found[at].start)
    for token in found[at:]:
        if token.kind == "operator" and token.text == "(":
            depth += 1
        elif token.kind == "operator" and token.text == ")":
            depth -= 1
            if depth < 0:
                return
        elif token.text == "," and not depth and word != "COUNT":
            raise syntax_error(statement, found, token.start)


def _refuse_star_alias(statement: str, found: list[Token]) -> None:
    """`SELECT * frm t`: sqlglot takes a name after the star for an alias, the server does not."""
    for before, star, after in zip(found, found[1:], found[2:], strict=False):
        if (
            star.text == "*"
            and before.upper in ("SELECT", ",")
            and (after.kind in ("word", "quoted") and after.upper not in _AFTER_STAR)
        ):
            raise syntax_error(statement, found, after.start)
