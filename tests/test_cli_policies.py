"""The commands for declared policies, as the installed script: what they print, and exit with."""

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
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from sqlalchemy import Engine, create_engine

from sqlalchemy_matrixone_pitr import Pitr, PitrManager
from sqlalchemy_matrixone_pitr.emulator import Emulator
from tests.proxy import Proxy
from tests.test_cli import SCRIPT

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

Run = Callable[..., "subprocess.CompletedProcess[str]"]


@pytest.fixture
def emulator() -> Iterator[Emulator]:
    with Emulator("3.0.9") as running:
        yield running


@pytest.fixture
def engine(emulator: Emulator) -> Iterator[Engine]:
    made = create_engine(emulator.url())
    with made.begin() as conn:
        conn.exec_driver_sql("CREATE DATABASE shop")
        for number in range(3):
            conn.exec_driver_sql(f"CREATE TABLE shop.t{number} (id INT)")
    yield made
    made.dispose()


@pytest.fixture
def environment(emulator: Emulator, tmp_path: Path) -> dict[str, str]:
    (tmp_path / "models.py").write_text(MODELS.format(tables=3))
    return {**os.environ, "MATRIXONE_URL": emulator.url(database="shop"), "COLUMNS": "80"}


@pytest.fixture
def run(engine: Engine, environment: dict[str, str], tmp_path: Path) -> Run:
    def call(*arguments: str, **changed: str | None) -> subprocess.CompletedProcess[str]:
        env = {k: v for k, v in {**environment, **changed}.items() if v is not None}
        return subprocess.run(
            [SCRIPT, *arguments],
            capture_output=True,
            text=True,
            timeout=120,
            cwd=tmp_path,
            env=env,
            stdin=subprocess.DEVNULL,
        )

    return call


