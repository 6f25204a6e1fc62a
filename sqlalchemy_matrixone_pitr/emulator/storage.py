"""Ordinary SQL in one sqlite file: what a client's statements other than PITR's come to.

matrixone.md, sections 2 (transactions), 4 (ids), 6 (time travel) and 9 (reflection).
"""

from __future__ import annotations

import datetime
import json
import sqlite3
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, Protocol

from sqlglot import exp

from . import ddlparse, dialect
from .clock import Clock
from .columns import (
    BIGINT,
    BOOL,
    DATE,
    DATETIME,
    DOUBLE,
    TIME,
    UBIGINT,
    Column,
    ColumnType,
    SqlType,
    Stored,
    load,
    moment_text,
    parse_moment,
    varchar,
)
from .convert import text_value
from .definition import DatabaseVersion, Version
from .dml import Writer
from .errors import SqlError
from .functions import Failure, register
from .lexer import Token, fold_time_parts, quote_text, syntax_error, tokens
from .locks import LockTable
from .query import Compiler, Resolved, result_columns
from .scope import Value
from .store import Store
from .tables import Tables

SYSTEM_DATABASES = (
    "information_schema",
    "mo_catalog",
    "mo_debug",
    "mo_task",
    "mysql",
    "system",
    "system_metrics",
)


_PRUNE_EVERY = 64
"""Transactions between two looks for history that need not be kept."""


@dataclass
class Result:
    """What a statement answers; *columns* is empty for one without a result set."""

    columns: list[Column] = field(default_factory=list)
    rows: list[tuple[object, ...]] = field(default_factory=list)
    affected: int = 0
    last_insert_id: int = 0
    found: int = 0


class SessionContext(Protocol):
    """The session layer's side: who asks, and what SET has set."""

    account: str
    account_id: int
    user: str
    role: str
    database: str
    connection_id: int
    time_zone: datetime.tzinfo
    deadline_seconds: float
    version_text: str

    def variable(self, name: str, scope: str) -> object: ...

    def variables(self, scope: str) -> Mapping[str, object]: ...

    def user_variable(self, name: str) -> object: ...


@dataclass(frozen=True)
class DatabaseInfo:
    id: int
    name: str
    created_ns: int


@dataclass(frozen=True)
class TableInfo:
    id: int
    database: str
    name: str
    created_ns: int
    logical_id: int = 0
    """The id it was created with; rebuilding and TRUNCATE keep it (4.2.0 shows it)."""


EventKind = Literal[
    "create_database",
    "drop_database",
    "create_table",
    "drop_table",
    "rebuild_table",
    "truncate_table",
    "rename_table",
    "restore_table",
    "restore_database",
]


@dataclass(frozen=True)
class Event:
    """A change of the catalogue; *at* is the commit's moment in nanoseconds."""

    kind: EventKind
    account_id: int
    database: str
    table: str | None
    old_id: int
    new_id: int
    at: int = 0


@dataclass
class VirtualTable:
    """A table that is worked out when it is read."""

    columns: list[tuple[str, SqlType]]
    rows: Callable[[StorageSession, int | None], Iterable[tuple[object, ...]]]
    sys_only: bool = False
    view: bool = False


_KINDS = {
    ColumnType.TINY: SqlType("tinyint"),
    ColumnType.SHORT: SqlType("smallint"),
    ColumnType.LONG: SqlType("int"),
    ColumnType.LONGLONG: BIGINT,
    ColumnType.DOUBLE: DOUBLE,
    ColumnType.FLOAT: SqlType("float"),
    ColumnType.DATETIME: DATETIME,
    ColumnType.TIMESTAMP: SqlType("timestamp"),
    ColumnType.DATE: DATE,
    ColumnType.TIME: TIME,
    ColumnType.STRING: SqlType("char", 255),
    ColumnType.TEXT: SqlType("text"),
    ColumnType.BLOB: SqlType("blob"),
    ColumnType.JSON: SqlType("json"),
    ColumnType.BOOL: SqlType("bool"),
    ColumnType.UUID: SqlType("uuid"),
}


