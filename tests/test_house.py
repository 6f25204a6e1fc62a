"""How the house is built: three wings, and imports that run one way (docs/architecture.md)."""

from __future__ import annotations

import ast
import sys
from graphlib import TopologicalSorter

import pytest

from tests.sources import dependencies, imported, modules

CORE, MIGRATIONS, EMULATOR = "sqlalchemy_matrixone_pitr", "alembic_ext", "matrixone_emulator"

LATE = {
    (f"{CORE}.ddl", f"{CORE}.restore.run"),  # an element is sent by what reads with its module
    (f"{CORE}.moment", f"{CORE}.past.listening"),  # the first Moment brings the listeners
    (f"{CORE}.past.elements", f"{CORE}.past.session"),  # an entity brings those of the ORM
}
"""Imports inside functions that run against the order, each with its reason."""

EXTRAS = {
    f"{CORE}.alembic": {MIGRATIONS},
    f"{CORE}.emulator": {EMULATOR},
    f"{CORE}.transaction": {"greenlet"},  # SQLAlchemy's own, where asyncio is used
    f"{CORE}.cli": {"click", "rich", MIGRATIONS, EMULATOR, "pymysql", "aiomysql", "alembic"},
}
"""Where the core imports more than SQLAlchemy, each an extra."""


def tops(package: str) -> dict[str, set[str]]:
    """What each module imports from outside the standard library, by top-level name."""
    return {
        name: {
            top
            for target in imported(name, path)
            if (top := target.split(".")[0]) not in (*sys.stdlib_module_names, package)
        }
        for name, path in modules(package).items()
    }


def test_the_core_imports_sqlalchemy_only() -> None:
    more = {}
    for name, found in tops(CORE).items():
        extras = EXTRAS.get(".".join(name.split(".")[:2]), set())
        if beyond := found - extras - {"sqlalchemy"}:
            more[name] = beyond
    assert more == {}


def test_migrations_import_alembic_and_the_core() -> None:
    found = set().union(*tops(MIGRATIONS).values())
    assert found == {"alembic", "sqlalchemy", "sqlglot", CORE} - ({"sqlglot"} - found)


@pytest.mark.parametrize("package", [CORE, MIGRATIONS])
@pytest.mark.parametrize("depth", [2, 9])
def test_imports_run_one_way(package: str, depth: int) -> None:
    """Between modules, and between the modules and folders of the ground floor."""
    graph: dict[str, set[str]] = {}
    for name, targets in dependencies(package).items():
        part = ".".join(name.split(".")[:depth])
        for target in targets:
            there = ".".join(target.split(".")[:depth])
            if package not in (part, there) and there != part and (name, target) not in LATE:
                graph.setdefault(part, set()).add(there)
    assert list(TopologicalSorter(graph).static_order())


def test_late_imports_are_no_more_than_those_named() -> None:
    found = dependencies(CORE)
    assert all(target in found[name] for name, target in LATE)


@pytest.mark.parametrize("part", ["cli", "alembic", "emulator", "aio"])
def test_nothing_in_the_core_stands_on_its_outermost_parts(part: str) -> None:
    outer = f"{CORE}.{part}"
    importers = {
        name
        for name, targets in dependencies(CORE).items()
        if any(target == outer or target.startswith(f"{outer}.") for target in targets)
        and not name.startswith((outer, f"{CORE}.cli"))
    }
    assert importers <= {CORE}


LARGEST = 300
"""Lines of a class."""

CLAUSES = ("What", "Of", "How", "Which", "When", "Where", "If")
"""Docstrings begin with a verb or a noun phrase, not with a clause; a chapter of the demo may."""


@pytest.mark.parametrize("package", [CORE, MIGRATIONS, EMULATOR])
def test_classes_are_small_and_docstrings_plain(package: str) -> None:
    found = []
    for name, path in modules(package).items():
        for node in ast.walk(ast.parse(path.read_text())):
            if not isinstance(
                node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef
            ):
                continue
            where = f"{name}, {getattr(node, 'name', 'its head')}"
            if isinstance(node, ast.ClassDef) and node.end_lineno is not None:
                lines = node.end_lineno - node.lineno + 1
                found += [f"{where}: {lines} lines"] if lines > LARGEST else []
            words = (ast.get_docstring(node) or "").split()
            if words and words[0] in CLAUSES and name != f"{CORE}.cli.demo":
                found.append(f"{where}: {' '.join(words[:6])}")
    assert found == []
