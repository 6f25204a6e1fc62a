"""The public names, and what importing the package costs and changes."""

from __future__ import annotations
import __future__

import ast
import importlib
import re
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pytest

import sqlalchemy_matrixone_pitr

pytestmark = pytest.mark.slow

PUBLIC = (
    "sqlalchemy_matrixone_pitr",
    "sqlalchemy_matrixone_pitr.alembic",
    "sqlalchemy_matrixone_pitr.emulator",
    "alembic_ext",
    "matrixone_emulator",
)
"""The modules that users import from"""


def test_names_are_sorted_and_there() -> None:
    names = sqlalchemy_matrixone_pitr.__all__
    assert names == sorted(names)
    assert len(names) == len(set(names))
    for name in names:
        found = getattr(sqlalchemy_matrixone_pitr, name)
        if name not in ("MomentLike", "RangeLike"):  # a union has no module of its own
            assert found.__module__.startswith("sqlalchemy_matrixone_pitr.")


@pytest.mark.parametrize("name", PUBLIC)
def test_all_that_a_public_module_has_is_exported(name: str) -> None:
    """But for modules, which importing one anywhere adds to its package, and __future__'s."""
    module = importlib.import_module(name)
    exported: list[str] = module.__all__
    for each in exported:  # those of the package itself are loaded when they are first used
        getattr(module, each)
    found = {
        name
        for name, value in vars(module).items()
        if not name.startswith("_")
        and not isinstance(value, __future__._Feature)
        and (name in exported or not isinstance(value, ModuleType))
    }
    assert sorted(found) == exported


def has_example(kind: type) -> bool:
    """In its docstring, a method's, or that of a class of ours that it is one of."""
    return any(
        ">>> " in (getattr(found, "__doc__", None) or "")
        for base in kind.__mro__
        if base.__module__.startswith(("sqlalchemy_matrixone_pitr", "alembic_ext", "matrixone_em"))
        for found in (base, *vars(base).values())
        if callable(found) or isinstance(found, property | classmethod | staticmethod)
    )


SHOWN_BY_FUNCTIONS = {"AsyncRowChanges", "RestorePoint"}
"""Classes that only a function gives: it has the example; so has ``past``."""


def test_public_classes_have_an_example() -> None:
    """``tests/integration/test_docs.py`` runs them."""
    without = {
        name
        for module in map(importlib.import_module, PUBLIC)
        for name in module.__all__
        if isinstance(found := getattr(module, name), type)
        and ".past." not in found.__module__
        and not has_example(found)
    }
    assert without == SHOWN_BY_FUNCTIONS


def test_what_public_signatures_name_is_public() -> None:
    names = (
        "Action",
        "Alter",
        "Conflict",
        "Create",
        "Drop",
        "Failure",
        "MomentLike",
        "RangeLike",
        "Renew",
    )
    assert set(names) <= set(sqlalchemy_matrixone_pitr.__all__)


def run(code: str) -> str:
    return subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    ).stdout


def test_the_core_imports_sqlalchemy_only() -> None:
    code = """
import sys
import sqlalchemy
before = set(sys.modules)
from sqlalchemy_matrixone_pitr import *
new = {name.partition(".")[0] for name in set(sys.modules) - before}
print(sorted(name for name in new if name not in sys.stdlib_module_names))
"""
    found = re.sub(r"'_sysconfigdata\w*[^']*', ", "", run(code))  # of the standard library
    assert found.strip() == "['sqlalchemy', 'sqlalchemy_matrixone_pitr']"


def test_a_name_is_loaded_when_it_is_used() -> None:
    code = """
import sys
import sqlalchemy_matrixone_pitr as package
print("sqlalchemy" in sys.modules, "Pitr" in vars(package), "Pitr" in dir(package))
package.Pitr
print("sqlalchemy" in sys.modules, "Pitr" in vars(package), hasattr(package, "Pitre"))
import sqlalchemy_matrixone_pitr.coverage.windows, sqlalchemy_matrixone_pitr.restore.copy
print([name for name in package.__all__ if not callable(getattr(package, name))])
"""
    assert run(code).splitlines() == [
        "False False True",
        "True True False",
        "['MomentLike', 'RangeLike']",
    ]


def test_type_checkers_see_what_is_loaded() -> None:
    tree = ast.parse(Path(str(sqlalchemy_matrixone_pitr.__file__)).read_text())
    seen = {
        alias.name: node.module
        for node in ast.walk(tree)
        if isinstance(node, ast.ImportFrom) and node.level == 1
        for alias in node.names
    }
    assert seen == sqlalchemy_matrixone_pitr._HOMES


def test_neither_orm_nor_asyncio_nor_drivers_are_imported() -> None:
    code = """
import sys
import sqlalchemy
before = set(sys.modules)  # SQLAlchemy 2.0 imports greenlet itself
from sqlalchemy_matrixone_pitr import *
unwanted = {"sqlalchemy.orm", "sqlalchemy.ext.asyncio", "sqlalchemy.dialects.mysql", "greenlet",
            "pymysql", "sqlglot", "click", "rich", "alembic"}
print(sorted(unwanted & (set(sys.modules) - before)))
"""
    assert run(code).strip() == "[]"


def test_without_greenlet() -> None:
    code = """
import sys
sys.modules["greenlet"] = None
from sqlalchemy_matrixone_pitr import *
from sqlalchemy import create_engine
print(create_engine("matrixone+pymysql://").dialect.is_matrixone)
"""
    assert run(code).strip() == "True"


def test_the_emulator_is_here_by_its_name() -> None:
    code = """
from sqlalchemy_matrixone_pitr import emulator
import matrixone_emulator
print(emulator.Emulator is matrixone_emulator.Emulator, emulator.__all__)
"""
    assert run(code).strip() == "True ['Emulator']"
