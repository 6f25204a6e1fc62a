"""``mo-pitr restore``, ``restores`` and ``forget``: back as it was, and the way back."""

from __future__ import annotations

import datetime as dt
import json
import re
from pathlib import Path

import pytest
from sqlalchemy import Engine

from sqlalchemy_matrixone_pitr import PitrManager
from sqlalchemy_matrixone_pitr.emulator import Emulator
from tests.cli import Call, call, emulator, engine, environment
from tests.past.tables import rows_of, say, take_moment
from tests.test_cli_policies import on_terminal

__all__ = ["call", "emulator", "engine", "environment"]

both_versions = pytest.mark.parametrize("emulator", ["3.0.9", "4.2.0"], indirect=True)

ROWS = [(1, "tea"), (2, "lamp")]


@pytest.fixture
def at(emulator: Emulator, engine: Engine) -> str:
    """A moment at which a policy kept two orders with their lines; an order is gone since."""
    PitrManager(engine).create_database_pitr("shop_week", "shop", 7)
    emulator.advance(dt.timedelta(seconds=1.1))  # policies know seconds
    say(
        engine,
        "CREATE TABLE shop.orders (id INT PRIMARY KEY, item VARCHAR(9))",
        "CREATE TABLE shop.parts (id INT PRIMARY KEY, o INT, "
        "CONSTRAINT f FOREIGN KEY (o) REFERENCES shop.orders (id))",
        "INSERT INTO shop.orders VALUES (1, 'tea'), (2, 'lamp')",
        "INSERT INTO shop.parts VALUES (1, 1)",
    )
    at = str(take_moment(engine))
    say(engine, "DELETE FROM shop.orders WHERE id = 2")
    return at


@both_versions
def test_a_table_and_back(call: Call, at: str, engine: Engine) -> None:
    shown = call("restore", "orders", "--at", at, "--dry-run")
    assert (shown.code, shown.err) == (0, "")
    assert shown.out.startswith(f"shop.orders as of {at}, kept by shop_week\n")
    assert "  shop.orders changes: rows 1 now, 2 then\n" in shown.out
    assert "  not by RESTORE: RESTORE of shop.orders does nothing and says OK while" in shown.out
    assert rows_of(engine, "shop.orders") == ROWS[:1]
    done = call("restore", "orders", "--at", at, "--yes")
    assert (done.code, done.err) == (0, "")
    *_, last, way_back = done.out.splitlines()
    assert last == "Done: 1 table, verified."
    assert way_back == "Undo it: mo-pitr restore --undo 1"
    assert "1/3 rebuild: done, " in done.out
    assert rows_of(engine, "shop.orders") == sorted(ROWS)
    listed = call("restores")
    assert listed.out.splitlines()[1:] == [
        "  shop.orders before it: matrixone_pitr.copy_1_1, 1 row"
    ]
    undone = call("restore", "--undo", "1", "--yes")
    assert (undone.code, undone.err) == (0, "")
    assert undone.out.splitlines()[-1] == "Undo it: mo-pitr restore --undo 2"
    assert rows_of(engine, "shop.orders") == ROWS[:1]
    again = call("restore", "--undo", "1", "--yes")
    assert (again.code, "is undone already" in again.err) == (2, True)
    told = json.loads(call("restores", "--json").out)["restores"]
    assert [(one["id"], one["state"]) for one in told] == [(2, "done"), (1, "undone")]
    assert call("forget", "--older-than", "1d", "--yes").out == "There was nothing to forget.\n"
    assert call("forget", "1", "2", "--yes").out.count("forgotten: ") == 2
    assert call("restores").out == "There is none.\n"
    assert call("restore", "--undo", "1", "--yes").code == 2


def test_several_and_a_database(call: Call, at: str, engine: Engine) -> None:
    done = call("restore", "shop.orders", "parts", "--at", at, "--yes", "--json")
    told = json.loads(done.out)
    assert (done.code, told["report"]["ok"], told["preview"]["ok"]) == (0, True, True)
    assert [table["rows"] for table in told["report"]["tables"]] == [2, 1]
    assert "1/3 rebuild: done" in done.err
    say(engine, "DELETE FROM shop.parts WHERE id = 1", "DELETE FROM shop.orders WHERE id = 1")
    done = call("restore", "shop", "--at", at, "--yes")
    assert "  2. RESTORE of database shop\n     RESTORE DATABASE `shop` FROM PITR" in done.out
    assert "  protected again by shop_week__g2\n" in done.out
    assert rows_of(engine, "shop.parts") == [(1, 1)]
    say(engine, "INSERT INTO shop.parts VALUES (2, 2)")
    refused = call("restore", "--undo", "2", "--yes")
    assert (refused.code, "shop.parts: 1 inserted" in refused.err) == (2, True)
    assert "--force undoes it all the same" in refused.err
    undone = call("restore", "--undo", "2", "--yes", "--force", "--no-safety-copy")
    assert (undone.code, "Undo it" in undone.out) == (0, False)
    assert rows_of(engine, "shop.orders") == [(2, "lamp")]


def test_what_cannot_be(call: Call, at: str, engine: Engine) -> None:
    say(engine, "CREATE TABLE shop.later (id INT)")
    refused = call("restore", "shop.later", "--at", at, "--yes")
    assert refused.code == 2
    assert "  problem: there was no table shop.later at" in refused.out
    assert "`mo-pitr dropped` tells" in refused.out
    assert "cannot be restored so. Nothing was changed" in refused.err
    told = call("restore", "shop.later", "--at", at, "--dry-run", "--json")
    assert (told.code, json.loads(told.out)["preview"]["ok"]) == (1, False)
    nobody = call("restore", "shop.orders", "--at", at)
    assert (nobody.code, "give --yes. Nothing was sent." in nobody.err) == (2, True)
    for wrong in (
        ["restore"],
        ["restore", "shop"],
        ["restore", "--undo", "1", "shop"],
        ["restore", "--undo", "1", "--by-copies"],
        ["restore", "--undo", "1", "--compare-rows"],
        ["restore", "--undo", "1", "--allow-unprotected"],
        ["restore", "shop", "--at", at, "--force"],
        ["restore", "shop", "--at", "in a while"],
        ["forget"],
        ["forget", "1", "--older-than", "1d"],
        ["forget", "--older-than", "soon"],
    ):
        assert call(*wrong).code == 2
    assert rows_of(engine, "shop.orders") == ROWS[:1]


@pytest.mark.slow
def test_the_name_is_typed(
    at: str, engine: Engine, environment: dict[str, str], tmp_path: Path
) -> None:
    command = ["restore", "shop.orders", "--at", at]
    question = b"(shop.orders):"
    code, shown = on_terminal(command, environment, tmp_path, "shop\r", question)
    assert (code, "Nothing was changed" in shown) == (2, True)
    assert rows_of(engine, "shop.orders") == ROWS[:1]
    code, shown = on_terminal(command, environment, tmp_path, "shop.orders\r", question)
    assert (code, "Done: 1 table, verified." in shown) == (0, True)
    text = re.sub(r"\x1b\[[\d;?]*[a-zA-Z]", "", shown)
    lines = re.findall(r"(.?)\d/3 (rebuild|verify|renew): done", text, re.DOTALL)
    assert len(lines) == 3
    assert all(before in "\r\n" for before, _ in lines), text  # not behind the time so far
    assert rows_of(engine, "shop.orders") == sorted(ROWS)
