"""``mo-pitr hold``, ``holds`` and ``release``."""

from __future__ import annotations

import json

import pytest
from sqlalchemy import Engine

from sqlalchemy_matrixone_pitr import AlterPitr, Pitr, PitrManager, get_pitrs
from tests.cli import Call, call, emulator, engine, environment
from tests.policies import create

__all__ = ["call", "emulator", "engine", "environment"]


@pytest.fixture(autouse=True)
def policies(engine: Engine) -> None:
    """Two policies: of database shop, and of its table t0."""
    create(
        engine,
        Pitr.database("shop_week", "7d", database_name="shop"),
        Pitr.table("t0_day", "t0", "1d", database_name="shop"),
    )


def ranges(engine: Engine) -> dict[str, str]:
    return {pitr.name: str(pitr.range) for pitr in get_pitrs(engine)}


def test_a_hold_from_begin_to_end(call: Call, engine: Engine) -> None:
    none = call("holds")
    assert (none.code, none.out, none.err) == (0, "There is none.\n", "")
    held = call("hold", "shop", "--reason", "orders were lost")
    assert (held.code, held.err) == (0, "")
    assert "orders were lost" in held.out
    assert held.out.endswith("End it: mo-pitr release 1\n")
    assert set(ranges(engine).values()) == {"100y"}
    listed = call("holds")
    assert (listed.code, listed.err) == (0, "")
    assert "orders were lost" in listed.out
    ended = call("release", "1")
    assert (ended.code, ended.err) == (0, "")
    assert ranges(engine) == {"shop_week": "7d", "t0_day": "1d"}
    assert call("holds").out == "There is none.\n"


def test_several_tables_as_json(call: Call, engine: Engine) -> None:
    held = call("hold", "shop.t0", "shop.t1", "--reason", "4711", "--json")
    assert (held.code, held.err) == (0, "")
    told = json.loads(held.out)
    assert told["format_version"] == 1
    [one] = told["holds"]
    assert (one["id"], one["reason"], one["released"]) == (1, "4711", None)
    assert json.loads(call("holds", "--json").out)["holds"] == [one]
    [ended] = json.loads(call("release", "1", "--json").out)["holds"]
    assert ended["released"] is not None
    assert json.loads(call("holds", "--json").out)["holds"] == []


def test_what_a_release_leaves_is_said(call: Call, engine: Engine) -> None:
    call("hold", "shop", "--reason", "why")
    with engine.begin() as connection:
        connection.execute(AlterPitr("shop_week", "30d"))
    PitrManager(engine).delete("t0_day")
    ended = call("release", "1")
    assert ended.code == 0
    assert "shop_week" in ended.out
    assert "30d" in ended.out
    assert ranges(engine) == {"shop_week": "30d"}


def test_info_and_doctor_say_it_and_count_the_range_before(call: Call) -> None:
    assert call("info", "--database", "shop", "--require", "7d").code == 0
    call("hold", "shop", "--reason", "why")
    met = call("info", "--database", "shop", "--require", "7d")
    assert met.code == 0
    assert "held (mo-pitr holds), range when released: shop_week (7d), t0_day (1d)" in met.out
    unmet = call("info", "--database", "shop", "--require", "8d")
    assert unmet.code == 1
    assert "too short: shop.t1" in unmet.out
    assert "reach back 7d when the hold of shop_week ends" in unmet.out
    told = json.loads(call("info", "--database", "shop", "--require", "8d", "--json").out)
    assert told["held"] == {"shop_week": "7d", "t0_day": "1d"}
    doctor = call("doctor", "--database", "shop")
    assert "range when released (mo-pitr holds): shop_week (7d), t0_day (1d)" in doctor.out


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("hold", "shop"), "--reason"),
        (("hold", "--reason", "why"), "TARGET"),
        (("hold", "shop", "--reason", " "), "reason is a text"),
        (("hold", "nowhere", "--reason", "why"), "nowhere is neither a table of database shop nor"),
        (("hold", "nowhere.*", "--reason", "why"), "no policy covers"),
        (("release", "0"), "x>=1"),
        (("release", "7"), "7"),
    ],
)
def test_what_is_refused(call: Call, engine: Engine, arguments: tuple[str, ...], said: str) -> None:
    ran = call(*arguments)
    assert ran.code != 0
    assert said in ran.err
    assert "Traceback" not in ran.err
    assert ranges(engine) == {"shop_week": "7d", "t0_day": "1d"}
