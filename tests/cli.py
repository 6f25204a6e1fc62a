"""Runs commands of ``mo-pitr`` in this process, which is quicker than the installed script."""

from __future__ import annotations

import gc
import os
import subprocess
import sys
import sysconfig
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from unittest.mock import patch

import pytest
from sqlalchemy import Engine, create_engine

from sqlalchemy_matrixone_pitr.cli.app import run
from sqlalchemy_matrixone_pitr.emulator import Emulator
from tests.imports import forgetting_imports

SCRIPT = os.path.join(sysconfig.get_path("scripts"), "mo-pitr")


@dataclass(frozen=True)
class Ran:
    """The outcome of a command."""

    code: int
    out: str
    err: str


Call = Callable[..., Ran]


@pytest.fixture
def emulator(request: pytest.FixtureRequest) -> Iterator[Emulator]:
    """A server of the test's own, of the module's ``SERVER_VERSION`` unless the test names one."""
    version: str = getattr(request, "param", getattr(request.module, "SERVER_VERSION", "4.2.0"))
    with Emulator(version) as running:
        yield running


@pytest.fixture
def engine(emulator: Emulator) -> Iterator[Engine]:
    """An engine of the emulator, whose database ``shop`` has three tables."""
    made = create_engine(emulator.url())
    with made.begin() as conn:
        conn.exec_driver_sql("CREATE DATABASE shop")
        for number in range(3):
            conn.exec_driver_sql(f"CREATE TABLE shop.t{number} (id INT PRIMARY KEY)")
    yield made
    made.dispose()
    gc.collect(1)  # a warning of something left open is this test's; the old ones cost most


@pytest.fixture
def environment(emulator: Emulator, engine: Engine) -> dict[str, str]:
    """The environment of a command on the emulator's database ``shop``."""
    url = emulator.url(database="shop")
    mine = {k: v for k, v in os.environ.items() if k not in ("NO_COLOR", "FORCE_COLOR")}
    return {**mine, "MATRIXONE_URL": url, "COLUMNS": "80"}


@pytest.fixture
def call(
    environment: dict[str, str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> Call:
    """Run a command in a folder of its own: ``call("plan", "models:Base", MATRIXONE_URL=None)``."""
    monkeypatch.chdir(tmp_path)

    def called(*arguments: str, **changed: str | None) -> Ran:
        return run_here(list(arguments), with_changes(environment, changed), capfd)

    return called


def run_here(
    arguments: list[str], environment: dict[str, str], capfd: pytest.CaptureFixture[str]
) -> Ran:
    """Run a command in this process and the present folder."""
    capfd.readouterr()
    with (
        patch.object(sys, "argv", ["mo-pitr", *arguments]),
        patch.dict(os.environ, environment, clear=True),
        forgetting_imports(Path.cwd()),
    ):
        code = run()
    return Ran(code, *capfd.readouterr())


def with_changes(environment: dict[str, str], changed: dict[str, str | None]) -> dict[str, str]:
    """Return the environment with these variables; those that are None are taken out."""
    return {k: v for k, v in {**environment, **changed}.items() if v is not None}


@pytest.fixture
def call_process(environment: dict[str, str], tmp_path: Path) -> Call:
    """Run the installed script, for what a process alone shows."""

    def called(*arguments: str, **changed: str | None) -> Ran:
        ran = subprocess.run(
            [SCRIPT, *arguments],
            capture_output=True,
            text=True,
            timeout=120,
            cwd=tmp_path,
            env=with_changes(environment, changed),
            stdin=subprocess.DEVNULL,
        )
        return Ran(ran.returncode, ran.stdout, ran.stderr)

    return called
