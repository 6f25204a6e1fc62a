"""``mo-pitr info``, and the first restorable moment in ``show``."""

from __future__ import annotations

import datetime as dt
import json
import re
from pathlib import Path
from xml.etree import ElementTree

import pytest
from sqlalchemy import Engine, create_engine

from sqlalchemy_matrixone_pitr import Pitr, renew_pitr
from sqlalchemy_matrixone_pitr.emulator import Emulator
from tests.cli import Call, call, call_process, emulator, engine, environment
from tests.policies import create
from tests.test_cli_policies import on_terminal

__all__ = ["call", "call_process", "emulator", "engine", "environment"]

LONG = "lines_of_all_orders_and_of_all_parcels_that_were_ever_sent"

MODELS = """
from sqlalchemy import Column, Integer, MetaData, Table
from sqlalchemy_matrixone_pitr import DatabasePitr, TablePitr, Unprotected, declare_pitrs

metadata = MetaData()
Table("t0", metadata, Column("id", Integer), TablePitr("7d", "week"))
Table("t1", metadata, Column("id", Integer), Unprotected("a cache"))
Table("t2", metadata, Column("id", Integer), TablePitr("1d", "day"))
"""


def say(engine: Engine, *statements: str) -> None:
    with engine.begin() as connection:
        for statement in statements:
            connection.exec_driver_sql(statement)


@pytest.fixture
def shop(emulator: Emulator, engine: Engine) -> Engine:
    """t0: renewed half an hour late; t1: nothing; t2: detached; t3: gone; keyed: rows only."""
    here = create_engine(emulator.url(database="shop"))
    say(here, "CREATE TABLE keyed (id INT PRIMARY KEY, v INT, UNIQUE KEY uv (v))")
    say(here, "CREATE TABLE t3 (id INT PRIMARY KEY)")
    weeks = [Pitr.table(f"week_{name}", name, "7d") for name in ("t0", "t2", "t3", "keyed")]
    create(here, *weeks)
    emulator.advance(dt.timedelta(hours=3))
    say(here, "ALTER TABLE t0 ADD COLUMN c INT", "ALTER TABLE t2 ADD COLUMN c INT", "DROP TABLE t3")
    emulator.advance(dt.timedelta(minutes=30))
    renew_pitr(here, "week_t0")
    emulator.advance(dt.timedelta(hours=2))
    here.dispose()
    return here


TIME = r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d"


def test_risks_and_gaps_first(call: Call, shop: Engine) -> None:
    ran = call("info")
    assert ran.code == 0  # nothing is required
    lines = [re.sub(TIME, "TIME", line) for line in ran.out.splitlines()]
    assert [line.partition(":")[0] for line in lines[:5]] == [
        "not covered",
        "detached",
        "target gone",
        "rows only",
        "gap",
    ]
    assert lines[1].startswith("detached: shop.t2: week_t2 was detached at TIMEZ, and nothing prot")
    assert lines[1].endswith("mo-pitr renew week_t2")
    assert lines[4] == (
        "gap: shop.t0 from TIME to TIME UTC: week_t0 was detached, and week_t0__g2 keeps what is "
        "from its creation on"
    )
    assert [re.sub(" {2,}", "|", line) for line in lines[5:]] == [
        "",
        "TABLE|BY|RESTORABLE FROM (UTC)|UNTIL|STATE",
        "shop.t1|-|-|-|not covered",
        "shop.t2|week_t2|TIME|TIME|detached",
        "shop.keyed|week_keyed|TIME|now|rows only",
        "shop.t3|week_t3|TIME|TIME|gone",
        "shop.t0|week_t0, week_t0__g2|TIME|now|covered",
        "5 tables: 1 not covered, 1 detached, 1 rows only, 1 gone, 1 covered, as of TIME UTC",
    ]


def test_alike_risks_are_one_line(call: Call, engine: Engine) -> None:
    say(engine, *(f"CREATE TABLE shop.m{number:02} (id INT)" for number in range(30)))
    first, *rest = call("info", "--database", "shop").out.splitlines()
    assert first.startswith("not covered: shop.m00, shop.m01, ")
    assert " and 13 more: no policy of this account is for it" in first
    assert rest[0] == ""


def test_what_is_required(call: Call, shop: Engine) -> None:
    assert call("info", "--require", "7d").code == 1
    ran = call("info", "--require", "7d", "--table", "t0", "--table", "SHOP.keyed")
    assert ran.code == 0
    assert "2 tables: " in ran.out
    assert "t1" not in ran.out
    ran = call("info", "--require", "8d", "--table", "t0")
    assert ran.code == 1
    assert ran.out.startswith("too short: shop.t0: 8d is required, its policies reach back 7d\n")
    assert call("info", "--require", "often").code == 2


def test_the_declared_range_is_required(call: Call, engine: Engine, tmp_path: Path) -> None:
    (tmp_path / "models.py").write_text(MODELS)
    create(engine, Pitr.table("week", "t0", "7d", database_name="shop"))
    create(engine, Pitr.table("day", "t2", "1h", database_name="shop"))
    ran = call("info", "models:metadata")
    assert ran.code == 1
    assert "too short: shop.t2: 1d is required, its policies reach back 1h" in ran.out
    assert "t1: " not in ran.out  # it is declared to need none
    assert "unprotected" in ran.out
    say(engine, "ALTER PITR day RANGE 1 'd'")
    assert call("info", "models:metadata").code == 0


