"""The commands for declared policies: what they print, and exit with."""

from __future__ import annotations

import fcntl
import json
import os
import pty
import re
import select
import signal
import struct
import subprocess
import sys
import termios
import threading
import time
from pathlib import Path

import pytest
from sqlalchemy import Engine, create_engine

from sqlalchemy_matrixone_pitr import Pitr, PitrManager
from sqlalchemy_matrixone_pitr.emulator import Emulator
from tests.cli import SCRIPT, Call, call, call_process, emulator, engine, environment
from tests.clock import until
from tests.proxy import Proxy

__all__ = ["call", "call_process", "emulator", "engine", "environment"]

MODELS = """
from sqlalchemy import Column, Integer, MetaData, Table
from sqlalchemy.orm import DeclarativeBase

from sqlalchemy_matrixone_pitr import DatabasePitr, Pitr, TablePitr, declare_pitrs


class Base(DeclarativeBase):
    pass


metadata = Base.metadata
for number in range({tables}):
    Table(f"t{{number}}", metadata, Column("id", Integer), TablePitr("7d", f"week_{{number}}"))
declare_pitrs(metadata, DatabasePitr("2d", "days"))
both = [metadata, MetaData()]
nothing = 7
"""

SERVER_VERSION = "3.0.9"


@pytest.fixture(autouse=True)
def models(tmp_path: Path) -> None:
    (tmp_path / "models.py").write_text(MODELS.format(tables=3))


def on_terminal(
    arguments: list[str],
    environment: dict[str, str],
    where: Path,
    answer: str = "",
    question: bytes = b"[y/N]",
) -> tuple[int, str]:
    """Exit code and output of a command on a terminal of 80 columns that a person sits at."""
    pid, terminal = pty.fork()
    if pid == 0:  # pragma: no cover
        os.chdir(where)
        os.execve(SCRIPT, [SCRIPT, *arguments], {**environment, "TERM": "xterm-256color"})
    fcntl.ioctl(terminal, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 80, 0, 0))
    shown = b""
    asked = False
    while True:
        if asked and not select.select([terminal], [], [], 3)[0]:
            # typed before the question was ready to be answered, and thrown away
            os.write(terminal, answer.encode())
            continue
        try:
            more = os.read(terminal, 4096)
        except OSError:
            break
        if not more:
            break
        shown += more
        if answer and not asked and question in shown:
            asked = True
            os.write(terminal, answer.encode())
    os.close(terminal)
    _, status = os.waitpid(pid, 0)
    return os.waitstatus_to_exitcode(status), shown.decode()


@pytest.mark.slow
def test_plan_check_apply_check(call_process: Call, engine: Engine) -> None:
    planned = call_process("plan", "models:Base")
    assert (planned.code, planned.err) == (0, "")
    assert planned.out.splitlines() == [
        "the server does not have it:",
        "  + create days, database shop, 2d",
        "  + create week_0, table shop.t0, 7d",
        "  + create week_1, table shop.t1, 7d",
        "  + create week_2, table shop.t2, 7d",
        "Plan: 4 to create",
    ]
    assert call_process("plan", "models:Base", "--exit-code").code == 1
    assert call_process("check", "models:Base").code == 1
    applied = call_process("apply", "models:Base", "--yes")
    assert (applied.code, applied.out.splitlines()[-1]) == (0, "4 done")
    checked = call_process("check", "models:Base")
    assert (checked.code, checked.out) == (0, "in sync: 4 policies, 3 tables\n")
    assert len(PitrManager(engine).list()) == 4
    assert call_process("apply", "models:Base").code == 0  # nothing to ask for


def test_nobody_is_asked_on_a_pipe(call: Call, engine: Engine) -> None:
    refused = call("apply", "models:Base")
    assert refused.code == 2
    assert "give --yes. Nothing was sent." in refused.err
    assert PitrManager(engine).list() == []


