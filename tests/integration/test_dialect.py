"""Differences between our dialects and SQLAlchemy's."""

from __future__ import annotations

import asyncio
import contextlib
import ssl
from collections.abc import Callable
from typing import Any

import pymysql
import pytest
from sqlalchemy import (
    BOOLEAN,
    URL,
    Boolean,
    Column,
    Engine,
    ForeignKey,
    Integer,
    MetaData,
    Table,
    UniqueConstraint,
    create_engine,
    inspect as sa_inspect,
    text,
)
from sqlalchemy.exc import OperationalError
from sqlalchemy.ext.asyncio import AsyncEngine
from sqlalchemy.pool import NullPool
from sqlalchemy.schema import CreateTable

from sqlalchemy_matrixone_pitr import PitrManager, PitrUnsupportedError, get_pitrs
from tests.conftest import Server

pytestmark = pytest.mark.all_combinations

reads_certificates = pytest.mark.skipif(
    pymysql.VERSION[:2] < (1, 2), reason="PyMySQL before 1.2 uses TLS only where it is told to"
)


def test_identity(matrixone_engine: Engine, server: Server) -> None:
    with matrixone_engine.connect():
        pass
    dialect = matrixone_engine.dialect
    assert dialect.name == "mysql"
    assert dialect.is_matrixone  # type: ignore[attr-defined]
    assert dialect.matrixone_version[:2] == server.version[:2]  # type: ignore[attr-defined]
    assert dialect.server_version_info == (8, 0, 30)


def test_booleans_come_back_as_they_were_stored(matrixone_engine: Engine) -> None:
    """3.x sends words, and SQLAlchemy's own reading of the word false is True."""
    metadata = MetaData()
    flags = Table("b", metadata, Column("id", Integer, primary_key=True), Column("flag", Boolean))
    metadata.create_all(matrixone_engine)
    stored = [(1, True), (2, False), (3, None)]
    with matrixone_engine.connect() as conn:
        conn.execute(flags.insert(), [{"id": n, "flag": flag} for n, flag in stored])
        rows = conn.execute(flags.select().order_by(flags.c.id)).all()
        assert [tuple(row) for row in rows] == stored
        assert all(type(row.flag) in (bool, type(None)) for row in rows)
        assert conn.scalars(flags.select().where(flags.c.flag.is_(False))).all() == [2]
        reflected = Table("b", MetaData(), autoload_with=conn)
        assert [tuple(row) for row in conn.execute(reflected.select().order_by("id"))] == stored


def test_boolean_reflects(matrixone_engine: Engine) -> None:
    metadata = MetaData()
    Table("b", metadata, Column("id", Integer, primary_key=True), Column("flag", Boolean))
    metadata.create_all(matrixone_engine)
    columns = {c["name"]: c["type"] for c in sa_inspect(matrixone_engine).get_columns("b")}
    assert isinstance(columns["flag"], BOOLEAN)
    reflected = MetaData()
    reflected.reflect(matrixone_engine)
    assert isinstance(reflected.tables["b"].c.flag.type, BOOLEAN)


def test_no_default_database(server: Server) -> None:
    engine = create_engine(server.url())
    with engine.connect():
        assert engine.dialect.default_schema_name is None
    engine.dispose()


def test_default_database(matrixone_engine: Engine, database: str) -> None:
    with matrixone_engine.connect():
        assert matrixone_engine.dialect.default_schema_name == database


@pytest.mark.parametrize("level", ["READ COMMITTED", "REPEATABLE READ", "AUTOCOMMIT"])
def test_isolation_levels(matrixone_engine: Engine, level: str) -> None:
    with matrixone_engine.connect() as conn:
        conn = conn.execution_options(isolation_level=level)
        autocommit = conn.exec_driver_sql("SELECT @@autocommit").scalar()
        assert str(autocommit) in ({"1", "ON"} if level == "AUTOCOMMIT" else {"0", "OFF"})
    with matrixone_engine.connect() as conn:
        assert str(conn.exec_driver_sql("SELECT @@autocommit").scalar()) in {"0", "OFF"}


