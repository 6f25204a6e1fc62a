"""A person's day on the command line: from an uncovered table to a restored one."""

from __future__ import annotations

import datetime as dt
import re
from pathlib import Path

import pytest
from sqlalchemy import Engine

from sqlalchemy_matrixone_pitr.emulator import Emulator
from tests.cli import Call, call, emulator, engine, environment
from tests.past.tables import rows_of, say

__all__ = ["call", "emulator", "engine", "environment"]

MODELS = """
from sqlalchemy import Column, Integer, MetaData, String, Table
from sqlalchemy_matrixone_pitr import DatabasePitr, declare_pitrs

metadata = MetaData()
declare_pitrs(metadata, DatabasePitr("7d", "shop_week"))
orders = Table("orders", metadata, Column("id", Integer, primary_key=True),
               Column("item", String(9)))
"""


@pytest.mark.parametrize("emulator", ["3.0.9", "4.2.0"], indirect=True)
def test_a_day(call: Call, emulator: Emulator, engine: Engine, tmp_path: Path) -> None:
    (tmp_path / "models.py").write_text(MODELS)
    say(engine, "CREATE TABLE shop.orders (id INT PRIMARY KEY, item VARCHAR(9))")
    red = call("info", "models:metadata")
    assert red.code == 1
    assert "not covered" in red.out
    assert call("plan", "models:metadata", "--exit-code").code == 1
    assert call("apply", "models:metadata", "--yes").code == 0

    emulator.advance(dt.timedelta(minutes=1))
    rows = ", ".join(f"({number}, 'tea')" for number in range(1, 8))
    say(engine, f"INSERT INTO shop.orders VALUES {rows}")
    emulator.advance(dt.timedelta(minutes=1))
    say(engine, "DELETE FROM shop.orders WHERE id > 2")
    emulator.advance(dt.timedelta(minutes=1))

    found = call("when", "orders", "SELECT count(*) FROM orders", "--since", "90s ago")
    assert found.code == 0
    moments = re.findall(r"2\d{3}-\d\d-\d\d \d\d:\d\d:\d\d[.\d]*(?:Z|\+00:00)", found.out)
    assert moments, found.out
    done = call("restore", "orders", "--at", moments[0], "--yes", "--compare-rows")
    assert (done.code, done.err) == (0, "")
    assert "Done: 1 table, verified." in done.out
    assert len(rows_of(engine, "shop.orders")) == 7
    green = call("info", "models:metadata")
    assert green.code == 0
    assert "1 table: 1 covered" in green.out
    assert call("check", "models:metadata", "--require-policies").code == 0
