"""Every example of the README, of docs/ and of the docstrings runs, on the server of the tests."""

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
from tests.clock import wait
from tests.conftest import Server

pytestmark = [pytest.mark.slow, pytest.mark.one_version]

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


def blocks(page: str) -> list[str]:
    return re.findall(r"```python\n(.*?)```", (ROOT / page).read_text(), re.DOTALL)


def run(page: str, server: Server, shop: str, *, after: list[str] | None = None) -> list[str]:
    """Run a page's examples one after the other, and return the lines that they print.

    :param after: examples that come before its own.
    """
    namespace: dict[str, object] = {}
    printed = io.StringIO()
    with contextlib.redirect_stdout(printed):
        for number, block in enumerate([*(after or ()), *blocks(page)]):
            if "renew_pitr(" in block and server.version < (3,):
                continue  # there the server takes every old generation for active
            code = block.replace("127.0.0.1:6001/shop", f"{server.host}:{server.port}/{shop}")
            if "Emulator" not in block:  # which has a database of its own
                code = code.replace('"shop"', repr(shop))
            if number:
                wait(server, 1.1)  # as long as a reader needs: a policy's times are whole seconds
            exec(compile(code, page, "exec"), namespace)
    close_engines(shop)
    return printed.getvalue().splitlines()


def test_readme(server: Server, shop: str) -> None:
    lines = run("README.md", server, shop)
    assert lines[0] == "1 done"
    assert "deleted {'id': 2, 'item': 'lamp'}" in lines
    assert any(line.endswith("1 inserted, 0 updated, 0 deleted, 0 skipped") for line in lines)
    assert "orders_month table 1mo active" in lines
    assert lines[-1] == "[]"


def test_the_page_about_statements(server: Server, shop: str) -> None:
    lines = run("docs/statements.md", server, shop)
    assert f"orders_week table {shop} orders 7d active" in lines
    assert "[AlterPitr('orders_week', '14d')]" in lines
    assert any("position 1" in line and "back-quotes" in line for line in lines)


def on_page(page: str, server: Server, shop: str) -> list[str]:
    """The lines that a page prints whose examples go on from the first of docs/statements.md."""
    return run(page, server, shop, after=blocks("docs/statements.md")[:1])


def test_the_page_about_declaring(server: Server, shop: str) -> None:
    lines = on_page("docs/declaring.md", server, shop)
    assert "3 done" in lines
    if server.version >= (3,):
        assert lines[lines.index("1 to renew") + 1] == "customers_month__g2"


def test_the_page_about_the_past(server: Server, shop: str) -> None:
    lines = on_page("docs/past.md", server, shop)
    assert "[(2, 'lamp')]" in lines
    assert "deleted (2,) {'id': 2, 'item': 'lamp'}" in lines


def test_the_page_about_restoring(server: Server, shop: str) -> None:
    assert "{'orders_week': 'detached'}" in on_page("docs/restoring.md", server, shop)


def test_the_page_about_coverage(server: Server, shop: str) -> None:
    lines = on_page("docs/coverage.md", server, shop)
    assert any(line.startswith("  orders") and line.endswith("covered") for line in lines)


def test_the_page_about_testing(server: Server, shop: str) -> None:
    assert blocks("docs/testing.md")
    assert run("docs/testing.md", server, shop) == []


def test_every_page_with_examples_is_run() -> None:
    text = Path(__file__).read_text()
    for page in ["README.md", *(f"docs/{path.name}" for path in (ROOT / "docs").glob("*.md"))]:
        assert not blocks(page) or f'"{page}"' in text, page


def test_the_pages_name_every_error_and_manager() -> None:
    text = "".join(path.read_text() for path in (ROOT / "docs").glob("*.md"))
    for name in sqlalchemy_matrixone_pitr.__all__:
        if name.endswith(("Error", "Manager")):
            assert name in text, name
