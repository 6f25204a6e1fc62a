"""``plan``, ``check`` and ``show`` say ``rows only`` of what a table-level policy does not keep."""

from __future__ import annotations

import json
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
Table("t0", metadata, Column("id", Integer, primary_key=True), TablePitr("7d", "week"))
Table("t1", metadata, Column("id", Integer, primary_key=True), TablePitr("7d", "week_1"))
"""
SAID = (
    "rows only: shop.t0 (u): a table-level policy keeps no indexes, so that after a restore "
    "look-ups by them find nothing, and UNIQUE keys accept duplicates. A database-level policy "
    "keeps all of it: DatabasePitr, for shop"
)


@pytest.fixture
def manager(engine: Engine, tmp_path: Path) -> PitrManager:
    """Two policies for tables; one table has a UNIQUE index."""
    (tmp_path / "models.py").write_text(MODELS)
    with engine.begin() as conn:
        conn.exec_driver_sql("CREATE UNIQUE INDEX u ON shop.t0 (id)")
    made = PitrManager(engine)
    made.create_table_pitr("week", "shop", "t0", 7)
    made.create_table_pitr("week_1", "shop", "t1", 7)
    return made


def test_plan_and_check(call: Call, manager: PitrManager) -> None:
    """It is no drift."""
    for command in ("plan", "check"):
        found = call(command, "models:metadata")
        assert (found.code, found.out.splitlines()) == (
            0,
            [SAID, "in sync: 2 policies, 2 tables"],
        )
    told = json.loads(call("check", "models:metadata", "--json").out)
    assert told["in_sync"] is True
    assert told["rows_only"] == [
        {
            "database_name": "shop",
            "table_name": "t0",
            "policy": "week",
            "kept": "rows only",
            "indexes": ["u"],
            "partitioned": False,
        }
    ]


def test_show(call: Call, manager: PitrManager) -> None:
    _, week, week_1, _, said = call("show").out.splitlines()
    assert (week.split()[4:6], week_1.split()[4]) == (["rows", "only"], "active")
    assert said == SAID
    described = json.loads(call("show", "--json").out)["policies"]
    assert [(one["name"], one["status"], one["kept"]) for one in described] == [
        ("week", "active", "rows only"),
        ("week_1", "active", None),
    ]


def test_only_of_the_databases_that_are_shown(call: Call, manager: PitrManager) -> None:
    assert "rows only" not in call("show", "--database", "other").out


def test_a_database_level_policy_ends_it(call: Call, manager: PitrManager) -> None:
    manager.create_database_pitr("day", "shop", 1)
    for arguments in (("plan", "models:metadata"), ("check", "models:metadata"), ("show",)):
        assert "rows only" not in call(*arguments).out
