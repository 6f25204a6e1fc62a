"""What a name means on the command line: one rule for all commands that take targets."""

from __future__ import annotations

import datetime as dt
import json
from pathlib import Path

import pytest
from sqlalchemy import Engine

from sqlalchemy_matrixone_pitr import PitrManager, get_pitrs
from sqlalchemy_matrixone_pitr.emulator import Emulator
from tests.cli import Call, call, emulator, engine, environment
from tests.past.tables import rows_of, say, take_moment
from tests.test_cli_policies import on_terminal

__all__ = ["call", "emulator", "engine", "environment"]


@pytest.fixture
def at(emulator: Emulator, engine: Engine) -> str:
    """A moment at which there were ``shop.orders``, ``shop.both``, the databases ``both`` and
    ``stock`` with a table each, and policies of both; an hour later all have lost their rows."""
    say(engine, "CREATE DATABASE `both`", "CREATE DATABASE stock")
    manager = PitrManager(engine)
    for database in ("shop", "both", "stock"):
        manager.create_database_pitr(f"{database}_week", database, 7)
    emulator.advance(dt.timedelta(seconds=1.1))  # policies know seconds
    for table in ("shop.orders", "shop.`both`", "`both`.t", "stock.t"):
        say(engine, f"CREATE TABLE {table} (id INT PRIMARY KEY)", f"INSERT INTO {table} VALUES (1)")
    at = str(take_moment(engine))
    for table in ("shop.orders", "shop.`both`", "`both`.t", "stock.t"):
        say(engine, f"DELETE FROM {table} WHERE id = 1")
    return at


TARGETS = [
    ("orders", "shop.orders"),
    ("ORDERS", "shop.orders"),
    ("Shop.Orders", "shop.orders"),
    ("stock", "stock"),
    ("Stock.*", "stock"),
    ("both.*", "both"),
    ("shop.both", "shop.both"),
]


@pytest.mark.parametrize(("name", "target"), TARGETS)
def test_restore_copy_and_hold_read_it_alike(call: Call, at: str, name: str, target: str) -> None:
    restored = call("restore", name, "--at", at, "--dry-run")
    assert (restored.code, restored.err) == (0, "")
    assert restored.out.startswith(f"{target} as of")
    copied = call("copy", name, "--at", at, "elsewhere", "--dry-run")
    assert copied.out.startswith(f"{target} as of")
    held = call("hold", name, "--reason", "why", "--json")
    assert json.loads(held.out)["holds"][0]["targets"] == target


@pytest.mark.parametrize(
    "command",
    [
        ["restore", "both", "--at", "AT", "--yes"],
        ["restore", "orders", "both", "--at", "AT", "--yes"],
        ["copy", "both", "--at", "AT", "elsewhere", "--yes"],
        ["hold", "both", "--reason", "why"],
        ["undrop", "both", "--yes"],
    ],
)
def test_a_table_and_a_database_of_one_name(
    call: Call, engine: Engine, at: str, command: list[str]
) -> None:
    """Nobody guesses which of them is meant."""
    if command[0] == "undrop":
        say(engine, "DROP DATABASE `both`", "DROP TABLE shop.`both`")
    ran = call(*(at if word == "AT" else word for word in command))
    assert ran.code == 2
    assert "both is a table of database shop and a database: write shop.both for the" in ran.err
    assert "table, or 'both.*' for the database" in ran.err.replace("\n", " ")
    assert {str(pitr.range) for pitr in get_pitrs(engine)} == {"7d"}
    assert rows_of(engine, "shop.orders") == []


@pytest.mark.parametrize(
    "command",
    [
        ["restore", "nothing", "--at", "AT", "--yes"],
        ["copy", "nothing", "--at", "AT", "elsewhere", "--yes"],
        ["hold", "nothing", "--reason", "why"],
    ],
)
def test_what_is_neither(call: Call, at: str, command: list[str]) -> None:
    ran = call(*(at if word == "AT" else word for word in command))
    assert ran.code == 2
    assert "nothing is neither a table of database shop nor a database that was" in ran.err
    assert "'nothing.*' for a database" in ran.err.replace("\n", " ")


