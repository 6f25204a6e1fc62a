"""A user's installation: the wheel, the source distribution, and what importing brings along."""

from __future__ import annotations

import configparser
import email.message
import email.parser
import importlib.metadata
import os
import subprocess
import sys
import tarfile
import zipfile
from dataclasses import dataclass
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
PACKAGE = "sqlalchemy_matrixone_pitr"
PACKAGES = (PACKAGE, "alembic_ext", "matrixone_emulator")
DRIVERS = ("aiomysql", "asyncmy", "pymysql")

pytestmark = pytest.mark.slow


@dataclass(frozen=True)
class Built:
    wheel: Path
    sdist: Path

    def in_wheel(self) -> set[str]:
        with zipfile.ZipFile(self.wheel) as archive:
            return {name for name in archive.namelist() if not name.endswith("/")}

    def in_sdist(self) -> set[str]:
        """Paths below the archive's own folder."""
        with tarfile.open(self.sdist) as archive:
            return {name.partition("/")[2] for name in archive.getnames()}

    def of_dist_info(self, name: str) -> str:
        """The text of a file of the wheel's metadata."""
        with zipfile.ZipFile(self.wheel) as archive:
            (path,) = (path for path in archive.namelist() if path.endswith(f".dist-info/{name}"))
            return archive.read(path).decode()

    def metadata(self) -> email.message.Message:
        return email.parser.Parser().parsestr(self.of_dist_info("METADATA"))


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Built:
    """``python -m build``: the sdist from this tree, the wheel from that sdist."""
    out = tmp_path_factory.mktemp("dist")
    subprocess.run(
        [sys.executable, "-m", "build", "--outdir", str(out), str(ROOT)],
        check=True,
        capture_output=True,
        timeout=280,
    )
    (wheel,) = out.glob("*.whl")
    (sdist,) = out.glob("*.tar.gz")
    return Built(wheel, sdist)


def package_files() -> set[str]:
    return {
        str(path.relative_to(ROOT))
        for package in PACKAGES
        for path in (ROOT / package).rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }


def test_the_wheel_is_for_every_platform(built: Built) -> None:
    assert built.wheel.name.endswith("-py3-none-any.whl")


def test_the_wheel_has_the_package_and_nothing_else(built: Built) -> None:
    files = {name for name in built.in_wheel() if ".dist-info/" not in name}
    assert files == package_files()


@pytest.mark.parametrize(
    "name", ["py.typed", "emulator.py", "cli/__init__.py", "cli/demo.py", "alembic.py"]
)
def test_the_wheel_has(built: Built, name: str) -> None:
    assert f"{PACKAGE}/{name}" in built.in_wheel()


@pytest.mark.parametrize("name", ["py.typed", "ops.py", "toimpl.py", "compare.py", "render.py"])
def test_the_wheel_has_alembics_part(built: Built, name: str) -> None:
    assert f"alembic_ext/{name}" in built.in_wheel()


@pytest.mark.parametrize("name", ["py.typed", "__init__.py", "server/emulator.py"])
def test_the_wheel_has_the_emulator(built: Built, name: str) -> None:
    assert f"matrixone_emulator/{name}" in built.in_wheel()


def test_no_tests_package_is_installed(built: Built) -> None:
    tops = {name.partition("/")[0] for name in built.in_wheel() if ".dist-info/" not in name}
    assert tops == set(PACKAGES)


def test_entry_points(built: Built) -> None:
    parser = configparser.ConfigParser(delimiters="=")
    parser.optionxform = str  # type: ignore[assignment, method-assign]
    parser.read_string(built.of_dist_info("entry_points.txt"))
    assert {section: set(parser[section]) for section in parser.sections()} == {
        "console_scripts": {"mo-pitr"},
        # never a bare "matrixone", and never an alembic.plugins group
        "sqlalchemy.dialects": {f"matrixone.{driver}" for driver in DRIVERS},
    }


@pytest.mark.parametrize(
    "entry_point",
    importlib.metadata.distribution("sqlalchemy-matrixone-pitr").entry_points,
    ids=lambda entry_point: entry_point.name,
)
def test_entry_points_load(entry_point: importlib.metadata.EntryPoint) -> None:
    assert callable(entry_point.load())


def test_metadata(built: Built) -> None:
    metadata = built.metadata()
    assert metadata["Name"] == "sqlalchemy-matrixone-pitr"
    assert metadata["Requires-Python"] == ">=3.11"
    assert metadata["License-Expression"] == "MIT"
    assert metadata["License-File"] == "LICENSE"
    assert "Permission is hereby granted" in built.of_dist_info("licenses/LICENSE")
    assert "Typing :: Typed" in metadata.get_all("Classifier", [])


def test_urls(built: Built) -> None:
    urls = built.metadata().get_all("Project-URL", [])
    assert {url.partition(", ")[0] for url in urls} >= {"MatrixOne"}
    assert all(url.partition(", ")[2].startswith("https://") for url in urls)


def test_the_readme_is_the_description(built: Built) -> None:
    assert built.metadata().get_payload() == (ROOT / "README.md").read_text()


def test_only_sqlalchemy_is_required(built: Built) -> None:
    required = built.metadata().get_all("Requires-Dist", [])
    (without_extra,) = (text for text in required if "extra ==" not in text)
    assert without_extra.lower().startswith("sqlalchemy")


def test_extras(built: Built) -> None:
    assert set(built.metadata().get_all("Provides-Extra", [])) == {
        "aiomysql",
        "alembic",
        "all",
        "asyncmy",
        "cli",
        "emulator",
        "pymysql",
    }


def test_the_sdist_can_be_tested(built: Built) -> None:
    files = built.in_sdist()
    assert package_files() <= files
    assert {
        "CHANGELOG.md",
        "CONTRIBUTING.md",
        "LICENSE",
        "Makefile",
        "README.md",
        "pyproject.toml",
        "benchmarks/__main__.py",
        "docs/images/timeline.svg",
        "docs/server.md",
        "tests/conftest.py",
    } <= files


def test_the_sdist_has_no_leftovers(built: Built) -> None:
    tops = {name.partition("/")[0] for name in built.in_sdist()}
    assert tops - {""} == {
        ".gitignore",
        "CHANGELOG.md",
        "CONTRIBUTING.md",
        "LICENSE",
        "Makefile",
        "PKG-INFO",
        "README.md",
        "SECURITY.md",
        "benchmarks",
        "docs",
        "examples",
        "pyproject.toml",
        *PACKAGES,
        "tests",
    }
    assert not [name for name in built.in_sdist() if "__pycache__" in name]


def test_importing_the_package_imports_sqlalchemy_only() -> None:
    code = f"import sys, {PACKAGE}; print(*sorted({{m.partition('.')[0] for m in sys.modules}}))"
    measured = {name for name in os.environ if name.startswith("COVERAGE_")}  # it imports sqlite3
    environment = {name: os.environ[name] for name in os.environ.keys() - measured}
    ran = subprocess.run(
        [sys.executable, "-c", code], check=True, capture_output=True, text=True, env=environment
    )
    not_needed = {*DRIVERS, "alembic", "click", "greenlet", "rich", "sqlglot", "sqlite3"}
    assert set(ran.stdout.split()) & not_needed == set()