class Storage:
    """All databases of one emulator; safe for many threads."""

    def __init__(
        self,
        clock: Clock,
        *,
        version: tuple[int, int, int],
        lock_timeout: float = 10.0,
        keep_history: datetime.timedelta | None = None,
    ) -> None:
        """*keep_history*: how far back the past can be read; None keeps everything."""
        from .infoschema import virtual_tables

        self.clock = clock
        self.version = version
        self.lock_timeout = lock_timeout
        self.keep_history = keep_history
        self.locks = LockTable()
        self.on_commit: list[Callable[[list[Event]], None]] = []
        self.store = Store(clock)
        self.virtual: dict[tuple[str, str], VirtualTable] = dict(virtual_tables(version))
        self.create_account("sys", 0)

    def session(self, context: SessionContext) -> StorageSession:
        return StorageSession(self, context)

    def virtual_table(
        self,
        database: str,
        name: str,
        columns: list[Column],
        rows: Callable[[SessionContext], Iterable[tuple[object, ...]]],
        *,
        sys_only: bool = False,
    ) -> None:
        """Make *rows* readable as `database.name`."""
        kinds = []
        for column in columns:
            kind = _KINDS.get(column.type, varchar(column.length or 65535))
            if column.unsigned:
                kind = SqlType(kind.kind, unsigned=True)
            kinds.append((column.name, kind))
        self.virtual[database, name] = VirtualTable(
            kinds, lambda session, at: rows(session.context), sys_only
        )

    def create_account(self, account: str, account_id: int) -> None:
        """Give an account its system databases."""
        session = StorageSession(self, _Internal(account, account_id))
        try:
            session.begin()
            session.start_writing()
            for name in SYSTEM_DATABASES:
                if name == "mo_catalog" and account_id == 0:
                    session.catalogue.add_database(0, name, 1)
                elif account_id == 0 or name not in ("mo_catalog", "mo_debug", "mo_task"):
                    session.catalogue.add_database(account_id, name)
            session.commit()
        finally:
            session.close()

    def drop_account(self, account_id: int) -> None:
        """Drop everything of an account."""
        session = StorageSession(self, _Internal("", account_id))
        try:
            session.begin()
            session.start_writing()
            for database in session.catalogue.databases(account_id):
                session.drop_database(database)
            session.commit()
        finally:
            session.close()

    def close(self) -> None:
        self.store.close()


class _Internal:
    """The context of the emulator's own work."""

    user, role, database = "internal", "", ""
    connection_id, deadline_seconds, version_text = 0, 60.0, ""
    time_zone: datetime.tzinfo = datetime.UTC

    def __init__(self, account: str, account_id: int) -> None:
        self.account, self.account_id = account, account_id

    def variable(self, name: str, scope: str) -> object:
        return ""

    def variables(self, scope: str) -> Mapping[str, object]:
        return {}

    def user_variable(self, name: str) -> object:
        return None


