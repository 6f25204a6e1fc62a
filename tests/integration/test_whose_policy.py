"""Owners of policies: what is not surely the caller's is never altered or dropped."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from sqlalchemy import Column, Engine, Integer, MetaData, Table, create_engine, text

from sqlalchemy_matrixone_pitr import (
    DatabasePitr,
    Pitr,
    PitrManager,
    PitrNotFoundError,
    PitrValidationError,
    TablePitr,
    TransactionPitrManager,
    apply_plan,
    declare_pitrs,
    ensure_pitrs,
    get_pitrs,
    install_events,
    plan_pitrs,
)
from tests.conftest import Server
from tests.integration.test_real_names import engine_a, pair, targets

__all__ = ["engine_a", "pair"]  # fixtures

Names = Callable[[], list[str]]


# ---------------------------------------------------------------------------------------- drop_all


def test_drop_all_in_one_database_leaves_what_protects_another(
    engine_a: Engine, server: Server, pair: tuple[str, str], prefix: str, pitr_names: Names
) -> None:
    a, b = pair
    metadata = MetaData(naming_convention={"pitr": f"{prefix}_%(object_name)s"})
    Table("orders", metadata, Column("id", Integer), TablePitr("7d"))
    declare_pitrs(
        metadata,
        Pitr.account(prefix, "7d"),
        Pitr.database(f"{prefix}_b", "7d", database_name=a),
        DatabasePitr("1d", f"{prefix}_own"),
    )
    install_events(metadata)
    engine_b = create_engine(server.url(database=b))
    other = MetaData()
    Table("orders", other, Column("id", Integer), TablePitr("7d", f"{prefix}_o"))
    other.create_all(engine_a)
    assert apply_plan(engine_a, plan_pitrs(engine_a, other)).ok
    metadata.create_all(engine_b)
    assert f"{prefix}_own" in pitr_names()
    metadata.drop_all(engine_b)
    # b has its table t still, which nobody here has made
    assert pitr_names() == [prefix, f"{prefix}_b", f"{prefix}_o", f"{prefix}_own"]
    server.query(f"DROP TABLE {b}.t")
    metadata.create_all(engine_b)
    metadata.drop_all(engine_b)
    assert pitr_names() == [prefix, f"{prefix}_b", f"{prefix}_o"]
    engine_b.dispose()


def test_drop_all_where_the_tables_never_were(
    engine_a: Engine, server: Server, pair: tuple[str, str], prefix: str, pitr_names: Names
) -> None:
    metadata = MetaData()
    Table("nosuch", metadata, Column("id", Integer), TablePitr("7d", f"{prefix}_n"))
    declare_pitrs(metadata, Pitr.account(prefix, "7d"), DatabasePitr("1d", f"{prefix}_own"))
    install_events(metadata)
    manager = PitrManager(engine_a)
    manager.create(Pitr.account(prefix, "7d"))
    manager.create(Pitr.database(f"{prefix}_own", "1d"))
    server.query(f"DROP TABLE {pair[0]}.t")
    metadata.drop_all(engine_a)
    assert pitr_names() == [prefix, f"{prefix}_own"]


def test_drop_all_sees_what_its_own_transaction_has_made(
    engine_a: Engine, server: Server, pair: tuple[str, str], prefix: str, pitr_names: Names
) -> None:
    metadata = MetaData()
    Table("t", metadata, Column("id", Integer))
    declare_pitrs(metadata, DatabasePitr("1d", prefix))
    install_events(metadata)
    metadata.create_all(engine_a)
    with engine_a.begin() as conn:
        conn.execute(text("CREATE TABLE mine (id INT)"))
        metadata.drop_all(conn)
    assert pitr_names() == [prefix]


# -------------------------------------------------------------------------------------- generations


@pytest.fixture
def numbered(server: Server, pair: tuple[str, str], prefix: str) -> None:
    """Numbered by hand, in each of the ways that were taken for a renewal's."""
    a, b = pair
    server.query(f"CREATE PITR {prefix}__2025 FOR DATABASE {a} RANGE 7 'd'")
    server.query(f"CREATE PITR {prefix}__2026 FOR DATABASE {b} RANGE 7 'd'")
    server.query(f"CREATE PITR {prefix}_w__g2 FOR TABLE {a} t RANGE 7 'd'")
    server.query(f"CREATE PITR {prefix}_w__g3 FOR TABLE {b} t RANGE 7 'd'")


@pytest.mark.usefixtures("numbered")
def test_managers_leave_numbered_policies_alone(
    engine_a: Engine, prefix: str, pitr_names: Names
) -> None:
    before = pitr_names()
    manager = PitrManager(engine_a)
    for name in (prefix, f"{prefix}_w"):
        assert not manager.exists(name)
        assert not manager.delete(name)
        with engine_a.begin() as conn:
            inside = TransactionPitrManager(conn)
            assert not inside.exists(name)
            assert not inside.delete(name)
    assert pitr_names() == before
    assert manager.get(f"{prefix}_w__g2").table_name == "t"
    assert manager.delete(f"{prefix}_w__g2")
    assert pitr_names() == [f"{prefix}__2025", f"{prefix}__2026", f"{prefix}_w__g3"]


