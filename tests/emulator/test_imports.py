"""The structure of the emulator: it imports nothing of ours, and its own parts one way only."""

from __future__ import annotations

import ast
import sys
from graphlib import TopologicalSorter
from pathlib import Path

import matrixone_emulator
from tests.sources import dependencies, imported, modules

PACKAGE = matrixone_emulator.__name__
SOURCES = Path(matrixone_emulator.__file__).parent
ORDER = (
    "errors",
    "clock",
    "names",
    "versions",
    "types",
    "wire",
    "parsing",
    "functions",
    "storage",
    "compiler",
    "system",
    "statements",
    "pitr",
    "server",
)
"""The sub-packages, and the modules beside them: each imports only what stands before it"""


def place(module: str) -> int:
    """The height in ORDER of the part that a module belongs to."""
    return ORDER.index(module.split(".")[1])


def test_only_the_standard_library_and_sqlglot_are_imported() -> None:
    tops = {
        (target.split(".")[0], name)
        for name, path in modules(PACKAGE).items()
        for target in imported(name, path, typing=True)
    }
    assert {(top, name) for top, name in tops if top not in sys.stdlib_module_names} == {
        (top, name) for top, name in tops if top in (PACKAGE, "sqlglot")
    }


def test_every_part_has_its_place() -> None:
    parts = {path.stem for path in SOURCES.iterdir() if path.suffix == ".py" or path.is_dir()}
    assert parts - {"__init__", "__pycache__"} == set(ORDER)


def test_imports_run_one_way_between_the_parts() -> None:
    upwards = {
        f"{name} imports {target}"
        for name, targets in dependencies(PACKAGE, typing=True).items()
        for target in targets
        if name != PACKAGE and place(target) > place(name)
    }
    assert upwards == set()


def test_no_module_imports_itself_in_the_end() -> None:
    assert list(TopologicalSorter(dependencies(PACKAGE, typing=True)).static_order())[-1] == PACKAGE


def test_no_class_is_longer_than_300_lines() -> None:
    long = [
        f"{name}.{node.name}: {(node.end_lineno or 0) - node.lineno + 1}"
        for name, path in modules(PACKAGE).items()
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.ClassDef) and (node.end_lineno or 0) - node.lineno >= 300
    ]
    assert long == []
