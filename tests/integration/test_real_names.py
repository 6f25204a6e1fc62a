"""A declared name becomes a real one once: folded, and through ``schema_translate_map``."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from sqlalchemy import Column, Engine, Integer, MetaData, Table, create_engine, event, text
from sqlalchemy.orm import Session, scoped_session, sessionmaker
from sqlalchemy.sql import quoted_name

from sqlalchemy_matrixone_pitr import (
    AlterPitr,
    CreatePitr,
    DatabasePitr,
    DropPitr,
    Pitr,
    PitrManager,
    RestorePitr,
    TablePitr,
    TransactionPitrManager,
    apply_plan,
    declare_pitrs,
    declared_pitrs,
    ensure_pitrs,
    get_pitrs,
    get_recovery_windows,
    install_events,
    plan_pitrs,
    renew_pitr,
)
from sqlalchemy_matrixone_pitr.names import fold
from tests.conftest import Server

pytestmark = pytest.mark.one_version

Names = Callable[[], list[str]]


class Shouting(str):
    """A ``str`` whose methods lie."""

    def lower(self) -> str:
        return "nonsense"

    def isascii(self) -> bool:
        return True

    def __str__(self) -> str:
        return "nonsense"


@pytest.fixture
def pair(server: Server, prefix: str) -> Iterator[tuple[str, str]]:
    """Two databases, each with a table ``t``."""
    names = f"{prefix}a", f"{prefix}b"
    for name in names:
        server.query(f"CREATE DATABASE {name}")
        server.query(f"CREATE TABLE {name}.t (id INT PRIMARY KEY)")
    yield names
    for name in names:
        server.query(f"DROP DATABASE IF EXISTS {name}")
    for row in server.query("SHOW PITR"):
        if str(row[0]).startswith(prefix):
            server.query(f"DROP PITR IF EXISTS `{row[0]}`")


@pytest.fixture
def engine_a(server: Server, pair: tuple[str, str]) -> Iterator[Engine]:
    made = create_engine(server.url(database=pair[0]))
    yield made
    made.dispose()


def targets(engine: Engine, prefix: str) -> dict[str, str]:
    """The object that each PITR of the test is for."""
    return {
        pitr.name: f"{pitr.database_name}.{pitr.table_name}"
        for pitr in get_pitrs(engine)
        if pitr.name.startswith(prefix)
    }


# ----------------------------------------------------------------------------------------- folding


@pytest.mark.parametrize(
    "make", [str, lambda name: quoted_name(name, quote=True), Shouting], ids=lambda f: f.__name__
)
def test_every_string_is_folded(make: Callable[[str], str]) -> None:
    name = make("MyName")
    assert fold(name) == "myname"
    assert type(fold(name)) is str
    pitr = Pitr.table(name, name, make("7D"), database_name=name)
    assert (pitr.name, pitr.table_name, pitr.database_name) == ("myname",) * 3
    assert AlterPitr(name, "7d").name == DropPitr(name).name == "myname"
    restore = RestorePitr(name, "2026-11-22 09:30:00", database=name, table=name)
    assert str(restore) == (
        "RESTORE DATABASE `myname` TABLE `myname` FROM PITR `myname` '2026-11-22 09:30:00'"
    )
    metadata = MetaData()
    schema = str.__str__(name) if isinstance(name, Shouting) else name  # fools SQLAlchemy itself
    Table(name, metadata, Column("id", Integer), TablePitr("7d"), schema=schema)
    declare_pitrs(metadata, DatabasePitr("1d", make("Other"), database_name=name))
    assert [pitr.database_name for pitr in declared_pitrs(metadata)] == ["myname"] * 2


def test_a_quoted_table_is_protected_once(
    engine_a: Engine, pair: tuple[str, str], prefix: str
) -> None:
    metadata = MetaData()
    Table("Orders", metadata, Column("id", Integer), TablePitr("7d", prefix), quote=True)
    metadata.create_all(engine_a)
    assert len(ensure_pitrs(engine_a, metadata).done) == 1
    assert ensure_pitrs(engine_a, metadata).done == []
    assert plan_pitrs(engine_a, metadata).in_sync
    assert targets(engine_a, prefix) == {prefix: f"{pair[0]}.orders"}
    install_events(metadata)
    metadata.drop_all(engine_a)
    assert targets(engine_a, prefix) == {}


def test_a_quoted_schema_and_name(engine_a: Engine, pair: tuple[str, str], prefix: str) -> None:
    metadata = MetaData()
    schema = pair[1].upper()
    Table("T", metadata, TablePitr("7d", prefix), schema=schema, quote_schema=True, quote=True)
    assert apply_plan(engine_a, plan_pitrs(engine_a, metadata)).ok
    assert plan_pitrs(engine_a, metadata).in_sync
    manager = PitrManager(engine_a)
    upper = quoted_name(prefix.upper(), quote=True)
    assert manager.exists(upper)
    assert manager.alter(upper, 3, "d").table_name == "t"
    assert [p.name for p in manager.list(database_name=quoted_name(schema, True))] == [prefix]
    with engine_a.begin() as conn:
        inside = TransactionPitrManager(conn)
        assert inside.get(upper).name == prefix
        assert inside.delete(Shouting(prefix))
    assert targets(engine_a, prefix) == {}


# ------------------------------------------------------------------------ never translated twice


def renewed(engine: Engine, prefix: str) -> None:
    renew_pitr(engine, prefix)


def renewed_by_the_manager(engine: Engine, prefix: str) -> None:
    PitrManager(engine).renew(prefix)


def renewed_in_a_transaction(engine: Engine, prefix: str) -> None:
    with engine.begin() as conn:
        TransactionPitrManager(conn).renew(prefix)


def renewed_by_a_plan(engine: Engine, prefix: str) -> None:
    # what is declared for b is made in a
    metadata = MetaData()
    source = engine.get_execution_options()["schema_translate_map"]
    of_a = next(schema for schema, name in source.items() if name.endswith("a"))
    Table("t", metadata, TablePitr("7d", prefix), schema=of_a)
    assert apply_plan(engine, plan_pitrs(engine, metadata)).ok


WAYS = (renewed, renewed_by_the_manager, renewed_in_a_transaction, renewed_by_a_plan)


@pytest.mark.parametrize("way", WAYS, ids=lambda way: way.__name__)
def test_a_real_name_is_not_translated(
    engine_a: Engine, server: Server, pair: tuple[str, str], prefix: str, way: Any
) -> None:
    a, b = pair
    server.query(f"CREATE PITR {prefix} FOR TABLE {a} t RANGE 7 'd'")
    server.query(f"ALTER TABLE {a}.t ADD COLUMN c INT")
    swapped = engine_a.execution_options(schema_translate_map={a: b, b: a})
    way(swapped, prefix)
    assert targets(engine_a, prefix) == {prefix: f"{a}.t", f"{prefix}__g2": f"{a}.t"}


@pytest.mark.parametrize("chain", ["swap", "chain", "none"])
@pytest.mark.parametrize("way", ["ensure", "plan", "events", "elements", "manager"])
def test_a_declared_name_is_translated_once(
    engine_a: Engine, pair: tuple[str, str], prefix: str, way: str, chain: str
) -> None:
    a, b = pair
    maps: dict[str, dict[str | None, str | None]] = {
        "swap": {a: b, b: a},
        "chain": {a: b, b: "nowhere"},
        "none": {None: b, b: a},
    }
    declared = None if chain == "none" else a
    mapped = engine_a.execution_options(schema_translate_map=maps[chain])
    metadata = MetaData()
    Table("t", metadata, Column("id", Integer), TablePitr("7d", prefix), schema=declared)
    if way == "ensure":
        assert len(ensure_pitrs(mapped, metadata).done) == 1
        assert ensure_pitrs(mapped, metadata).done == []
    elif way == "plan":
        assert apply_plan(mapped, plan_pitrs(mapped, metadata)).ok
        assert plan_pitrs(mapped, metadata).in_sync
    elif way == "events":
        install_events(metadata)
        metadata.create_all(mapped)
    elif way == "elements":
        with mapped.begin() as conn:
            conn.execute(CreatePitr(Pitr.table(prefix, "t", "7d", database_name=declared)))
    else:
        manager = PitrManager(mapped)
        manager.create(Pitr.table(prefix, "t", "7d", database_name=declared))
        if declared is not None:
            assert [p.name for p in manager.list(database_name=declared)] == [prefix]
            assert [p.name for p in get_pitrs(mapped, database_name=declared)] == [prefix]
            assert get_recovery_windows(mapped, database_name=declared)[0].database_name == b
            with mapped.connect() as conn:
                inside = TransactionPitrManager(conn)
                assert [p.name for p in inside.list(database_name=declared)] == [prefix]
    assert targets(engine_a, prefix) == {prefix: f"{b}.t"}


def test_a_schema_that_maps_to_none_is_the_current_database(
    engine_a: Engine, pair: tuple[str, str], prefix: str
) -> None:
    a, b = pair  # and is not looked up once more
    mapped = engine_a.execution_options(schema_translate_map={"core": None, None: b})
    metadata = MetaData()
    Table("t", metadata, Column("id", Integer), TablePitr("7d", prefix), schema="core")
    assert apply_plan(mapped, plan_pitrs(mapped, metadata)).ok
    assert targets(engine_a, prefix) == {prefix: f"{a}.t"}


def test_the_keys_of_a_map_are_as_they_are_written(
    engine_a: Engine, pair: tuple[str, str], prefix: str
) -> None:
    a, b = pair
    metadata = MetaData()
    Table("t", metadata, Column("id", Integer), TablePitr("7d", prefix), schema=a.upper())
    apart = engine_a.execution_options(schema_translate_map={a: b})
    assert apply_plan(apart, plan_pitrs(apart, metadata)).ok
    assert targets(engine_a, prefix) == {prefix: f"{a}.t"}  # where create_all has the table
    [pitr] = declared_pitrs(metadata, schema_translate_map={a.upper(): b.upper()})
    assert pitr.database_name == b


# ---------------------------------------------------------------------------------- never forgotten


def test_the_map_of_a_connection_is_not_forgotten(
    engine_a: Engine, server: Server, pair: tuple[str, str], prefix: str
) -> None:
    b = pair[1]
    metadata = MetaData()
    Table("t", metadata, Column("id", Integer), TablePitr("7d", prefix))

    def database(bind: Any) -> str | None:
        [action] = plan_pitrs(bind, metadata).actions
        return action.pitr.database_name

    options = {"schema_translate_map": {None: b}}
    with engine_a.connect().execution_options(**options) as conn:
        assert database(conn) == b
        conn.execute(text("SELECT 1"))
        assert database(conn) == b
        with Session(conn) as session:
            assert database(session) == b
            session.execute(text("SELECT 1"))
            assert database(session) == b
    with Session(engine_a) as session:
        session.connection(execution_options=options)
        assert database(session) == b
        assert database(scoped_session(lambda: session)) == b  # type: ignore[arg-type]
    level = {"isolation_level": "AUTOCOMMIT", **options}
    with engine_a.connect().execution_options(**level) as conn:
        assert database(conn) == b
        conn.execute(text("SELECT 1"))
        assert database(conn) == b


@pytest.mark.parametrize("options", [{}, {"isolation_level": "AUTOCOMMIT"}], ids=str)
def test_use_is_not_forgotten(
    engine_a: Engine, pair: tuple[str, str], prefix: str, options: dict[str, Any]
) -> None:
    metadata = MetaData()
    Table("t", metadata, Column("id", Integer), TablePitr("7d", prefix))
    declare_pitrs(metadata, DatabasePitr("7d", f"{prefix}d"))
    with engine_a.connect().execution_options(**options) as conn:
        conn.execute(text(f"USE {pair[1]}"))
        conn.commit()
        for bind in (conn, Session(conn)):
            plan = plan_pitrs(bind, metadata)
            assert {action.pitr.database_name for action in plan.actions} == {pair[1]}
        conn.execute(CreatePitr(Pitr.table(prefix, "t", "7d")))
        conn.commit()
    assert targets(engine_a, prefix) == {prefix: f"{pair[1]}.t"}


@pytest.mark.parametrize("default", ["listener", "none"])
def test_ensure_asks_the_server_for_the_database(
    server: Server, pair: tuple[str, str], prefix: str, default: str
) -> None:
    engine = create_engine(server.url(database=pair[0] if default == "listener" else None))

    @event.listens_for(engine, "connect")
    def use(driver_connection: Any, record: Any) -> None:
        cursor = driver_connection.cursor()
        cursor.execute(f"USE {pair[1]}")
        cursor.close()

    metadata = MetaData()
    Table("t", metadata, Column("id", Integer), TablePitr("7d", prefix))
    assert len(ensure_pitrs(engine, metadata).done) == 1
    assert ensure_pitrs(engine, metadata).done == []
    assert plan_pitrs(engine, metadata).in_sync
    assert targets(engine, prefix) == {prefix: f"{pair[1]}.t"}
    engine.dispose()


# ------------------------------------------------------------------------------------- never mixed


def test_what_the_library_sends_has_no_map(
    engine_a: Engine, pair: tuple[str, str], prefix: str
) -> None:
    a, b = pair
    maps: list[dict[str | None, str | None]] = [{"x": b}, {None: a}, {"x": b, None: b}, {"y": None}]
    number = itertools.count()
    for schema_map in maps:
        with engine_a.connect().execution_options(schema_translate_map=schema_map) as conn:
            get_pitrs(conn, with_status=True)
            name = f"{prefix}_{next(number)}"
            conn.execute(CreatePitr(Pitr.table(name, "t", "7d")))
            conn.commit()
            assert name in {pitr.name for pitr in get_pitrs(conn)}
            conn.execute(DropPitr(name))
            conn.commit()
            manager = TransactionPitrManager(conn)
            manager.create(Pitr.database(name, "7d"))
            assert manager.exists(name)
            conn.rollback()
    options: dict[str, Any] = {"stream_results": True, "yield_per": 1, "no_parameters": True}
    with engine_a.connect().execution_options(**options) as conn:
        conn.execute(CreatePitr(Pitr.table(f"{prefix}_s", "t", "7d")))
        conn.commit()
        assert f"{prefix}_s" in {pitr.name for pitr in get_pitrs(conn, with_status=True)}


def test_a_session_of_a_mapped_engine(engine_a: Engine, pair: tuple[str, str], prefix: str) -> None:
    mapped = engine_a.execution_options(schema_translate_map={"core": pair[1]})
    factory = sessionmaker(mapped)
    with factory() as session:
        manager = TransactionPitrManager(session)
        manager.create_table_pitr(prefix, "core", "t")
        assert [p.name for p in manager.list(database_name="core")] == [prefix]
        session.commit()
    assert targets(engine_a, prefix) == {prefix: f"{pair[1]}.t"}


# --------------------------------------------------------------------------- names that are made


def test_made_names_differ() -> None:
    metadata = MetaData()
    for schema, name in (
        ("core", "a_r"),
        ("core_a", "r"),
        ("core", "_a_r"),
        ("core_", "a_r"),
        ("core_a_r", "t"),
    ):
        Table(name, metadata, Column("id", Integer), TablePitr("7d"), schema=schema)
    databases = ("core", "core_a", "core__a", "core_a_r")
    declare_pitrs(metadata, *(DatabasePitr("7d", database_name=name) for name in databases))
    assert len({pitr.name for pitr in declared_pitrs(metadata)}) == 9