def test_json_alone_on_stdout(call: Call) -> None:
    planned = json.loads(call("plan", "models:Base", "--json").out)
    assert (planned["format_version"], planned["in_sync"]) == (1, False)
    assert [action["name"] for action in planned["actions"]] == [
        "days",
        "week_0",
        "week_1",
        "week_2",
    ]
    applied = json.loads(call("apply", "models:Base", "--json", "--yes").out)
    assert applied["plan"] == planned
    assert applied["report"]["ok"] is True
    assert len(applied["report"]["done"]) == 4
    checked = call("check", "models:Base", "--json")
    assert json.loads(checked.out)["in_sync"] is True
    shown = json.loads(call("show", "--json").out)
    assert shown["policies"][0].keys() == {
        "name",
        "level",
        "account_name",
        "database_name",
        "table_name",
        "range",
        "status",
        "kept",
        "restorable_from",
        "created_time",
        "modified_time",
    }
    assert {p["status"] for p in shown["policies"]} == {"active"}
    dry = json.loads(call("apply", "models:Base", "--json", "--dry-run").out)
    assert dry["in_sync"] is True


def test_sql_and_dry_run(call: Call, engine: Engine) -> None:
    script = call("apply", "models:Base", "--dry-run", "--sql")
    assert script.code == 0
    assert script.out.splitlines()[0] == "CREATE PITR `days` FOR DATABASE `shop` RANGE 2 'd';"
    assert call("plan", "models:Base", "--sql").out == script.out
    checked = call("check", "models:Base", "--sql")
    assert (checked.code, checked.out) == (1, script.out)
    assert PitrManager(engine).list() == []
    with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as conn:
        for line in script.out.splitlines():
            conn.exec_driver_sql(line.removesuffix(";"))
    assert call("check", "models:Base").code == 0
    assert call("plan", "models:Base", "--sql").out == ""
    for line in script.out.splitlines()[1:]:
        PitrManager(engine).delete(line.split("`")[1])
    applied = call("apply", "models:Base", "--sql", "--yes")
    assert (applied.code, applied.err) == (0, "3 done\n")
    assert applied.out.splitlines() == script.out.splitlines()[1:]


def test_conflicts_are_comments_of_a_script(call: Call, engine: Engine) -> None:
    PitrManager(engine).create_table_pitr("other", "shop", "t1", 9)
    script = call("plan", "models:Base", "--sql", "--exit-code")
    assert script.code == 1
    first, *statements = script.out.splitlines()
    assert first.startswith("-- ! conflict week_1, table shop.t1: ")
    assert len(statements) == 3
    for statement in statements:
        assert statement.startswith("CREATE PITR ")


def test_destructive(call: Call, engine: Engine) -> None:
    manager = PitrManager(engine)
    manager.create_table_pitr("week_0", "shop", "t0", 9)
    manager.create_table_pitr("other", "shop", "t1", 9)
    refused = call("apply", "models:Base", "--yes", "--drop-undeclared")
    assert refused.code == 2
    assert "2 actions are destructive, and nothing was sent" in refused.err
    assert "up to 1h of history of table shop.t1 can no longer be restored" in refused.err
    assert len(manager.list()) == 2
    conflicting = call("check", "models:Base")
    assert conflicting.code == 1
    assert "! conflict week_1" in conflicting.out
    failed = call("apply", "models:Base", "--yes", "--allow-destructive")
    assert failed.code == 2
    assert "already has the policy other (9d)" in failed.err
    done = call("apply", "models:Base", "--yes", "--drop-undeclared", "--allow-destructive")
    assert done.code == 0
    assert call("check", "models:Base", "--drop-undeclared").code == 0


def test_a_table_that_is_missing(call: Call, engine: Engine) -> None:
    with engine.begin() as conn:
        conn.exec_driver_sql("DROP TABLE shop.t1")
    failed = call("apply", "models:Base", "--yes", "--keep-going")
    assert failed.code == 2
    assert "3 done, 1 failed" in failed.err
    assert "table shop.t1 does not exist" in failed.err
    assert "Traceback" not in failed.err


@pytest.mark.parametrize(
    "argument",
    ["models:metadata", "models:Base", "models:Base.metadata", "models:both", "models.py:metadata"],
)
def test_metadata_of_all_kinds(call: Call, argument: str) -> None:
    assert call("plan", argument).out.endswith("Plan: 4 to create\n")


