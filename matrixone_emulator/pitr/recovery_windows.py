"""SHOW RECOVERY_WINDOW as the server prints it, omissions and overlaid texts included.

docs/server.md, SHOW RECOVERY_WINDOW. Since all rows of one answer are written into one reused
byte buffer, a shorter row shows the bytes of a later one: that is where brackets that do
not match and windows of other tables come from. Programs must parse objects, not brackets, and so
the emulator overlays too.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from ..clock import Clock, utc_text
from ..errors import SqlError
from ..parsing.grammar import ShowRecoveryWindow
from ..parsing.times import parse_restore_time
from ..storage.snapshots import Snapshot
from ..system.accounts import Identity
from ..types.columns import Column, ColumnType
from ..versions.rules import Rules
from .ranges import range_start, trimmed
from .rows import HIDDEN, SYSTEM_DATABASES, PitrRow

_KEY = tuple[str, str]
# account id, moment -> the tables that were there, as (database, table)
TablesAt = Callable[[int, int], Iterable[_KEY]]

# Sizes in which the server's memory grows.
_SIZES = [64, 80, 96, 112, 128, 144, 160, 176, 192, 208, 224, 240, 256, 288, 320, 352, 384, 416]
_SIZES += [448, 480, 512, 576, 640, 704, 768, 896, 1024, 1152, 1280, 1408, 1536, 1792, 2048]
_SIZES += [2304, 2688, 3072, 3200, 3456, 4096, 4864, 5120, 5376, 6144, 6528, 6784, 6912, 8192]


@dataclass(frozen=True)
class Window:
    """The window of a PITR; of a snapshot, *end* is empty."""

    start: str
    end: str
    name: str

    @property
    def text(self) -> str:
        if not self.end:
            return (
                f"{{'timestamp':'{self.start}', 'source':'snapshot', 'source_name':'{self.name}'}}"
            )
        return (
            f"{{'start_time':'{self.start}', 'end_time':'{self.end}', "
            f"'source':'pitr', 'source_name':'{self.name}'}}"
        )


@dataclass(frozen=True)
class KeptBy:
    """Policies and snapshots of the account, which keep history."""

    pitrs: list[PitrRow]
    snapshots: list[Snapshot]


class SharedBuffer:
    """The server's reused buffer: growing leaves the rows before on the old bytes."""

    def __init__(self) -> None:
        self._data = bytearray()
        self._length = 0

    def reset(self) -> None:
        self._length = 0

    def write(self, text: str) -> None:
        data = text.encode("utf-8", "surrogateescape")
        end = self._length + len(data)
        if end > len(self._data):
            size = end if not self._data and end > 64 else max(end, 2 * len(self._data), 64)
            rounded = next((s for s in _SIZES if s >= size), -(-size // 1024) * 1024)
            grown = bytearray(rounded)
            grown[: self._length] = self._data[: self._length]
            self._data = grown
        self._data[self._length : end] = data
        self._length = end

    def view(self) -> tuple[bytearray, int]:
        return self._data, self._length


def columns(rules: Rules) -> list[Column]:
    names = ["RecoveryWindowLevel", "AccountName", "DatabaseName", "TableName", "RecoveryWindows"]
    if not rules.windows_as_json_list:
        names = [
            "Recovery_Window_Level",
            "Account_Name",
            "Database_Name",
            "Table_Name",
            "Recovery_Windows",
        ]
    kinds = [ColumnType.VARCHAR] * 4 + [ColumnType.JSON]
    return [Column(name, kind) for name, kind in zip(names, kinds, strict=True)]


def check(who: Identity, stmt: ShowRecoveryWindow, rules: Rules) -> None:
    """Refuse to show the windows of other accounts."""
    named = stmt.level == "account" and stmt.account and not who.is_sys
    if named and (not rules.tenants_show_own_windows_by_name or stmt.account != who.account):
        raise SqlError.internal("only sys account can show other account's recovery window")
    if stmt.database in SYSTEM_DATABASES:
        raise SqlError.internal(f"can not show recovery window for system {stmt.level}")


def rows(
    who: Identity,
    stmt: ShowRecoveryWindow,
    kept: KeptBy,
    tables_at: TablesAt,
    clock: Clock,
    rules: Rules,
    order: random.Random,
) -> list[tuple[object, ...]]:
    """One row a table, in no order."""
    check(who, stmt, rules)
    account = stmt.account or who.account
    old = not rules.windows_as_json_list
    if old and stmt.level == "table":
        kept = KeptBy([r for r in kept.pitrs if r.level == "table" and r.table == stmt.table], [])
    found = _Finder(stmt, account, who, tables_at).collect(kept, clock, present=old)
    keys = list(found)
    order.shuffle(keys)
    if old:
        texts = [_text_of_2(found[key], clock) for key in keys]
    else:
        texts = _texts(found[key] for key in keys)
    return [
        (stmt.level, account, database, table, text)
        for (database, table), text in zip(keys, texts, strict=True)
    ]


def _texts(items: Iterable[list[Window]]) -> list[bytes]:
    buffer = SharedBuffer()
    views: list[tuple[bytearray, int]] = []
    for windows in items:
        buffer.reset()
        buffer.write("[")
        for number, window in enumerate(windows):
            if number:
                buffer.write(", ")
            buffer.write(window.text)
        buffer.write("]")
        views.append(buffer.view())
    return [bytes(data[:length]) for data, length in views]


def _text_of_2(windows: list[Window], clock: Clock) -> bytes:
    """2.x: objects in double quotes, no brackets, whole seconds."""
    return ",\n".join(
        f'{{"start_time": "{w.start[:19]}", "end_time": "{w.end[:19]}", '
        f'"source": "pitr", "source_name": "{w.name}"}}'
        for w in windows
    ).encode("utf-8", "surrogateescape")


def _selected(
    stmt: ShowRecoveryWindow, account: str, row: PitrRow | Snapshot, *, hidden: bool
) -> bool:
    """The server's condition; its AND binds the hidden row to the last alternative only."""
    if row.account_name != account:
        return False
    if stmt.level == "account":
        return not hidden
    if row.database == "":
        return True
    if stmt.level == "database":
        return row.database == stmt.database and not hidden
    return row.database == stmt.database and (
        row.table == "" or (row.table == stmt.table and not hidden)
    )


class _Finder:
    """Collect the windows of the tables that a statement asks for."""

    def __init__(
        self, stmt: ShowRecoveryWindow, account: str, who: Identity, tables_at: TablesAt
    ) -> None:
        self._level, self._account, self._who, self._tables_at = stmt.level, account, who, tables_at
        self._stmt = stmt
        # The names asked for are overwritten by the last table found: the server does so, and
        # from then on looks for that table.
        self._database, self._table = stmt.database, stmt.table
        self._found: dict[_KEY, list[Window]] = {}

    def collect(self, kept: KeptBy, clock: Clock, *, present: bool) -> dict[_KEY, list[Window]]:
        """The windows by table; *present*: 2.x lists the tables that exist now."""
        for snapshot in kept.snapshots:
            if _selected(self._stmt, self._account, snapshot, hidden=False):
                window = Window(_in_utc(snapshot.at), "", snapshot.name)
                self._add(snapshot, window, clock.now() if present else snapshot.at)
        for row in kept.pitrs:
            if not _selected(self._stmt, self._account, row, hidden=row.name == HIDDEN):
                continue
            start = _start(row, clock)
            end = trimmed(clock, clock.now() if row.status else row.status_changed)
            moment = clock.now() if present else parse_restore_time(start, clock)
            self._add(row, Window(start, end, row.name), moment)
        return self._found

    def _add(self, row: PitrRow | Snapshot, window: Window, moment: int) -> None:
        if row.level == "table":
            self._found.setdefault((row.database, row.table), []).append(window)
            return
        owner = self._who.account_id
        if self._account != self._who.account:
            owner = row.object_id if isinstance(row, Snapshot) else row.account_id
        matching = [
            key
            for key in self._tables_at(owner, moment)
            if key[0] not in SYSTEM_DATABASES
            and (row.level != "database" or key[0] == row.database)
            and (self._level == "account" or key[0] == self._database)
            and (self._level != "table" or key[1] == self._table)
        ]
        for key in matching:
            self._found.setdefault(key, []).append(window)
            self._database, self._table = key


def _in_utc(at: int) -> str:
    return f"{utc_text(at)} +0000 UTC"


def _start(row: PitrRow, clock: Clock) -> str:
    """Start of the window; '' where it has run out, on which the server then fails."""
    now = clock.now()
    from_now = range_start(now, row.length, row.unit)
    start = from_now
    if not row.status:
        if from_now > row.status_changed:
            return ""
        start = range_start(row.status_changed, row.length, row.unit)
    return trimmed(clock, max(start, row.modified_time))
