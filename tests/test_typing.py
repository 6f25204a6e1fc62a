"""A program that uses every public name passes mypy --strict and pyright."""

from __future__ import annotations

import importlib.util
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import sqlalchemy_matrixone_pitr
import sqlalchemy_matrixone_pitr.alembic
from tests.alembic.test_package import MIGRATION

ROOT = Path(__file__).parent.parent
PROGRAM = ROOT / "tests" / "typed_program.py"

pytestmark = pytest.mark.slow


def test_the_program_uses_every_public_name() -> None:
    text = PROGRAM.read_text()
    names = [*sqlalchemy_matrixone_pitr.__all__, *sqlalchemy_matrixone_pitr.alembic.__all__]
    missing = [name for name in names if len(re.findall(rf"\b{name}\b", text)) < 2]
    assert missing == []  # imported, and used


def test_mypy_strict() -> None:
    ran = subprocess.run(
        [sys.executable, "-m", "mypy", "--strict", str(PROGRAM)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=280,
    )
    assert ran.returncode == 0, ran.stdout


def test_pyright(tmp_path: Path) -> None:
    shutil.copy(PROGRAM, tmp_path / "program.py")
    (tmp_path / "pyrightconfig.json").write_text(
        f'{{"extraPaths": ["{ROOT}"], "typeCheckingMode": "strict"}}'
    )
    start = [sys.executable, "-m", "pyright"]
    if importlib.util.find_spec("pyright") is None:
        start = [shutil.which("pyright") or pytest.skip("pyright is not installed")]
    elif subprocess.run([*start, "--version"], capture_output=True, timeout=200).returncode:
        pytest.skip("pyright cannot be started: its first run fetches it")
    ran = subprocess.run(
        [*start, "--pythonpath", sys.executable, "program.py"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=280,
    )
    assert ran.returncode == 0, ran.stdout + ran.stderr


def test_the_typed_functions(tmp_path: Path) -> None:
    right, wrong = tmp_path / "right.py", tmp_path / "wrong.py"
    right.write_text(MIGRATION)
    wrong.write_text(MIGRATION.replace('"a", "7d", table', '"a", 7, table'))
    checked = subprocess.run(
        [sys.executable, "-m", "mypy", "--strict", right, wrong],
        capture_output=True,
        text=True,
        cwd=ROOT,
    )
    found, count, *_ = checked.stdout.splitlines()
    assert 'has incompatible type "int"; expected "str"' in found
    assert "wrong.py:" in found
    assert count == "Found 1 error in 1 file (checked 2 source files)"