def test_async(make_async_engine: Callable[..., AsyncEngine], server: Server) -> None:
    async def main() -> None:
        engine = make_async_engine()
        if engine.url.get_backend_name() == "mysql":
            pytest.skip("SQLAlchemy's own dialect")
        async with engine.connect() as conn:
            found = await conn.run_sync(lambda sync: sa_inspect(sync).get_pitrs())  # type: ignore[attr-defined]
            assert isinstance(found, list)
        version = engine.dialect.matrixone_version  # type: ignore[attr-defined]
        assert version[:2] == server.version[:2]
        await engine.dispose()

    asyncio.run(main())


COLUMNS = {
    "INT": "INTEGER()",
    "BIGINT UNSIGNED": "BIGINT(unsigned=True)",
    "BOOL": "BOOLEAN()",
    "DECIMAL(10,2)": "DECIMAL(precision=10, scale=2)",
    "VARCHAR(10)": "VARCHAR(length=10)",
    "TEXT": "TEXT()",
    "BLOB": "BLOB()",
    "DATE": "DATE()",
    "DATETIME(6)": "DATETIME(fsp=6)",
    "JSON": "JSON()",
}


def test_foreign_keys_reflect_as_declared(matrixone_engine: Engine) -> None:
    """Without the rules and the names that the server adds; a reflected copy can be created."""
    metadata = MetaData()
    Table("a", metadata, Column("id", Integer, primary_key=True))
    Table(
        "b",
        metadata,
        Column("id", Integer, primary_key=True),
        Column("plain", ForeignKey("a.id")),
        Column("ruled", ForeignKey("a.id", name="fk_ruled", ondelete="CASCADE")),
    )
    metadata.create_all(matrixone_engine)
    inspector = sa_inspect(matrixone_engine)
    keys = inspector.get_foreign_keys("b")
    assert [(key["name"], key["options"]) for key in keys] == [
        (None, {}),
        ("fk_ruled", {"ondelete": "CASCADE"}),
    ]
    assert inspector.get_multi_foreign_keys()[None, "b"] == keys
    reflected = MetaData()
    reflected.reflect(matrixone_engine)
    rules = {key.name: (key.ondelete, key.onupdate) for key in reflected.tables["b"].foreign_keys}
    assert rules == {None: (None, None), "fk_ruled": ("CASCADE", None)}


def test_unique_keys_keep_their_names(matrixone_engine: Engine) -> None:
    metadata = MetaData(naming_convention={"uq": "uq_%(table_name)s_%(column_0_N_name)s"})
    table = Table(
        "a",
        metadata,
        Column("id", Integer, primary_key=True),
        Column("n", Integer, unique=True),
        UniqueConstraint("n", "id", name="some %"),
    )
    metadata.create_all(matrixone_engine)
    inspector = sa_inspect(matrixone_engine)
    found = sorted(str(key["name"]) for key in inspector.get_unique_constraints("a"))
    assert found == ["some %", "uq_a_n"]
    with matrixone_engine.begin() as conn:
        conn.execute(text("ALTER TABLE a DROP INDEX uq_a_n"))
    unnamed = Table("u", MetaData(), Column("n", Integer), UniqueConstraint("n"))
    assert "UNIQUE (n)" in str(CreateTable(unnamed).compile(matrixone_engine))
    assert "KEY uq_a_n (n)" in str(CreateTable(table).compile(matrixone_engine))


def test_a_view_reflects_as_its_table(matrixone_engine: Engine) -> None:
    """DESCRIBE, which SQLAlchemy reads of a view, writes INT(32), BIGINT UNSIGNED(64), DATE(0)."""
    columns = ", ".join(f"c{number} {kind}" for number, kind in enumerate(COLUMNS))
    with matrixone_engine.begin() as conn:
        conn.exec_driver_sql(f"CREATE TABLE t (id INT NOT NULL, {columns})")
        conn.exec_driver_sql("CREATE VIEW v AS SELECT * FROM t")
    table = Table("t", MetaData(), autoload_with=matrixone_engine)
    view = Table("v", MetaData(), autoload_with=matrixone_engine)
    assert [repr(column.type) for column in list(view.c)[1:]] == list(COLUMNS.values())
    assert [repr(column.type) for column in view.c] == [repr(column.type) for column in table.c]
    with matrixone_engine.connect() as conn:
        assert conn.execute(view.select()).all() == []