@pytest.mark.parametrize(
    ("argument", "said"),
    [
        ("models", "names no metadata"),
        ("models:", "names no metadata"),
        (":metadata", "names no metadata"),
        ("nosuch:metadata", "there is no module nosuch"),
        ("nosuch.models:metadata", "there is no module nosuch"),
        ("nosuch.py:metadata", "there is no file nosuch.py"),
        ("models:nosuch", "models has no nosuch"),
        ("models:nothing", "7 is not a MetaData"),
    ],
)
def test_metadata_that_is_none(call: Call, argument: str, said: str) -> None:
    refused = call("plan", argument)
    assert refused.code == 2
    assert said in refused.err
    assert "Traceback" not in refused.err


def test_errors_of_the_users_module_are_shown_as_they_are(call: Call, tmp_path: Path) -> None:
    (tmp_path / "broken.py").write_text("import nosuchpackage\n")
    (tmp_path / "failing.py").write_text("def f():\n    raise RuntimeError('mine')\nf()\n")
    for module, said in (("broken", "nosuchpackage"), ("failing", "RuntimeError: mine")):
        for argument in (f"{module}:metadata", f"{module}.py:metadata"):
            shown = call("plan", argument)
            assert shown.code == 2
            assert said in shown.err
            assert f"{module}.py" in shown.err
            assert "console.py" not in shown.err


@pytest.mark.parametrize(
    "source",
    [
        "import sys; sys.exit(1)",
        "def __getattr__(name): raise SystemExit(1)",
        "def __getattr__(name): raise RuntimeError('mine')",
    ],
)
def test_a_module_that_leaves_is_no_drift(call: Call, tmp_path: Path, source: str) -> None:
    (tmp_path / "leaving.py").write_text(f"{source}\n")
    for argument in ("leaving:metadata", "leaving.py:metadata"):
        shown = call("check", argument)
        assert (shown.code, shown.out) == (2, "")
        assert "leaving.py" in shown.err
        assert "SystemExit: 1" in shown.err or "RuntimeError: mine" in shown.err
        assert "console.py" not in shown.err
        assert shown.err.endswith("Error: leaving could not be imported\n") or (
            shown.err.endswith("Error: leaving.py could not be imported\n")
        )


@pytest.mark.slow
def test_what_a_module_prints_is_no_output_of_a_command(call_process: Call, tmp_path: Path) -> None:
    (tmp_path / "noisy.py").write_text(
        "print('at import')\n"
        + MODELS.format(tables=3)
        + "from sqlalchemy import Engine, event\n"
        + "@event.listens_for(Engine, 'before_cursor_execute')\n"
        + "def show(conn, cursor, statement, *rest): print('later', statement)\n"
    )
    planned = call_process("plan", "noisy:Base", "--json")
    assert len(json.loads(planned.out)["actions"]) == 4
    assert "at import" in planned.err
    assert "later SHOW PITR" in planned.err
    assert call_process("plan", "noisy:Base", "--sql").out.startswith("CREATE PITR `days`")


def test_a_module_may_run_a_loop_of_its_own(call: Call, emulator: Emulator, tmp_path: Path) -> None:
    (tmp_path / "looping.py").write_text(
        "import asyncio\nasyncio.run(asyncio.sleep(0))\n" + MODELS.format(tables=3)
    )
    url = emulator.url("aiomysql", database="shop")
    planned = call("plan", "looping:Base", "--url", url)
    assert (planned.code, planned.err) == (0, "")


def test_declarations_that_contradict_each_other(call: Call, tmp_path: Path) -> None:
    (tmp_path / "bad.py").write_text(
        MODELS.format(tables=1) + "declare_pitrs(metadata, Pitr.account('week_0', '7d'))\n"
    )
    shown = call("plan", "bad:metadata")
    assert shown.code == 2
    assert "'week_0' is declared twice" in shown.err