@pytest.mark.usefixtures("numbered")
def test_plans_leave_numbered_policies_alone(
    engine_a: Engine, pair: tuple[str, str], prefix: str, pitr_names: Names
) -> None:
    before = pitr_names()
    metadata = MetaData()
    Table("t", metadata, Column("id", Integer))
    declare_pitrs(metadata, DatabasePitr("7d", f"{prefix}_z", database_name=pair[0]))
    plan = plan_pitrs(engine_a, metadata)
    assert [str(c.existing.name) for c in plan.conflicts] == [f"{prefix}__2025"]
    assert [p.name for p in plan.undeclared] == [f"{prefix}__2025", f"{prefix}_w__g2"]
    theirs = plan_pitrs(engine_a, metadata, drop_undeclared=True)
    assert sorted(s for a in theirs.actions for s in a.statements) == [
        f"CREATE PITR `{prefix}_z` FOR DATABASE `{pair[0]}` RANGE 7 'd'",
        f"DROP PITR `{prefix}__2025`",
        f"DROP PITR `{prefix}_w__g2`",
    ]
    assert pitr_names() == before


def test_a_renewal_whose_line_is_gone_is_known_by_its_target(
    engine_a: Engine, server: Server, pair: tuple[str, str], prefix: str
) -> None:
    a, b = pair
    server.query(f"CREATE PITR {prefix}__g2 FOR TABLE {a} t RANGE 7 'd'")
    manager = PitrManager(engine_a)
    metadata = MetaData()
    Table("t", metadata, Column("id", Integer), TablePitr("7d", prefix))
    assert plan_pitrs(engine_a, metadata).in_sync
    assert not manager.exists(prefix)  # a number alone does not say whose it is
    assert manager.alter(f"{prefix}__g2", 7, "d").name == f"{prefix}__g2"
    server.query(f"CREATE PITR {prefix}__g9 FOR DATABASE {b} RANGE 1 'd'")
    assert plan_pitrs(engine_a, metadata).in_sync
    assert ensure_pitrs(engine_a, metadata).done == []
    assert targets(engine_a, prefix) == {f"{prefix}__g2": f"{a}.t", f"{prefix}__g9": f"{b}.None"}


def test_a_manager_does_not_go_on_to_somebody_elses(
    engine_a: Engine, server: Server, pair: tuple[str, str], prefix: str, pitr_names: Names
) -> None:
    a, b = pair
    server.query(f"CREATE PITR {prefix} FOR TABLE {a} t RANGE 7 'd'")
    server.query(f"CREATE PITR {prefix}__g2 FOR TABLE {b} t RANGE 7 'd'")
    manager = PitrManager(engine_a)
    assert [manager.delete(prefix), manager.delete(prefix)] == [True, False]
    with pytest.raises(PitrNotFoundError):
        manager.alter(prefix, 1, "h")
    with pytest.raises(PitrNotFoundError):
        manager.renew(prefix)
    with engine_a.begin() as conn:
        inside = TransactionPitrManager(conn)
        inside.create_table_pitr(prefix, a, "t")
        assert [inside.delete(prefix), inside.delete(prefix)] == [True, False]
    assert pitr_names() == [f"{prefix}__g2"]


def test_a_policy_whose_name_we_would_not_give_can_be_dropped(
    engine_a: Engine, server: Server, pair: tuple[str, str], prefix: str, pitr_names: Names
) -> None:
    for number in (1, 2):
        server.query(
            rf"CREATE PITR `{prefix}\\{number}` FOR TABLE {pair[number - 1]} t RANGE 1 'd'"
        )
    manager = PitrManager(engine_a)
    assert manager.delete(rf"{prefix}\1")
    with engine_a.begin() as conn:
        assert TransactionPitrManager(conn).delete(rf"{prefix}\2")
    assert pitr_names() == []
    with pytest.raises(PitrValidationError, match="backslash"):
        manager.delete(rf"{prefix}\1")


def test_a_number_that_somebody_has_is_passed_over(
    engine_a: Engine, server: Server, pair: tuple[str, str], prefix: str
) -> None:
    a, b = pair
    server.query(f"CREATE PITR {prefix} FOR TABLE {a} t RANGE 7 'd'")
    server.query(f"CREATE PITR {prefix}__g2 FOR TABLE {b} t RANGE 7 'd'")
    manager = PitrManager(engine_a)
    assert manager.alter(prefix, 2, "d").name == prefix
    server.query(f"ALTER TABLE {a}.t ADD COLUMN c INT")
    assert manager.renew(prefix).name == f"{prefix}__g3"
    assert targets(engine_a, prefix) == {
        prefix: f"{a}.t",
        f"{prefix}__g2": f"{b}.t",
        f"{prefix}__g3": f"{a}.t",
    }
    assert str(next(p for p in get_pitrs(engine_a) if p.name == f"{prefix}__g2").range) == "7d"
