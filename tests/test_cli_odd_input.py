"""Odd names, options and servers: nothing is misread, and what is printed can be pasted."""

from __future__ import annotations

import shlex
import socket
import threading
from collections.abc import Iterator

import pytest
from sqlalchemy import Engine

from sqlalchemy_matrixone_pitr import PitrManager, get_pitrs
from sqlalchemy_matrixone_pitr.cli.console import Console
from sqlalchemy_matrixone_pitr.cli.errors import as_commands
from sqlalchemy_matrixone_pitr.names import renew_command
from sqlalchemy_matrixone_pitr.printing import cells
from tests.cli import Call, call, emulator, engine, environment

__all__ = ["call", "emulator", "engine", "environment"]

ODD_NAMES = ["p;q", "$home", "-x", "--json", "[bold]p[/bold]", "日本語", "a*b", "n" * 64]


def rebuilt(engine: Engine, *names: str) -> None:
    """Policies of tables that were rebuilt since."""
    manager = PitrManager(engine)
    for number, name in enumerate(names):
        with engine.begin() as conn:
            conn.exec_driver_sql(f"CREATE TABLE shop.odd{number} (id INT PRIMARY KEY)")
        manager.create_table_pitr(name, "shop", f"odd{number}", "2d")
        with engine.begin() as conn:
            conn.exec_driver_sql(f"ALTER TABLE shop.odd{number} ADD COLUMN c INT")


@pytest.mark.parametrize("name", ODD_NAMES)
def test_the_command_that_is_named_renews(call: Call, engine: Engine, name: str) -> None:
    """Pasted into a shell, whatever the policy's name."""
    rebuilt(engine, name)
    shown = call("show", "--database", "shop")
    command = shown.out.split("`")[1]
    program, *words = shlex.split(command)
    assert program == "mo-pitr"
    assert call(*words).code == 0
    statuses = [str(pitr.status) for pitr in get_pitrs(engine, with_status=True)]
    assert sorted(statuses) == ["active", "detached"]


@pytest.mark.parametrize("name", ODD_NAMES)
@pytest.mark.parametrize("drop_history", [False, True])
def test_a_message_names_it_alike(name: str, drop_history: bool) -> None:
    rest = ", keep_history=False" if drop_history else ""
    told = as_commands(f"call renew_pitr(engine, {name!r}{rest})")
    assert told == f"`{renew_command(name, drop_history=drop_history)}`"
    assert name in shlex.split(told.strip("`"))


def test_the_same_advice_for_many_is_one_line(call: Call, engine: Engine) -> None:
    names = [f"many{number}" for number in range(6)]
    rebuilt(engine, *names)
    with engine.begin() as conn:
        conn.exec_driver_sql("DROP TABLE shop.odd0")
    advice = call("show").out.split("\n\n")[1].splitlines()
    assert len(advice) == 6
    with engine.begin() as conn:
        conn.exec_driver_sql("CREATE TABLE shop.odd0 (id INT PRIMARY KEY)")
    assert call("show").out.split("\n\n")[1].splitlines() == [
        "6 policies protect nothing new: `mo-pitr renew NAME` of each protects it again. "
        f"These are: {', '.join(names)}."
    ]
    found = [line for line in call("doctor").out.splitlines() if line.startswith("! detached")]
    assert len(found) == 1
    assert found[0].endswith("many5.")


def test_wide_characters_are_counted_as_a_terminal_does(call: Call, engine: Engine) -> None:
    rebuilt(engine, "日本語", "plain", "e\u0301te\u0301")
    table = call("show").out.split("\n\n")[0].splitlines()
    assert len({cells(line[: line.index("table shop")]) for line in table[1:]}) == 1
    assert len({cells(line[: line.index("detached")]) for line in table[1:]}) == 1


@pytest.mark.parametrize("option", ["--timeout", "--connect-timeout"])
@pytest.mark.parametrize("value", ["nan", "inf", "-inf", "0", "-1", "1e9", "x", ""])
def test_seconds_are_a_number(call: Call, option: str, value: str) -> None:
    refused = call("renew", "p", f"{option}={value}")
    assert (refused.code, refused.out) == (2, "")
    assert f"Error: Invalid value for '{option}'" in refused.err


def test_the_resolution_is_a_number(call: Call) -> None:
    refused = call("when", "t0", "--row", "1", "--resolution", "nan")
    assert refused.code == 2
    assert "Invalid value for '--resolution': 'nan' is no number of seconds" in refused.err


@pytest.mark.parametrize("command", ["show", "import", "doctor", "serve"])
@pytest.mark.parametrize("name", ["", " "])
def test_an_empty_database_name_is_none(call: Call, command: str, name: str) -> None:
    """As of a variable that is not set: it must not look like a database without policies."""
    refused = call(command, "--database", name)
    assert (refused.code, refused.out) == (2, "")
    assert "--database" in refused.err


