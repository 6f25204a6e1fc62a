"""Managers and a transaction's own waiting statements, and names."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from sqlalchemy import Engine, MetaData, create_engine, text
from sqlalchemy.orm import Session

from sqlalchemy_matrixone_pitr import (
    AlterPitr,
    CreatePitr,
    Pitr,
    PitrAlreadyExistsError,
    PitrManager,
    PitrNotFoundError,
    PitrUnsupportedError,
    PitrValidationError,
    TransactionPitrManager,
    apply_plan,
    declare_pitrs,
    ensure_pitrs,
    install_engine_hook,
    pending_pitrs,
    plan_pitrs,
)
from sqlalchemy_matrixone_pitr.inspection import inspect
from tests.conftest import Say, Server
from tests.proxy import Proxy


def test_overlay(engine: Engine, database: str, prefix: str) -> None:
    outside = PitrManager(engine)
    with engine.connect() as conn:
        conn.execute(text("CREATE TABLE t (id INT PRIMARY KEY)"))
        inside = TransactionPitrManager(conn)
        made = inside.create_table_pitr(f"{prefix}_T", database, "t", 3)
        assert inside.get(f"{prefix}_t") == made
        assert inside.exists(f"{prefix}_t")
        assert not outside.exists(f"{prefix}_t")
        assert inside.alter(f"{prefix}_t", 4, "d").range_value == 4
        assert inside.get(f"{prefix}_t").range_value == 4
        assert [p.name for p in inside.list(level="table", database_name=database)] == [
            f"{prefix}_t"
        ]
        assert inside.list(level="database", database_name=database) == []
        with pytest.raises(PitrAlreadyExistsError):
            inside.create_table_pitr(f"{prefix}_t", database, "t")
        assert inside.delete(f"{prefix}_t")
        assert not inside.delete(f"{prefix}_t")
        assert inside.create_database_pitr(f"{prefix}_t", database).level == "database"
        assert len(pending_pitrs(conn)) == 4
        conn.commit()
    assert outside.get(f"{prefix}_t") == Pitr.database(f"{prefix}_t", "1d", database_name=database)


def test_filters_hold_for_waiting_ones_too(engine: Engine, database: str, prefix: str) -> None:
    with engine.begin() as conn:
        conn.execute(text("CREATE TABLE t (id INT PRIMARY KEY)"))
        conn.execute(text("CREATE TABLE u (id INT PRIMARY KEY)"))
        conn.execute(CreatePitr(Pitr.table(f"{prefix}_t", "t", "7d")))
    with engine.connect() as conn:
        inside = TransactionPitrManager(conn)
        inside.create(Pitr.database(f"{prefix}_d", "7d"))
        # the name is held by the policy of t: nothing will be created
        inside.create(Pitr.table(f"{prefix}_t", "u", "7d"), if_not_exists=True)

        def names(**wanted: Any) -> list[str]:
            return [p.name.removeprefix(prefix) for p in inside.list(**wanted)]

        assert names(database_name=database) == ["_d", "_t"]
        assert names(database_name="nosuch") == []
        assert names(table_name="u") == []
        assert names(database_name=database, table_name="t") == ["_t"]
        assert names(level="database", database_name=database) == ["_d"]
        assert names(account_name="nosuch") == []
        assert names(account_name="sys", database_name=database) == ["_d", "_t"]


def test_unicode_blanks_in_names(engine: Engine, database: str, prefix: str) -> None:
    manager = PitrManager(engine)
    name = f"{prefix}\u00a0\u3000\u2028x"
    assert not manager.delete(name)
    manager.create_database_pitr(name, database)
    with pytest.raises(PitrAlreadyExistsError):
        manager.create_database_pitr(name, database)
    assert manager.delete(name)


def test_missing_ones(engine: Engine, prefix: str) -> None:
    with Session(engine) as session:
        inside = TransactionPitrManager(session)
        assert not inside.delete(prefix)
        assert pending_pitrs(session.connection()) == []
        with pytest.raises(PitrNotFoundError):
            inside.get(prefix)
        with pytest.raises(PitrNotFoundError):
            inside.alter(prefix, 2, "d")
        with pytest.raises(PitrNotFoundError, match="names belong to the account"):
            inside.renew(prefix)
        with pytest.raises(PitrValidationError):
            inside.delete(f"{prefix}\\x")  # somebody else's might be called so
        assert pending_pitrs(session.connection()) == []
    outside = PitrManager(engine)
    with pytest.raises(PitrNotFoundError) as caught:
        outside.alter(prefix, 2, "d")
    assert caught.value.name == prefix
    with pytest.raises(PitrNotFoundError):
        outside.get(prefix)
    assert not outside.delete(prefix)
    with pytest.raises(PitrNotFoundError), engine.connect() as conn:
        conn.execution_options(isolation_level="AUTOCOMMIT").execute(AlterPitr(prefix, "2d"))


def test_what_somebody_else_drops_first_is_not_there(
    proxied_engine: Engine, proxy: Proxy, prefix: str, say_beside: Say
) -> None:
    manager = PitrManager(proxied_engine)
    manager.create_account_pitr(prefix)
    proxy.on("^DROP PITR", lambda: say_beside(f"DROP PITR {prefix}"))
    assert manager.delete(prefix) is False
    assert len(proxy.matching("^DROP PITR")) == 1


def test_a_policy_of_the_account_needs_no_renewal(engine: Engine, prefix: str) -> None:
    """Nor what a transaction has rebuilt of it."""
    with engine.connect() as conn:
        inside = TransactionPitrManager(conn)
        PitrManager(engine).create_account_pitr(prefix)
        conn.execute(text("CREATE TABLE t (id INT PRIMARY KEY)"))
        assert inside.renew(prefix).name == prefix
        assert pending_pitrs(conn) == []
    PitrManager(engine).delete(prefix)


def test_rollback_of_a_session_forgets(engine: Engine, database: str, prefix: str) -> None:
    with Session(engine) as session:
        inside = TransactionPitrManager(session)
        inside.create_database_pitr(prefix, database)
        session.rollback()
        assert not inside.exists(prefix)
    assert not PitrManager(engine).exists(prefix)


def test_if_not_exists(engine: Engine, database: str, prefix: str) -> None:
    manager = PitrManager(engine)
    first = manager.create_database_pitr(prefix, database)
    # silent, and compares the name only: another range does not arrive
    manager.create(Pitr.database(prefix, "9d", database_name=database), if_not_exists=True)
    assert manager.get(prefix) == first
    with pytest.raises(PitrAlreadyExistsError):
        manager.create(first)
    with pytest.raises(PitrAlreadyExistsError):
        manager.create_database_pitr(f"{prefix}_b", database)


def test_upper_case_names(engine: Engine, database: str, prefix: str) -> None:
    manager = PitrManager(engine)
    made = manager.create_database_pitr(f"{prefix}_UPPER", database.upper())
    assert made.name == f"{prefix}_upper"
    assert manager.get(f"{prefix}_Upper") == made
    assert manager.exists(f"{prefix}_UPPER")
    assert manager.delete(f"{prefix}_UPPER")


def test_default_database_of_the_engine(engine: Engine, database: str, prefix: str) -> None:
    manager = PitrManager(engine)
    assert manager.create(Pitr.database(prefix, "7d")).database_name is None
    assert manager.get(prefix).database_name == database


def test_wrong_binds(server: Server, engine: Engine) -> None:
    with engine.connect() as conn:
        with pytest.raises(PitrValidationError, match="TransactionPitrManager"):
            PitrManager(conn)  # type: ignore[arg-type]
        with pytest.raises(PitrValidationError, match="bind_arguments"):
            TransactionPitrManager(conn, {"mapper": object})
    with pytest.raises(PitrValidationError, match="PitrManager"):
        TransactionPitrManager(engine)  # type: ignore[arg-type]


def test_what_acts_at_once_takes_engines_and_plans(engine: Engine, prefix: str) -> None:
    """A Connection would be in the caller's transaction; and a text is no plan."""
    metadata = MetaData()
    declare_pitrs(metadata, Pitr.account(prefix, "7d"))
    plan = plan_pitrs(engine, metadata)
    with engine.connect() as conn:
        calls: dict[str, Callable[[Any], object]] = {
            "apply_plan takes an Engine, not Connection": lambda bind: apply_plan(bind, plan),
            "ensure_pitrs takes an Engine, not Connection": lambda bind: ensure_pitrs(
                bind, metadata
            ),
            "install_engine_hook takes an Engine or": lambda bind: install_engine_hook(
                bind, metadata
            ),
            "a Plan of plan_pitrs": lambda bind: apply_plan(engine, "p"),  # type: ignore[arg-type]
        }
        for said, call in calls.items():
            with pytest.raises(PitrValidationError, match=said):
                call(conn)
    assert not PitrManager(engine).exists(prefix)


