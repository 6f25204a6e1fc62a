"""The DDL elements ``CreatePitr``, ``AlterPitr``, ``DropPitr``, ``RestorePitr`` and their SQL.

All SQL text and all quoting of PITR statements is here. Identifiers are always back-quoted, by the
compiler's own preparer; literals are inlined, since the server takes no parameters in these
statements. An element is data: it is validated when it is made, and its statement is
``str(element)``, without any engine.

Source of the grammar: docs/server.md, Grammar.
"""

from __future__ import annotations

import copy
import datetime as dt
import functools
import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Self

from sqlalchemy.engine import Connection, CursorResult, Dialect, Engine
from sqlalchemy.exc import CompileError, DBAPIError
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.compiler import DDLCompiler, IdentifierPreparer
from sqlalchemy.sql.ddl import ExecutableDDLElement

from . import server
from .catalog import ObjectKey, has_table
from .connections import is_autocommit
from .declarations import Databases
from .errors import (
    PitrAlreadyExistsError,
    PitrTargetError,
    PitrValidationError,
    from_dbapi_error,
)
from .flush import SENT
from .model import Pitr, PitrLevel, PitrRange, RangeLike, check_flag, check_target, to_level
from .moment import Moment
from .names import back_quoted, check_pitr_name, check_target_name, plain, shorten
from .server import SUPPORTED_DIALECTS
from .transaction import TransactionalDDLElement


class PitrDDLElement(TransactionalDDLElement):
    """Common base of the four PITR elements; ``str(element)`` is the statement for people."""

    resolved = False
    """Whether its names are the server's: they are not translated again."""

    def check_dialect(self, dialect: Dialect) -> None:
        """
        :raises CompileError: not one of ``server.SUPPORTED_DIALECTS``.
        """
        if dialect.name not in SUPPORTED_DIALECTS:
            raise _unsupported(self, dialect)

    def resolve(self, connection: Connection, options: Mapping[str, Any]) -> Self:
        return self

    def with_real_names(self) -> Self:
        """The same, whose names are the server's already: they are not translated again."""
        copied = copy.copy(self)
        copied.resolved = True
        return copied

    def __str__(self) -> str:
        return str(self.compile(dialect=display_dialect()))


class CreatePitr(PitrDDLElement):
    """``CREATE PITR [IF NOT EXISTS] name FOR target RANGE n 'unit'``.

    :param pitr: the policy. Without a database name it is for the connection's
        ``schema_translate_map[None]``, else for its default database, when executed.
    :param if_not_exists: the server then compares **names only**: a PITR of that name for another
        object passes silently, and this one is not protected.

    >>> print(CreatePitr(Pitr.database("shop_week", "7d", database_name="shop")))
    CREATE PITR `shop_week` FOR DATABASE `shop` RANGE 7 'd'
    """

    def __init__(self, pitr: Pitr, if_not_exists: bool = False) -> None:
        if not isinstance(pitr, Pitr):
            raise PitrValidationError(f"CreatePitr takes a Pitr, not {shorten(pitr)}")
        check_flag("if_not_exists", if_not_exists)
        self.pitr = pitr.checked()  # one read from a server may break the rules
        self.name = pitr.name
        self.if_not_exists = if_not_exists

    def resolve(self, connection: Connection, options: Mapping[str, Any]) -> Self:
        if self.resolved or self.pitr.level not in (PitrLevel.DATABASE, PitrLevel.TABLE):
            return self
        database = resolve_database(connection, self.pitr.declared_database, options)
        return self.for_database(database)

    def for_database(self, name: str) -> Self:
        """The same for a database of the server: its name is not translated any more."""
        resolved = self.with_real_names()
        resolved.pitr = self.pitr.with_database(name)
        return resolved

    def as_internal(self) -> Self:
        """The same as 4.x has to be told it: see :func:`_visit_create`."""
        copied = copy.copy(self)
        copied.internal = True
        return copied

    def for_server(self, rules: server.Rules) -> Self:
        """The form that records the present id of a table, by a version's rules."""
        of_table = self.pitr.level is PitrLevel.TABLE
        return self.as_internal() if of_table and rules.logical_ids else self

    def _send(self, connection: Connection, options: Mapping[str, Any]) -> CursorResult[Any]:
        if not self.internal:
            internal = self.for_server(server.rules_of(server.require_matrixone(connection)))
            if internal is self:
                return super()._send(connection, options)
            return CreatePitr._send(internal, connection, options)  # not what a subclass adds
        try:
            sent = super()._send(connection, options)
        except DBAPIError as error:
            raise self._explained(connection, error) from error
        if SENT not in options and not is_autocommit(connection):
            connection.exec_driver_sql("COMMIT")  # this form is undone by a rollback
        return sent

    def _explained(self, connection: Connection, error: DBAPIError) -> Exception:
        """Translate an error of this form: of a table that has a policy it says what it says of a
        missing one."""
        typed = from_dbapi_error(error, name=self.name, statement=str(self))
        database, table = self.pitr.database_name or "", self.pitr.table_name or ""
        if not isinstance(typed, PitrTargetError) or not has_table(connection, database, table):
            return typed or error
        return PitrAlreadyExistsError(
            f"table {database}.{table} has an active PITR already (the server says: {typed})",
            name=self.name,
            errno=typed.errno,
            statement=typed.statement,
            orig=typed.orig,
        )

    def __repr__(self) -> str:
        return f"CreatePitr({self.pitr!r}{', if_not_exists=True' if self.if_not_exists else ''})"