def on_terminal(
    arguments: list[str], environment: dict[str, str], where: Path, answer: str = ""
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
        if answer and not asked and b"[y/N]" in shown:
            asked = True
            os.write(terminal, answer.encode())
    os.close(terminal)
    _, status = os.waitpid(pid, 0)
    return os.waitstatus_to_exitcode(status), shown.decode()


def test_plan_check_apply_check(run: Run, engine: Engine) -> None:
    planned = run("plan", "models:Base")
    assert (planned.returncode, planned.stderr) == (0, "")
    assert planned.stdout.splitlines() == [
        "the server does not have it:",
        "  + create days, database shop, 2d",
        "  + create week_0, table shop.t0, 7d",
        "  + create week_1, table shop.t1, 7d",
        "  + create week_2, table shop.t2, 7d",
        "Plan: 4 to create",
    ]
    assert run("plan", "models:Base", "--exit-code").returncode == 1
    assert run("check", "models:Base").returncode == 1
    applied = run("apply", "models:Base", "--yes")
    assert (applied.returncode, applied.stdout.splitlines()[-1]) == (0, "4 done")
    checked = run("check", "models:Base")
    assert (checked.returncode, checked.stdout) == (0, "in sync: 4 policies, 3 tables\n")
    assert len(PitrManager(engine).list()) == 4
    assert run("apply", "models:Base").returncode == 0  # nothing to ask for


def test_nobody_is_asked_on_a_pipe(run: Run, engine: Engine) -> None:
    refused = run("apply", "models:Base")
    assert refused.returncode == 2
    assert "give --yes. Nothing was sent." in refused.stderr
    assert PitrManager(engine).list() == []


def test_json_alone_on_stdout(run: Run) -> None:
    planned = json.loads(run("plan", "models:Base", "--json").stdout)
    assert (planned["format_version"], planned["in_sync"]) == (1, False)
    assert [action["name"] for action in planned["actions"]] == [
        "days",
        "week_0",
        "week_1",
        "week_2",
    ]
    applied = json.loads(run("apply", "models:Base", "--json", "--yes").stdout)
    assert applied["plan"] == planned
    assert applied["report"]["ok"] is True
    assert len(applied["report"]["done"]) == 4
    checked = run("check", "models:Base", "--json")
    assert json.loads(checked.stdout)["in_sync"] is True
    shown = json.loads(run("show", "--json").stdout)
    assert shown["policies"][0].keys() == {
        "name",
        "level",
        "account_name",
        "database_name",
        "table_name",
        "range",
        "status",
        "created_time",
        "modified_time",
    }
    assert {p["status"] for p in shown["policies"]} == {"active"}
    dry = json.loads(run("apply", "models:Base", "--json", "--dry-run").stdout)
    assert dry["in_sync"] is True


def test_sql_and_dry_run(run: Run, engine: Engine) -> None:
    script = run("apply", "models:Base", "--dry-run", "--sql")
    assert script.returncode == 0
    assert script.stdout.splitlines()[0] == "CREATE PITR `days` FOR DATABASE `shop` RANGE 2 'd';"
    assert run("plan", "models:Base", "--sql").stdout == script.stdout
    checked = run("check", "models:Base", "--sql")
    assert (checked.returncode, checked.stdout) == (1, script.stdout)
    assert PitrManager(engine).list() == []
    with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as conn:
        for line in script.stdout.splitlines():
            conn.exec_driver_sql(line.removesuffix(";"))
    assert run("check", "models:Base").returncode == 0
    assert run("plan", "models:Base", "--sql").stdout == ""
    for line in script.stdout.splitlines()[1:]:
        PitrManager(engine).delete(line.split("`")[1])
    applied = run("apply", "models:Base", "--sql", "--yes")
    assert (applied.returncode, applied.stderr) == (0, "3 done\n")
    assert applied.stdout.splitlines() == script.stdout.splitlines()[1:]


def test_conflicts_are_comments_of_a_script(run: Run, engine: Engine) -> None:
    PitrManager(engine).create_table_pitr("other", "shop", "t1", 9)
    script = run("plan", "models:Base", "--sql", "--exit-code")
    assert script.returncode == 1
    first, *statements = script.stdout.splitlines()
    assert first.startswith("-- ! conflict week_1, table shop.t1: ")
    assert len(statements) == 3
    for statement in statements:
        assert statement.startswith("CREATE PITR ")


def test_destructive(run: Run, engine: Engine) -> None:
    manager = PitrManager(engine)
    manager.create_table_pitr("week_0", "shop", "t0", 9)
    manager.create_table_pitr("other", "shop", "t1", 9)
    refused = run("apply", "models:Base", "--yes", "--drop-undeclared")
    assert refused.returncode == 2
    assert "2 actions are destructive, and nothing was sent" in refused.stderr
    assert "up to 9d of history of table shop.t1 can no longer be restored" in refused.stderr
    assert len(manager.list()) == 2
    conflicting = run("check", "models:Base")
    assert conflicting.returncode == 1
    assert "! conflict week_1" in conflicting.stdout
    failed = run("apply", "models:Base", "--yes", "--allow-destructive")
    assert failed.returncode == 2
    assert "already has the policy other (9d)" in failed.stderr
    done = run("apply", "models:Base", "--yes", "--drop-undeclared", "--allow-destructive")
    assert done.returncode == 0
    assert run("check", "models:Base", "--drop-undeclared").returncode == 0


def test_a_table_that_is_missing(run: Run, engine: Engine) -> None:
    with engine.begin() as conn:
        conn.exec_driver_sql("DROP TABLE shop.t1")
    failed = run("apply", "models:Base", "--yes", "--keep-going")
    assert failed.returncode == 2
    assert "3 done, 1 failed" in failed.stderr
    assert "table shop.t1 does not exist" in failed.stderr
    assert "Traceback" not in failed.stderr


@pytest.mark.parametrize(
    "argument",
    ["models:metadata", "models:Base", "models:Base.metadata", "models:both", "models.py:metadata"],
)
def test_metadata_of_all_kinds(run: Run, argument: str) -> None:
    assert run("plan", argument).stdout.endswith("Plan: 4 to create\n")


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
def test_metadata_that_is_none(run: Run, argument: str, said: str) -> None:
    refused = run("plan", argument)
    assert refused.returncode == 2
    assert said in refused.stderr
    assert "Traceback" not in refused.stderr


def test_errors_of_the_users_module_are_shown_as_they_are(run: Run, tmp_path: Path) -> None:
    (tmp_path / "broken.py").write_text("import nosuchpackage\n")
    (tmp_path / "failing.py").write_text("def f():\n    raise RuntimeError('mine')\nf()\n")
    for module, said in (("broken", "nosuchpackage"), ("failing", "RuntimeError: mine")):
        for argument in (f"{module}:metadata", f"{module}.py:metadata"):
            shown = run("plan", argument)
            assert shown.returncode == 2
            assert said in shown.stderr
            assert f"{module}.py" in shown.stderr
            assert "console.py" not in shown.stderr


@pytest.mark.parametrize(
    "source",
    [
        "import sys; sys.exit(1)",
        "def __getattr__(name): raise SystemExit(1)",
        "def __getattr__(name): raise RuntimeError('mine')",
    ],
)
def test_a_module_that_leaves_is_no_drift(run: Run, tmp_path: Path, source: str) -> None:
    (tmp_path / "leaving.py").write_text(f"{source}\n")
    for argument in ("leaving:metadata", "leaving.py:metadata"):
        shown = run("check", argument)
        assert (shown.returncode, shown.stdout) == (2, "")
        assert "leaving.py" in shown.stderr
        assert "SystemExit: 1" in shown.stderr or "RuntimeError: mine" in shown.stderr
        assert "console.py" not in shown.stderr
        assert shown.stderr.endswith("Error: leaving could not be imported\n") or (
            shown.stderr.endswith("Error: leaving.py could not be imported\n")
        )


def test_what_a_module_prints_is_no_output_of_a_command(run: Run, tmp_path: Path) -> None:
    (tmp_path / "noisy.py").write_text(
        "print('at import')\n"
        + MODELS.format(tables=3)
        + "from sqlalchemy import Engine, event\n"
        + "@event.listens_for(Engine, 'before_cursor_execute')\n"
        + "def show(conn, cursor, statement, *rest): print('later', statement)\n"
    )
    planned = run("plan", "noisy:Base", "--json")
    assert len(json.loads(planned.stdout)["actions"]) == 4
    assert "at import" in planned.stderr
    assert "later SHOW PITR" in planned.stderr
    assert run("plan", "noisy:Base", "--sql").stdout.startswith("CREATE PITR `days`")


def test_a_module_may_run_a_loop_of_its_own(run: Run, emulator: Emulator, tmp_path: Path) -> None:
    (tmp_path / "looping.py").write_text(
        "import asyncio\nasyncio.run(asyncio.sleep(0))\n" + MODELS.format(tables=3)
    )
    url = emulator.url("aiomysql", database="shop")
    planned = run("plan", "looping:Base", "--url", url)
    assert (planned.returncode, planned.stderr) == (0, "")


def test_declarations_that_contradict_each_other(run: Run, tmp_path: Path) -> None:
    (tmp_path / "bad.py").write_text(
        MODELS.format(tables=1) + "declare_pitrs(metadata, Pitr.account('week_0', '7d'))\n"
    )
    shown = run("plan", "bad:metadata")
    assert shown.returncode == 2
    assert "'week_0' is declared twice" in shown.stderr


def test_renew_and_prune(run: Run, engine: Engine, emulator: Emulator) -> None:
    manager = PitrManager(engine)
    manager.create_table_pitr("week", "shop", "t0", 7)
    unchanged = run("renew", "week")
    assert (unchanged.returncode, "nothing is to be done" in unchanged.stdout) == (0, True)
    with engine.begin() as conn:
        conn.exec_driver_sql("ALTER TABLE shop.t0 ADD COLUMN c INT")
    assert "detached" in run("show").stdout
    create = "CREATE PITR `{}` FOR TABLE `shop` `t0` RANGE 7 'd';\n"
    tried = run("renew", "week", "--dry-run", "--sql")
    assert (tried.returncode, tried.stdout, tried.stderr) == (0, create.format("week__g2"), "")
    assert run("renew", "week", "--dry-run").stdout == "week__g2 would protect it.\n"
    assert json.loads(run("renew", "week", "--dry-run", "--json").stdout) == {
        "format_version": 1,
        "name": "week__g2",
        "would_renew": True,
    }
    lossy = run("renew", "week", "--dry-run", "--sql", "--drop-history")
    assert lossy.stdout == "DROP PITR `week`;\n" + create.format("week")
    assert "can no longer be restored" in lossy.stderr
    assert run("renew", "nosuch", "--dry-run").returncode == 2
    assert "detached" in run("show").stdout
    assert json.loads(run("renew", "week", "--json").stdout) == {
        "format_version": 1,
        "name": "week__g2",
        "renewed": True,
    }
    assert "week__g2" in run("show").stdout
    assert "detached" not in run("show").stdout
    assert "detached" in run("show", "--history").stdout
    assert run("prune", "--yes").stdout == "0 dropped.\n"
    import datetime as dt

    emulator.advance(dt.timedelta(days=9))
    assert run("prune", "--dry-run").stdout == "- drop week\n1 would be dropped.\n"
    tried = run("prune", "--dry-run", "--sql")
    assert (tried.stdout, tried.stderr) == ("DROP PITR `week`;\n", "1 would be dropped.\n")
    assert run("prune").returncode == 2
    assert json.loads(run("prune", "--yes", "--json").stdout) == {
        "format_version": 1,
        "dropped": ["week"],
    }
    with engine.begin() as conn:
        conn.exec_driver_sql("ALTER TABLE shop.t0 ADD COLUMN d INT")
    gone = run("renew", "week", "--drop-history", "--yes")
    assert gone.returncode == 2  # a number alone does not say whose it is
    assert "of its name with a number there is week__g2" in gone.stderr
    assert run("renew", "week__g2", "--drop-history").returncode == 2
    assert run("renew", "week__g2", "--drop-history", "--yes").stdout == "week protects it now.\n"
    assert run("renew", "week", "--dry-run", "--sql").stdout == ""
    assert "nothing is to be done" in run("renew", "week", "--dry-run").stdout
    missing = run("renew", "nosuch")
    assert missing.returncode == 2
    assert "does not exist" in missing.stderr


# -- which server ----------------------------------------------------------------------------------


def test_without_a_server(run: Run) -> None:
    refused = run("show", MATRIXONE_URL=None)
    assert refused.returncode == 2
    assert "Give --url, or MATRIXONE_URL, or -c alembic.ini" in refused.stderr


def test_an_alembic_ini(run: Run, emulator: Emulator, tmp_path: Path) -> None:
    url = emulator.url(database="shop").replace("%", "%%")
    ini = tmp_path / "alembic.ini"
    ini.write_text(f"[alembic]\nscript_location = %(here)s\nsqlalchemy.url = {url}\n")
    assert run("plan", "models:Base", "-c", "alembic.ini", MATRIXONE_URL=None).returncode == 0
    ini.write_text(f"[alembic]\nscript_location = here\n[engine2]\nsqlalchemy.url = {url}\n")
    for name in ("-n", "--name"):
        named = run("check", "models:Base", "-c", "alembic.ini", name, "engine2")
        assert (named.returncode, named.stderr) == (1, "")
    other = run("check", "models:Base", "-c", "alembic.ini", "-n", "nosuch")
    assert (other.returncode, "in its section [nosuch]" in other.stderr) == (2, True)
    assert "give the file with -c" in run("check", "models:Base", "-n", "engine2").stderr
    refused = run("plan", "models:Base", "-c", "alembic.ini", MATRIXONE_URL=None)
    assert (refused.returncode, "no sqlalchemy.url" in refused.stderr) == (2, True)
    ini.write_text("no section")
    assert run("show", "-c", "alembic.ini", MATRIXONE_URL=None).returncode == 2


def test_what_is_named_comes_before_the_environment(
    run: Run, emulator: Emulator, tmp_path: Path
) -> None:
    url = emulator.url(database="shop")
    nobody = "matrixone+pymysql://dump:111@127.0.0.1:1/shop"
    ini = tmp_path / "alembic.ini"
    ini.write_text(f"[alembic]\nsqlalchemy.url = {url}\n")
    assert run("plan", "models:Base", "-c", "alembic.ini", MATRIXONE_URL=nobody).returncode == 0
    assert run("plan", "models:Base", "--url", url, MATRIXONE_URL=nobody).returncode == 0
    assert run("plan", "models:Base", MATRIXONE_URL=nobody).returncode == 2
    assert "which server?" in run("plan", "models:Base", MATRIXONE_URL="").stderr
    assert run("plan", "models:Base", "--url", "").returncode == 2
    ini.write_text("[alembic]\n")
    assert "no sqlalchemy.url" in run("plan", "models:Base", "-c", "alembic.ini").stderr
    both = run("plan", "models:Base", "--url", url, "-c", "alembic.ini")
    assert (both.returncode, both.stdout) == (2, "")
    assert "give --url or -c, not both" in both.stderr


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
    run: Run, tmp_path: Path, content: bytes, said: str
) -> None:
    (tmp_path / "alembic.ini").write_bytes(content)
    refused = run("show", "-c", "alembic.ini")
    assert (refused.returncode, refused.stdout) == (2, "")
    assert said in refused.stderr
    assert "cret" not in refused.stderr
    assert "Traceback" not in refused.stderr


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
    run: Run, emulator: Emulator, driver: str, host: str, options: str
) -> None:
    url = emulator.url(driver, database="shop").replace("127.0.0.1", host)
    refused = run("check", "models:Base", "--url", f"{url}?{options}")
    assert (refused.returncode, refused.stdout) == (2, "")
    assert refused.stderr.startswith("Error: ")


