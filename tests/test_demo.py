"""The demo from outside: on its own emulator, and on a server of the tests."""

from __future__ import annotations

import datetime as dt
import os
import re
import subprocess
import sysconfig

import pytest

from sqlalchemy_matrixone_pitr.cli.demo import DATABASE, STEPS
from tests.conftest import Server

pytestmark = pytest.mark.slow

SCRIPT = os.path.join(sysconfig.get_path("scripts"), "mo-pitr")


def demo(*arguments: str) -> str:
    ran = subprocess.run(
        [SCRIPT, "demo", *arguments],
        capture_output=True,
        text=True,
        timeout=120,
        env={**os.environ, "PYTHONWARNINGS": "error"},
    )
    assert (ran.returncode, ran.stderr) == (0, "")
    return ran.stdout


@pytest.fixture(scope="module")
def printed() -> str:
    return demo()


def test_every_step_has_its_heading_in_order(printed: str) -> None:
    assert re.findall(r"^\d+\. .*", printed, re.MULTILINE) == [
        f"{number}. {step.__doc__}" for number, step in enumerate(STEPS, 1)
    ]


@pytest.mark.parametrize(
    "line",
    [
        'create_engine("matrixone+pymysql://dump:***@127.0.0.1:',
        "Before COMMIT: 2 PITR statements wait, the server has no PITR.",
        "After COMMIT: the server has customers_week, orders_week.",
        "Table invoices is there: no.",
        "PITR invoices_week is there: no.",
        "Now the server has customers_week, invoices_week, orders_week, shop_month.",
        "orders_week reached back 7d, now 14d.",
        "PitrValidationError: PITR range value 101 is outside 1 to 100",
        "PitrValidationError: PITR name \"x` FOR CLUSTER RANGE 1 'h'; --\"",
        "delete again: False",
        "alter: invoices_year 2y",
        "orders holds sofa. A mistake!",
        "orders holds tea, lamp, sofa again.",
        "orders_week is detached now",
        "customers holds Grace, Linus. Where is Ada?",
        "diff_rows: deleted {'id': 1, 'name': 'Ada'}",
        "undo_changes: 1 row is back; customers holds Ada, Grace, Linus.",
        "The plan: + create carts_week, table demo_shop.carts, 7d",
        "Applied: 1 done.",
        "rebuilt carts: 1 to renew.",
        "carts_week__g2 protects it now; nothing is lost.",
        "Done: the emulator has stopped.",
    ],
)
def test_it_says_what_happened(printed: str, line: str) -> None:
    assert line in printed


def test_pitr_statements_are_sent_after_commit_and_rows_before(printed: str) -> None:
    step = printed.partition("\n2. ")[2].partition("\n3. ")[0]
    sent = re.findall(r"> (CREATE TABLE|INSERT|COMMIT|CREATE PITR)", step)
    assert sent == [
        *("CREATE TABLE", "CREATE TABLE", "INSERT", "INSERT"),
        *("COMMIT", "CREATE PITR", "COMMIT", "CREATE PITR", "COMMIT"),
    ]


def test_what_is_protected_is_a_table(printed: str) -> None:
    assert re.search(r"^   shop_month +database +demo_shop +1mo +active +\d", printed, re.MULTILINE)


def test_the_second_is_found(printed: str) -> None:
    said = re.search(r"there at ([\d:.]{12}) UTC, gone at ([\d:.]{12})\.", printed)
    assert said is not None
    last, gone = (dt.datetime.strptime(text, "%H:%M:%S.%f") for text in said.groups())
    assert (gone - last).total_seconds() % 86400 < 0.02


def test_a_step_fits_a_screen(printed: str) -> None:
    steps = re.split(r"^\d+\. ", printed, flags=re.MULTILINE)
    assert max(len(step.splitlines()) for step in steps) <= 24


def test_lines_fit_a_terminal(printed: str) -> None:
    assert max(map(len, printed.splitlines())) <= 80


def test_on_a_server_it_leaves_nothing_behind(server: Server) -> None:
    url = server.url("mysql+pymysql").render_as_string(hide_password=False)
    assert "orders holds tea, lamp, sofa again." in demo("--url", url)
    assert (DATABASE,) not in server.query("SHOW DATABASES")
    assert [row for row in server.query("SHOW PITR") if row[5] == DATABASE] == []


def test_a_database_of_that_name_is_left_alone(server: Server) -> None:
    server.query(f"CREATE DATABASE {DATABASE}")
    try:
        url = server.url("mysql+pymysql").render_as_string(hide_password=False)
        refused = subprocess.run(
            [SCRIPT, "demo", "--url", url], capture_output=True, text=True, timeout=120
        )
        assert refused.returncode == 2
        assert DATABASE in refused.stderr
        assert (DATABASE,) in server.query("SHOW DATABASES")
    finally:
        server.query(f"DROP DATABASE {DATABASE}")