class AlterPitr(PitrDDLElement):
    """``ALTER PITR [IF EXISTS] name RANGE n 'unit'``.

    Every ALTER, even to the range it has, makes the server's shown window start anew.

    >>> print(AlterPitr("shop_week", "14d"))
    ALTER PITR `shop_week` RANGE 14 'd'
    """

    def __init__(self, name: str, range: RangeLike, if_exists: bool = False) -> None:
        self.name = check_pitr_name(name)
        self.range = PitrRange.of(range)
        check_flag("if_exists", if_exists)
        self.if_exists = if_exists

    def __repr__(self) -> str:
        option = ", if_exists=True" if self.if_exists else ""
        return f"AlterPitr({self.name!r}, {str(self.range)!r}{option})"


class DropPitr(PitrDDLElement):
    """``DROP PITR [IF EXISTS] name``.

    >>> print(DropPitr("shop_week", if_exists=True))
    DROP PITR IF EXISTS `shop_week`
    """

    def __init__(self, name: str, if_exists: bool = False) -> None:
        self.name = check_pitr_name(name)
        check_flag("if_exists", if_exists)
        self.if_exists = if_exists

    @classmethod
    def of(cls, pitr: Pitr) -> Self:
        """The DROP of a PITR that was read from the server, whose name may break our rules."""
        return cls.named(pitr.name)

    @classmethod
    def named(cls, name: str, if_exists: bool = False) -> Self:
        """The DROP of a PITR by its name as the server has it.

        Somebody else's may have a backslash in it, which is written so that the server reads it.
        """
        element = cls("read", if_exists)
        element.name = name
        return element

    def __repr__(self) -> str:
        return f"DropPitr({self.name!r}{', if_exists=True' if self.if_exists else ''})"