def test_a_certificate_that_is_not_there(run: Run, emulator: Emulator) -> None:
    refused = run("show", "--url", f"{emulator.url()}?ssl_ca=/no/such.pem")
    assert (refused.returncode, refused.stdout) == (2, "")
    assert refused.stderr.startswith(
        "Error: the driver cannot use the URL, its host or an option: FileNotFoundError: "
    )


@pytest.mark.parametrize("driver", ["matrixone+aiomysql", "mysql+asyncmy", "mysql+pymysql"])
def test_any_driver(run: Run, emulator: Emulator, driver: str) -> None:
    url = emulator.url(database="shop").replace("matrixone+pymysql", driver)
    assert run("apply", "models:Base", "--yes", "--url", url).returncode == 0
    assert run("check", "models:Base", "--url", url).returncode == 0


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
def test_no_password_is_printed(run: Run, url: str) -> None:
    for shown in (run("show", "--url", url), run("show", MATRIXONE_URL=url)):
        assert shown.returncode == 2
        assert shown.stdout == ""
        assert SECRET not in shown.stderr
        assert "Traceback" not in shown.stderr
        assert shown.stderr.startswith(("Error:", "Usage:"))


def test_a_server_that_is_another(run: Run, tmp_path: Path) -> None:
    shown = run("show", "--url", f"sqlite:///{tmp_path}/x.db")
    assert shown.returncode == 2
    assert "sqlite database has no PITR" in shown.stderr


