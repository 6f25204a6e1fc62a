"""``mo-pitr dropped``, ``undrop`` and ``copy``: what is gone, back again, and beside what is."""

from __future__ import annotations

import datetime as dt
import json
from pathlib import Path

import pytest
from sqlalchemy import Engine

from sqlalchemy_matrixone_pitr import PitrManager
from sqlalchemy_matrixone_pitr.emulator import Emulator
from tests.cli import Call, call, emulator, engine, environment
from tests.clock import wait
from tests.past.tables import rows_of, say, take_moment
from tests.test_cli_policies import on_terminal

__all__ = ["call", "emulator", "engine", "environment"]

both_versions = pytest.mark.parametrize("emulator", ["3.0.9", "4.2.0"], indirect=True)

ROWS = [(1, "tea"), (2, "lamp")]
FEW = ("--samples", "8")
"""Enough where what was dropped was there at --since."""
ORDERS = "CREATE TABLE shop.orders (id INT PRIMARY KEY, item VARCHAR(9), UNIQUE KEY ui (item))"


@pytest.fixture
def at(emulator: Emulator, engine: Engine) -> str:
    """A moment at which a policy kept two orders in shop, and nothing kept database old."""
    PitrManager(engine).create_database_pitr("shop_week", "shop", 7)
    emulator.advance(dt.timedelta(seconds=1.1))  # policies know seconds
    say(engine, ORDERS, "INSERT INTO shop.orders VALUES (1, 'tea'), (2, 'lamp')")
    say(engine, "CREATE DATABASE old", "CREATE TABLE old.a (id INT PRIMARY KEY)")
    say(engine, "INSERT INTO old.a VALUES (1)")
    return str(take_moment(engine))


@both_versions
def test_a_table_is_listed_and_brought_back(call: Call, at: str, engine: Engine) -> None:
    say(engine, "DROP TABLE shop.orders")
    found = call("dropped", "--since", at, *FEW)
    assert (found.code, found.err) == (0, "")
    heads, drop, blank, step = found.out.splitlines()
    assert heads.split() == ["OBJECT", "LAST", "THERE", "ROWS"]
    name, day, moment, kept = drop.split()
    assert (name, kept) == ("shop.orders", "kept")
    assert at < f"{day} {moment}"
    assert (blank, step) == ("", "Bring it back: mo-pitr undrop shop.orders")
    back = call("undrop", "orders", "--since", at, *FEW, "--yes")
    assert (back.code, back.err) == (0, "")
    preview, heads, table, done, lack = back.out.splitlines()
    assert preview == f"shop.orders as of {day} {moment}"
    assert heads.split() == ["TABLE", "MADE", "BY", "ROWS"]
    assert table.split() == ["shop.orders", "CLONE", "2"]
    assert done == f"Done: shop.orders: 1 table, 2 rows, as shop.orders was at {day} {moment}"
    assert lack.startswith("  no policy is for it by name")
    assert rows_of(engine, "shop.orders") == ROWS
    taken = call("undrop", "orders", "--since", at, *FEW)
    assert (taken.code, taken.out) == (2, "")
    assert "shop.orders is there, and is left as it is: choose another name\n" in taken.err


def test_one_of_several_drops(call: Call, at: str, engine: Engine) -> None:
    say(engine, "DROP TABLE shop.orders", ORDERS, "INSERT INTO shop.orders VALUES (3, 'sofa')")
    take_moment(engine)
    say(engine, "DROP TABLE shop.orders", ORDERS)
    listed = call("dropped", "--since", at, "--samples", "32").out
    assert listed.count("(there again since)") == 2
    refused = call("undrop", "orders", "--since", at, "--samples", "32")
    assert (refused.code, refused.out) == (2, "")
    assert "shop.orders was dropped 2 times: choose one" in refused.err
    *_, latest, first = [line.strip() for line in refused.err.splitlines() if "--at" in line]
    assert listed.splitlines()[-1] == f"Bring it back: {latest}"
    for command, rows in ((latest, [(3, "sofa")]), (first, ROWS)):
        option, moment = command.partition(" --at '")[2].partition("'")[0], command
        into = "back" if rows is ROWS else "shop.back2"
        assert moment.endswith("--into orders_back")
        assert (
            call("undrop", "shop.orders", "--at", option, "--into", into, "--yes", *FEW).code == 0
        )
        assert rows_of(engine, into if "." in into else f"shop.{into}") == rows


@pytest.mark.filterwarnings("always::sqlalchemy_matrixone_pitr.PastNotKeptWarning")
def test_a_database_that_nothing_keeps(call: Call, at: str, engine: Engine) -> None:
    say(engine, "DROP DATABASE old")
    listed = call("dropped", "--since", at, *FEW, "--database", "old")
    assert "(with 1 table)" in listed.out
    assert "(with its database)" in listed.out
    assert "Not surely kept: no policy is for it." in listed.out
    assert listed.out.splitlines()[-1] == "Bring it back: mo-pitr undrop old"
    told = json.loads(call("dropped", "--since", at, *FEW, "--json").out)["dropped"]
    assert [(one["kind"], one["table"], one["kept"]) for one in told] == [
        ("database", None, "probable"),
        ("table", "a", "probable"),
    ]
    refused = call("undrop", "old", "--since", at, *FEW, "--yes")
    assert (refused.code, refused.out) == (2, "")
    assert "--allow-unprotected brings it back all the same" in refused.err
    back = call("undrop", "old", "--since", at, *FEW, "--yes", "--allow-unprotected", "--json")
    told = json.loads(back.out)
    assert (back.code, told["done"], told["tables"]) == (
        0,
        True,
        [{"table": "old.a", "rows": 1, "cloned": True}],
    )
    assert rows_of(engine, "old.a") == [(1,)]