def test_what_was_there_then_and_what_is_now(call: Call, engine: Engine, at: str) -> None:
    """A restore goes by its moment, a hold by now and by policies, an undrop by drops."""
    say(engine, "DROP DATABASE stock", "CREATE TABLE shop.stock (id INT PRIMARY KEY)")
    restored = call("restore", "stock", "--at", at, "--dry-run")
    assert restored.out.startswith("stock as of")  # the table was not there then
    held = call("hold", "stock", "--reason", "why")
    assert held.code == 2  # the table is there, and a policy is for the database that was
    assert "stock is a table of database shop and a database" in held.err
    say(engine, "DROP TABLE shop.stock")
    held = call("hold", "stock", "--reason", "why", "--json")
    assert json.loads(held.out)["holds"][0]["targets"] == "stock"
    undropped = call("undrop", "stock.*", "--dry-run")
    assert undropped.out.startswith("stock as of")
    say(engine, "DROP TABLE shop.orders")
    undropped = call("undrop", "ORDERS", "--yes")
    assert "shop.orders" in undropped.out
    assert (undropped.code, undropped.err) == (0, "")


def test_without_a_database_in_the_url(call: Call, emulator: Emulator, at: str) -> None:
    """A name without a dot is a database then."""
    url = emulator.url()
    restored = call("restore", "both", "--at", at, "--dry-run", MATRIXONE_URL=url)
    assert restored.out.startswith("both as of")
    held = call("hold", "both", "--reason", "why", "--json", MATRIXONE_URL=url)
    assert json.loads(held.out)["holds"][0]["targets"] == "both"
    for command in (["diff", "t", "--at", at], ["info", "--table", "t"]):
        ran = call(*command, MATRIXONE_URL=url)
        assert ran.code == 2
        assert "names none, and the connection has no default one" in ran.err


@pytest.mark.parametrize(
    "command",
    [
        ["diff", "stock.*", "--at", "AT"],
        ["undo", "orders", "stock.*", "--at", "AT", "--yes"],
        ["when", "stock.*", "--row", "1"],
        ["info", "--table", "stock.*"],
    ],
)
def test_commands_about_rows_take_tables(call: Call, at: str, command: list[str]) -> None:
    ran = call(*(at if word == "AT" else word for word in command))
    assert ran.code == 2
    assert "stock.* is a database, and this command takes tables" in ran.err


@pytest.mark.parametrize("name", ["", " ", "a.b.c", ".orders", "orders.", ".*", "..", "."])
@pytest.mark.parametrize("command", ["restore", "copy", "hold", "undrop"])
def test_what_is_no_name(call: Call, at: str, command: str, name: str) -> None:
    more = {
        "restore": ["--at", at, "--yes"],
        "copy": ["--at", at, "elsewhere", "--yes"],
        "hold": ["--reason", "why"],
        "undrop": ["--yes"],
    }
    ran = call(command, name, *more[command])
    assert ran.code == 2
    assert "Traceback" not in ran.err


@pytest.mark.parametrize("name", ["a`b", "50%", "a:b", "Ünï", "x y", "*"])
def test_odd_names(call: Call, engine: Engine, emulator: Emulator, name: str) -> None:
    quoted = f"`{name.replace('`', '``')}`"
    PitrManager(engine).create_database_pitr("shop_week", "shop", 7)
    emulator.advance(dt.timedelta(seconds=1.1))
    say_plain(engine, f"CREATE TABLE shop.{quoted} (id INT PRIMARY KEY)")
    say_plain(engine, f"INSERT INTO shop.{quoted} VALUES (1)")
    at = str(take_moment(engine))
    restored = call("restore", name, "--at", at, "--dry-run")
    assert (restored.code, restored.err) == (0, "")
    assert restored.out.startswith(f"shop.{name.lower()} as of")
    held = call("hold", name, "--reason", "why", "--json")
    assert json.loads(held.out)["holds"][0]["targets"] == f"shop.{name.lower()}"


def say_plain(engine: Engine, statement: str) -> None:
    """Send a statement in which % and : are nothing of SQLAlchemy's."""
    with engine.begin() as connection:
        cursor = connection.connection.cursor()
        cursor.execute(statement)


@pytest.mark.slow
def test_one_word_is_typed_for_several_tables(
    at: str, engine: Engine, environment: dict[str, str], tmp_path: Path
) -> None:
    """How many they are; the names of all would be too much to type."""
    command = ["restore", "orders", "shop.both", "--at", at]
    code, shown = on_terminal(command, environment, tmp_path, "3\r", b"(2):")
    assert (code, "Nothing was changed" in shown) == (2, True)
    code, shown = on_terminal(command, environment, tmp_path, "2\r", b"(2):")
    assert (code, "Done: 2 tables, verified." in shown) == (0, True)
    assert "Type the number of tables to restore this" in shown
    undo = ["restore", "--undo", "1"]
    code, shown = on_terminal(undo, environment, tmp_path, "2\r", b"(2):")
    assert code == 0
    assert "Type the number of tables to undo this" in shown
    whole = ["restore", "stock", "--at", at]
    code, shown = on_terminal(whole, environment, tmp_path, "stock\r", b"(stock):")
    assert code == 0
