"""Every example of the README and of the docstrings runs, on the server of the tests."""

from __future__ import annotations

import contextlib
import doctest
import gc
import importlib
import io
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import Engine

import sqlalchemy_matrixone_pitr
from tests.conftest import Server

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[2]
MODULES = sorted(
    ".".join(path.relative_to(ROOT).with_suffix("").parts)
    for path in (
        *(ROOT / "sqlalchemy_matrixone_pitr").rglob("*.py"),
        *(ROOT / "alembic_ext").rglob("*.py"),
        ROOT / "matrixone_emulator" / "server" / "emulator.py",
    )
    if "\n    >>> " in path.read_text()
)


@pytest.fixture
def shop(server: Server, database: str) -> Iterator[str]:
    """The test's own database; the PITRs that an example makes are dropped, whatever their name."""
    before = {row[0] for row in server.query("SHOW PITR")}
    yield database
    for row in server.query("SHOW PITR"):
        if row[0] not in before:
            server.query(f"DROP PITR IF EXISTS `{row[0]}`")


def close_engines(database: str) -> None:
    """Close the connections that examples left in their pools."""
    for engine in [found for found in gc.get_objects() if isinstance(found, Engine)]:
        if engine.url.database == database:
            engine.dispose()
    gc.collect()


@pytest.mark.parametrize("name", MODULES)
def test_docstrings(name: str, server: Server, shop: str) -> None:
    module = importlib.import_module(name)
    public = {n: getattr(sqlalchemy_matrixone_pitr, n) for n in sqlalchemy_matrixone_pitr.__all__}
    # the module's own names come first; "url" is the server of the reader
    url = server.url(database=shop).render_as_string(hide_password=False)
    result = doctest.testmod(
        module,
        extraglobs={**public, **vars(module), "url": url},
        optionflags=doctest.ELLIPSIS,
    )
    assert result.failed == 0
    assert result.attempted
    close_engines(shop)


def blocks() -> list[str]:
    return re.findall(r"```python\n(.*?)```", (ROOT / "README.md").read_text(), re.DOTALL)


def test_readme(server: Server, shop: str) -> None:
    assert len(blocks()) >= 8
    namespace: dict[str, object] = {}
    printed = io.StringIO()
    with contextlib.redirect_stdout(printed):
        for block in blocks():
            if "renew_pitr(" in block and server.version < (3,):
                continue  # there the server takes every old generation for active
            code = block.replace("127.0.0.1:6001/shop", f"{server.host}:{server.port}/{shop}")
            if "Emulator" not in block:  # which has a database of its own
                code = code.replace('"shop"', repr(shop))
            exec(compile(code, "README.md", "exec"), namespace)
    lines = printed.getvalue().splitlines()
    assert f"orders_week table {shop} orders 7d active" in lines
    assert "[AlterPitr('orders_week', '14d')]" in lines
    assert "{'orders_week': 'detached'}" in lines
    assert "3 done" in lines
    assert "[(2, 'lamp')]" in lines
    if server.version >= (3,):
        assert lines[lines.index("1 to renew") + 1] == "customers_month__g2"
    assert any("position 1" in line and "back-quotes" in line for line in lines)


def test_readme_names_every_error_and_manager() -> None:
    text = (ROOT / "README.md").read_text()
    for name in sqlalchemy_matrixone_pitr.__all__:
        if name.endswith(("Error", "Manager")):
            assert name in text, name