def test_an_inspector_of_another_url(server: Server, database: str) -> None:
    engine = create_engine(server.url("mysql+pymysql", database))
    with pytest.raises(PitrUnsupportedError, match=r"mysql\+pymysql URL has no get_pitrs"):
        inspect(engine)
    engine.dispose()


@pytest.mark.parametrize("bad", ["", "a b", "a'b", "a`b", 'a"b', "a\\b", "a\nb", "x" * 5001])
def test_bad_names_are_never_sent(server: Server, bad: str) -> None:
    unreachable = create_engine("matrixone+pymysql://nobody:x@127.0.0.1:1/")
    manager = PitrManager(unreachable)
    for call in (
        lambda: manager.create_account_pitr(bad),
        lambda: manager.get(bad),
        lambda: manager.exists(bad),
        lambda: manager.alter(bad, 1, "d"),
        lambda: manager.restore(bad, "2026-01-01 00:00:00", level="account"),
    ):
        with pytest.raises(PitrValidationError):
            call()
    if "\\" not in bad:  # somebody else's may be called so
        with pytest.raises(PitrValidationError):
            manager.delete(bad)


def test_a_range_in_place_of_value_and_unit(engine: Engine, database: str, prefix: str) -> None:
    manager = PitrManager(engine)
    with engine.begin() as conn:
        conn.execute(text("CREATE TABLE t (id INT PRIMARY KEY)"))
    assert str(manager.create_table_pitr(f"{prefix}_t", database, "t", "7d").range) == "7d"
    assert str(manager.create_database_pitr(f"{prefix}_d", database, (3, "mo")).range) == "3mo"
    assert str(manager.alter(f"{prefix}_t", "14d").range) == "14d"
    with engine.connect() as conn:
        inside = TransactionPitrManager(conn)
        assert str(inside.alter(f"{prefix}_t", "21d").range) == "21d"
        conn.commit()
    assert str(manager.get(f"{prefix}_t").range) == "21d"
    with pytest.raises(PitrValidationError, match="has no unit"):
        manager.alter(f"{prefix}_t", 3)
    with pytest.raises(PitrValidationError, match="has its unit already"):
        manager.alter(f"{prefix}_t", "3d", "mo")