def test_renew_and_prune(call: Call, engine: Engine, emulator: Emulator) -> None:
    manager = PitrManager(engine)
    manager.create_table_pitr("week", "shop", "t0", 7)
    unchanged = call("renew", "week")
    assert (unchanged.code, "nothing is to be done" in unchanged.out) == (0, True)
    with engine.begin() as conn:
        conn.exec_driver_sql("ALTER TABLE shop.t0 ADD COLUMN c INT")
    assert "detached" in call("show").out
    create = "CREATE PITR `{}` FOR TABLE `shop` `t0` RANGE 7 'd';\n"
    tried = call("renew", "week", "--dry-run", "--sql")
    assert (tried.code, tried.out, tried.err) == (0, create.format("week__g2"), "")
    assert call("renew", "week", "--dry-run").out == "week__g2 would protect it.\n"
    assert json.loads(call("renew", "week", "--dry-run", "--json").out) == {
        "format_version": 1,
        "name": "week__g2",
        "would_renew": True,
    }
    lossy = call("renew", "week", "--dry-run", "--sql", "--drop-history")
    assert lossy.out == "DROP PITR `week`;\n" + create.format("week")
    assert "can no longer be restored" in lossy.err
    assert call("renew", "nosuch", "--dry-run").code == 2
    assert "detached" in call("show").out
    assert json.loads(call("renew", "week", "--json").out) == {
        "format_version": 1,
        "name": "week__g2",
        "renewed": True,
    }
    assert "week__g2" in call("show").out
    assert "detached" not in call("show").out
    assert "detached" in call("show", "--history").out
    assert call("prune", "--yes").out == "0 dropped.\n"
    import datetime as dt

    emulator.advance(dt.timedelta(days=9))
    assert call("prune", "--dry-run").out == "- drop week\n1 would be dropped.\n"
    tried = call("prune", "--dry-run", "--sql")
    assert (tried.out, tried.err) == ("DROP PITR `week`;\n", "1 would be dropped.\n")
    assert call("prune").code == 2
    assert json.loads(call("prune", "--yes", "--json").out) == {
        "format_version": 1,
        "dropped": ["week"],
    }
    with engine.begin() as conn:
        conn.exec_driver_sql("ALTER TABLE shop.t0 ADD COLUMN d INT")
    gone = call("renew", "week", "--drop-history", "--yes")
    assert gone.code == 2  # a number alone does not say whose it is
    assert "of its name with a number there is week__g2" in gone.err
    assert call("renew", "week__g2", "--drop-history").code == 2
    assert call("renew", "week__g2", "--drop-history", "--yes").out == "week protects it now.\n"
    assert call("renew", "week", "--dry-run", "--sql").out == ""
    assert "nothing is to be done" in call("renew", "week", "--dry-run").out
    missing = call("renew", "nosuch")
    assert missing.code == 2
    assert "does not exist" in missing.err


# -- which server ----------------------------------------------------------------------------------


def test_without_a_server(call: Call) -> None:
    refused = call("show", MATRIXONE_URL=None)
    assert refused.code == 2
    assert "Give --url, or MATRIXONE_URL, or -c alembic.ini" in refused.err


def test_an_alembic_ini(call: Call, emulator: Emulator, tmp_path: Path) -> None:
    url = emulator.url(database="shop").replace("%", "%%")
    ini = tmp_path / "alembic.ini"
    ini.write_text(f"[alembic]\nscript_location = %(here)s\nsqlalchemy.url = {url}\n")
    assert call("plan", "models:Base", "-c", "alembic.ini", MATRIXONE_URL=None).code == 0
    ini.write_text(f"[alembic]\nscript_location = here\n[engine2]\nsqlalchemy.url = {url}\n")
    for name in ("-n", "--name"):
        named = call("check", "models:Base", "-c", "alembic.ini", name, "engine2")
        assert (named.code, named.err) == (1, "")
    other = call("check", "models:Base", "-c", "alembic.ini", "-n", "nosuch")
    assert (other.code, "in its section [nosuch]" in other.err) == (2, True)
    assert "give the file with -c" in call("check", "models:Base", "-n", "engine2").err
    refused = call("plan", "models:Base", "-c", "alembic.ini", MATRIXONE_URL=None)
    assert (refused.code, "no sqlalchemy.url" in refused.err) == (2, True)
    ini.write_text("no section")
    assert call("show", "-c", "alembic.ini", MATRIXONE_URL=None).code == 2


