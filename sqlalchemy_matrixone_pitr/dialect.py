"""``matrixone+pymysql://``, ``matrixone+aiomysql://`` and ``matrixone+asyncmy://``.

SQLAlchemy's MySQL dialects with what MatrixOne does differently. Their ``name`` stays ``mysql``:
Alembic, table options and column types then work unchanged (ecosystem.md, section SQLAlchemy).

Source: matrixone.md, section 2 (the status bit lies) and section 9 (reflection).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sqlalchemy import event
from sqlalchemy import types as sqltypes
from sqlalchemy.dialects.mysql.aiomysql import MySQLDialect_aiomysql
from sqlalchemy.dialects.mysql.asyncmy import MySQLDialect_asyncmy
from sqlalchemy.dialects.mysql.base import MySQLDialect
from sqlalchemy.dialects.mysql.pymysql import MySQLDialect_pymysql
from sqlalchemy.engine import Connection, Engine
from sqlalchemy.engine.reflection import Inspector

from . import server
from .connections import at_connect, driver_errors
from .model import Pitr, PitrLevel
from .reflection import get_pitrs
from .transaction import note_failed_savepoint


class MatrixOneInspector(Inspector):
    """``inspect(engine)`` on a ``matrixone+...`` URL."""

    def get_pitrs(
        self,
        *,
        level: PitrLevel | str | None = None,
        account_name: str | None = None,
        database_name: str | None = None,
        table_name: str | None = None,
        with_status: bool = False,
    ) -> list[Pitr]:
        """See :func:`sqlalchemy_matrixone_pitr.get_pitrs`."""
        return get_pitrs(
            self.bind,
            level=level,
            account_name=account_name,
            database_name=database_name,
            table_name=table_name,
            with_status=with_status,
        )


class _Boolean(sqltypes.Boolean):
    """BOOL, which 2.x and 3.x send as the words ``true`` and ``false``: SQLAlchemy's own reading of
    a word is True, whichever it is."""

    def result_processor(self, dialect: Any, coltype: Any) -> Any:
        ordinary = super().result_processor(dialect, coltype) or bool  # type: ignore[no-untyped-call]

        def process(value: Any) -> bool | None:
            if isinstance(value, str | bytes):
                return value in ("true", b"true", "1", b"1", b"\x01")
            return None if value is None else bool(ordinary(value))

        return process


class MatrixOneDialect(MySQLDialect):
    """What the three share."""

    is_matrixone = True
    matrixone_version: server.Version | None = None
    """The server's version, known from the first connection on; None on another server."""

    inspector = MatrixOneInspector
    ischema_names = {**MySQLDialect.ischema_names, "bool": sqltypes.BOOLEAN}  # noqa: RUF012
    colspecs = {**MySQLDialect.colspecs, sqltypes.Boolean: _Boolean}  # noqa: RUF012

    def initialize(self, connection: Connection) -> None:
        super().initialize(connection)
        self.matrixone_version = server.matrixone_version(connection)

    def set_engine_execution_options(self, engine: Engine, opts: Mapping[str, Any]) -> None:
        """As SQLAlchemy does; a connection of the pool that turns out to be dead is replaced."""
        names = set(self.connection_characteristics).intersection(opts)
        if names:
            characteristics = {name: opts[name] for name in names}

            @event.listens_for(engine, "engine_connect")
            def set_connection_characteristics(connection: Connection) -> None:
                def work() -> None:
                    self._set_connection_characteristics(connection, characteristics)

                at_connect(connection, work, restore=False)

    def _set_connection_characteristics(
        self, connection: Connection, characteristics: Mapping[str, Any]
    ) -> None:
        """A lost connection becomes a DBAPIError, and the pool is told."""
        set_them: Any = super()._set_connection_characteristics
        with driver_errors(connection, "SET AUTOCOMMIT"):
            set_them(connection, characteristics)

    def set_isolation_level(self, dbapi_connection: Any, level: Any) -> None:
        """Set autocommit by a statement: the driver trusts the status bit and may send nothing."""
        super().set_isolation_level(dbapi_connection, level)
        cursor = dbapi_connection.cursor()
        cursor.execute(f"SET AUTOCOMMIT = {int(level == 'AUTOCOMMIT')}")
        cursor.close()

    def detect_autocommit_setting(self, dbapi_conn: Any) -> bool:
        """False, whatever the status bit says: with ``skip_autocommit_rollback`` the lie would let
        the pool keep a transaction that the next user commits; a needless ROLLBACK costs nothing.
        """
        return False

    def do_rollback_to_savepoint(self, connection: Connection, name: str) -> None:
        """Not implemented by the server: the transaction is damaged, and must not be committed."""
        note_failed_savepoint(connection, name)
        super().do_rollback_to_savepoint(connection, name)  # type: ignore[no-untyped-call]

    def _get_default_schema_name(self, connection: Connection) -> str:
        """None where none is chosen: MatrixOne says ``''`` where MySQL says NULL."""
        return super()._get_default_schema_name(connection) or None  # type: ignore[return-value]

    def _get_server_version_info(self, connection: Connection) -> tuple[int, ...]:
        """The MySQL version that MatrixOne speaks like, without its own behind it."""
        return super()._get_server_version_info(connection)[:3]


class MatrixOneDialect_pymysql(MatrixOneDialect, MySQLDialect_pymysql):
    supports_statement_cache = True


class MatrixOneDialect_aiomysql(MatrixOneDialect, MySQLDialect_aiomysql):
    supports_statement_cache = True


class MatrixOneDialect_asyncmy(MatrixOneDialect, MySQLDialect_asyncmy):
    supports_statement_cache = True
