"""The server that a command is told: reached, not reached, or silent."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Iterator

import pytest

from sqlalchemy_matrixone_pitr.cli.errors import as_commands
from sqlalchemy_matrixone_pitr.emulator import Emulator
from tests.cli import Call, call, emulator, engine, environment
from tests.proxy import Proxy

__all__ = ["call", "emulator", "engine", "environment"]

DRIVERS = ("pymysql", "aiomysql", "asyncmy")


@pytest.fixture
def silent() -> Iterator[int]:
    """A port where somebody accepts, and never says a word."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        yield listener.getsockname()[1]


@pytest.mark.parametrize("driver", DRIVERS)
def test_a_server_that_never_answers(call: Call, silent: int, driver: str) -> None:
    url = f"matrixone+{driver}://dump:111@127.0.0.1:{silent}/shop"
    refused = call("show", "--connect-timeout", "1", "--url", url)
    assert (refused.code, refused.out) == (2, "")
    assert refused.err == (
        f"Error: 127.0.0.1:{silent} does not answer: no MatrixOne server spoke there within 1 s "
        "(--connect-timeout)\n"
    )


@pytest.mark.parametrize("driver", ["pymysql", "aiomysql"])
def test_a_server_that_lets_in_and_never_answers(
    call: Call, emulator: Emulator, driver: str
) -> None:
    proxy = Proxy(emulator.host, emulator.port)
    held = threading.Event()

    def hold() -> None:
        held.wait(20)

    proxy.on("@@", hold)
    url = emulator.url(driver, database="shop").replace(f":{emulator.port}/", f":{proxy.port}/")
    refused = call("show", "--connect-timeout", "1", "--url", url)
    held.set()
    proxy.close()
    assert refused.code == 2
    assert "does not answer" in refused.err


@pytest.mark.parametrize("driver", DRIVERS)
@pytest.mark.parametrize("traceback", [None, "1"])
def test_a_connection_that_is_lost(
    call: Call, emulator: Emulator, driver: str, traceback: str | None
) -> None:
    """The server is named, the password is not, in the traceback neither."""
    proxy = Proxy(emulator.host, emulator.port)
    proxy.cut("^(SHOW PITR|SELECT pitr_name)", "after")
    url = f"matrixone+{driver}://dump:111@127.0.0.1:{proxy.port}/shop"
    lost = call("show", "--url", url, MO_PITR_TRACEBACK=traceback)
    proxy.close()
    assert (lost.code, lost.out) == (2, "")
    assert f"the connection to 127.0.0.1:{proxy.port} was lost: " in lost.err
    assert (lost.err.count("Traceback") > 0) is (traceback is not None)
    assert ":111@" not in lost.err
    assert "dump" not in lost.err.replace("mo-pitr", "") or traceback is not None


def test_a_statement_may_take_longer(call: Call, emulator: Emulator) -> None:
    proxy = Proxy(emulator.host, emulator.port)
    proxy.on("SHOW PITR", lambda: time.sleep(2))  # the driver's own clock counts
    url = emulator.url(database="shop").replace(f":{emulator.port}/", f":{proxy.port}/")
    shown = call("show", "--connect-timeout", "1", "--url", url)
    proxy.close()
    assert (shown.code, shown.err) == (0, "")


@pytest.mark.parametrize("driver", DRIVERS)
@pytest.mark.parametrize(
    ("host", "why"),
    [("127.0.0.1:1", "Connection refused"), ("no.such.host.invalid:6001", None)],
)
def test_a_server_that_is_not_reached(call: Call, driver: str, host: str, why: str | None) -> None:
    refused = call("show", "--url", f"matrixone+{driver}://dump:secret@{host}/shop")
    assert (refused.code, refused.out) == (2, "")
    assert refused.err.startswith(f"Error: cannot connect to {host}: {why or ''}")
    assert refused.err.count("\n") == 1
    assert "secret" not in refused.err


@pytest.mark.parametrize("driver", DRIVERS)
@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"password": "wrong"}, "Access denied for user dump"),
        ({"database": "nosuch"}, "Unknown database nosuch"),
    ],
)
def test_a_server_that_refuses(
    call: Call, emulator: Emulator, driver: str, changed: dict[str, str], said: str
) -> None:
    refused = call("show", "--url", emulator.url(driver, **changed))
    where = f"127.0.0.1:{emulator.port}"
    assert refused.code == 2
    assert refused.err.startswith(f"Error: the server at {where} refused the connection: (")
    assert said in refused.err
    assert refused.err.count("\n") == 1


def test_a_url_without_a_driver(call: Call, emulator: Emulator) -> None:
    url = emulator.url(database="shop").replace("matrixone+pymysql", "matrixone")
    shown = call("show", "--url", url)
    assert (shown.code, shown.err) == (0, "")


def test_a_server_whose_version_is_hidden(call: Call) -> None:
    shown = call("doctor", "--server-version", "3.0.9")
    assert "MatrixOne 3.0.9, measured" in shown.out
    assert "is not understood" in call("show", "--server-version", "new").err


@pytest.mark.parametrize(
    ("command", "arguments"),
    [
        ("plan", ("m:metadata",)),
        ("check", ("m:metadata",)),
        ("apply", ("m:metadata",)),
        ("renew", ("week",)),
        ("prune", ()),
    ],
)
def test_json_and_sql_together_are_refused(
    call: Call, command: str, arguments: tuple[str, ...]
) -> None:
    refused = call(command, *arguments, "--json", "--sql")
    assert (refused.code, refused.out) == (2, "")
    assert "give --json or --sql, not both" in refused.err


@pytest.mark.parametrize(
    ("python", "command"),
    [
        ("list them with get_pitrs()", "list them with `mo-pitr show`"),
        ("made them; list() shows them", "made them; `mo-pitr show` lists them"),
        ("See them with plan_pitrs(), and", "See them with `mo-pitr plan`, and"),
        (
            "do them with apply_plan(allow_destructive=True).",
            "do them with `mo-pitr apply --allow-destructive`.",
        ),
        (
            "renew_pitr(engine, 'week', keep_history=False) drops it",
            "`mo-pitr renew week --drop-history` drops it",
        ),
        ("renew_pitr(engine, 'a b') does", "`mo-pitr renew 'a b'` does"),
        (
            "say it with the execution option matrixone_version='3.0.9'",
            "say it with --server-version 3.0.9",
        ),
        ("plan_pitrs(bind, metadata, drop_undeclared=True)", "`mo-pitr plan`"),
        ("lost\n(Background on this error at: https://sqlalche.me/e/21/e3q8)\nmore", "lost\nmore"),
    ],
)
def test_advice_names_commands(python: str, command: str) -> None:
    assert as_commands(python) == command


def test_advice_of_an_error(call: Call) -> None:
    missing = call("renew", "nosuch")
    assert missing.code == 2
    assert "get_pitrs" not in missing.err
    assert "list()" not in missing.err
    assert "`mo-pitr show`" in missing.err