def test_what_is_named_comes_before_the_environment(
    call: Call, emulator: Emulator, tmp_path: Path
) -> None:
    url = emulator.url(database="shop")
    nobody = "matrixone+pymysql://dump:111@127.0.0.1:1/shop"
    ini = tmp_path / "alembic.ini"
    ini.write_text(f"[alembic]\nsqlalchemy.url = {url}\n")
    assert call("plan", "models:Base", "-c", "alembic.ini", MATRIXONE_URL=nobody).code == 0
    assert call("plan", "models:Base", "--url", url, MATRIXONE_URL=nobody).code == 0
    assert call("plan", "models:Base", MATRIXONE_URL=nobody).code == 2
    assert "which server?" in call("plan", "models:Base", MATRIXONE_URL="").err
    assert call("plan", "models:Base", "--url", "").code == 2
    ini.write_text("[alembic]\n")
    assert "no sqlalchemy.url" in call("plan", "models:Base", "-c", "alembic.ini").err
    both = call("plan", "models:Base", "--url", url, "-c", "alembic.ini")
    assert (both.code, both.out) == (2, "")
    assert "give --url or -c, not both" in both.err


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"[alembic]\nsqlalchemy.url = mysql://dump:s%23cret@h/\n", "write a % as %%"),
        (b"[alembic]\nsqlalchemy.url = mysql://dump:%(s3cret)s@h/\n", "write a % as %%"),
        (b"[alembic]\nsqlalchemy.url = mysql://dump:s\xe9cret@h/\n", "is not UTF-8"),
        (b"no section\n", "is not an alembic.ini that can be read"),
    ],
)
def test_an_alembic_ini_that_cannot_be_read(
    call: Call, tmp_path: Path, content: bytes, said: str
) -> None:
    (tmp_path / "alembic.ini").write_bytes(content)
    refused = call("show", "-c", "alembic.ini")
    assert (refused.code, refused.out) == (2, "")
    assert said in refused.err
    assert "cret" not in refused.err
    assert "Traceback" not in refused.err


@pytest.mark.parametrize("driver", ["pymysql", "aiomysql", "asyncmy"])
@pytest.mark.parametrize(
    ("host", "options"),
    [
        ("127.0.0.1", "nosuch=1"),
        ("127.0.0.1", "connect_timeout=abc"),
        ("127.0.0.1", "charset=abc"),
        ("a..b", ""),
    ],
)
def test_a_url_that_the_driver_cannot_use(
    call: Call, call_process: Call, emulator: Emulator, driver: str, host: str, options: str
) -> None:
    url = emulator.url(driver, database="shop").replace("127.0.0.1", host)
    # aiomysql's Connection.__del__ fails where its __init__ has: it does so in another process
    run = call_process if driver == "aiomysql" else call
    refused = run("check", "models:Base", "--url", f"{url}?{options}")
    assert (refused.code, refused.out) == (2, "")
    assert refused.err.startswith("Error: ")


def test_a_certificate_that_is_not_there(call: Call, emulator: Emulator) -> None:
    refused = call("show", "--url", f"{emulator.url()}?ssl_ca=/no/such.pem")
    assert (refused.code, refused.out) == (2, "")
    assert refused.err.startswith(
        "Error: the driver cannot use the URL, its host or an option: FileNotFoundError: "
    )


@pytest.mark.parametrize("driver", ["matrixone+aiomysql", "mysql+asyncmy", "mysql+pymysql"])
def test_any_driver(call: Call, emulator: Emulator, driver: str) -> None:
    url = emulator.url(database="shop").replace("matrixone+pymysql", driver)
    assert call("apply", "models:Base", "--yes", "--url", url).code == 0
    assert call("check", "models:Base", "--url", url).code == 0


SECRET = "s3cret-word"


@pytest.mark.parametrize(
    "url",
    [
        f"matrixone+pymysql://dump:{SECRET}@127.0.0.1:1/shop",
        f"mysql+pymysql://dump:{SECRET}@{SECRET}@127.0.0.1:1/shop",
        f"nonsense dump:{SECRET}@127.0.0.1",
        f"nosuch://dump:{SECRET}@127.0.0.1/shop",
        f"mysql://dump:{SECRET}@127.0.0.1/shop",
        f"matrixone://dump:{SECRET}@127.0.0.1/shop",
        f"sqlite+pysqlite://dump:{SECRET}@127.0.0.1/shop",
        f"mysql+pymysql://dump:{SECRET}@127.0.0.1:port/shop",
        f"mysql+pymysql://dump:{SECRET}@127.0.0.1:1/shop?nosuch={SECRET}",
    ],
)
def test_no_password_is_printed(call: Call, url: str) -> None:
    for shown in (call("show", "--url", url), call("show", MATRIXONE_URL=url)):
        assert shown.code == 2
        assert shown.out == ""
        assert SECRET not in shown.err
        assert "Traceback" not in shown.err
        assert shown.err.startswith(("Error:", "Usage:"))


