"""``examples/shop``: ten revisions as Alembic writes them; up, down and up again; as a script."""

from __future__ import annotations

import importlib
import io
import itertools
import os
import re
import shutil
import sys
from argparse import Namespace
from collections.abc import Iterator
from contextlib import redirect_stdout
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from alembic import command
from alembic.config import Config
from sqlalchemy import MetaData

import alembic_ext.guard
from sqlalchemy_matrixone_pitr import get_pitrs
from sqlalchemy_matrixone_pitr.alembic import guard_migrations
from tests.alembic.shop_stages import STAGES, models
from tests.conftest import Server
from tests.imports import forgetting_imports

pytestmark = pytest.mark.slow

EXAMPLE = Path(__file__).parents[2] / "examples" / "shop"
VERSIONS = EXAMPLE / "migrations" / "versions"
REVISIONS = [f"{number:04}" for number in range(1, len(STAGES) + 1)]

ENVIRONMENTS = {
    "pymysql": ("alembic", "matrixone+pymysql"),
    "plain mysql": ("alembic", "mysql+pymysql"),
    "async template": ("async", "matrixone+aiomysql"),
}


class Shop:
    """The example on a database of a test's own."""

    def __init__(self, server: Server, database: str, environment: str, ini: Path) -> None:
        self.server = server
        self.database = database
        section, scheme = ENVIRONMENTS[environment]
        url = server.url(scheme, database).render_as_string(hide_password=False)
        self.config = Config(ini, ini_section=section)
        self.config.set_section_option(section, "sqlalchemy.url", url)

    def state(self) -> dict[str, Any]:
        """Tables and policies, apart from the tables that Alembic and we keep for ourselves."""
        tables = [str(row[0]) for row in self.server.query("SHOW TABLES", self.database)]
        state: dict[str, Any] = {
            table: self.server.query(f"SHOW CREATE TABLE {table}", self.database)[0][1]
            for table in tables
            if not table.startswith("alembic_")
        }
        return state | self.policies()

    def policies(self) -> dict[str, str]:
        from sqlalchemy import create_engine

        engine = create_engine(self.server.url("matrixone+pymysql", self.database))
        found = {
            pitr.name: f"{pitr.table_name or 'database'} {pitr.range} {pitr.status}"
            for pitr in get_pitrs(engine, database_name=self.database, with_status=True)
        }
        engine.dispose()
        return found

    def script(self, start: str, end: str) -> str:
        output = io.StringIO()
        self.config.output_buffer = output
        with redirect_stdout(output):
            change = command.upgrade if end == "head" else command.downgrade
            change(self.config, f"{start}:{end}", sql=True)
        return output.getvalue()