# -- what nobody expected ------------------------------------------------------------------------


BROKEN = """
from sqlalchemy import Engine, event
@event.listens_for(Engine, "before_cursor_execute")
def stop(*arguments):
    error = ZeroDivisionError("of nobody")
    error.add_note("but a note")
    raise error
"""


def test_any_error_is_a_line_and_no_drift(run: Run, tmp_path: Path) -> None:
    (tmp_path / "broken.py").write_text(MODELS.format(tables=3) + BROKEN)
    failed = run("check", "broken:Base")
    assert (failed.returncode, failed.stdout) == (2, "")
    assert failed.stderr == (
        "Error: ZeroDivisionError: of nobody (MO_PITR_TRACEBACK=1 shows where)\nbut a note\n"
    )
    traced = run("check", "broken:Base", MO_PITR_TRACEBACK="1")
    assert traced.returncode == 2
    assert traced.stderr.startswith("Traceback")
    assert traced.stderr.endswith("Error: ZeroDivisionError: of nobody\nbut a note\n")


@pytest.mark.parametrize("timeout", ["inf", "1e300", "nan", "0"])
def test_a_timeout_that_is_none(run: Run, engine: Engine, timeout: str) -> None:
    refused = run("apply", "models:Base", "--yes", "--timeout", timeout)
    assert refused.returncode == 2
    assert "timeout" in refused.stderr
    assert "Traceback" not in refused.stderr
    assert PitrManager(engine).list() == []


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