class RestorePitr(PitrDDLElement):
    """``RESTORE ... FROM PITR name 'time'``: runs at once, and no rollback undoes it.

    Execute it on a connection without a transaction, or on an AUTOCOMMIT one. It is sent on a
    connection of its own: nothing of the caller's is touched.

    The server says OK and does nothing where a foreign key refers to the table, or one of another
    database to the database. So the catalogue is asked first, and PitrRestoreError names the tables
    that refer to it. A restored object is a new one to the server: policies that it detached are
    named in a warning.

    :param at: the moment to go back to: a Moment or an aware datetime, to the microsecond, which is
        converted to the server's zone when executed, or the server's own text
        ``YYYY-MM-DD HH:MM:SS[.ffffff]`` in **its** local zone.
    :param level: ``"account"`` for the whole current account, ``"cluster"`` for the whole cluster;
        otherwise the target tells it.
    :param account: an account to restore (sys only), or, with a database, the own one (4.1+).
    :param from_account: where the data comes from, when it is restored into another ``account``.
    :param database: a database; with ``table``, None is the connection's default database.
    :param table: one table.
    :param check: False sends the statement without asking for foreign keys.
    :param renew: True renews the policies that the restore detached, by :func:`renew_pitr`.

    >>> print(RestorePitr("shop_week", "2026-11-22 09:30:00", database="shop", table="orders"))
    RESTORE DATABASE `shop` TABLE `orders` FROM PITR `shop_week` '2026-11-22 09:30:00'
    """

    deferrable = False

    def __init__(
        self,
        name: str,
        at: Moment | dt.datetime | str,
        level: PitrLevel | str | None = None,
        account: str | None = None,
        from_account: str | None = None,
        database: str | None = None,
        table: str | None = None,
        *,
        check: bool = True,
        renew: bool = False,
    ) -> None:
        self.name = check_pitr_name(name)
        self.at = _check_moment(at)
        check_flag("check", check)
        check_flag("renew", renew)
        self.check = check
        self.renew = renew
        self.level = _restore_level(level, account, database, table)
        subject = f"RESTORE from PITR {shorten(self.name)}"
        self.account = None if account is None else check_target_name(account, "account name")
        self.from_account = (
            None if from_account is None else check_target_name(from_account, "source account name")
        )
        if from_account is not None and (account is None or self.level is not PitrLevel.ACCOUNT):
            raise PitrValidationError(
                f"{subject}: from_account={from_account!r} needs account= as its destination, and "
                "no database or table"
            )
        _, self.database, self.table = check_target(
            self.level, None, database, table, subject=subject
        )
        self.declared_database = None if database is None else plain(database)

    def resolve(self, connection: Connection, options: Mapping[str, Any]) -> Self:
        if self.resolved:
            return self
        resolved = self.with_real_names()
        if self.level in (PitrLevel.DATABASE, PitrLevel.TABLE):
            resolved.database = resolve_database(connection, self.declared_database, options)
        return resolved

    def send_aside(self, engine: Engine, options: Mapping[str, Any]) -> None:
        from .restore.run import run  # which reads with what imports this module

        run(engine, self, options)

    def at_local_time(self, connection: Connection) -> Self:
        """The same with its moment as the server's own text, asked on an idle connection."""
        copied = copy.copy(self)
        if not isinstance(self.at, str):
            at = self.at.datetime() if isinstance(self.at, Moment) else self.at
            copied.at = server.local_time_text(connection, at)
        return copied

    def instant(self, connection: Connection) -> Moment:
        """The restore's moment, asked on an idle connection."""
        if not isinstance(self.at, str):
            return Moment.of(self.at)
        seconds, _, fraction = self.at.partition(".")
        whole = Moment.of(server.to_utc(connection, {seconds})[seconds])
        return Moment(whole.nanoseconds + int(fraction.ljust(9, "0")))

    @property
    def target_text(self) -> str:
        """The restored object, for people."""
        if self.level is PitrLevel.CLUSTER:
            return "the cluster"
        if self.level is PitrLevel.ACCOUNT:
            return "the current account" if self.account is None else f"account {self.account}"
        named = ".".join(filter(None, (self.database, self.table)))
        return f"{self.level} {named}"

    def __repr__(self) -> str:
        target = "".join(
            f", {what}={value!r}"
            for what, value in (
                (
                    "level",
                    None if self.account or self.database or self.table else self.level.value,
                ),
                ("account", self.account),
                ("from_account", self.from_account),
                ("database", self.database),
                ("table", self.table),
            )
            if value is not None
        )
        if not self.check:
            target += ", check=False"
        if self.renew:
            target += ", renew=True"
        return f"RestorePitr({self.name!r}, {self.at!r}{target})"