@pytest.fixture
def database(
    database: str, server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[str]:
    """The example's policies have names of their own, not the test's."""
    if server.version < (3,):
        pytest.skip("2.x takes a rebuilt table's policy for active, and cannot renew beside it")
    monkeypatch.delenv("MATRIXONE_URL", raising=False)
    with forgetting_imports(EXAMPLE, tmp_path):
        yield database
    for row in server.query("SHOW PITR"):
        if row[5] == database:
            server.query(f"DROP PITR {row[0]}")


@pytest.fixture(params=ENVIRONMENTS)
def shop(request: pytest.FixtureRequest, server: Server, database: str) -> Shop:
    return Shop(server, database, request.param, EXAMPLE / "alembic.ini")


def use(monkeypatch: pytest.MonkeyPatch, metadata: MetaData) -> None:
    """Let env.py find other models."""
    base = SimpleNamespace(metadata=metadata)
    monkeypatch.setitem(sys.modules, "models", SimpleNamespace(Base=base))


def test_each_revision_is_as_alembic_writes_it(
    server: Server, database: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Run with ``UPDATE_EXAMPLE=1`` to write them anew."""
    copy = tmp_path / "shop"
    shutil.copytree(EXAMPLE, copy, ignore=shutil.ignore_patterns("versions", "__pycache__"))
    (copy / "migrations" / "versions").mkdir()
    shop = Shop(server, database, "pymysql", copy / "alembic.ini")
    for number, message in enumerate(STAGES, 1):
        use(monkeypatch, models(number))
        command.revision(shop.config, message, autogenerate=True, rev_id=f"{number:04}")
        command.upgrade(shop.config, "head")
        command.check(shop.config)
    written = {
        path.name: kept(path.read_text()) for path in (copy / "migrations/versions").glob("*.py")
    }
    if os.environ.get("UPDATE_EXAMPLE"):
        for name, text in written.items():
            (VERSIONS / name).write_text(text)
    assert len(written) == len(STAGES)
    assert written == {path.name: path.read_text() for path in VERSIONS.glob("*.py")}


def kept(text: str) -> str:
    """The change by hand: the history of a dropped table stays."""
    if "payments are gone" not in text:
        return text
    return text.replace('existing_range="1y"', 'if_exists=True, existing_range="1y"').replace(
        '"1y", table="payments"', '"1y", table="payments", if_not_exists=True'
    )


UP = {
    "customers": "customers 1mo active",
    "orders": "orders 7d detached",
    "orders__g2": "orders 14d detached",
    "orders__g3": "orders 14d detached",
    "orders__g4": "orders 14d active",
    "payments": "payments 1y detached",
}


def test_up_down_and_up_again(shop: Shop) -> None:
    command.upgrade(shop.config, "head")
    assert shop.policies() == {f"pitr_{shop.database}_{name}": text for name, text in UP.items()}
    command.check(shop.config)
    first = shop.state()
    command.downgrade(shop.config, "base")
    assert "active" not in str(shop.policies())
    assert list(shop.state().keys() - shop.policies().keys()) == []
    command.upgrade(shop.config, "head")
    command.check(shop.config)
    assert tables_of(shop.state()) == tables_of(first)
    assert active(shop.state()) == active(first)


def test_one_revision_at_a_time(server: Server, database: str) -> None:
    """Down again, each leaves what was there before it."""
    shop = Shop(server, database, "pymysql", EXAMPLE / "alembic.ini")
    states = {}
    for revision in REVISIONS:
        command.upgrade(shop.config, revision)
        states[revision] = shop.state()
    for before, revision in reversed(list(itertools.pairwise(REVISIONS))):
        command.downgrade(shop.config, before)
        assert tables_of(shop.state()) == tables_of(states[before]), revision
        assert active(shop.state()) == active(states[before]), revision


def tables_of(state: dict[str, Any]) -> dict[str, str]:
    return {name: text for name, text in state.items() if text.startswith("CREATE")}


def active(state: dict[str, Any]) -> dict[str, str]:
    """The policies that protect; a name without the number of its generation."""
    return {re.sub(r"__g\d+$", "", name): text for name, text in state.items() if "active" in text}


def run(server: Server, database: str, script: str) -> None:
    """A script, through a plain client in autocommit."""
    connection = server.connect(database)
    with connection, connection.cursor() as cursor:
        for statement in script.split(";\n"):
            lines = [line for line in statement.splitlines() if not line.startswith("--")]
            if "".join(lines).strip():
                cursor.execute("\n".join(lines))


def test_as_a_script(server: Server, database: str) -> None:
    """It ends where an online run ends; up and down."""
    online = Shop(server, database, "pymysql", EXAMPLE / "alembic.ini")
    command.upgrade(online.config, "head")
    up = online.state()
    command.downgrade(online.config, "base")
    server.query("DROP TABLE alembic_version", database)
    for name in online.policies():
        server.query(f"DROP PITR {name}")
    version = ".".join(map(str, server.version))
    online.config.cmd_opts = Namespace(x=[f"matrixone_version={version}"])
    run(server, database, online.script("base", "head"))
    assert online.state() == up
    run(server, database, online.script("head", "base"))
    assert tables_of(online.state()) == {}
    assert active(online.state()) == {}


def test_the_server_of_the_environment(
    server: Server, database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """MATRIXONE_URL names the server; the database stays the example's own."""
    monkeypatch.syspath_prepend(str(EXAMPLE))
    server_url: Any = importlib.import_module("where").server_url
    config = Config(EXAMPLE / "alembic.ini", ini_section="async")
    assert server_url(config).database == "example_shop"
    monkeypatch.setenv(
        "MATRIXONE_URL", "matrixone://me:secret@db.example:6002/shop?charset=utf8mb4"
    )
    url = server_url(config).render_as_string(hide_password=False)
    assert url == ("matrixone+aiomysql://me:secret@db.example:6002/example_shop?charset=utf8mb4")


def test_with_the_guard(server: Server, database: str) -> None:
    """It drops a column, tables and policies; on a new database nothing is lost by that."""
    guard_migrations("1d")
    try:
        shop = Shop(server, database, "pymysql", EXAMPLE / "alembic.ini")
        command.upgrade(shop.config, "head")
        command.downgrade(shop.config, "base")
    finally:
        alembic_ext.guard._required = None  # for the process