class StorageSession:
    """One client's statements; used by that client's thread only."""

    def __init__(self, storage: Storage, context: SessionContext) -> None:
        self.storage = storage
        self.store = storage.store
        self.context = context
        self.in_transaction = False
        self.number = 0
        self.statement_ns = 0
        self.statement_text = ""
        self.errors: list[tuple[int, str]] = []
        self.last_insert_id = 0
        self.foreign_key_checks = True
        self._writing = False
        self._savepoint = False
        self._cascaded = 0
        self._events: list[Event] = []
        self._clones: list[str] = []
        self._failure = Failure()
        self._connection = self.store.connect()
        self.catalogue = Tables(self._connection, self.store, lambda: self.number)
        register(
            self._connection,
            self._failure,
            {
                "mo_txn": (0, lambda: self.number),
                "mo_checks": (0, lambda: int(self.foreign_key_checks)),
                "mo_cascaded": (1, self._note_cascaded),
                "mo_local": (1, self.local),
                "mo_utc": (1, self.utc),
                "mo_from_unixtime": (1, self._from_unixtime),
                "mo_unix_timestamp": (2, self._unix_timestamp),
            },
        )

    @property
    def version(self) -> tuple[int, int, int]:
        return self.storage.version

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
            finally:
                self._end()
        else:
            self._end()

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
        self._clones = []
        self._savepoint = False
        if self._writing:
            self._writing = False
            self.store.gate.leave(self)
        self.storage.locks.release(self)

    def start_writing(self) -> None:
        """Become the one writer, waiting for the one before."""
        if self._writing:
            return
        self.store.gate.enter(self, self.context.deadline_seconds)
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
        self.statement_text = statement
        self.statement_ns = self.store.clock.now()
        self._failure.error = None
        self._cascaded = 0
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
            self._select("SELECT" + statement[found[0].end :], found)
            return Result()
        raise SqlError.unsupported(statement)

    def _define(self, statement: str) -> Result:
        from .ddl import execute

        parsed = ddlparse.parse(statement)
        if not (
            isinstance(parsed, (ddlparse.CreateTable, ddlparse.CreateDatabase)) and parsed.clone
        ):
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
        """A clone commits by itself (section 6)."""
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
        return dialect.parse(fold_time_parts(statement, found), found)

    def _select(self, statement: str, found: list[Token]) -> Result:
        tree = self.parse(statement, found)
        for token in found if self.version < (4, 0, 0) else ():
            if token.kind == "operator" and token.text in ("->", "->>"):
                raise syntax_error(statement, found, token.start)
        _refuse_star_alias(statement, found)
        compiler = Compiler(statement, self, self.context.database)
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
        query = compiler.query(tree)
        return self.fetch(query.sql, compiler.parameters, query.labels, query.types)

    def _lock_rows(self, compiler: Compiler) -> None:
        """SELECT ... FOR UPDATE: rows of mo_role by their own lock, others by being the writer."""
        timeout = self.context.deadline_seconds
        for database, name in compiler.reads:
            if (database, name) == ("mo_catalog", "mo_role"):
                key = ("mo_role", self.context.account_id)
                self.storage.locks.acquire(self, key, timeout)
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
            return lambda value: int(str(value)) if isinstance(value, str) else value
        if kind.kind == "bool" and self.version >= (4, 0, 0):
            return None
        if kind.is_integer or kind.kind in ("any", "varbinary", "binary", "blob"):
            return None
        return lambda value: load(value, kind)

    def _change(self, statement: str, found: list[Token], first: str) -> Result:
        if first == "REPLACE":
            statement = "INSERT" + statement[found[0].end :]
            found = tokens(statement)
        tree = self.parse(statement, found)
        self.write()
        writer = Writer(self, statement)
        if isinstance(tree, exp.Insert):
            changed = writer.insert(tree, replace=first == "REPLACE")
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

    # Names

    def database_name(self, name: str) -> str:
        if name:
            return name
        if self.context.database:
            return self.context.database.lower()
        raise SqlError(1046, "No database selected")

    def need_database(
        self, name: str, number: int | None = None, account_id: int | None = None
    ) -> DatabaseVersion:
        wanted = self.database_name(name)
        account = self.context.account_id if account_id is None else account_id
        found = self.catalogue.database(account, wanted, number)
        if found is None and wanted == "mo_catalog":
            found = self.catalogue.database(0, wanted, number)
        if found is None:
            if not name and (number is not None or self.version < (4, 0, 0)):
                raise SqlError(1046, "No database selected")
            raise SqlError(1049, f"Unknown database {wanted}")
        return found

    def need_table(self, database: str, name: str) -> Version:
        home = self.need_database(database)
        found = self.catalogue.table(home, name)
        if found is None:
            raise SqlError(1146, f"no such table {home.name}.{name}")
        return found

    def moment(self, text: str) -> int:
        """Nanoseconds of a brace part: `MO_TS = n`, `AS OF TIMESTAMP 't'`, `TIMESTAMP = 't'`."""
        word = text.strip()
        upper = " ".join(word.upper().split())
        try:
            if upper.startswith("MO_TS"):
                number = word.partition("=")[2].strip()
                if int(number) > 9223372036854775807:
                    raise SqlError(
                        20203, f"invalid argument invalid input expr , bad value {number}"
                    )
                return int(number)
            if upper.startswith(("AS OF TIMESTAMP", "TIMESTAMP")):
                quoted = word[word.index("'") : word.rindex("'") + 1]
                return self.store.clock.parse_local(quoted[1:-1])
        except ValueError:
            text = word.partition("'")[2].rpartition("'")[0]
            raise SqlError(20301, f"invalid input: invalid timestamp format: {text}") from None
        raise SqlError.unsupported("{" + text + "}")

    def resolve(self, database: str, name: str, moment: str) -> Resolved:
        """What a name in FROM stands for."""
        at = self.moment(moment) if moment else None
        number = self.catalogue.number_at(at)
        home = self.need_database(database, number)
        virtual = self.storage.virtual.get((home.name, name))
        if virtual is not None and not (virtual.sys_only and self.context.account_id != 0):
            return self.virtual_source(home.name, name, virtual, at)
        version = self.catalogue.table(home, name, number)
        if version is None:
            raise SqlError(1064, f'SQL parser error: table "{name}" does not exist')
        definition = version.definition
        if definition.view is not None:
            return self._view(version)
        columns = [(column.name, column.key, column.type) for column in definition.columns]
        return Resolved(home.name, name, self.catalogue.rows_sql(version, number), columns)

    def _view(self, version: Version) -> Resolved:
        definition = version.definition
        text = definition.view or ""
        found = tokens(text)
        tree = dialect.parse(fold_time_parts(text, found), found)
        for table in tree.find_all(exp.Table):
            if not table.db and isinstance(table.this, exp.Identifier):
                table.set("db", exp.to_identifier(definition.view_database))
        for cte in tree.find_all(exp.CTE):
            for table in tree.find_all(exp.Table):
                if table.name.lower() == cte.alias.lower():
                    table.set("db", None)
        labels = [column.name for column in definition.columns]
        return Resolved(version.database, version.name, "", [], tree, labels)

    def virtual_source(
        self, database: str, name: str, table: VirtualTable, at: int | None
    ) -> Resolved:
        return self.rows_source(database, name, table.columns, table.rows(self, at))

    def rows_source(
        self,
        database: str,
        name: str,
        columns: list[tuple[str, SqlType]],
        rows: Iterable[tuple[object, ...]],
    ) -> Resolved:
        """Rows made in Python as something that FROM can read."""
        parameter = f"v_{database}_{name}"
        cells = ", ".join(
            f"json_extract(value, '$[{index}]') AS k{index}" for index in range(len(columns))
        )
        data = json.dumps([[_json_cell(cell) for cell in row] for row in rows])
        sql = f"(SELECT {cells} FROM json_each(:{parameter}))"
        named = [(label, f"k{index}", kind) for index, (label, kind) in enumerate(columns)]
        return Resolved(database, name, sql, named, parameters={parameter: data})

    # What translation asks

    def constant(self, name: str, digits: int) -> Value:
        """NOW(), DATABASE() and the like, as they are for this statement."""
        context = self.context
        if name == "now":
            scale = 6 if digits < 0 else min(digits, 6)
            moment = moment_text(self._utc_now())[: 20 + scale if scale else 19].ljust(26, "0")
            if not scale:
                moment = moment[:19] + ".000000"
            return Value(quote_text(moment), SqlType("timestamp", 0, scale))
        local = self.local(moment_text(self._utc_now())) or ""
        if name == "curdate":
            return Value(quote_text(local[:10]), DATE)
        if name == "curtime":
            return Value(f"mo_span({quote_text(local[11:19])})", TIME)
        if name in ("utc_timestamp", "utc_date", "utc_time"):
            utc = moment_text(self._utc_now())
            if name == "utc_date":
                return Value(quote_text(utc[:10]), DATE)
            if name == "utc_time":
                return Value(f"mo_span({quote_text(utc[11:19])})", TIME)
            return Value(quote_text(utc[:19] + ".000000"), DATETIME)
        numbers = {
            "connection_id": context.connection_id,
            "last_insert_id": self.last_insert_id,
            "current_account_id": context.account_id,
            "unix_timestamp": self.statement_ns // 1_000_000_000,
            "found_rows": 0,
            "row_count": 0,
        }
        if name in numbers:
            kinds = {"unix_timestamp": BIGINT, "current_account_id": SqlType("int", unsigned=True)}
            return Value(str(numbers[name]), kinds.get(name, UBIGINT))
        texts = {
            "database": context.database,
            "user": f"{context.user}@localhost",
            "current_user": f"{context.user}@localhost",
            "current_user_name": context.user,
            "version": context.version_text,
            "current_account_name": context.account,
            "current_role": context.role,
        }
        return text_value(texts[name])

    def variable(self, name: str, scope: str) -> Value:
        return _as_server_text(_value_of(self.context.variable(name.lower(), scope.lower())))

    def user_variable(self, name: str) -> Value:
        return _value_of(self.context.user_variable(name.lower()))

    def _utc_now(self) -> datetime.datetime:
        micros = self.statement_ns // 1000
        return datetime.datetime(1970, 1, 1) + datetime.timedelta(microseconds=micros)

    # Zones

    def local(self, value: Stored) -> str | None:
        """A stored TIMESTAMP in the session's time zone."""
        if value is None:
            return None
        zone = self.context.time_zone
        text = str(value)
        if zone is datetime.UTC:
            return text
        moment = parse_moment(text)
        if moment is None:
            return text
        try:
            shown = moment.replace(tzinfo=datetime.UTC).astimezone(zone).replace(tzinfo=None)
        except (OverflowError, ValueError):
            return text
        return moment_text(shown)

    def utc(self, value: Stored) -> str | None:
        """A moment in the session's time zone as a stored TIMESTAMP."""
        if value is None:
            return None
        zone = self.context.time_zone
        text = str(value)
        if zone is datetime.UTC:
            return text
        moment = parse_moment(text)
        if moment is None:
            return text
        try:
            shown = moment.replace(tzinfo=zone).astimezone(datetime.UTC).replace(tzinfo=None)
        except (OverflowError, ValueError):
            return text
        return moment_text(shown)

    def _from_unixtime(self, value: Stored) -> str | None:
        if value is None:
            return None
        import decimal

        seconds = decimal.Decimal(str(value))
        if not 0 <= seconds <= 32536771199:
            return None
        micros = int((seconds * 1_000_000).to_integral_value(decimal.ROUND_HALF_UP))
        moment = datetime.datetime(1970, 1, 1) + datetime.timedelta(microseconds=micros)
        return self.local(moment_text(moment))

    def _unix_timestamp(self, value: Stored, scale: int) -> Stored:
        utc = self.utc(value)
        moment = None if utc is None else parse_moment(utc)
        if moment is None:
            return None
        micros = (moment - datetime.datetime(1970, 1, 1)) // datetime.timedelta(microseconds=1)
        if micros < 0:
            return 0
        if not scale:
            return micros // 1_000_000
        return f"{micros // 1_000_000}.{micros % 1_000_000:06d}"[: -(6 - scale) or None]

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
        "FLUSH",
        "GRANT",
        "HANDLER",
        "IMPORT",
        "KILL",
        "LOAD",
        "LOCK",
        "OPTIMIZE",
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
        "XA",
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


