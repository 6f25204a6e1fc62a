"""``matrixone+pymysql://``, ``matrixone+aiomysql://`` and ``matrixone+asyncmy://``.

SQLAlchemy's MySQL dialects with what MatrixOne does differently. Their ``name`` stays ``mysql``:
Alembic, table options and column types then work unchanged (docs/architecture.md, SQLAlchemy).

Source: docs/server.md, The status bit; information_schema and keys.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Mapping
from typing import Any, Final, cast

from sqlalchemy import UniqueConstraint, event, types as sqltypes
from sqlalchemy.dialects.mysql.aiomysql import MySQLDialect_aiomysql
from sqlalchemy.dialects.mysql.asyncmy import MySQLDialect_asyncmy
from sqlalchemy.dialects.mysql.base import MySQLDDLCompiler, MySQLDialect
from sqlalchemy.dialects.mysql.pymysql import MySQLDialect_pymysql
from sqlalchemy.engine import Connection, Engine
from sqlalchemy.engine.interfaces import ReflectedForeignKeyConstraint, TableKey
from sqlalchemy.engine.reflection import Inspector

from . import server
from .connections import at_connect, driver_errors
from .model import Pitr, PitrLevel
from .reflection import get_pitrs
from .transaction import note_failed_savepoint

_GENERATED_NAME: Final = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}")
"""Names that the server gives to foreign keys without one."""

_DEFAULT_RULES: Final = ("RESTRICT", "NO ACTION")
"""Rules that the server shows for a foreign key without one: the first up to 4.2."""


def is_generated(name: str | None) -> bool:
    """Whether the server has made the name of a foreign key: it is another one in each database.

    >>> is_generated("0199f1b2-6c1e-7d3a-9f40-2b1c5a7e8d90"), is_generated("fk_orders_customer")
    (True, False)
    """
    return name is not None and _GENERATED_NAME.fullmatch(name) is not None


def foreign_key_as_declared(
    key: ReflectedForeignKeyConstraint,
) -> ReflectedForeignKeyConstraint:
    """A reflected foreign key without what the server has added: a name, rules.

    RESTRICT and NO ACTION are one to the server, and what it does without a rule.
    """
    rules = {
        when: rule
        for when, rule in (key.get("options") or {}).items()
        if not (when in ("ondelete", "onupdate") and str(rule).upper() in _DEFAULT_RULES)
    }
    found = {**key, "options": rules}
    if is_generated(key["name"]):
        found["name"] = None
    return cast(ReflectedForeignKeyConstraint, found)


class MatrixOneInspector(Inspector):
    """``inspect(engine)`` on a ``matrixone+...`` URL.

    Foreign keys read as they were declared: see :func:`foreign_key_as_declared`.
    """

    def get_foreign_keys(
        self, table_name: str, schema: str | None = None, **kw: Any
    ) -> list[ReflectedForeignKeyConstraint]:
        keys = super().get_foreign_keys(table_name, schema, **kw)
        return [foreign_key_as_declared(key) for key in keys]

    def get_multi_foreign_keys(
        self, *arguments: Any, **kw: Any
    ) -> dict[TableKey, list[ReflectedForeignKeyConstraint]]:
        found = super().get_multi_foreign_keys(*arguments, **kw)
        return {
            table: [foreign_key_as_declared(key) for key in keys] for table, keys in found.items()
        }

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


class _ByName(sqltypes.UserDefinedType[Any]):
    """A type that SQLAlchemy does not know, under the server's name."""

    cache_ok = True

    def get_col_spec(self, **kw: Any) -> str:
        return type(self).__name__


class _Vector(_ByName):
    def __init__(self, dimension: int | None = None) -> None:
        self.dimension = dimension

    def get_col_spec(self, **kw: Any) -> str:
        return type(self).__name__ + ("" if self.dimension is None else f"({self.dimension})")


class VECF32(_Vector):
    """A vector of 32-bit numbers."""


class VECF64(_Vector):
    """A vector of 64-bit numbers."""


class DATALINK(_ByName):
    """A link to a file."""


class GEOMETRY(_ByName):
    """A geometry (4.x)."""


_TYPE = re.compile(
    r"(?P<word>\w+)(?P<unsigned> UNSIGNED)?(?:\((?P<arguments>.*)\))?", re.IGNORECASE
)

_WITHOUT_ARGUMENTS: Final = frozenset(
    ("tinyint", "smallint", "int", "bigint", "bool", "year", "date", "text", "blob", "json", "uuid")
)