@both_versions
def test_a_copy(call: Call, at: str, engine: Engine) -> None:
    say(engine, "DELETE FROM shop.orders WHERE id = 1")
    found = call("copy", "orders", "orders_then", "--at", at, "--yes")
    assert (found.code, found.err) == (0, "")
    assert f"Done: shop.orders_then: 1 table, 2 rows, as shop.orders was at {at}" in found.out
    assert rows_of(engine, "shop.orders_then") == ROWS
    told = json.loads(call("copy", "shop", "then", "--at", at, "--yes", "--json").out)
    assert (told["source"], told["into"], told["at"]["moment"]) == ("shop", "then", at)
    assert {one["table"]: one["rows"] for one in told["tables"]} == {
        "then.orders": 2,
        **{f"then.t{number}": 0 for number in range(3)},
    }
    assert rows_of(engine, "shop.orders") == [(2, "lamp")]


def test_nothing_is_made_unasked(call: Call, at: str, engine: Engine) -> None:
    copy = ("copy", "orders", "other", "--at", at)
    for option, code in ((), 2), (("--dry-run",), 0), (("--dry-run", "--json"), 0):
        assert call(*copy, *option).code == code
    assert "give --yes" in call(*copy).err
    assert json.loads(call(*copy, "--dry-run", "--json").out)["done"] is False
    say(engine, "DROP TABLE shop.orders")
    undrop = ("undrop", "shop.orders", "--since", at, *FEW)
    assert "give --yes" in call(*undrop).err
    for command in (copy, undrop):
        script = call(*command, "--sql")
        assert (script.code, script.err) == (0, "")
        assert "CLONE" in script.out.splitlines()[1]
    with engine.connect() as connection:
        tables = connection.exec_driver_sql("SHOW TABLES FROM shop").scalars().all()
    assert set(tables) == {"t0", "t1", "t2"}


def test_the_script_is_what_is_done(call: Call, at: str, emulator: Emulator) -> None:
    """Under a table's own policy it is the definition and the rows."""
    from sqlalchemy import create_engine

    made = create_engine(emulator.url(database="shop"))
    manager = PitrManager(made)
    manager.delete("shop_week")
    manager.create_table_pitr("orders_week", "shop", "orders", 7)
    emulator.advance(dt.timedelta(seconds=1.1))
    then = str(take_moment(made))
    script = call("copy", "orders", "other", "--at", then, "--sql").out
    begin, *statements, commit = [one.strip() for one in script.split(";\n") if one.strip()]
    assert (begin, commit.rstrip(";")) == ("BEGIN", "COMMIT")
    assert statements[-1].startswith("INSERT INTO `shop`.`other`")
    say(made, *statements)
    assert rows_of(made, "other") == ROWS
    assert "its rows" in call("copy", "orders", "another", "--at", then, "--dry-run").out
    made.dispose()


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("undrop", "nowhere", *FEW), "no drop of nowhere is found: `mo-pitr dropped` lists"),
        (("undrop", "a", "--at", "1m ago", "--since", "1m ago"), "give --at or --since"),
        (("undrop", "a", "--at", "yesterday"), "Invalid value for '--at'"),
        (("dropped", "--since", "2200-01-01 00:00Z"), "lies in the future"),
        (("copy", "nowhere", "x", "--at", "AT"), "nowhere is neither a table of database shop nor"),
        (("copy", "orders", "t0", "--at", "AT"), "is left as it is: choose another name\n"),
        (("copy", "orders", "gone.x", "--at", "AT"), "or choose one, as database.table"),
        (("copy", "shop", "a.b", "--at", "AT"), "is no database's name"),
        (("copy", "orders", "x", "--at", "AT", "--json", "--sql"), "give --json or --sql"),
        (("copy", "orders", "x", "--at", "2001-01-01 00:00Z"), "there was no table shop.orders at"),
    ],
)
def test_refusals(call: Call, at: str, arguments: tuple[str, ...], said: str) -> None:
    found = call(*(at if argument == "AT" else argument for argument in arguments))
    assert (found.code, found.out) == (2, "")
    assert said in found.err


def test_nothing_was_dropped(call: Call, at: str) -> None:
    found = call("dropped", "--since", at, *FEW)
    assert (found.code, found.err) == (0, "")
    assert found.out == (
        f"Nothing that was dropped is found since {at}: give an earlier --since, or more "
        "--samples.\n"
    )
    assert json.loads(call("dropped", "--since", at, *FEW, "--json").out)["dropped"] == []


@pytest.mark.slow
@pytest.mark.parametrize("answer", ["y", "n"])
def test_a_person_is_asked(
    at: str, engine: Engine, environment: dict[str, str], tmp_path: Path, answer: str
) -> None:
    wait(engine, 0.02)
    command = ["copy", "orders", "orders_then", "--at", at]
    code, shown = on_terminal(command, environment, tmp_path, f"{answer}\n")
    asked = f"Copy shop.orders as of {at} as shop.orders_then: 1 table, 2 rows? [y/N]"
    assert asked in shown.replace("\r\n", "\n")
    if answer == "y":
        assert (code, rows_of(engine, "shop.orders_then")) == (0, ROWS)
    else:
        assert code == 2
        assert "Nothing was changed." in shown