def test_a_table_that_is_gone_lacks_no_range(call: Call, shop: Engine) -> None:
    """It would be red until its policy was dropped."""
    ran = call("info", "--table", "t3", "--require", "7d")
    assert (ran.code, "target gone" in ran.out) == (0, True)
    told = call("info", "--table", "t3", "--require", "7d", "--prometheus").out
    assert "requirement_met" not in told
    assert call("info", "--table", "t2", "--require", "7d").code == 1


def test_empty_metadata_are_a_warning(call: Call, engine: Engine, tmp_path: Path) -> None:
    (tmp_path / "nothing_here.py").write_text("from sqlalchemy import MetaData\nm = MetaData()\n")
    ran = call("info", "nothing_here:m", "--require", "7d", "--prometheus")
    assert "Warning: the metadata have no table: nothing is told." in ran.err
    assert "Warning" not in ran.out


def test_a_moment_in_question(call: Call, emulator: Emulator, shop: Engine) -> None:
    ran = call("info", "--at", "5h ago", "--table", "keyed")
    assert "letting go" not in ran.out
    ran = call("info", "--at", "5h ago", "--table", "keyed", "--within", "7d")
    assert re.search(rf"letting go: shop.keyed: .*until {TIME}Z only: week_keyed lets go", ran.out)
    assert "lost: shop.t1: nothing keeps it as it was at " in call("info", "--at", "3h ago").out
    refused = call("info", "--at", "2400-01-01 00:00Z")
    assert refused.code == 2
    assert "'--at'" in refused.err


def test_json(call: Call, shop: Engine) -> None:
    told = json.loads(call("info", "--json", "--table", "t0").out)
    assert (told["format_version"], told["account"], told["ok"]) == (1, "sys", True)
    [table] = told["tables"]
    assert (table["state"], table["table_name"]) == ("covered", "t0")
    assert [window["by"] for window in table["windows"]] == ["week_t0", "week_t0__g2"]
    assert [gap["reason"][:21] for gap in table["gaps"]] == ["week_t0 was detached,"]
    assert [policy["name"] for policy in told["policies"]] == ["week_t0__g2", "week_t0"]


def test_prometheus(call: Call, shop: Engine) -> None:
    ran = call("info", "--prometheus", "--require", "9d")
    assert ran.code == 1
    lines = ran.out.splitlines()
    assert 'matrixone_pitr_tables{account="sys",state="covered"} 1' in lines
    assert 'matrixone_pitr_risks{account="sys",kind="detached"} 1' in lines
    assert 'matrixone_pitr_requirement_met{account="sys",database="shop",table="keyed"} 0' in lines
    assert call("info", "--prometheus", "--json").code == 2


def test_tables_that_are_not_there(call: Call, engine: Engine) -> None:
    ran = call("info", "--table", "nowhere")
    assert (ran.code, ran.out) == (2, "")
    assert ran.err == "Error: there is no table nowhere, nor a policy for one\n"
    ran = call("info", "--database", "empty")
    assert (ran.code, ran.out) == (2, "")
    assert ran.err.startswith("Error: there is no database empty, nor a policy for one of ")
    say(engine, "CREATE DATABASE empty")
    assert call("info", "--database", "empty").out == "There is no table, nor a policy for one.\n"


@pytest.mark.slow
def test_80_columns_keep_names_whole(
    environment: dict[str, str], engine: Engine, tmp_path: Path
) -> None:
    say(engine, f"CREATE TABLE shop.{LONG} (id INT)")
    create(engine, Pitr.table(f"month_of_{LONG}", LONG, "1mo", database_name="shop"))
    code, shown = on_terminal(["info", "--table", LONG], environment, tmp_path)
    lines = re.sub(r"\x1b\[[0-9;]*m", "", shown).replace("\r", "").splitlines()
    assert code == 0
    assert f"shop.{LONG}" in [line.strip() for line in lines]
    assert f"month_of_{LONG}" in [line.strip() for line in lines]
    assert max(map(len, lines)) <= 80


def test_show_says_from_when(call: Call, shop: Engine, emulator: Emulator) -> None:
    first, *rest = call("show").out.splitlines()
    assert first.endswith("STATUS     RESTORABLE FROM (UTC)")
    assert re.fullmatch(rf"week_t0__g2 +table shop.t0 +7d +active +{TIME}", rest[1])
    emulator.advance(dt.timedelta(days=8))
    told = json.loads(call("show", "--json", "--history").out)["policies"]
    begins = {one["name"]: one["restorable_from"] for one in told}
    assert begins["week_t0"] is None  # its range has passed all that it kept
    assert begins["week_t0__g2"] is not None
    assert re.search(r"^week_t2 .*detached +-$", call("show").out, re.MULTILINE)


def test_a_timeline(call: Call, shop: Engine, tmp_path: Path) -> None:
    drawing = tmp_path / "timeline.svg"
    ran = call("info", "--timeline", "--svg", str(drawing))
    assert ran.code == 0
    assert "t0" in ran.out
    assert "keyed" in ran.out
    assert "\x1b" not in ran.out
    assert max(map(len, ran.out.splitlines())) <= 80
    root = ElementTree.fromstring(drawing.read_text())
    assert root.tag == "{http://www.w3.org/2000/svg}svg"
    assert "keyed" in "".join(root.itertext())


def test_one_form_at_a_time(call: Call) -> None:
    ran = call("info", "--timeline", "--json")
    assert ran.code == 2
    assert "give --json or --timeline, not both" in ran.err


def test_an_svg_that_cannot_be_written(call: Call, shop: Engine, tmp_path: Path) -> None:
    ran = call("info", "--svg", str(tmp_path / "nowhere" / "a.svg"))
    assert ran.code == 2
    assert "cannot write" in ran.err
    assert "No such file" in ran.err