def test_vectors_reflect(matrixone_engine: Engine, server: Server) -> None:
    """In tables too SQLAlchemy's own reflection ends in a TypeError."""
    if not server.live:
        pytest.skip("the emulator has no vectors")
    with matrixone_engine.begin() as conn:
        conn.exec_driver_sql("CREATE TABLE t (a VECF32(3), b VECF64(2), c DATALINK)")
        conn.exec_driver_sql("CREATE VIEW v AS SELECT * FROM t")
    for name in ("t", "v"):
        found = Table(name, MetaData(), autoload_with=matrixone_engine)
        assert [str(column.type) for column in found.c] == ["VECF32(3)", "VECF64(2)", "DATALINK"]


def test_mysql_connector_is_refused_with_advice(server: Server, database: str) -> None:
    """Its SELECT opens a transaction before our SHOW, and refusals would have no class.

    Its dialect, on PyMySQL: the driver itself is not installed.
    """

    class Connection(pymysql.Connection):  # type: ignore[misc]
        def cursor(self, cursor: Any = None, buffered: bool = True) -> Any:
            return super().cursor(cursor)

    def connect() -> pymysql.Connection:
        return Connection(
            host=server.host,
            port=server.port,
            user=server.user,
            password=server.password,
            database=database,
        )

    engine = create_engine("mysql+mysqlconnector://", module=pymysql, creator=connect)
    try:
        with pytest.raises(PitrUnsupportedError, match=r"use matrixone\+pymysql"):
            PitrManager(engine).exists("p")
        with pytest.raises(PitrUnsupportedError, match="mysqlconnector opens transactions"):
            get_pitrs(engine)
    finally:
        engine.dispose()


def _contexts_of_three(url: URL, monkeypatch: pytest.MonkeyPatch, **arguments: object) -> list[Any]:
    """Return the TLS options for which three connections have a context made."""
    made: list[Any] = []

    class Connection(pymysql.connections.Connection):  # type: ignore[misc] # it has no types
        def _create_ssl_ctx(self, sslp: Any) -> Any:
            made.append(sslp)
            return ssl.create_default_context()

    monkeypatch.setattr(pymysql, "connect", Connection)
    engine = create_engine(url, poolclass=NullPool, connect_args=arguments)
    for _ in range(3):
        with contextlib.suppress(OperationalError), engine.connect() as conn:
            conn.exec_driver_sql("SELECT 1")
    engine.dispose()
    return made


@reads_certificates
def test_connections_share_the_tls_context_that_verifies_nothing(
    server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    """PyMySQL reads all certificates of the system for each of them."""
    assert _contexts_of_three(server.url("matrixone+pymysql"), monkeypatch) == [{}]


@reads_certificates
def test_tls_options_have_a_context_of_their_own(
    server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = _contexts_of_three(
        server.url("matrixone+pymysql"), monkeypatch, ssl_verify_identity=True
    )
    assert len(made) == 3
    assert all(options["verify_mode"] is True for options in made)


def test_a_replaced_connect_of_the_driver_is_called(
    server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Tracing libraries put a function of theirs in its place."""
    called = []
    original = pymysql.connect

    def traced(*arguments: Any, **options: Any) -> Any:
        called.append(options["host"])
        return original(*arguments, **options)

    monkeypatch.setattr(pymysql, "connect", traced)
    engine = create_engine(server.url("matrixone+pymysql"))
    with engine.connect() as conn:
        assert type(conn.connection.driver_connection) is original
    engine.dispose()
    assert called == [server.host]