def test_interrupted(
    engine: Engine, environment: dict[str, str], emulator: Emulator, tmp_path: Path
) -> None:
    """Ctrl-C while it waits for the lock: exit 130, no traceback."""
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
            env=environment,
        )
        with process:
            assert process.stdout is not None
            while not process.stdout.readline().startswith("Plan:"):
                pass
            time.sleep(1)
            process.send_signal(signal.SIGINT)
            _, err = process.communicate(timeout=30)
        assert process.returncode == 130
        assert "Traceback" not in err
        assert err.endswith("Nothing was sent.\nInterrupted.\n")
        conn.rollback()
    assert PitrManager(engine).list() == []


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
        assert arrived.wait(30)
        deadline = time.monotonic() + 30
        others = 2 if concurrency == "1" else 3
        while len(PitrManager(engine).list()) < others and time.monotonic() < deadline:
            time.sleep(0.1)
        time.sleep(0.5)
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


def test_the_lock_held_by_another(run: Run, emulator: Emulator) -> None:
    with create_engine(emulator.url()).connect() as conn:
        conn.exec_driver_sql(
            "SELECT role_id FROM mo_catalog.mo_role "
            "WHERE role_name IN ('moadmin', 'accountadmin') FOR UPDATE"
        )
        refused = run("apply", "models:Base", "--yes", "--timeout", "1")
        conn.rollback()
    assert refused.returncode == 2
    assert "not free within 1 s" in refused.stderr


# -- help ------------------------------------------------------------------------------------------


def test_a_wrong_word_suggests_the_right_one(run: Run) -> None:
    for arguments, meant in (
        (("shwo",), "'show'"),
        (("plan", "models:Base", "--jsno"), "'--json'"),
        (("apply", "models:Base", "--allow-destruktive"), "'--allow-destructive'"),
    ):
        refused = run(*arguments)
        assert refused.returncode == 2
        assert f"Did you mean {meant}?" in refused.stderr


def test_exit_codes_are_documented(run: Run) -> None:
    shown = re.sub(r"\s+", " ", run("--help").stdout)
    assert "0 done or in sync, 1 drift, 2 error or wrong usage, 130 interrupted" in shown


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_completion(run: Run, shell: str) -> None:
    script = run(_MO_PITR_COMPLETE=f"{shell}_source")
    assert script.returncode == 0
    assert "mo-pitr" in script.stdout
    if shell == "bash":
        completed = run(_MO_PITR_COMPLETE="bash_complete", COMP_WORDS="mo-pitr pl", COMP_CWORD="1")
        assert completed.stdout.split() == ["plain,plan"]


def test_the_module_is_run_by_this_python() -> None:
    assert Path(SCRIPT).parent == Path(sys.executable).parent
