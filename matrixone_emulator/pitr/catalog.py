"""mo_pitr: the rows of all PITRs and the rules of CREATE, ALTER and DROP.

docs/server.md, Checks of CREATE; What detaches a policy. Rows live in memory under one lock, so
that a PITR statement never waits for another session's transaction.
"""

from __future__ import annotations

import threading
import uuid
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from typing import Protocol

from ..clock import Clock
from ..errors import SqlError
from ..parsing.grammar import AlterPitr, CreatePitr, DropPitr
from ..parsing.words import unescape
from ..statements.storage import Event
from ..system.accounts import SYS, SYS_ID, Identity, no_privilege
from ..versions.rules import Rules
from .ranges import UNITS, range_start

HIDDEN = "sys_mo_catalog_pitr"
SYSTEM_DATABASES = frozenset(
    ("mo_catalog", "mysql", "system", "system_metrics", "information_schema", "mo_task", "mo_debug")
)
CLUSTER_OBJECT = (1 << 64) - 1
_NAME_LIMIT = 5000
# How long the rows that a race left behind stay after their name was dropped (3.0.9).
_GHOST_NS = 300 * 1_000_000_000


class ObjectFinder(Protocol):
    """What the checks of a target need to know; ids, None where there is no such object."""

    def find_account_id(self, name: str) -> int | None: ...

    def find_database_id(self, name: str) -> int | None: ...

    def find_table_id(self, database: str, name: str) -> int | None: ...  # what obj_id holds


@dataclass
class PitrRow:
    """One row of mo_catalog.mo_pitr."""

    pitr_id: str
    name: str
    create_account: int
    create_time: int
    modified_time: int
    level: str
    account_id: int
    account_name: str
    database: str
    table: str
    object_id: int
    length: int
    unit: str
    status: int = 1
    status_changed: int = 0
    # A second row of one primary key, left by the race of 3.0.9: seen by reads, not by name.
    ghost: bool = False
    ghost_until: int | None = None


def event_of(event: Event) -> Callable[[PitrRow], bool]:
    """Tells the active rows whose object *event* is about."""
    return lambda row: (
        bool(row.status)
        and row.account_id == event.account_id
        and row.database == event.database
        and (event.table is None or row.table == event.table)
        and row.object_id == event.old_id
    )


def check_name(name: str) -> None:
    """`invalid input` for what the server does not take into a look-up by text."""
    if any(char in " \t`\"'" for char in name):
        raise SqlError.internal("invalid input")


