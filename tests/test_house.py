"""The structure of the house: three wings, and imports that run one way (docs/architecture.md)."""

from __future__ import annotations

import ast
import sys
import textwrap
from graphlib import TopologicalSorter

import pytest

from tests.sources import dependencies, docstrings, imported, modules

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
"""Modules where the core imports more than SQLAlchemy, each an extra."""


def tops(package: str) -> dict[str, set[str]]:
    """Map each module to what it imports from outside the standard library, by top-level name."""
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

CLAUSES = ("What", "Who", "Whose", "Of", "How", "Which", "When", "Where", "If")
"""Words with which no docstring begins, since it begins with a verb or a noun phrase; a chapter of
the demo may, and a bool says "Whether"."""


@pytest.mark.parametrize("package", [CORE, MIGRATIONS, EMULATOR])
def test_classes_are_small(package: str) -> None:
    found = {
        f"{name}, {node.name}": lines
        for name, path in modules(package).items()
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.ClassDef)
        and (lines := (node.end_lineno or node.lineno) - node.lineno + 1) > LARGEST
    }
    assert found == {}


@pytest.mark.parametrize("package", [CORE, MIGRATIONS, EMULATOR])
def test_docstrings_are_plain(package: str) -> None:
    found = [
        f"{name}, {where}: {' '.join(words[:6])}"
        for name, path in modules(package).items()
        if name != f"{CORE}.cli.demo"
        for where, text in docstrings(ast.parse(path.read_text()))
        if (words := text.split()) and words[0].rstrip(",:") in CLAUSES
    ]
    assert found == []


def test_docstrings_are_found_wherever_they_stand() -> None:
    source = """
    'of the module'
    import os
    A = 1
    'of a constant'
    B: int
    'of an annotation'
    os.name
    'of nothing: no docstring'
    class C:
        'of the class'
        d: int = 1
        'of an attribute'
        def f(self):
            'of a method'
            self.e = 1
            'of an attribute that a method sets'
    if A:
        E = 2
        'of a constant in a branch'
    """
    assert dict(docstrings(ast.parse(textwrap.dedent(source)))) == {
        "its head": "of the module",
        "A": "of a constant",
        "B": "of an annotation",
        "C": "of the class",
        "d": "of an attribute",
        "f": "of a method",
        "self.e": "of an attribute that a method sets",
        "E": "of a constant in a branch",
    }
