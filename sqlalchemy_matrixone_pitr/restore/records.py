"""Records of restores, and the safety copies that they can be undone from.

Both are in a database of this package's own, ``matrixone_pitr``, in each account that restores:
``restores`` has a row for each restore, and ``copy_7_1`` is the first table that restore 7 set
aside. A copy is a CLONE without its foreign keys, which would keep RESTORE from doing anything with
the tables that they refer to (docs/server.md, Where RESTORE does nothing and says OK).
"""

from __future__ import annotations

import datetime as dt
import json
import re
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from sqlalchemy import bindparam, text
from sqlalchemy.engine import Connection, Engine
from sqlalchemy.exc import DBAPIError

from .. import server
from ..catalog import Key, Reference, check_cloned, kinds_in, references, rows_in_partitions
from ..connections import Bind, TextTransaction, query, roll_back, run_text, send, side_connection
from ..ddl import Clone
from ..errors import PitrNotFoundError, PitrValidationError, is_not_there
from ..locking import DEFAULT_TIMEOUT, account_lock
from ..moment import Moment
from ..names import OWN_DATABASE, back_quoted, shorten
from ..own import Number, OwnTable, check_same, number_of
from ..past.copies import own_engine
from ..show import reading, typed_errors
from .rebuild import drop_key
from .targets import Scope
from .verifying import count_rows

if TYPE_CHECKING:
    from .report import RestoreReport

TABLE: Final = OwnTable(
    "restores",
    {
        "id": "BIGINT PRIMARY KEY",
        "made": "BIGINT NOT NULL",
        "at": "BIGINT",
        "state": "VARCHAR(10) NOT NULL",
        "target": "TEXT NOT NULL",
        "copies": "TEXT NOT NULL",
        "details": "TEXT NOT NULL",
    },
)
_NAME: Final = TABLE.quoted
_FORGOTTEN: Final = "forgotten"
"""The state of a record whose copies are dropped: its number is never given to another restore."""


@dataclass(frozen=True, slots=True)
class SafetyCopy:
    """A table as it was before a restore.

    :ivar table: ``database.table``.
    :ivar copy: the name of its copy, ``matrixone_pitr.copy_7_1``.
    :ivar rows: how many it has.
    """

    table: str
    copy: str
    rows: int

    def to_dict(self) -> dict[str, Any]:
        """Plain values, for JSON."""
        return {"table": self.table, "copy": self.copy, "rows": self.rows}


@dataclass(frozen=True, slots=True)
class RestoreRecord:
    """A restore that was begun, and where the state before it is.

    >>> from sqlalchemy import create_engine
    >>> all(isinstance(record, RestoreRecord) for record in restore_records(create_engine(url)))
    True

    :ivar id: which :func:`undo_restore` takes.
    :ivar target: the database, or the tables.
    :ivar at: the moment that was restored; None of an undo.
    :ivar made: when it was begun.
    :ivar state: ``begun``, ``done`` or ``undone``.
    :ivar copies: the tables as they were before.
    """

    id: int
    target: str
    at: Moment | None
    made: Moment
    state: str
    copies: tuple[SafetyCopy, ...]
    details: Mapping[str, Any] = field(repr=False, compare=False, default_factory=dict)

    def to_dict(self) -> dict[str, Any]:
        """Plain values, for JSON."""
        return {
            "id": self.id,
            "target": self.target,
            "at": None if self.at is None else str(self.at),
            "made": str(self.made),
            "state": self.state,
            "copies": [copy.to_dict() for copy in self.copies],
        }

    def __str__(self) -> str:
        what = "an undo" if self.at is None else f"to {self.at}"
        many = sum(copy.rows for copy in self.copies)
        rows = f"{many:,} row{'' if many == 1 else 's'}"
        tables = f"{len(self.copies)} table{'' if len(self.copies) == 1 else 's'}"
        return f"{self.id}: {self.target} {what}, {self.state}, {self.made}: {tables}, {rows}"

    # -- what an undo needs

    @property
    def scope(self) -> Scope:
        scope = self.details["scope"]
        return Scope(scope["database"], tuple(_key(table) for table in scope["tables"]))

    @property
    def before(self) -> dict[Key, int]:
        """The tables that were there before, with their ids."""
        return {_key(table): number for *table, number in self.details["before"]}

    @property
    def after(self) -> set[Key]:
        """The tables that are there after it."""
        return {_key(table) for table in self.details["after"]}

    @property
    def keys(self) -> list[Reference]:
        """The foreign keys of the tables before."""
        return [
            Reference(
                name, _key(table), tuple(columns), _key(parent), tuple(theirs), delete, update
            )
            for name, table, columns, parent, theirs, delete, update in self.details["keys"]
        ]

    @property
    def views(self) -> dict[Key, str]:
        """The views before, of a database."""
        return {_key(view): text for *view, text in self.details["views"]}

    @property
    def databases(self) -> set[str]:
        """The databases in scope that were there before."""
        return set(self.details.get("databases", self.scope.databases))

    @property
    def left(self) -> dict[Key, str]:
        """The definitions of tables and views that the restore has left; none where unknown."""
        return {_key(one): text for *one, text in self.details.get("left", ())}

    @property
    def same_as(self) -> Moment | None:
        """The moment at which the tables are as the restore left them; None where unknown."""
        found = self.details.get("same_as")
        return None if found is None else Moment(found)


