"""Foundations of the tests: enough combinations, imports forgotten, interrupts that stay inside."""

from __future__ import annotations

import itertools
import signal
import sys
import threading
import time
from pathlib import Path

import pytest

from tests.combinations import covering
from tests.imports import forgetting_imports, modules_from
from tests.interrupts import Interrupt
from tests.scheduling import shared_with

pytest_plugins = "pytester"


@pytest.fixture
def pytester(pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> pytest.Pytester:
    """Without plugins: modules that a run in this process imports are forgotten when it ends."""
    monkeypatch.setenv("PYTEST_DISABLE_PLUGIN_AUTOLOAD", "1")
    return pytester


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


@pytest.mark.parametrize(
    ("node_id", "group"),
    [
        ("tests/test_cli.py::test_help", "tests/test_cli.py"),
        ("tests/test_cli.py::test_odd[a::b[]", "tests/test_cli.py"),
        (
            "tests/past/test_rows.py::test_them[4.2.0-mysql+pymysql]",
            "tests/past/test_rows.py 4.2.0",
        ),
        ("tests/past/test_rows.py::test_them[3.0.9]", "tests/past/test_rows.py 3.0.9"),
        ("tests/past/test_rows.py::test_them[x-y-main-z]", "tests/past/test_rows.py main"),
    ],
)
def test_workers_take_a_module_on_one_version(node_id: str, group: str) -> None:
    assert shared_with(node_id) == group


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


def test_an_interrupt_reaches_the_test(interrupt: Interrupt) -> None:
    with pytest.raises(KeyboardInterrupt):
        interrupt(5)
    sender = threading.Timer(0.1, interrupt)
    sender.start()
    with pytest.raises(KeyboardInterrupt):
        time.sleep(10)  # what is interrupted
    sender.join()


def test_an_interrupt_that_comes_too_late_does_nothing() -> None:
    """Not below the test's function, or after its end: the run goes on."""
    before = signal.getsignal(signal.SIGINT)

    def elsewhere() -> None:
        pass

    with Interrupt(elsewhere.__code__) as interrupt:
        interrupt()
        sender = threading.Thread(target=interrupt)
        sender.start()
    sender.join()
    interrupt()
    assert signal.getsignal(signal.SIGINT) is before


def test_one_that_is_not_caught_is_a_failure(pytester: pytest.Pytester) -> None:
    pytester.makeconftest("from tests.conftest import interrupt, pytest_pyfunc_call")
    pytester.makepyfile("def test_one(interrupt): interrupt(5)\ndef test_two(): pass\n")
    pytester.runpytest_inprocess("-p", "no:randomly").assert_outcomes(passed=1, failed=1)


def test_tests_are_run_on_few_combinations(pytester: pytest.Pytester) -> None:
    pytester.makeconftest(
        "from tests.conftest import pytest_addoption, pytest_collection_modifyitems\n"
        "import pytest\n"
        "@pytest.fixture(params=['3.0.9', '4.2.0'])\n"
        "def server(request): pass\n"
        "@pytest.fixture(params=['matrixone+pymysql', 'mysql+pymysql'])\n"
        "def engine(request, server): pass\n"
    )
    pytester.makepyfile(
        "import pytest\n"
        "@pytest.mark.parametrize('number', range(5))\n"
        "def test_numbers(engine, number): pass\n"
        "@pytest.mark.all_combinations\n"
        "def test_all(engine): pass\n"
        "def test_server(server): pass\n"
    )
    pytester.makeini("[pytest]\nmarkers = all_combinations\n")
    arguments = ("-p", "no:randomly", "-k")
    pytester.runpytest(*arguments, "numbers").assert_outcomes(passed=10)
    pytester.runpytest(*arguments, "numbers and 4.2.0").assert_outcomes(passed=10)
    pytester.runpytest(*arguments, "not numbers").assert_outcomes(passed=6)
    pytester.runpytest("--all-combinations").assert_outcomes(passed=26)
    pytester.runpytest("--once").assert_outcomes(passed=3)