def _refuse_star_alias(statement: str, found: list[Token]) -> None:
    """`SELECT * frm t`: sqlglot takes a name after the star for an alias, the server does not."""
    for before, star, after in zip(found, found[1:], found[2:], strict=False):
        if (
            star.text == "*"
            and before.upper in ("SELECT", ",")
            and (after.kind in ("word", "quoted") and after.upper not in _AFTER_STAR)
        ):
            raise syntax_error(statement, found, after.start)


def _json_cell(value: object) -> object:
    if isinstance(value, (datetime.datetime, datetime.date)):
        return moment_text(value) if isinstance(value, datetime.datetime) else value.isoformat()
    if isinstance(value, bytes):
        return value.decode("utf-8", "replace")
    if isinstance(value, bool):
        return int(value)
    if isinstance(value, int) and value > 9223372036854775807:
        return str(value)
    if value is None or isinstance(value, (int, float, str)):
        return value
    return str(value)


def _value_of(value: object) -> Value:
    """A variable's value as a constant."""
    if value is None:
        return Value("NULL", SqlType("text"))
    if isinstance(value, bool):
        return Value(str(int(value)), BOOL)
    if isinstance(value, int):
        return Value(str(value), BIGINT)
    if isinstance(value, float):
        return Value(repr(value), DOUBLE)
    return text_value(str(value))


def _as_server_text(value: Value) -> Value:
    """System variables are TEXT, whatever they hold."""
    return Value(f"CAST({value.sql} AS TEXT)", SqlType("text"))
