"""mo_pitr: the rows of all PITRs, what ALTER, DROP and changes of objects do to them.

docs/server.md, ALTER PITR; DROP PITR; What detaches a policy. Rows live in memory under one
lock, so that a PITR statement never waits for another session's transaction.
"""

from __future__ import annotations

import copy
import threading
import uuid
from collections.abc import Iterable, Iterator
from contextlib import contextmanager

from ..clock import Clock
from ..errors import SqlError
from ..parsing.grammar import AlterPitr, DropPitr
from ..parsing.refusals import refuse_odd_name
from ..parsing.scanner import unescape
from ..statements.storage import Event
from ..storage.collecting import Place
from ..system.accounts import SYS, SYS_ID, Identity, no_privilege
from ..versions.rules import Rules
from .ranges import UNITS, range_start
from .rows import HIDDEN, PitrRow, affected_by

# How long the rows that a race left behind stay after their name was dropped (3.0.9).
_GHOST_NS = 300 * 1_000_000_000


class Catalog:
    """All PITRs of one server; thread-safe."""

    def __init__(self, clock: Clock, rules: Rules, mo_catalog_id: int) -> None:
        self.clock = clock
        self.rules = rules
        self.whole_seconds = not rules.pitr_times_are_nanoseconds
        """Whether mo_pitr keeps times as 2.x does"""
        self._mo_catalog_id = mo_catalog_id
        self._lock = threading.RLock()
        self.creating = threading.Lock()
        self.barrier: threading.Barrier | None = None
        self._rows: list[PitrRow] = []

    # -- statements --------------------------------------------------------------------

    def alter(self, who: Identity, stmt: AlterPitr) -> None:
        """Run ALTER PITR: the window starts anew, even if the range stays the same."""
        if not who.is_admin:
            raise no_privilege()
        check_range(stmt.length, stmt.unit, least=0)
        name = self.lookup_name(stmt.name)
        with self._lock:
            row = self._named(who, name)
            if row is None:
                if stmt.if_exists:
                    return
                raise SqlError.internal(f"pitr {stmt.name} does not exist")
            row.modified_time = self.clock.now()
            row.length, row.unit = stmt.length, stmt.unit.lower()
            self._move_to_end(row)

    def drop(self, who: Identity, stmt: DropPitr) -> None:
        """Run DROP PITR; the last one takes the hidden row with it."""
        if not who.is_admin:
            raise no_privilege()
        name = self.lookup_name(stmt.name)
        with self._lock:
            row = self._named(who, name)
            if row is None:
                if stmt.if_exists:
                    return
                raise SqlError.internal(f"pitr {stmt.name} does not exist")
            self.remove(who, name)

    def remove(self, who: Identity, name: str) -> None:
        """Remove this creator's row of that name, and the hidden row when it is the last one."""
        with self._lock:
            row = self._named(who, name)
            if row is not None:
                self._rows.remove(row)
            for other in self._rows:
                if other.ghost and other.name == name and other.create_account == who.account_id:
                    other.ghost_until = self.clock.now() + _GHOST_NS
            if all(other.name == HIDDEN for other in self._rows):
                self._rows.clear()

    # -- reading -----------------------------------------------------------------------

    def rows(self) -> list[PitrRow]:
        """Every row, oldest change first; updated rows come last, as in the server's table."""
        with self._lock:
            now = self.clock.now()
            self._rows = [r for r in self._rows if r.ghost_until is None or r.ghost_until > now]
            return list(self._rows)

    def named(self, who: Identity, raw_name: str) -> PitrRow | None:
        """The row that RESTORE means by a name."""
        name = self.lookup_name(raw_name)
        with self._lock:
            return self._named(who, name)

    def has(self, who: Identity, name: str) -> bool:
        """Whether this creator has a PITR of that name, as it is stored."""
        with self._lock:
            return self._named(who, name) is not None

    def check_hidden(self, unit: str) -> None:
        """Refuse a unit that the hidden row's cannot be compared with: INTERNAL writes any."""
        hidden = next((row for row in self.rows() if row.name == HIDDEN), None)
        for known in () if hidden is None else (hidden.unit, unit):
            if known not in UNITS:
                raise SqlError.internal(f"unknown unit '{known}'")

    @contextmanager
    def race(self, creators: int) -> Iterator[None]:
        """Let *creators* concurrent CREATE PITRs pass their checks before any of them writes.

        Only 3.x has this race; later versions let exactly one through, here too.
        """
        self.barrier = threading.Barrier(creators)
        try:
            yield
        finally:
            self.barrier = None

    # -- garbage collection ------------------------------------------------------------

    def reaches(self, now: int) -> dict[Place, int]:
        """The oldest moment that policies keep, by the objects whose ids they recorded.

        The status does not count, detached ones keep what they kept: docs/server.md, Garbage
        collection.
        """
        since: dict[Place, int] = {}
        for row in self.rows():
            if row.unit not in UNITS:
                continue
            start = range_start(now, row.length, row.unit)
            place = row.place
            since[place] = min(start, since.get(place, start))
        return since

    # -- life --------------------------------------------------------------------------

    def on_commit(self, events: Iterable[Event]) -> None:
        """Apply committed changes to the PITRs of their objects.

        docs/server.md, What detaches a policy.
        """
        with self._lock:
            for event in events:
                if self._detaches(event):
                    self._detach(event)

    def account_dropped(self, account_id: int, name: str) -> None:
        """Remove a dropped account's own PITRs, and detach those that sys made for it."""
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
                return self.rules.rebuild_detaches
            case "truncate_table":
                return self.rules.truncate_detaches
            case _:
                return False

    def rows_inside(self, events: Iterable[Event]) -> list[PitrRow]:
        """The rows as a transaction reads them that has made *events* and not committed."""
        with self._lock:
            rows = [copy.copy(row) for row in self._rows]
        for event in filter(self._detaches, events):
            for row in filter(affected_by(event), rows):
                row.status, row.status_changed = 0, self.clock.now()
        return rows

    def _detach(self, event: Event) -> None:
        for row in list(filter(affected_by(event), self._rows)):
            self._set_detached(row, event.at)

    def _set_detached(self, row: PitrRow, at: int) -> None:
        row.status, row.status_changed = 0, at
        self._move_to_end(row)

    # -- parts -------------------------------------------------------------------------

    def _move_to_end(self, row: PitrRow) -> None:
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

    def lookup_name(self, name: str) -> str:
        """The name as the server's own look-up reads it: backslashes are escapes there."""
        refuse_odd_name(name)
        stored = unescape(name)
        if name.endswith("\\") and not _balanced(name):
            # The server's look-up is a text with the name in it, which now never ends.
            near = f'"{name}" and create_account = 0 order by pitr_id;'
            error = SqlError.syntax(f" {near}", column=57 + len(near.encode()))
            raise SqlError(1105, error.message.removeprefix("SQL parser error: "))
        return stored

    def insert(self, row: PitrRow) -> None:
        """Write a checked row, and the hidden one with the first of all."""
        with self._lock:
            self.check_hidden(row.unit)
            row.ghost = any(
                other.name == row.name and other.create_account == row.create_account
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
                self._move_to_end(hidden)


def _balanced(name: str) -> bool:
    """Whether the backslashes at the end are escaped ones."""
    return (len(name) - len(name.rstrip("\\"))) % 2 == 0


def check_range(length: int, unit: str, *, least: int) -> None:
    """Refuse an invalid range; ALTER takes a length of 0."""
    if not least <= length <= 100:
        raise SqlError.internal(f"invalid pitr value {length}")
    if unit.lower() not in UNITS:
        raise SqlError.internal(f"invalid pitr unit {unit.lower()}")