def described_type(text: str) -> str:
    """A type of DESCRIBE as SHOW CREATE TABLE writes it.

    DESCRIBE writes capitals, and a width behind every type: bits of integers, 0 of what has none.

    >>> described_type("INT UNSIGNED(32)"), described_type("DATE(0)"), described_type("CHAR(3)")
    ('int unsigned', 'date', 'char(3)')
    """
    match = _TYPE.fullmatch(text)
    if match is None:
        return text
    word, arguments = match["word"].lower(), match["arguments"]
    kept = word not in _WITHOUT_ARGUMENTS and arguments not in (None, "", "0")
    unsigned = " unsigned" if match["unsigned"] else ""
    return word + (f"({arguments})" if kept else "") + unsigned


class MatrixOneDDLCompiler(MySQLDDLCompiler):
    """MySQL's, for the one clause of CREATE TABLE that MatrixOne reads otherwise."""

    def define_unique_constraint_distinct(self, constraint: UniqueConstraint, **kw: Any) -> str:
        """The name once more: ``CONSTRAINT uq_item UNIQUE KEY uq_item (item)``.

        Of ``CONSTRAINT uq_item UNIQUE (item)`` the server's CREATE TABLE forgets the name, and
        calls the key after its column: ``DROP INDEX uq_item`` then fails.
        """
        name = None if constraint.name is None else self.preparer.format_constraint(constraint)
        return "" if name is None else f"KEY {name} "


class MatrixOneDialect(MySQLDialect):
    """Common base of the three dialects."""

    is_matrixone = True
    matrixone_version: server.Version | None = None
    """The server's version, known from the first connection on; None on another server."""

    inspector = MatrixOneInspector
    ddl_compiler = MatrixOneDDLCompiler
    ischema_names = {  # noqa: RUF012 - as SQLAlchemy declares it
        **MySQLDialect.ischema_names,
        "bool": sqltypes.BOOLEAN,
        "vecf32": VECF32,
        "vecf64": VECF64,
        "datalink": DATALINK,
        "geometry": GEOMETRY,
    }
    colspecs = {**MySQLDialect.colspecs, sqltypes.Boolean: _Boolean}  # noqa: RUF012 - likewise

    def initialize(self, connection: Connection) -> None:
        super().initialize(connection)
        self.matrixone_version = server.matrixone_version(connection)

    def set_engine_execution_options(self, engine: Engine, opts: Mapping[str, Any]) -> None:
        """Set options as SQLAlchemy does; a dead connection of the pool is replaced."""
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
        """Refuse what the server does not implement: the transaction is damaged from here on."""
        note_failed_savepoint(connection, name)
        super().do_rollback_to_savepoint(connection, name)  # type: ignore[no-untyped-call]

    def _describe_table(self, *arguments: Any, **kw: Any) -> list[tuple[Any, ...]]:  # type: ignore[override]
        """Describe a view in words that SQLAlchemy's parser takes."""
        rows: Any = super()._describe_table(*arguments, **kw)
        return [
            (
                row[0],
                described_type(row[1]),
                "" if row[2] == "NO" else row[2],
                *(row[i] for i in (3, 4, 5)),
            )
            for row in rows
        ]

    def _get_default_schema_name(self, connection: Connection) -> str:
        """The current database, or None: MatrixOne says ``''`` where MySQL says NULL."""
        return super()._get_default_schema_name(connection) or None  # type: ignore[return-value]

    def _get_server_version_info(self, connection: Connection) -> tuple[int, ...]:
        """The MySQL version that MatrixOne speaks like, without its own behind it."""
        return super()._get_server_version_info(connection)[:3]


@functools.cache
def _with_shared_tls_context(connection_class: type[Any]) -> type[Any]:
    """PyMySQL's connection, with one TLS context for all that verify no certificate.

    Without TLS arguments it uses TLS where the server offers it, and verifies nothing. It reads all
    certificates of the system for that all the same, anew for each connection: some 20 ms, most of
    the time that a connection takes.
    """
    shared: list[Any] = []

    class SharedTLSConnection(connection_class):  # type: ignore[misc] # the driver is no import of ours
        def _create_ssl_ctx(self, sslp: Any) -> Any:
            if sslp:
                return super()._create_ssl_ctx(sslp)
            if not shared:
                shared.append(super()._create_ssl_ctx(sslp))
            return shared[0]

    return SharedTLSConnection


class MatrixOneDialect_pymysql(MatrixOneDialect, MySQLDialect_pymysql):
    supports_statement_cache = True

    def connect(self, *cargs: Any, **cparams: Any) -> Any:
        """Connect as PyMySQL does, see :func:`_with_shared_tls_context`; where its ``connect`` was
        replaced, as tracing libraries do, by what is there."""
        connect = self.loaded_dbapi.connect
        if isinstance(connect, type):
            connect = _with_shared_tls_context(connect)
        return connect(*cargs, **cparams)


class MatrixOneDialect_aiomysql(MatrixOneDialect, MySQLDialect_aiomysql):
    supports_statement_cache = True


class MatrixOneDialect_asyncmy(MatrixOneDialect, MySQLDialect_asyncmy):
    supports_statement_cache = True