def _key(names: Iterable[str]) -> Key:
    database, table = names
    return database, table


# ---------------------------------------------------------------------------------------- writing


@dataclass(frozen=True, slots=True)
class NewRecord:
    """Record that is written before a restore begins."""

    id: int
    target: str
    at: Moment | None
    state: str
    tables: Mapping[Key, int]
    details: Mapping[str, Any]


def details_of(
    scope: Scope,
    before: Mapping[Key, int],
    after: Iterable[Key],
    keys: Iterable[Reference],
    views: Mapping[Key, str],
    same_as: Moment | None,
    databases: Iterable[str],
) -> dict[str, Any]:
    """Details that an undo needs, as JSON.

    :param databases: those in scope that are there before it.
    """
    return {
        "databases": sorted(databases),
        "scope": {"database": scope.database, "tables": [list(table) for table in scope.tables]},
        "before": [[*table, number] for table, number in sorted(before.items())],
        "after": [list(table) for table in sorted(after)],
        "keys": [[k if isinstance(k, str) else list(k) for k in key] for key in keys],
        "views": [[*view, text] for view, text in sorted(views.items())],
        "same_as": None if same_as is None else same_as.nanoseconds,
    }


def prepare_records(connection: Connection) -> int:
    """Make the database and the table of records where they are not there; the next number.

    On an idle connection of ours, under the account lock.
    """
    TABLE.make(connection)
    last = int(connection.exec_driver_sql(f"SELECT max(id) FROM {_NAME}").scalar() or 0)
    for name in kinds_in(connection, OWN_DATABASE):  # copies without a record keep their names
        copy = re.fullmatch(r"copy_(\d{1,18})_\d+", name)
        last = max(last, int(copy[1]) if copy else 0)
    roll_back(connection)
    return last + 1


def lock_tables(connection: Connection, tables: Iterable[Key]) -> None:
    """Let nobody write to tables until the connection's transaction ends; wait for who does.

    By an ALTER that gives each the comment that it has. Without it, rows that others write between
    a CLONE and a DROP in one transaction are in neither (docs/server.md, Clones).
    """
    wanted = sorted(tables)
    statement = text(
        "SELECT reldatabase, relname, rel_comment FROM mo_catalog.mo_tables "
        "WHERE account_id = current_account_id() AND reldatabase IN :databases"
    ).bindparams(bindparam("databases", sorted({d for d, _ in wanted}), expanding=True))
    comments = {(d, t): c or "" for d, t, c in query(connection, statement)} if wanted else {}
    for table in wanted:
        # the server keeps a quote doubled, and takes a backslash for an escape
        comment = comments.get(table, "").replace("''", "'").replace("'", "''")
        comment = comment.replace("\\", "\\\\")
        change = f"ALTER TABLE {back_quoted(*table)} COMMENT = '{comment}'"
        run_text(connection, change)


def write_record(
    connection: Connection, record: NewRecord, as_of: Moment | None = None
) -> tuple[Moment, tuple[SafetyCopy, ...]]:
    """Clone tables aside and record them, in the connection's transaction.

    :param as_of: the moment whose tables these are; None is now.
    :return: the time that the record has, and the copies.
    """
    copies = []
    names: dict[Key, Key] = {
        table: (OWN_DATABASE, f"copy_{record.id}_{number}")
        for number, table in enumerate(sorted(record.tables), 1)
    }
    for table, copy in names.items():
        send(connection, Clone(table, copy, as_of))
    check_cloned(connection, names.values())
    for table, copy in names.items():
        # a table that the transaction has locked reads as empty, too, where it has partitions
        rows = count_rows(connection, back_quoted(*copy)) or rows_in_partitions(connection, copy)
        copies.append(SafetyCopy(".".join(table), ".".join(copy), rows))
    made = set(names.values())
    for key in references(connection, of=[OWN_DATABASE]):
        if key.table in made:
            run_text(connection, drop_key(key))
    at = Moment(server.clock(connection))
    values = {
        "id": record.id,
        "made": at.nanoseconds,
        "at": None if record.at is None else record.at.nanoseconds,
        "state": record.state,
        "target": record.target,
        "copies": json.dumps([copy.to_dict() for copy in copies]),
        "details": json.dumps(record.details),
    }
    send(
        connection,
        text(
            f"INSERT INTO {_NAME} (id, made, at, state, target, copies, details) "
            "VALUES (:id, :made, :at, :state, :target, :copies, :details)"
        ).bindparams(**values),
    )
    return at, tuple(copies)


def set_state(connection: Connection, number: int, state: str) -> None:
    statement = text(f"UPDATE {_NAME} SET state = :state WHERE id = :id")
    send(connection, statement.bindparams(state=state, id=number))


