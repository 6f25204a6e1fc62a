"""Output of commands, and how it fits a terminal; the gate that is not green by accident."""

from __future__ import annotations

import json
import re
import threading
import time
from pathlib import Path

import pytest
from sqlalchemy import Engine, MetaData
from sqlalchemy.exc import SAWarning

from sqlalchemy_matrixone_pitr import PitrManager, ensure_pitrs
from sqlalchemy_matrixone_pitr.cli.app import mo_pitr
from tests.cli import Call, call, emulator, engine, environment
from tests.interrupts import Interrupt
from tests.test_cli_policies import MODELS, on_terminal

__all__ = ["call", "emulator", "engine", "environment"]

EMPTY = """
from sqlalchemy import Column, Integer, MetaData, Table
metadata = MetaData()
Table("t0", metadata, Column("id", Integer))
"""


@pytest.fixture(autouse=True)
def models(tmp_path: Path) -> None:
    (tmp_path / "models.py").write_text(MODELS.format(tables=3))
    (tmp_path / "empty.py").write_text(EMPTY)


def alter(engine: Engine, column: str) -> None:
    with engine.begin() as conn:
        conn.exec_driver_sql(f"ALTER TABLE shop.t0 ADD COLUMN {column} INT")


# -- the gate


def test_in_sync_says_with_what(call: Call) -> None:
    assert call("apply", "models:Base", "--yes").code == 0
    for command in ("plan", "check"):
        assert call(command, "models:Base").out == "in sync: 4 policies, 3 tables\n"
    told = json.loads(call("check", "models:Base", "--json").out)
    assert told["declared"] == {"policies": 4, "tables": 3}


@pytest.mark.parametrize("command", ["plan", "check", "apply"])
def test_nothing_declared_is_a_warning(call: Call, command: str) -> None:
    warned = call(command, "empty:metadata")
    assert (warned.code, warned.out) == (0, "in sync: 0 policies, 1 table\n")
    assert warned.err.startswith("Warning: the metadata declare no policy (1 table): nothing is")
    failed = call(command, "empty:metadata", "--require-policies")
    assert (failed.code, failed.out) == (2, "")
    assert "declare no policy (1 table), and --require-policies was given" in failed.err
    assert call(command, "models:Base", "--require-policies", "--sql").err in ("", ASKED)


def test_ensure_pitrs_warns_too(engine: Engine) -> None:
    with pytest.warns(SAWarning, match="declare no policy, so ensure_pitrs protects nothing"):
        report = ensure_pitrs(engine, MetaData())
    assert report.ok


ASKED = "Error: not on a terminal, so nobody can be asked: give --yes. Nothing was sent.\n"


# -- a plan


def test_older_generations_are_one_line(call: Call, engine: Engine) -> None:
    call("apply", "models:Base", "--yes")
    for number in range(9):
        alter(engine, f"c{number}")
        assert call("renew", "week_0").code == 0
    planned = call("plan", "models:Base")
    assert planned.out == (
        "9 older generations kept for history (mo-pitr show --history)\n"
        "in sync: 4 policies, 3 tables\n"
    )


def test_what_repeats_is_said_once(call: Call, engine: Engine) -> None:
    manager = PitrManager(engine)
    for number in range(2):
        manager.create_table_pitr(f"old_{number}", "shop", f"t{number}", 9)
    planned = call("plan", "empty:metadata", "--drop-undeclared")
    assert planned.out == (
        "it is not declared:\n"
        "  - drop old_0, table shop.t0, 9d\n"
        "  - drop old_1, table shop.t1, 9d\n"
        "    destructive: each: up to 1h of history of its object can no longer be restored\n"
        "Plan: 2 to drop\n"
    )
    left = call("plan", "empty:metadata")
    assert left.out.startswith("not declared, left alone: old_0, old_1\n")


# -- names are whole


LONG = "a_policy_with_a_name_of_sixty_characters_which_is_copied_____"


@pytest.mark.parametrize("name", ["week", "a_policy_of_middling_length_for_t0", LONG])
@pytest.mark.parametrize("command", ["show", "doctor"])
def test_80_columns(
    engine: Engine, environment: dict[str, str], tmp_path: Path, name: str, command: str
) -> None:
    PitrManager(engine).create_table_pitr(name, "shop", "t0", 7)
    alter(engine, "c")
    _, shown = on_terminal([command], {**environment, "NO_COLOR": "1"}, tmp_path)
    lines = shown.replace("\r", "").splitlines()
    assert name in shown
    assert command == "doctor" or "table shop.t0" in shown
    assert f"`mo-pitr renew {name}`" in shown
    assert max(map(len, lines)) <= 80 or name == LONG


def test_on_a_pipe_a_policy_is_a_line(call: Call, engine: Engine) -> None:
    PitrManager(engine).create_table_pitr(LONG, "shop", "t0", 7)
    line = next(line for line in call("show").out.splitlines() if line.startswith(LONG))
    assert re.search(r"  table shop\.t0  7d +active  \d{4}-", line)