@pytest.mark.parametrize("port", [0, 65536, 99999])
@pytest.mark.parametrize("driver", ["pymysql", "aiomysql", "asyncmy"])
def test_a_port_that_is_none(call: Call, port: int, driver: str) -> None:
    """The network takes its last 16 bits, which are another port."""
    url = f"matrixone+{driver}://dump:topsecret@127.0.0.1:{port}/shop"
    refused = call("show", "--url", url)
    assert (refused.code, refused.out) == (2, "")
    assert refused.err == f"Error: the URL names port {port}: give one from 1 to 65535\n"


@pytest.mark.parametrize("scheme", ["http", "jdbc+mysql", "matrixone+nosuch"])
def test_a_scheme_that_is_none(call: Call, scheme: str) -> None:
    refused = call("show", "--url", f"{scheme}://dump:topsecret@127.0.0.1:6001/shop")
    assert (refused.code, refused.out) == (2, "")
    assert refused.err == (
        f"Error: the URL begins with {scheme}://, which SQLAlchemy does not know: write it as "
        "matrixone+pymysql://user:password@host:6001/database\n"
    )


@pytest.fixture
def of_another_kind() -> Iterator[int]:
    """A port where something else than a MySQL server greets."""
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def greet() -> None:
            while True:
                try:
                    client, _ = listener.accept()
                except OSError:
                    return
                with client:
                    client.sendall(b"SSH-2.0-OpenSSH_9.9\r\n")

        threading.Thread(target=greet, daemon=True).start()
        yield listener.getsockname()[1]
        listener.shutdown(socket.SHUT_RDWR)


@pytest.mark.parametrize("driver", ["pymysql", "aiomysql", "asyncmy"])
def test_a_server_of_another_kind(call: Call, of_another_kind: int, driver: str) -> None:
    url = f"matrixone+{driver}://dump:topsecret@127.0.0.1:{of_another_kind}/shop"
    refused = call("show", "--url", url)
    assert (refused.code, refused.out) == (2, "")
    assert refused.err.startswith(
        f"Error: what answers at 127.0.0.1:{of_another_kind} is no MySQL or MatrixOne server: "
    )
    assert "None" not in refused.err
    assert "topsecret" not in refused.err


@pytest.mark.parametrize("version", ["abc", "3", "", "3.0.9.1"])
def test_a_version_that_is_none(call: Call, version: str) -> None:
    refused = call("show", "--server-version", version)
    assert (refused.code, refused.out) == (2, "")
    assert refused.err == (
        f"Error: --server-version {version!r} is not understood: write it as '3.0.9'\n"
    )


@pytest.mark.parametrize(
    ("text", "lines"),
    [
        ("short", ["short"]),
        ("one two three four five", ["one two three four", "  five"]),
        ("  one two three four five", ["  one two three four", "    five"]),
        ("日本語 日本語 日本語 日", ["日本語 日本語 日本語", "  日"]),
        ("é" * 10 + " " + "é" * 10, ["é" * 10, "  " + "é" * 10]),
        ("n" * 30 + " one", ["n" * 30, "  one"]),
        ("see `mo-pitr renew NAME` first", ["see", "  `mo-pitr renew NAME`", "  first"]),
        ("a\nb", ["a", "b"]),
        ("", [""]),
    ],
)
def test_lines_are_broken_between_words(
    monkeypatch: pytest.MonkeyPatch, text: str, lines: list[str]
) -> None:
    """At 20 columns; a word that is longer, and a command to copy, stay whole."""
    written: list[str] = []
    monkeypatch.setattr(Console, "width", 20)
    monkeypatch.setattr(Console, "_write", lambda self, shown: written.append(shown))
    Console().line(text, indent="  ")
    assert "\n".join(written).split("\n") == lines


@pytest.mark.parametrize("name", ["a: b", "a\nb", "a, b: c: d"])
def test_an_odd_table_is_one_line_and_shares_its_advice(
    call: Call, engine: Engine, name: str
) -> None:
    with engine.begin() as conn:
        conn.exec_driver_sql("CREATE TABLE shop.ordinary (id INT PRIMARY KEY)")
        conn.exec_driver_sql(f"CREATE TABLE shop.`{name}` (id INT PRIMARY KEY)")
    shown = name.replace("\n", "\\n")
    lines = call("info", "--database", "shop").out.splitlines()
    (advice,) = [line for line in lines if line.startswith("not covered: ")]
    assert f"shop.{shown}, " in advice
    assert ", shop.ordinary, " in advice or advice.partition(": no ")[0].endswith("shop.ordinary")
    (row,) = [line for line in lines if line.startswith(f"shop.{shown} ")]
    assert row.endswith("not covered")