def test_a_server_that_is_another(call: Call, tmp_path: Path) -> None:
    for command in (["show"], ["diff", "t", "--at", "1m ago"], ["when", "t", "--row", "1"]):
        shown = call(*command, "--url", f"sqlite:///{tmp_path}/x.db")
        assert shown.code == 2
        assert "sqlite database has no PITR" in shown.err


# -- what nobody expected ------------------------------------------------------------------------


BROKEN = """
from sqlalchemy import Engine, event
@event.listens_for(Engine, "before_cursor_execute")
def stop(*arguments):
    error = ZeroDivisionError("of nobody")
    error.add_note("but a note")
    raise error
"""


@pytest.mark.slow
def test_any_error_is_a_line_and_no_drift(call_process: Call, tmp_path: Path) -> None:
    (tmp_path / "broken.py").write_text(MODELS.format(tables=3) + BROKEN)
    failed = call_process("check", "broken:Base")
    assert (failed.code, failed.out) == (2, "")
    assert failed.err == (
        "Error: ZeroDivisionError: of nobody (MO_PITR_TRACEBACK=1 shows where)\nbut a note\n"
    )
    traced = call_process("check", "broken:Base", MO_PITR_TRACEBACK="1")
    assert traced.code == 2
    assert traced.err.startswith("Traceback")
    assert traced.err.endswith("Error: ZeroDivisionError: of nobody\nbut a note\n")


@pytest.mark.parametrize("timeout", ["inf", "1e300", "nan", "0"])
def test_a_timeout_that_is_none(call: Call, engine: Engine, timeout: str) -> None:
    refused = call("apply", "models:Base", "--yes", "--timeout", timeout)
    assert refused.code == 2
    assert "timeout" in refused.err
    assert "Traceback" not in refused.err
    assert PitrManager(engine).list() == []


@pytest.mark.slow
@pytest.mark.parametrize(
    ("arguments", "redirected", "said"),
    [
        ("plan models:Base", "| true", ""),
        ("show", "| true", ""),
        ("--help", "| true", ""),
        ("demo", "| true", ""),
        ("plan models:Base", "> /dev/full", "Error: standard output: No space left on device\n"),
        ("plan models:Base --json", "> /dev/full", "Error: standard output: No space left"),
        ("--help", "> /dev/full", "Error: OSError: [Errno 28] No space left on device"),
        ("show", ">&-", "Error: standard output is closed\n"),
        ("apply models:Base --yes", ">&-", "Error: standard output is closed\n"),
        ("nosuch", "2> /dev/full", ""),
        ("check nosuch:Base", "2>&-", ""),
        ("apply models:Base", "<&-", "Error: not on a terminal"),
    ],
)
def test_nobody_reads_it(
    engine: Engine,
    environment: dict[str, str],
    tmp_path: Path,
    arguments: str,
    redirected: str,
    said: str,
) -> None:
    ran = subprocess.run(
        ["bash", "-c", f"sleep 0 | {SCRIPT} {arguments} {redirected}; exit ${{PIPESTATUS[1]}}"],
        capture_output=True,
        text=True,
        timeout=120,
        cwd=tmp_path,
        env={**environment, "PYTHONUNBUFFERED": ""},
    )
    assert ran.returncode == 2
    assert ran.stderr.startswith(said)
    assert said or ran.stderr == ""
    assert "Traceback" not in ran.stderr
    assert "Exception ignored" not in ran.stderr
    assert PitrManager(engine).list() == []