def test_show_of_a_database(call: Call, engine: Engine) -> None:
    manager = PitrManager(engine)
    manager.create_account_pitr("nightly")
    manager.create_database_pitr("days", "shop")
    with engine.begin() as conn:
        conn.exec_driver_sql("CREATE DATABASE other")
    manager.create_database_pitr("others", "other")

    def names(*arguments: str) -> list[str]:
        found = json.loads(call("show", "--json", *arguments).out)
        return [pitr["name"] for pitr in found["policies"]]

    assert names() == ["days", "nightly", "others"]
    assert names("--database", "SHOP") == ["days"]
    assert names("--database", "shop", "--database", "other") == ["days", "others"]
    assert call("show", "--database", "no").out == "This account has no policies for no.\n"


def test_next_steps(call: Call, engine: Engine) -> None:
    manager = PitrManager(engine)
    for number in range(2):
        manager.create_table_pitr(f"week_{number}", "shop", f"t{number}", 7)
    alter(engine, "c")
    with engine.begin() as conn:
        conn.exec_driver_sql("DROP TABLE shop.t1")
    assert call("show").out.splitlines()[-2:] == [
        "week_0 protects nothing new: `mo-pitr renew week_0` protects it again.",
        "week_1 protects nothing new: table shop.t1 is gone. Create it again, then "
        "`mo-pitr renew week_1`; or give its history up with DROP PITR `week_1`.",
    ]


@pytest.mark.parametrize("emulator", ["3.0.9"], indirect=True)
def test_the_next_step_where_history_cannot_be_kept(call: Call, engine: Engine) -> None:
    PitrManager(engine).create_table_pitr("week", "shop", "t0", 7)
    with engine.begin() as conn:
        conn.exec_driver_sql("TRUNCATE TABLE shop.t0")
    assert "`mo-pitr renew week --drop-history`" in call("show").out
    assert call("renew", "week", "--drop-history", "--yes").code == 0


# -- colour and help


def test_colour(call: Call, engine: Engine) -> None:
    PitrManager(engine).create_table_pitr("week", "shop", "t0", 7)
    assert "\x1b" not in call("show").out
    assert "\x1b[32mactive\x1b[0m" in call("show", FORCE_COLOR="1").out
    assert "\x1b[32m" in call("plan", "models:Base", FORCE_COLOR="1").out
    assert "\x1b" not in call("show", FORCE_COLOR="1", NO_COLOR="1").out
    assert "\x1b" not in call("show", FORCE_COLOR="0").out


@pytest.mark.parametrize("columns", ["60", "80", "200"])
def test_help_is_whole(call: Call, columns: str) -> None:
    shown = " ".join(call("--help", COLUMNS=columns).out.split())
    assert "..." not in shown.replace("[ARGS]...", "")
    for command in mo_pitr.commands.values():
        assert command.help is not None
        assert " ".join(command.help.partition("\n\n")[0].split()) in shown


@pytest.mark.parametrize("command", [[], *([name] for name in mo_pitr.commands)])
def test_h_is_help(call: Call, command: list[str]) -> None:
    short, long = call(*command, "-h"), call(*command, "--help")
    assert (short.code, short) == (0, long)
    assert "Usage:" in short.out


# -- Ctrl-C


@pytest.mark.parametrize("arguments", [["apply", "models:Base"], ["renew", "w", "--drop-history"]])
def test_ctrl_c_at_the_question(
    environment: dict[str, str], engine: Engine, tmp_path: Path, arguments: list[str]
) -> None:
    PitrManager(engine).create_table_pitr("w", "shop", "t0", 7)
    code, shown = on_terminal(arguments, environment, tmp_path, "\x03")
    assert code == 130
    assert shown.replace("\r", "").endswith("Nothing was sent.\nInterrupted.\n")


def test_ctrl_c_before_anything_is_read(call: Call, tmp_path: Path) -> None:
    """While the models are imported; a command that only reads says no more."""
    (tmp_path / "slow.py").write_text("raise KeyboardInterrupt\n")
    interrupted = call("apply", "slow:Base")
    assert (interrupted.code, interrupted.out) == (130, "")
    assert interrupted.err.strip() == "Nothing was sent.\nInterrupted."
    assert call("check", "slow:Base").err.strip() == "Interrupted."


def test_ctrl_c_while_a_renewal_waits_for_the_lock(
    call: Call, engine: Engine, interrupt: Interrupt
) -> None:
    PitrManager(engine).create_table_pitr("week", "shop", "t0", 7)
    alter(engine, "c")
    with engine.connect() as conn:
        conn.exec_driver_sql(
            "SELECT role_id FROM mo_catalog.mo_role "
            "WHERE role_name IN ('moadmin', 'accountadmin') FOR UPDATE"
        )
        threading.Timer(1.5, interrupt).start()
        began = time.monotonic()
        interrupted = call("renew", "week")
        conn.rollback()
    assert interrupted.code == 130
    assert time.monotonic() - began < 20
    assert interrupted.err.endswith("Nothing was sent.\nInterrupted.\n")
