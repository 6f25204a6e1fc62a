"""Runs commands of ``mo-pitr`` in this process, which is quicker than the installed script."""

from __future__ import annotations

import gc
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from sqlalchemy import Engine, create_engine

from sqlalchemy_matrixone_pitr.cli.app import run
from sqlalchemy_matrixone_pitr.emulator import Emulator
from tests.imports import forgetting_imports


@dataclass(frozen=True)
class Ran:
    """What a command did."""

    code: int
    out: str
    err: str


Call = Callable[..., Ran]


@pytest.fixture
def call(
    emulator: Emulator,
    engine: Engine,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> Call:
    """Run a command on the emulator's database ``shop``, in a folder of its own."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("MATRIXONE_URL", emulator.url(database="shop"))
    for name in ("NO_COLOR", "FORCE_COLOR"):
        monkeypatch.delenv(name, raising=False)

    def called(*arguments: str) -> Ran:
        monkeypatch.setattr(sys, "argv", ["mo-pitr", *arguments])
        capfd.readouterr()
        with forgetting_imports(tmp_path):
            code = run()
        return Ran(code, *capfd.readouterr())

    return called


@pytest.fixture(params=["4.2.0"])
def emulator(request: pytest.FixtureRequest) -> Iterator[Emulator]:
    with Emulator(request.param) as running:
        yield running


@pytest.fixture
def engine(emulator: Emulator) -> Iterator[Engine]:
    made = create_engine(emulator.url())
    with made.begin() as conn:
        conn.exec_driver_sql("CREATE DATABASE shop")
        for number in range(3):
            conn.exec_driver_sql(f"CREATE TABLE shop.t{number} (id INT PRIMARY KEY)")
    yield made
    made.dispose()
    gc.collect()