def test_errors_that_cannot_be_told_stop_nothing(
    engine: Engine, environment: dict[str, str], tmp_path: Path
) -> None:
    ran = subprocess.run(
        ["bash", "-c", f"{SCRIPT} apply models:Base --yes 2>&-"],
        capture_output=True,
        text=True,
        timeout=120,
        cwd=tmp_path,
        env=environment,
    )
    assert (ran.returncode, ran.stdout.splitlines()[-1]) == (0, "4 done")


# -- a person at a terminal ------------------------------------------------------------------------


@pytest.mark.slow
def test_a_terminal_with_and_without_colour(
    engine: Engine, environment: dict[str, str], tmp_path: Path
) -> None:
    name = "a_policy_with_a_name_that_is_longer_than_a_third_of_the_terminal"
    PitrManager(engine).create(Pitr.database(name, "7d", database_name="shop"))
    code, coloured = on_terminal(["show"], environment, tmp_path)
    assert code == 0
    assert "\x1b[32m" in coloured
    plain_environment = {**environment, "NO_COLOR": "1"}
    code, plain = on_terminal(["show"], plain_environment, tmp_path)
    assert code == 0
    assert not re.search(r"\x1b\[\d*(;\d+)*3[0-7]", plain)
    lines = re.sub(r"\x1b\[[0-9;]*m", "", plain).replace("\r", "").splitlines()
    assert max(map(len, lines)) <= 80
    assert name in plain
    code, planned = on_terminal(["plan", "models:Base"], environment, tmp_path)
    assert "\x1b[32m  + create week_0, table shop.t0, 7d" in planned
    code, planned = on_terminal(["plan", "models:Base"], plain_environment, tmp_path)
    assert "\x1b" not in planned


@pytest.mark.slow
def test_a_person_is_asked(engine: Engine, environment: dict[str, str], tmp_path: Path) -> None:
    code, shown = on_terminal(["apply", "models:Base"], environment, tmp_path, "n\n")
    assert code == 1
    assert "Apply 4 to create?" in shown
    assert "Nothing was sent." in shown
    assert PitrManager(engine).list() == []
    code, shown = on_terminal(["apply", "models:Base"], environment, tmp_path, "y\n")
    assert code == 0
    assert "4 done" in shown
    assert len(PitrManager(engine).list()) == 4


@pytest.mark.slow
def test_a_bar_for_many_actions(
    engine: Engine, environment: dict[str, str], tmp_path: Path
) -> None:
    (tmp_path / "many.py").write_text(MODELS.format(tables=25))
    with engine.begin() as conn:
        for number in range(3, 25):
            conn.exec_driver_sql(f"CREATE TABLE shop.t{number} (id INT)")
    code, shown = on_terminal(["apply", "many:Base", "--yes"], environment, tmp_path)
    assert code == 0
    assert "26/26" in shown
    manager = PitrManager(engine)
    for pitr in manager.list():
        manager.delete(pitr.name)
    quiet = {**environment, "NO_COLOR": "1"}
    code, shown = on_terminal(["apply", "many:Base", "--yes"], quiet, tmp_path)
    assert code == 0
    assert "/26" not in shown
    assert "\x1b" not in shown


@pytest.mark.slow
def test_interrupted(
    engine: Engine, environment: dict[str, str], emulator: Emulator, tmp_path: Path
) -> None:
    """Ctrl-C while it waits for the lock: exit 130, no traceback."""
    proxy = Proxy(emulator.host, emulator.port)
    waits = threading.Event()
    proxy.on("FOR UPDATE", waits.set)
    url = emulator.url(database="shop").replace(f":{emulator.port}/", f":{proxy.port}/")
    with create_engine(emulator.url()).connect() as conn:
        conn.exec_driver_sql(
            "SELECT role_id FROM mo_catalog.mo_role "
            "WHERE role_name IN ('moadmin', 'accountadmin') FOR UPDATE"
        )
        process = subprocess.Popen(
            [SCRIPT, "apply", "models:Base", "--yes"],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            cwd=tmp_path,
            env={**environment, "MATRIXONE_URL": url},
        )
        with process:
            assert waits.wait(60)
            process.send_signal(signal.SIGINT)
            out, err = process.communicate(timeout=30)
        assert "Plan:" in out
        assert process.returncode == 130
        assert "Traceback" not in err
        assert err.endswith("Nothing was sent.\nInterrupted.\n")
        conn.rollback()
    proxy.close()
    assert PitrManager(engine).list() == []


