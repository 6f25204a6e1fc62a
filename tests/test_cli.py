"""The installed script ``mo-pitr``, from outside."""

from __future__ import annotations

import contextlib
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import click
import pymysql
import pytest

from sqlalchemy_matrixone_pitr.cli.app import COMMANDS, mo_pitr
from tests.cli import SCRIPT, Call, call, emulator, engine, environment

__all__ = ["call", "emulator", "engine", "environment"]

pytestmark = pytest.mark.slow


def run(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([SCRIPT, *arguments], capture_output=True, text=True, timeout=120)


def run_without(module: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    """The script's entry point in an interpreter that cannot import a module."""
    code = (
        "import sys\n"
        f"sys.modules[{module!r}] = None\n"
        f"sys.argv[1:] = {arguments!r}\n"
        "from sqlalchemy_matrixone_pitr.cli import main\n"
        "main()\n"
    )
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=120)


@contextlib.contextmanager
def serving(*arguments: str) -> Iterator[tuple[subprocess.Popen[str], int]]:
    """A running ``mo-pitr serve`` and its port."""
    process = subprocess.Popen(
        [SCRIPT, "serve", "--port", "0", *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    with process:
        try:
            assert process.stdout is not None
            port = None
            while port is None:
                line = process.stdout.readline()
                assert line, process.communicate()
                url = re.search(r"matrixone\+pymysql://dump:111@127\.0\.0\.1:(\d+)/", line)
                port = int(url[1]) if url else None
            yield process, port
        finally:
            process.kill()  # where the test has not ended it


def version(port: int) -> str:
    with (
        pymysql.connect(host="127.0.0.1", port=port, user="dump", password="111") as connection,
        connection.cursor() as cursor,
    ):
        cursor.execute("SELECT version()")
        row = cursor.fetchone()
        assert row is not None
        return str(row[0])


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM], ids=lambda n: n.name)
def test_serve_answers_until_it_is_told_to_stop(number: signal.Signals) -> None:
    with serving() as (process, port):
        assert version(port) == "8.0.30-MatrixOne-v4.2.0"
        process.send_signal(number)
        out, err = process.communicate(timeout=30)
        assert (process.returncode, err) == (0, "")
        assert out.endswith("Stopped.\n")
    with pytest.raises(pymysql.OperationalError):
        version(port)


def test_serve_stops_while_a_client_is_connected() -> None:
    with serving() as (process, port):
        connection = pymysql.connect(host="127.0.0.1", port=port, user="dump", password="111")
        process.send_signal(signal.SIGINT)
        process.communicate(timeout=30)
        assert process.returncode == 0
        with pytest.raises(pymysql.OperationalError):
            connection.cursor().execute("SELECT 1")
        connection.close()


def test_serve_as_another_version() -> None:
    with serving("--version", "3.0.9") as (_, port):
        assert version(port) == "8.0.30-MatrixOne-v3.0.9"


def test_serve_logs_statements_and_no_password() -> None:
    with serving("--log") as (process, port):
        version(port)
        process.send_signal(signal.SIGINT)
        _, err = process.communicate(timeout=30)
    assert "SELECT version()" in err
    assert "111" not in err


def test_serve_with_a_database_and_a_script(tmp_path: Path) -> None:
    script = tmp_path / "shop.sql"
    script.write_text(
        "-- the shop; its tables\n"
        "CREATE TABLE orders (id INT, item VARCHAR(40));\n"
        "INSERT INTO orders VALUES (1, 'te;a'), (2, '100%'); # two of them\n"
        "CREATE PITR orders_week FOR TABLE shop orders RANGE 7 'd'"
    )
    with serving("--database", "shop", "--database", "o%ther", "--init", str(script)) as (_, port):
        connection = pymysql.connect(
            host="127.0.0.1", port=port, user="dump", password="111", database="shop"
        )
        with connection, connection.cursor() as cursor:
            cursor.execute("SELECT item FROM orders ORDER BY id")
            assert cursor.fetchall() == (("te;a",), ("100%",))
            cursor.execute("SHOW DATABASES")
            assert ("o%ther",) in cursor.fetchall()
            connection.rollback()
            cursor.execute("SHOW PITR")
            assert [row[0] for row in cursor.fetchall()] == ["orders_week"]


def test_serve_says_which_statement_of_a_script_is_wrong(tmp_path: Path) -> None:
    script = tmp_path / "bad.sql"
    script.write_text("CREATE TABLE t (id INT);\n\nCREATE NONSENSE;\n")
    refused = run("serve", "--port", "0", "--database", "shop", "--init", str(script))
    assert (refused.returncode, refused.stdout) == (2, "")
    assert refused.stderr.startswith(f"Error: {script}, line 3: (1064) ")
    assert "[SQL: CREATE NONSENSE]" in refused.stderr


def test_serve_is_where_the_examples_look() -> None:
    (port,) = (option for option in command("serve").params if option.name == "port")
    assert port.default == 6001


def test_serve_on_a_port_that_is_taken() -> None:
    with serving() as (_, port):
        refused = run("serve", "--port", str(port))
    assert refused.returncode == 2
    assert f"port {port}" in refused.stderr
    assert "Traceback" not in refused.stderr


@pytest.mark.parametrize(
    "arguments", [("--version", "new"), ("--version", "9.9.9"), ("--timezone", "Europe/Nowhere")]
)
def test_serve_refuses_what_it_does_not_know(arguments: tuple[str, str]) -> None:
    refused = run("serve", *arguments)
    assert refused.returncode == 2
    assert arguments[1] in refused.stderr
    assert "Traceback" not in refused.stderr


def test_demo_on_a_server_that_does_not_answer() -> None:
    refused = run("demo", "--url", "matrixone+pymysql://dump:secret@127.0.0.1:1/")
    assert refused.returncode == 2
    assert refused.stderr == "Error: cannot connect to 127.0.0.1:1: Connection refused\n"
    assert "Traceback" not in refused.stderr
    assert "secret" not in refused.stderr


def test_without_the_extra_a_hint_names_it() -> None:
    hinted = run_without("click", "serve")
    assert hinted.returncode == 2
    assert hinted.stdout == ""
    assert hinted.stderr == "mo-pitr needs click: pip install 'sqlalchemy-matrixone-pitr[cli]'\n"


@pytest.mark.parametrize(
    ("module", "command", "extra"),
    [
        ("sqlglot", "serve", "[cli,emulator]"),
        ("pymysql", "demo", "[cli,emulator,pymysql,aiomysql]"),
    ],
)
def test_without_a_commands_extra_a_hint_names_it(module: str, command: str, extra: str) -> None:
    hinted = run_without(module, command)
    assert hinted.returncode == 2
    assert hinted.stderr == (
        f"Error: {module} is not installed: pip install 'sqlalchemy-matrixone-pitr{extra}'\n"
    )


def test_without_arguments_the_commands_are_listed() -> None:
    shown = run("--help").stdout
    for name in COMMANDS:
        assert name in shown


def command(name: str) -> click.Command:
    with click.Context(mo_pitr) as context:
        found = mo_pitr.get_command(context, name)
    assert found is not None
    return found


@pytest.mark.parametrize("name", sorted(COMMANDS))
def test_the_list_of_commands_says_what_a_command_says(name: str) -> None:
    found = command(name)
    assert found.name == name
    assert (found.help or "").partition("\n\n")[0].replace("\n", " ") == COMMANDS[name][1]


def test_the_list_of_commands_needs_click_alone() -> None:
    code = """
import sys
from sqlalchemy_matrixone_pitr.cli.app import mo_pitr
mo_pitr.main(["--help"], standalone_mode=False)
print(sorted({"sqlalchemy", "rich", "alembic", "asyncio", "sqlglot", "pymysql"} & set(sys.modules)))
"""
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert ran.stdout.splitlines()[-1] == "[]"


@pytest.mark.parametrize("command", sorted(COMMANDS))
def test_every_command_has_an_example(call: Call, command: str) -> None:
    shown = call(command, "--help")
    assert shown.code == 0
    assert re.search(rf"Example:\n +mo-pitr {command}\b", shown.out)
    assert max(map(len, shown.out.splitlines())) <= 80
