"""``mo-pitr import``: what it prints adopts the server's policies."""

from __future__ import annotations

from pathlib import Path

import pytest
from sqlalchemy import Engine

from sqlalchemy_matrixone_pitr import PitrManager
from tests.cli import Call, call, emulator, engine, environment

__all__ = ["call", "emulator", "engine", "environment"]

MODELS = """
from sqlalchemy import Column, Integer, MetaData, Table
from sqlalchemy_matrixone_pitr import TablePitr

metadata = MetaData()
for number in range(3):
    Table(f"t{number}", metadata, Column("id", Integer, primary_key=True))
"""


@pytest.fixture
def by_hand(engine: Engine) -> PitrManager:
    manager = PitrManager(engine)
    manager.create_table_pitr("made_by_ann", "shop", "t0", 7)
    manager.create_database_pitr("ops_shop", "shop", 3, "mo")
    manager.create_account_pitr("nightly", None, 2, "y")
    return manager


def test_the_lines(call: Call, by_hand: PitrManager) -> None:
    printed = call("import")
    assert (printed.code, printed.err) == (0, "")
    assert printed.out == (
        "from sqlalchemy_matrixone_pitr import DatabasePitr, Pitr, TablePitr, declare_pitrs\n"
        "\n"
        "# In each Table, or in its class's __table_args__ = (...,):\n"
        "# table shop.t0\n"
        "TablePitr('7d', 'made_by_ann'),\n"
        "declare_pitrs(\n"
        "    metadata,\n"
        "    Pitr.account('nightly', '2y'),\n"
        "    DatabasePitr('3mo', 'ops_shop'),\n"
        ")\n"
    )


NOTHING = (
    "# Nothing to adopt: every policy of the metadata's databases, the account and the cluster is "
    "declared.\n"
)


def test_pasted_they_are_in_sync(call: Call, by_hand: PitrManager, tmp_path: Path) -> None:
    (tmp_path / "before.py").write_text(MODELS)
    lines = call("import", "before:metadata").out.splitlines()
    table = next(line for line in lines if line.startswith("TablePitr"))
    rest = "\n".join([lines[0], *lines[lines.index("declare_pitrs(") :]])
    (tmp_path / "after.py").write_text(
        f"{MODELS}\n{rest}\n"
        f"from sqlalchemy.sql.schema import SchemaItem\n"
        f"item: SchemaItem = ({table})[0]\n"
        "metadata.tables['t0'].append_constraint\n"
        "item._set_parent_with_dispatch(metadata.tables['t0'])\n"
    )
    checked = call("check", "after:metadata")
    assert (checked.code, checked.out) == (0, "in sync: 3 policies, 3 tables\n")
    again = call("import", "after:metadata")
    assert again.out == NOTHING


def test_another_name_of_a_declared_table(call: Call, by_hand: PitrManager, tmp_path: Path) -> None:
    (tmp_path / "declared.py").write_text(
        MODELS.replace("primary_key=True)", 'primary_key=True), TablePitr("9d")')
    )
    printed = call("import", "declared:metadata")
    assert "TablePitr('7d', 'made_by_ann'),  # instead of '9d', 'pitr_shop_t0'\n" in printed.out


def test_other_databases(call: Call, engine: Engine, tmp_path: Path) -> None:
    with engine.begin() as conn:
        conn.exec_driver_sql("CREATE DATABASE other")
        conn.exec_driver_sql("CREATE TABLE other.x (id INT)")
    manager = PitrManager(engine)
    manager.create_table_pitr("x_week", "other", "x", 7)
    manager.create_database_pitr("other_week", "other", 7)
    printed = call("import").out
    assert (
        "# table other.x, whose Table has schema='other'\nTablePitr('7d', 'x_week'),\n" in printed
    )
    assert "DatabasePitr('7d', 'other_week', database_name='other')," in printed
    (tmp_path / "models.py").write_text(MODELS)
    assert call("import", "models:metadata").out == NOTHING
    asked = call("import", "models:metadata", "--database", "OTHER").out
    assert "TablePitr('7d', 'x_week')," in asked
    assert "DatabasePitr('7d', 'other_week', database_name='other')," in asked
    nothing = "# Nothing to adopt: every policy of shop is declared.\n"
    assert call("import", "models:metadata", "--database", "shop").out == nothing
    here = call("import", "--database", "shop").out
    assert here == "# Nothing to adopt: the server has no such policy.\n"


def test_what_cannot_be_adopted(call: Call, engine: Engine) -> None:
    PitrManager(engine).create_table_pitr("gone", "shop", "t1", 7)
    with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as conn:
        conn.exec_driver_sql("DROP TABLE shop.t1")
        conn.exec_driver_sql("CREATE PITR zero FOR DATABASE shop RANGE 1 'd'")
        conn.exec_driver_sql("ALTER PITR zero RANGE 0 'd'")
    printed = call("import").out
    assert "# not adopted: gone: table shop.t1 does not exist\n" in printed
    assert "# not adopted: zero of database shop cannot be declared: " in printed
    assert "import" not in printed


def test_a_renewed_policy_is_declared_once(
    call: Call, by_hand: PitrManager, engine: Engine
) -> None:
    with engine.begin() as conn:
        conn.exec_driver_sql("ALTER TABLE shop.t0 ADD COLUMN c INT")
    renewed = by_hand.renew("made_by_ann").name
    printed = call("import").out
    assert "TablePitr('7d', 'made_by_ann')," in printed
    assert renewed not in printed
