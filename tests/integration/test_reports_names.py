"""Names that the server has and our rules refuse: read, listed, planned, and dropped by a plan."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path

import pytest
from sqlalchemy import Column, Engine, Integer, MetaData, Table

from sqlalchemy_matrixone_pitr import (
    PitrManager,
    PitrValidationError,
    TablePitr,
    apply_plan,
    get_pitrs,
    plan_pitrs,
    renew_pitr,
)
from tests.cli import run_here
from tests.conftest import Server

pytestmark = pytest.mark.one_version

Names = Callable[[], list[str]]

NAMES = ["a\\b", "\\", "a\\\\b", "a\bb", "a\\b__g2", "100%\\"]
"""As the server has them."""


def literal(name: str) -> str:
    """A name as MatrixOne reads it back: its escapes, in back-quotes."""
    return "`" + name.replace("\\", "\\\\").replace("\b", "\\b").replace("`", "``") + "`"


@pytest.fixture(params=NAMES)
def foreign(request: pytest.FixtureRequest, server: Server, database: str, prefix: str) -> str:
    """Somebody else's policy on a table of ours."""
    name = f"{prefix}_{request.param}"
    server.query("CREATE TABLE orders (id INT PRIMARY KEY)", database)
    server.query("CREATE TABLE parts (id INT PRIMARY KEY)", database)
    server.query(f"CREATE PITR {literal(name)} FOR TABLE {database} orders RANGE 7 'd'")
    return name


@pytest.fixture
def metadata(prefix: str) -> MetaData:
    made = MetaData()
    Table("orders", made, Column("id", Integer, primary_key=True))
    Table("parts", made, Column("id", Integer, primary_key=True), TablePitr("7d", f"{prefix}_p"))
    return made


def test_it_is_read_and_listed(
    matrixone_engine: Engine, database: str, foreign: str, pitr_names: Names
) -> None:
    for with_status in (False, True):
        found = get_pitrs(matrixone_engine, database_name=database, with_status=with_status)
        assert [pitr.name for pitr in found] == [foreign] == pitr_names()
    manager = PitrManager(matrixone_engine)
    assert [pitr.name for pitr in manager.list(database_name=database)] == [foreign]


def test_it_is_planned_and_dropped(
    matrixone_engine: Engine, metadata: MetaData, foreign: str, prefix: str, pitr_names: Names
) -> None:
    """The statement names it so that the server reads it as it is."""
    plan = plan_pitrs(matrixone_engine, metadata, include=lambda pitr: True)
    assert [pitr["name"] for pitr in plan.to_dict()["undeclared"]] == [foreign]
    plan = plan_pitrs(matrixone_engine, metadata, drop_undeclared=True)
    by_kind = {action["kind"]: action for action in plan.to_dict()["actions"]}
    assert by_kind["drop"]["name"] == foreign
    assert "\\" not in foreign or "\\\\" in by_kind["drop"]["sql"][0]
    assert foreign in str(plan)
    assert "DROP PITR" in plan.sql()
    report = apply_plan(matrixone_engine, plan, allow_destructive=True)
    assert report.ok
    assert json.dumps(report.to_dict())
    assert pitr_names() == [f"{prefix}_p"]


def test_as_text_it_drops_the_same(
    matrixone_engine: Engine, metadata: MetaData, server: Server, foreign: str, pitr_names: Names
) -> None:
    plan = plan_pitrs(matrixone_engine, metadata, drop_undeclared=True)
    for statement in plan.sql().splitlines():
        if statement.startswith("DROP"):
            server.query(statement.removesuffix(";"))
    assert pitr_names() == []


def test_in_the_way_it_is_a_conflict_or_makes_room(
    matrixone_engine: Engine, foreign: str, prefix: str, pitr_names: Names
) -> None:
    metadata = MetaData()
    item = TablePitr("7d", f"{prefix}_o")
    Table("orders", metadata, Column("id", Integer, primary_key=True), item)
    plan = plan_pitrs(matrixone_engine, metadata)
    assert [conflict["existing_name"] for conflict in plan.to_dict()["conflicts"]] == [foreign]
    plan = plan_pitrs(matrixone_engine, metadata, drop_undeclared=True)
    assert plan.to_dict()["in_sync"] is False
    assert apply_plan(matrixone_engine, plan, allow_destructive=True).ok
    assert pitr_names() == [f"{prefix}_o"]


def test_by_its_name_nothing_is_sent(
    matrixone_engine: Engine, foreign: str, pitr_names: Names
) -> None:
    """A name that a person types is checked as ever, and says what is wrong with it.

    Only dropped it may be, where it has a backslash.
    """
    manager = PitrManager(matrixone_engine)
    for act in (manager.get, lambda name: renew_pitr(matrixone_engine, name)):
        with pytest.raises(PitrValidationError, match=r"backslash|control character"):
            act(foreign)
    assert pitr_names() == [foreign]
    if "\\" in foreign:
        assert manager.delete(foreign)
        assert pitr_names() == []


MODELS = """
from sqlalchemy import Column, Integer, MetaData, Table
from sqlalchemy_matrixone_pitr import TablePitr
metadata = MetaData()
Table("orders", metadata, Column("id", Integer, primary_key=True))
"""


def test_on_the_command_line(
    server: Server,
    database: str,
    foreign: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:
    (tmp_path / "models.py").write_text(MODELS)
    monkeypatch.chdir(tmp_path)
    url = server.url(database=database).render_as_string(hide_password=False)

    def run(*arguments: str) -> object:
        done = run_here([*arguments, "--json", "--url", url], dict(os.environ), capfd)
        assert done.code == 0, done.err
        return json.loads(done.out)

    shown: object = run("show")
    assert foreign in json.dumps(shown) or json.dumps(foreign)[1:-1] in json.dumps(shown)
    planned = run("plan", "models:metadata", "--drop-undeclared")
    assert isinstance(planned, dict)
    assert [action["name"] for action in planned["actions"]] == [foreign]
