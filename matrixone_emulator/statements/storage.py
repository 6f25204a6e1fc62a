"""Storage of one emulator: all its databases in one sqlite file.

docs/server.md, The commit rule; Object ids; Time travel; information_schema and keys.
"""

from __future__ import annotations

import datetime
from collections.abc import Callable, Iterable, Mapping, Sequence

from ..clock import Clock
from ..storage.records import (
    SYSTEM_DATABASES,
    DatabaseInfo,
    Event,
    Result,
    SessionContext,
    TableInfo,
)
from ..storage.shared import Shared
from ..storage.virtual import VirtualTable
from ..system.information_schema import virtual_tables
from ..types.columns import (
    BIGINT,
    DATE,
    DATETIME,
    DOUBLE,
    TIME,
    Column,
    ColumnType,
    SqlType,
    varchar,
)
from ..versions.rules import Rules
from .dispatch import StorageSession

__all__ = [
    "DatabaseInfo",
    "Event",
    "Result",
    "SessionContext",
    "Storage",
    "StorageSession",
    "TableInfo",
]

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


class Storage(Shared):
    """All databases of one emulator; safe for many threads."""

    def __init__(
        self,
        clock: Clock,
        *,
        rules: Rules,
        lock_timeout: float = 10.0,
        keep_history: datetime.timedelta | None = None,
    ) -> None:
        """*keep_history*: how far back the past can be read; None keeps everything."""
        super().__init__(clock, rules, lock_timeout, keep_history)
        self.virtual.update(virtual_tables(rules))
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
                    # It is there at every moment, with three tables.
                    session.run("UPDATE db SET born = 0 WHERE name = 'mo_catalog'")
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
    connection_id, deadline_seconds, version_text, found_rows = 0, 60.0, "", False
    time_zone: datetime.tzinfo = datetime.UTC
    pending_events: Sequence[Event] = ()

    def __init__(self, account: str, account_id: int) -> None:
        self.account, self.account_id = account, account_id
        self.reported_account_id = account_id

    def variable(self, name: str, scope: str) -> object:
        return ""

    def variables(self, scope: str) -> Mapping[str, object]:
        return {}

    def user_variable(self, name: str) -> object:
        return None

    def set_user_variable(self, name: str, value: object) -> None:
        pass