def _check_moment(at: object) -> Moment | dt.datetime | str:
    """The moment of a restore: one, an aware datetime, or the server's own text."""
    if isinstance(at, Moment):
        return at
    if isinstance(at, dt.datetime):
        if at.utcoffset() is None:
            raise PitrValidationError(
                f"restore moment {at!r} is naive: say which zone it is in, for example "
                "at.replace(tzinfo=datetime.UTC), or at.astimezone() for this machine's zone"
            )
        return at
    if isinstance(at, str):
        if re.fullmatch(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d(\.\d{1,9})?", plain(at), re.ASCII):
            return plain(at)
        raise PitrValidationError(
            f"restore moment {shorten(at)} is not the server's own text 'YYYY-MM-DD "
            "HH:MM:SS[.ffffff]' (no T, no offset): write it so, or give an aware datetime"
        )
    raise PitrValidationError(
        f"restore moment {shorten(at)} must be a Moment, an aware datetime or the server's own text"
    )


def _restore_level(
    level: PitrLevel | str | None, account: str | None, database: str | None, table: str | None
) -> PitrLevel:
    """Find the level of a restore by its target; a whole account is never a silent default."""
    told = (
        PitrLevel.TABLE
        if table is not None
        else PitrLevel.DATABASE
        if database is not None
        else PitrLevel.ACCOUNT
        if account is not None
        else None
    )
    given = None if level is None else to_level(level)
    if given is None and told is None:
        raise PitrValidationError(
            "RESTORE needs a target: database=, table= or account=, or level='account' for the "
            "whole own account, or level='cluster'"
        )
    if told is None and given in (PitrLevel.DATABASE, PitrLevel.TABLE):
        raise PitrValidationError(f"RESTORE at level '{given}' needs {given}= to say which one")
    if given is not None and told is not None and given is not told:
        raise PitrValidationError(
            f"RESTORE at level '{given}' does not fit its target, a {told}: leave level out"
        )
    chosen = told or given
    assert chosen is not None
    return chosen


def overlay(committed: Sequence[Pitr], waiting: Iterable[TransactionalDDLElement]) -> list[Pitr]:
    """Committed policies with a transaction's waiting statements laid over them."""
    after = {pitr.name: pitr for pitr in reversed(committed)}
    for element in waiting:
        if isinstance(element, CreatePitr):
            after.setdefault(element.name, element.pitr)
        elif isinstance(element, AlterPitr) and element.name in after:
            after[element.name] = after[element.name].with_range(element.range)
        elif isinstance(element, DropPitr):
            after.pop(element.name, None)
    return list(reversed(after.values()))


def resolve_database(connection: Connection, name: str | None, options: Mapping[str, Any]) -> str:
    """The server's database that a declared name, or None, means on this connection.

    :raises PitrValidationError: no database is chosen.
    """
    real = Databases.of(connection, options).real(name)
    if real is None:
        raise PitrValidationError(
            "no database: the PITR names none, and the connection has no default database; "
            "give database_name=, or put a database into the engine's URL"
        )
    return real


def recovery_window_statement(
    dialect: Dialect, *, account: str | None, database: str | None, table: str | None
) -> str:
    """``SHOW RECOVERY_WINDOW FOR ...``, as it goes over the wire of a dialect's driver."""

    def quote(name: str) -> str:
        return _back_quoted(dialect.identifier_preparer, name)

    if table is not None and database is not None:
        target = f"TABLE {quote(database)} {quote(table)}"
    elif database is not None:
        target = f"DATABASE {quote(database)}"
    else:
        target = f"ACCOUNT {quote(account)}" if account is not None else "ACCOUNT"
    return f"SHOW RECOVERY_WINDOW FOR {target}"


# ---------------------------------------------------------------------------------------- copies


class CopyElement(ExecutableDDLElement):
    """Base of the statements that copy the past; the names are the server's.

    :param source: a database and a table in it, or a database and None.
    :param into: of the copy.
    :param at: None copies the present.
    """

    def __init__(self, source: ObjectKey, into: ObjectKey, at: Moment | None = None) -> None:
        self.source = source
        self.into = into
        self.at = at

    def __str__(self) -> str:
        return str(self.compile(dialect=display_dialect()))


class Clone(CopyElement):
    """``CREATE TABLE into CLONE source {MO_TS = n}``, or ``CREATE DATABASE``.

    >>> print(Clone(("shop", "t"), ("shop", "copy"), Moment.parse("2026-11-22 09:30Z")))
    CREATE TABLE `shop`.`copy` CLONE `shop`.`t` {MO_TS = 1795339800000000000}
    """


class CopyRows(CopyElement):
    """``INSERT INTO into (columns) SELECT columns FROM source {MO_TS = n}``.

    :param columns: without generated ones, which take no values.
    """

    def __init__(
        self, source: ObjectKey, into: ObjectKey, at: Moment | None, columns: Iterable[str]
    ) -> None:
        super().__init__(source, into, at)
        self.columns = tuple(columns)


# --------------------------------------------------------------------------------------- visitors


@functools.cache
def display_dialect() -> Dialect:
    """A MySQL dialect for text that people read: named parameters leave ``%`` as it is."""
    from sqlalchemy.dialects.mysql import dialect

    return dialect(paramstyle="named")


def _unsupported(element: ExecutableDDLElement, dialect: Dialect) -> CompileError:
    return CompileError(
        f"{type(element).__name__} is a MatrixOne statement: dialect {dialect.name!r} has none; "
        f"supported are {', '.join(SUPPORTED_DIALECTS)} (use a matrixone+pymysql:// or "
        "mysql+pymysql:// URL, or .execute_if(dialect=('mysql', 'matrixone')) on a listener)"
    )


@compiles(CreatePitr)
@compiles(AlterPitr)
@compiles(DropPitr)
@compiles(RestorePitr)
def _visit_unsupported(element: PitrDDLElement, compiler: DDLCompiler, **kw: Any) -> str:
    raise _unsupported(element, compiler.dialect)


def _words(*clauses: str | None) -> str:
    """Clauses joined by one blank; None is a clause left out."""
    return " ".join(clause for clause in clauses if clause)


def _back_quoted(preparer: IdentifierPreparer, name: str) -> str:
    """Quote a name, with percent signs as the driver wants them."""
    quoted = _quoted(name)
    return _with_percents(quoted, preparer) if "%" in quoted else quoted


def _for_driver(text: str, compiler: DDLCompiler) -> str:
    """A statement, in which only names have percent signs, as the driver wants it."""
    return _with_percents(text, compiler.preparer) if "%" in text else text


def _with_percents(text: str, preparer: IdentifierPreparer) -> str:
    return text.replace("%", "%%") if getattr(preparer, "_double_percents", False) else text


@functools.lru_cache(maxsize=1024)
def _quoted(name: str) -> str:
    """Quote as the preparer does, but with back-quotes under ``sql_mode=ANSI_QUOTES`` too, and with
    backslashes doubled, which are escapes in PITR statements under any ``sql_mode``.

    MatrixOne 3.x knows no other quotes in PITR statements.
    """
    escaped = name.replace("\\", "\\\\").replace("`", "``")
    return f"`{escaped}`"


def _name(compiler: DDLCompiler, name: str) -> str:
    return _back_quoted(compiler.preparer, name)


def _database_name(element: PitrDDLElement, compiler: DDLCompiler, name: str | None) -> str:
    """A database's name; None is the dialect's default one, where it knows it."""
    if not element.resolved:
        current = compiler.dialect.default_schema_name
        name = Databases(compiler.schema_translate_map, current).real(name)
    if not name:
        raise PitrValidationError(
            "no database: the PITR names none, and there is no connection to ask for its default; "
            "give database_name=, or execute the element"
        )
    return name


@compiles(CreatePitr, *SUPPORTED_DIALECTS)
def _visit_create(element: CreatePitr, compiler: DDLCompiler, **kw: Any) -> str:
    """Compile CREATE PITR, with ``INTERNAL`` for a table of 4.x.

    Without it the server records the table's logical id. Once the table has been rebuilt, even by a
    transaction that the statement waits for, its garbage collection does not look for that: the
    PITR would be listed and protect nothing. With it the planner records the present id.
    """
    pitr, range = element.pitr, element.pitr.range
    option = "IF NOT EXISTS " if element.if_not_exists else ""
    if element.resolved and pitr.database_name is not None:  # as it is sent
        target = _quoted(pitr.database_name)
        if pitr.table_name is None:
            target = "DATABASE " + target
        else:
            target = f"TABLE {target} {_quoted(pitr.table_name)}"
    else:
        target = _declared_target(element, compiler)
    text = f"CREATE PITR {option}{_quoted(element.name)} FOR {target} RANGE {range.value} '"
    text += range.unit + ("' INTERNAL" if element.internal else "'")  # formatting an enum is slow
    return _for_driver(text, compiler)


def _declared_target(element: CreatePitr, compiler: DDLCompiler) -> str:
    pitr = element.pitr
    if pitr.level is PitrLevel.CLUSTER:
        return "CLUSTER"
    if pitr.level is PitrLevel.ACCOUNT:
        return _words("ACCOUNT", pitr.account_name and _quoted(pitr.account_name))
    database = _quoted(_database_name(element, compiler, pitr.declared_database))
    if pitr.table_name is None:
        return "DATABASE " + database
    return f"TABLE {database} {_quoted(pitr.table_name)}"


@compiles(AlterPitr, *SUPPORTED_DIALECTS)
def _visit_alter(element: AlterPitr, compiler: DDLCompiler, **kw: Any) -> str:
    option = "IF EXISTS " if element.if_exists else ""
    text = f"ALTER PITR {option}{_quoted(element.name)} RANGE {element.range.value} '"
    return _for_driver(text + element.range.unit + "'", compiler)


@compiles(DropPitr, *SUPPORTED_DIALECTS)
def _visit_drop(element: DropPitr, compiler: DDLCompiler, **kw: Any) -> str:
    option = "IF EXISTS " if element.if_exists else ""
    return _for_driver(f"DROP PITR {option}{_quoted(element.name)}", compiler)


def _written_database(element: RestorePitr) -> str | None:
    return element.database if element.resolved else element.declared_database


@compiles(RestorePitr, *SUPPORTED_DIALECTS)
def _visit_restore(element: RestorePitr, compiler: DDLCompiler, **kw: Any) -> str:
    if not isinstance(element.at, str):
        raise PitrValidationError(
            f"restore moment {element.at} becomes the server's local time only when "
            "executed: for a script give the server's own text 'YYYY-MM-DD HH:MM:SS[.ffffff]'"
        )
    in_database = element.level in (PitrLevel.DATABASE, PitrLevel.TABLE)
    return _words(
        "RESTORE",
        "CLUSTER" if element.level is PitrLevel.CLUSTER else None,
        f"ACCOUNT {_name(compiler, element.account)}" if element.account else None,
        f"DATABASE {_name(compiler, _database_name(element, compiler, _written_database(element)))}"
        if in_database
        else None,
        f"TABLE {_name(compiler, element.table)}" if element.table else None,
        f"FROM PITR {_name(compiler, element.name)}",
        f"'{element.at}'",  # digits and punctuation, or it would not be here
        f"AS {_name(compiler, element.from_account)}" if element.from_account else None,
    )


def _key(compiler: DDLCompiler, key: ObjectKey) -> str:
    return _for_driver(back_quoted(*key), compiler)


@compiles(Clone)
def _visit_clone(element: Clone, compiler: DDLCompiler, **kw: Any) -> str:
    return _words(
        "CREATE",
        "DATABASE" if element.into[1] is None else "TABLE",
        _key(compiler, element.into),
        "CLONE",
        _key(compiler, element.source),
        None if element.at is None else element.at.sql,
    )


@compiles(CopyRows)
def _visit_copy_rows(element: CopyRows, compiler: DDLCompiler, **kw: Any) -> str:
    columns = ", ".join(_name(compiler, column) for column in element.columns)
    return _words(
        f"INSERT INTO {_key(compiler, element.into)} ({columns})",
        f"SELECT {columns} FROM {_key(compiler, element.source)}",
        None if element.at is None else element.at.sql,
    )