def set_details(connection: Connection, record: NewRecord) -> None:
    """Record what became known after the record was written."""
    statement = text(f"UPDATE {_NAME} SET details = :details WHERE id = :id")
    send(connection, statement.bindparams(details=json.dumps(record.details), id=record.id))


# ---------------------------------------------------------------------------------------- reading


def read_records(connection: Connection) -> list[RestoreRecord]:
    """The restores of this account, newest first; none where there never was one."""
    statement = text(
        f"SELECT id, made, at, state, target, copies, details FROM {_NAME} "
        f"WHERE state <> '{_FORGOTTEN}' ORDER BY id DESC"
    )
    try:
        rows = query(connection, statement)
    except DBAPIError as error:
        if not is_not_there(error):
            raise
        roll_back(connection)
        return []
    return [
        RestoreRecord(
            int(number),
            target,
            None if at is None else Moment(int(at)),
            Moment(int(made)),
            state,
            tuple(SafetyCopy(**copy) for copy in json.loads(copies)),
            json.loads(details),
        )
        for number, made, at, state, target, copies, details in rows
    ]


def find_record(connection: Connection, given: Number) -> RestoreRecord:
    """
    :raises PitrNotFoundError: no restore has that number, or its copies were forgotten, or what is
        given is another restore.
    """
    number = number_of(given, "restore")
    for record in read_records(connection):
        if record.id == number:
            check_same(given, record, "restore")
            return record
    raise PitrNotFoundError(
        f"there is no restore {number} in this account, or its copies were forgotten: "
        "restore_records() lists what there is"
    )


def restore_records(bind: Bind) -> list[RestoreRecord]:
    """The restores of this account that can be undone, newest first.

    >>> from sqlalchemy import create_engine
    >>> records = restore_records(create_engine(url))
    >>> sorted(records, key=lambda record: record.id, reverse=True) == records
    True
    """
    with reading(bind) as connection, typed_errors():
        return read_records(connection)


def forget_copies(
    bind: Bind,
    *,
    older_than: dt.timedelta | None = None,
    ids: Collection[int | RestoreRecord | RestoreReport] | None = None,
    timeout: float = DEFAULT_TIMEOUT,
) -> list[RestoreRecord]:
    """Drop safety copies, and return the restores that cannot be undone any more.

    At once, under the account lock, each restore's copies in one transaction. What is forgotten
    cannot be undone any more. When no restore is left, the database ``matrixone_pitr`` stays.

    :param older_than: only those of restores begun so long ago.
    :param ids: only those of these restores: numbers, records or reports.
    :raises PitrNotFoundError: an id is none, or that of another restore than the one given.
    :raises PitrLockTimeoutError: another program held the lock; nothing was sent.

    >>> from sqlalchemy import create_engine
    >>> forget_copies(create_engine(url), older_than=dt.timedelta(days=3650))
    []
    """
    _check_which(older_than, ids)
    found = own_engine(bind, "forget_copies()")
    forgotten = []
    with account_lock(found, timeout), side_connection(found) as connection, typed_errors():
        records = {record.id: record for record in read_records(connection)}
        wanted = {number_of(one, "restore"): one for one in ids or ()}
        unknown = sorted(wanted.keys() - records.keys())
        if unknown:
            raise PitrNotFoundError(
                f"there is no restore {unknown[0]} in this account: restore_records() lists them"
            )
        for number, one in wanted.items():
            check_same(one, records[number], "restore")
        now = Moment(server.clock(connection))
        connection.rollback()
        for number, record in sorted(records.items()):
            if ids is not None and number not in wanted:
                continue
            if older_than is not None and record.made + older_than > now:
                continue
            _forget(connection, found.engine, record)
            forgotten.append(record)
    return forgotten


def _check_which(older_than: object, ids: Any) -> None:
    """
    :raises PitrValidationError: it does not say which restores.
    """
    if older_than is not None and not isinstance(older_than, dt.timedelta):
        raise PitrValidationError(f"older_than is a timedelta, or None, not {shorten(older_than)}")
    if older_than is not None and older_than < dt.timedelta():
        raise PitrValidationError(f"older_than is {older_than}: nothing is younger than now")
    several = isinstance(ids, Collection) and not isinstance(ids, str | bytes)
    if ids is not None and not several:
        raise PitrValidationError(f"ids are the numbers of restores, or None, not {shorten(ids)}")
    for one in ids or ():
        try:
            number_of(one, "restore")
        except PitrValidationError:
            raise PitrValidationError(
                f"ids are the numbers of restores, or what restore() returned, not {shorten(one)}"
            ) from None


def _forget(connection: Connection, engine: Engine, record: RestoreRecord) -> None:
    with TextTransaction().on(engine, connection):
        for copy in record.copies:
            name = back_quoted(*copy.copy.split(".", 1))
            connection.exec_driver_sql(f"DROP TABLE IF EXISTS {name}")
        statement = text(
            f"UPDATE {_NAME} SET state = :state, copies = '[]', details = '{{}}' WHERE id = :id"
        )
        send(connection, statement.bindparams(state=_FORGOTTEN, id=record.id))