class Catalog:
    """All PITRs of one server; thread-safe."""

    def __init__(self, clock: Clock, rules: Rules, mo_catalog_id: int) -> None:
        self.clock = clock
        self._rules = rules
        self.whole_seconds = not rules.pitr_times_are_nanoseconds
        """Whether mo_pitr keeps times as 2.x does"""
        self._mo_catalog_id = mo_catalog_id
        self._lock = threading.RLock()
        self._creating = threading.Lock()
        self._race: threading.Barrier | None = None
        self._rows: list[PitrRow] = []

    # -- statements ---------------------------------------------------------------------

    def create(self, who: Identity, stmt: CreatePitr, find: ObjectFinder) -> None:
        """CREATE PITR; every check in its order (docs/server.md, Checks of CREATE)."""
        if not who.is_admin:
            raise no_privilege()
        check_request(who, stmt)
        barrier = self._race if self._rules.creations_race else None
        if barrier is None:
            with self._creating:
                row = self._checked(who, stmt, find)
                if row is not None:
                    self.insert(row)
            return
        # The race of 3.0.9: every creator has looked before any of them writes.
        row = None
        try:
            row = self._checked(who, stmt, find)
        finally:
            with suppress(threading.BrokenBarrierError):
                barrier.wait(timeout=10)
        if row is not None:
            self.insert(row)

    def alter(self, who: Identity, stmt: AlterPitr) -> None:
        """ALTER PITR: the window starts anew, even where the range stays the same."""
        if not who.is_admin:
            raise no_privilege()
        _check_range(stmt.length, stmt.unit, least=0)
        name = self._lookup_name(stmt.name)
        with self._lock:
            row = self._named(who, name)
            if row is None:
                if stmt.if_exists:
                    return
                raise SqlError.internal(f"pitr {stmt.name} does not exist")
            row.modified_time = self.clock.now()
            row.length, row.unit = stmt.length, stmt.unit.lower()
            self._touch(row)

    def drop(self, who: Identity, stmt: DropPitr) -> None:
        """DROP PITR; the last one takes the hidden row with it."""
        if not who.is_admin:
            raise no_privilege()
        name = self._lookup_name(stmt.name)
        with self._lock:
            row = self._named(who, name)
            if row is None:
                if stmt.if_exists:
                    return
                raise SqlError.internal(f"pitr {stmt.name} does not exist")
            self.remove(who, name)

    def remove(self, who: Identity, name: str) -> None:
        """Without that name for this creator, and without the hidden row when it stands alone."""
        with self._lock:
            row = self._named(who, name)
            if row is not None:
                self._rows.remove(row)
            for other in self._rows:
                if other.ghost and other.name == name and other.create_account == who.account_id:
                    other.ghost_until = self.clock.now() + _GHOST_NS
            if all(other.name == HIDDEN for other in self._rows):
                self._rows.clear()

    # -- reading ------------------------------------------------------------------------

    def rows(self) -> list[PitrRow]:
        """Every row, oldest change first; updated rows come last, as in the server's table."""
        with self._lock:
            now = self.clock.now()
            self._rows = [r for r in self._rows if r.ghost_until is None or r.ghost_until > now]
            return list(self._rows)

    def named(self, who: Identity, raw_name: str) -> PitrRow | None:
        """The row that RESTORE means by a name."""
        name = self._lookup_name(raw_name)
        with self._lock:
            return self._named(who, name)

    def has(self, who: Identity, name: str) -> bool:
        """Whether this creator has a PITR of that name, as it is stored."""
        with self._lock:
            return self._named(who, name) is not None

    def check_hidden(self, unit: str) -> None:
        """The hidden row's range is compared with every new one; INTERNAL wrote units unfolded."""
        hidden = next((row for row in self.rows() if row.name == HIDDEN), None)
        for known in () if hidden is None else (hidden.unit, unit):
            if known not in UNITS:
                raise SqlError.internal(f"unknown unit '{known}'")

    @contextmanager
    def race(self, creators: int) -> Iterator[None]:
        """Let *creators* concurrent CREATE PITRs pass their checks before any of them writes.

        Only 3.x has this race; later versions let exactly one through, here too.
        """
        self._race = threading.Barrier(creators)
        try:
            yield
        finally:
            self._race = None

    # -- life ---------------------------------------------------------------------------

    def on_commit(self, events: Iterable[Event]) -> None:
        """What a committed change does to the PITR of its object.

        docs/server.md, What detaches a policy.
        """
        with self._lock:
            for event in events:
                if self._detaches(event):
                    self._detach(event)

    def account_dropped(self, account_id: int, name: str) -> None:
        """Its own PITRs go; those that sys made for it are detached."""
        with self._lock:
            self._rows = [row for row in self._rows if row.create_account != account_id]
            now = self.clock.now()
            for row in list(self._rows):
                if row.account_name == name and row.object_id == account_id and row.status:
                    self._set_detached(row, now)
            if all(other.name == HIDDEN for other in self._rows):
                self._rows.clear()

    def _detaches(self, event: Event) -> bool:
        match event.kind:
            case "drop_table" | "drop_database" | "restore_table" | "restore_database":
                return True
            case "rebuild_table":
                return self._rules.rebuild_detaches
            case "truncate_table":
                return self._rules.truncate_detaches
            case _:
                return False

    def rows_inside(self, events: Iterable[Event]) -> list[PitrRow]:
        """The rows as a transaction reads them that has made *events* and not committed."""
        with self._lock:
            rows = [replace(row) for row in self._rows]
        for event in filter(self._detaches, events):
            for row in filter(event_of(event), rows):
                row.status, row.status_changed = 0, self.clock.now()
        return rows

    def _detach(self, event: Event) -> None:
        for row in list(filter(event_of(event), self._rows)):
            self._set_detached(row, event.at)

    def _set_detached(self, row: PitrRow, at: int) -> None:
        row.status, row.status_changed = 0, at
        self._touch(row)

    # -- parts --------------------------------------------------------------------------

    def _touch(self, row: PitrRow) -> None:
        self._rows.remove(row)
        self._rows.append(row)

    def _named(self, who: Identity, name: str) -> PitrRow | None:
        return next(
            (
                row
                for row in self._rows
                if row.name == name and row.create_account == who.account_id and not row.ghost
            ),
            None,
        )

    def _lookup_name(self, name: str) -> str:
        """The name as the server's own look-up reads it: backslashes are escapes there."""
        check_name(name)
        stored = unescape(name)
        if name.endswith("\\") and not _balanced(name):
            # The server's look-up is a text with the name in it, which now never ends.
            near = f'"{name}" and create_account = 0 order by pitr_id;'
            error = SqlError.syntax(f" {near}", column=57 + len(near.encode()))
            raise SqlError(1105, error.message.removeprefix("SQL parser error: "))
        return stored

    def _checked(self, who: Identity, stmt: CreatePitr, find: ObjectFinder) -> PitrRow | None:
        """The row to write; None where IF NOT EXISTS says to do nothing."""
        name = self._lookup_name(stmt.name)
        with self._lock:
            if self._named(who, name) is not None:
                if stmt.if_not_exists:
                    return None
                raise SqlError.internal(f"pitr {stmt.name} already exists")
        account_id, account_name, object_id = who.account_id, who.account, who.account_id
        database = table = ""
        match stmt.level:
            case "cluster":
                account_id, account_name, object_id = SYS_ID, "", CLUSTER_OBJECT
                taken = "cluster level pitr already exists"
            case "account":
                if stmt.account:
                    account_id, account_name = self._account(stmt.account, find), stmt.account
                    object_id = account_id
                taken = f"account `{account_name}` already has a pitr"
            case "database":
                database = stmt.database
                object_id = self._database(database, find)
                taken = f"database `{database}` already has a pitr"
            case "table":
                database, table = stmt.database, stmt.table
                # From 4.x on this is the id that a table keeps when it is rebuilt: a PITR made
                # after a rebuild never has the table's present id, and no later change of the
                # table finds it (seen on 4.2.0).
                object_id = self._table(database, table, find)
                taken = f"database `{database}` table `{table}` already has a pitr"
        if self.is_taken(who, stmt.level, account_name, database, table):
            raise SqlError.internal(taken)
        name = self._fitting(name)
        now = self.clock.now()
        return PitrRow(
            str(uuid.uuid4()),
            name,
            who.account_id,
            now,
            now,
            stmt.level,
            account_id,
            account_name,
            database,
            table,
            object_id,
            stmt.length,
            stmt.unit.lower(),
            status_changed=now,
        )

    def _fitting(self, name: str) -> str:
        if len(name) <= _NAME_LIMIT:
            return name
        if self._rules.long_pitr_name_is_cut:
            return name[:_NAME_LIMIT]
        raise SqlError.internal(
            f"Can't cast '{name[:100]}...' to VARCHAR type. Src length {len(name)} is larger "
            f"than Dest length {_NAME_LIMIT}"
        )

    def is_taken(
        self, who: Identity, level: str, account_name: str, database: str, table: str
    ) -> bool:
        """Whether this creator has an active PITR of that object."""
        for row in self.rows():
            if row.create_account != who.account_id:
                continue
            if level == "cluster":
                if row.object_id == CLUSTER_OBJECT:
                    return True
                continue
            if row.level != level or not row.status:
                continue
            if level == "account" and row.account_name == account_name:
                return True
            if level == "database" and row.database == database:
                return True
            if level == "table" and (row.database, row.table) == (database, table):
                return True
        return False

    def _account(self, name: str, find: ObjectFinder) -> int:
        check_name(name)
        found = find.find_account_id(name)
        if found is None:
            raise SqlError.internal(f"account {name} does not exist")
        return found

    def _database(self, name: str, find: ObjectFinder) -> int:
        if name in SYSTEM_DATABASES:
            raise SqlError.internal(f"can not create pitr for current database {name}")
        found = find.find_database_id(self._target(name))
        if found is None:
            raise SqlError.internal(f"database {name} does not exist")
        return found

    def _table(self, database: str, name: str, find: ObjectFinder) -> int:
        if database in SYSTEM_DATABASES:
            raise SqlError.internal(f"can not create pitr for current table {database}.{name}")
        found = find.find_table_id(self._target(database), self._target(name))
        if found is None:
            raise SqlError.internal(f"table {database}.{name} does not exist")
        return found

    def _target(self, name: str) -> str:
        """A target's name in the look-up: 3.x puts it in unescaped, 4.x properly quoted."""
        if self._rules.lookup_quotes_names:
            return name
        check_name(name)
        return unescape(name)

    def insert(self, row: PitrRow) -> None:
        """Write a checked row, and the hidden one with the first of all."""
        with self._lock:
            self.check_hidden(row.unit)
            row.ghost = any(
                (other.name, other.create_account) == (row.name, row.create_account)
                for other in self._rows
            )
            self._rows.append(row)
            hidden = next((other for other in self._rows if other.name == HIDDEN), None)
            now = self.clock.now()
            if hidden is None:
                self._rows.append(
                    PitrRow(
                        str(uuid.uuid4()),
                        HIDDEN,
                        SYS_ID,
                        now,
                        now,
                        "database",
                        SYS_ID,
                        SYS,
                        "mo_catalog",
                        "",
                        self._mo_catalog_id,
                        row.length,
                        row.unit,
                        status_changed=now,
                    )
                )
            elif range_start(now, row.length, row.unit) < range_start(
                now, hidden.length, hidden.unit
            ):
                hidden.length, hidden.unit = row.length, row.unit
                self._touch(hidden)


def _balanced(name: str) -> bool:
    """Whether the backslashes at the end are escaped ones."""
    return (len(name) - len(name.rstrip("\\"))) % 2 == 0


def check_request(who: Identity, stmt: CreatePitr) -> None:
    """What can be refused before anything is looked up."""
    if stmt.level == "cluster" and not who.is_sys:
        raise SqlError.internal("only sys tenant can create cluster level pitr")
    if stmt.level == "account" and stmt.account and not who.is_sys:
        raise SqlError.internal("only sys tenant can create tenant level pitr for other tenant")
    _check_range(stmt.length, stmt.unit, least=1)
    if stmt.name == HIDDEN:
        raise SqlError.internal("pitr name is reserved")


def _check_range(length: int, unit: str, *, least: int) -> None:
    if not least <= length <= 100:
        raise SqlError.internal(f"invalid pitr value {length}")
    if unit.lower() not in UNITS:
        raise SqlError.internal(f"invalid pitr unit {unit.lower()}")