@pytest.mark.slow
@pytest.mark.parametrize(
    ("driver", "concurrency", "as_json"),
    [
        ("pymysql", "1", False),
        ("pymysql", "4", True),
        ("aiomysql", "1", True),
        ("aiomysql", "4", False),
    ],
)
def test_interrupted_while_it_sends(
    engine: Engine,
    environment: dict[str, str],
    emulator: Emulator,
    tmp_path: Path,
    driver: str,
    concurrency: str,
    as_json: bool,
) -> None:
    """Ctrl-C while a statement is on its way: what was done, and what was not, is said."""
    proxy = Proxy(emulator.host, emulator.port)
    arrived = threading.Event()
    goes_on = threading.Event()

    def hold() -> None:
        arrived.set()
        goes_on.wait(30)

    proxy.on("CREATE PITR `week_1`", hold)
    url = emulator.url(driver, database="shop").replace(f":{emulator.port}/", f":{proxy.port}/")
    process = subprocess.Popen(
        [SCRIPT, "apply", "models:Base", "--yes", "--concurrency", concurrency]
        + ["--json"] * as_json,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        cwd=tmp_path,
        env={**environment, "MATRIXONE_URL": url},
    )
    with process:
        assert arrived.wait(60)
        others = 2 if concurrency == "1" else 3
        until(lambda: len(PitrManager(engine).list()) >= others, 30)
        time.sleep(0.5)  # the server has them; its answers have still to be heard
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=30)
    goes_on.set()
    proxy.close()
    assert process.returncode == 130
    assert "Traceback" not in err
    assert "Waiting for what is on its way; Ctrl-C again leaves at once." in err
    assert err.strip().endswith("Interrupted.")
    assert "Nothing was sent." not in err
    # an interrupted connection tells nothing; one that the server ended lets read back
    assert re.search(r"(unknown, run the plan again|failed): \+ create week_1", err)
    if concurrency == "1":
        assert "2 done" in err
        assert "not tried: + create week_2" in err
    else:
        assert "3 done" in err
    if as_json:
        report = json.loads(out)["report"]
        assert report["ok"] is False
        assert [action["name"] for action in report["unknown"] + report["failed"]] == ["week_1"]
    else:
        assert "Plan: 4 to create\n" in out


def test_the_lock_held_by_another(call: Call, emulator: Emulator) -> None:
    with create_engine(emulator.url()).connect() as conn:
        conn.exec_driver_sql(
            "SELECT role_id FROM mo_catalog.mo_role "
            "WHERE role_name IN ('moadmin', 'accountadmin') FOR UPDATE"
        )
        refused = call("apply", "models:Base", "--yes", "--timeout", "1")
        conn.rollback()
    assert refused.code == 2
    assert "not free within 1 s" in refused.err


# -- help ------------------------------------------------------------------------------------------


def test_a_wrong_word_suggests_the_right_one(call: Call) -> None:
    for arguments, meant in (
        (("shwo",), "show"),
        (("plan", "models:Base", "--jsno"), "--json"),
        (("apply", "models:Base", "--allow-destruktive"), "--allow-destructive"),
    ):
        refused = call(*arguments)
        assert refused.code == 2
        assert f"Did you mean {meant}?" in refused.err.replace("'", "")  # click before 8.2


def test_exit_codes_are_documented(call: Call) -> None:
    shown = re.sub(r"\s+", " ", call("--help").out)
    assert "0 done or in sync, 1 drift, 2 error or wrong usage, 130 interrupted" in shown


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_completion(call: Call, shell: str) -> None:
    script = call(_MO_PITR_COMPLETE=f"{shell}_source")
    assert script.code == 0
    assert "mo-pitr" in script.out
    if shell == "bash":
        completed = call(_MO_PITR_COMPLETE="bash_complete", COMP_WORDS="mo-pitr pl", COMP_CWORD="1")
        assert completed.out.split() == ["plain,plan"]


def test_the_module_is_run_by_this_python() -> None:
    assert Path(SCRIPT).parent == Path(sys.executable).parent
