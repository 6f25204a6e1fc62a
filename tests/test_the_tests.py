"""The tests of the tests: enough combinations of server and driver, and imports forgotten."""

from __future__ import annotations

import itertools
import sys
from pathlib import Path

import pytest

from tests.combinations import covering
from tests.imports import forgetting_imports, modules_from

VERSIONS = ("3.0.9", "4.2.0")
DIALECTS = ("matrixone", "mysql")


@pytest.mark.parametrize(
    ("factors", "runs"),
    [
        ((VERSIONS, DIALECTS, ["pymysql"]), 2),
        ((VERSIONS, DIALECTS, ["aiomysql", "asyncmy"]), 2),
        ((["live"], DIALECTS, ["aiomysql", "asyncmy"]), 2),
        ((["live"], ["mysql"], ["pymysql"]), 1),
        ((("2.2.2", "3.0.18", "main"), DIALECTS, ["pymysql"]), 3),
    ],
)
def test_every_version_dialect_and_driver_is_met(factors: tuple[list[str], ...], runs: int) -> None:
    product = list(itertools.product(*factors))
    met = set()
    for number in range(50):
        chosen = covering(product, f"test_{number}")
        met |= chosen
        assert len(chosen) == runs
        assert [set(values) for values in zip(*chosen, strict=True)] == list(map(set, factors))
    assert met == set(product)  # by all tests together


def test_a_chosen_set_of_combinations_stays_whole() -> None:
    some = [("3.0.9", "matrixone", "aiomysql"), ("4.2.0", "mysql", "asyncmy")]
    for number in range(20):
        assert covering(some, str(number)) == set(some)


def test_imports_are_forgotten(tmp_path: Path) -> None:
    """Two folders have a module of one name; afterwards nobody has it."""
    before = list(sys.path)
    for number in range(2):
        folder = tmp_path / str(number)
        folder.mkdir()
        (folder / "models.py").write_text(f"number = {number}\n")
        with forgetting_imports(folder):
            sys.path.insert(0, str(folder))
            assert __import__("models").number == number
            assert modules_from(folder) == ["models"]
        assert modules_from(folder) == []
    assert sys.path == before
    assert "models" not in sys.modules
