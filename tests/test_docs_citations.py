"""Names in the pages of docs/ and in the code resolve: headings, tests, paths and links.

A citation has one form, "docs/server.md, Races", with further headings after semicolons; a full
stop, a colon, a bracket or a back-quote ends it, and it may go on in the next line.
"""

from __future__ import annotations

import ast
import re
from collections import Counter
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
PAGES = sorted((ROOT / "docs").glob("*.md"))
TEXTS = [*PAGES, *ROOT.glob("*.md"), ROOT / "examples/shop/README.md"]
SOURCES = [
    path
    for folder in (
        "sqlalchemy_matrixone_pitr",
        "alembic_ext",
        "matrixone_emulator",
        "tests",
        "benchmarks",
        "examples",
    )
    for path in sorted((ROOT / folder).rglob("*.py"))
    if path != Path(__file__)
]

CITATION = re.compile(r"docs/(\w+\.md), ([^.:()`\"]+)")
TEST = re.compile(r"`((?:tests/)?[\w/]*test_\w+\.py)::(\w+)`")
LINK = re.compile(r"(?<!!)\[[^\]]*\]\(([^)\s]+)\)")
FENCE = re.compile(r"^```.*?^```$", re.DOTALL | re.MULTILINE)
SUFFIXES = (".py", ".md", ".toml", ".ini", ".yml", ".yaml", ".txt")


def name_of(path: Path) -> str:
    return str(path.relative_to(ROOT))


@cache
def prose(path: Path) -> str:
    """A page's text without its blocks of code."""
    return FENCE.sub("", path.read_text())


@cache
def headings(page: str) -> list[str]:
    return re.findall(r"^#+ (.+)$", prose(ROOT / "docs" / page), re.MULTILINE)


def anchor(heading: str) -> str:
    """A heading as the fragment of a link, by the rule of GitHub."""
    return re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-")


def citations(text: str) -> list[tuple[str, str]]:
    """Pages and headings that a text cites."""
    joined = re.sub(r"\s*\n[ \t]*#?[ \t]*", " ", text)
    return [
        (page, heading.strip())
        for page, cited in CITATION.findall(joined)
        for heading in cited.split(";")
    ]


@cache
def functions(path: Path) -> frozenset[str]:
    tree = ast.parse(path.read_text())
    kinds = (ast.FunctionDef, ast.AsyncFunctionDef)
    return frozenset(node.name for node in ast.walk(tree) if isinstance(node, kinds))


def test_the_form_of_a_citation() -> None:
    text = (
        "Source: docs/server.md, Names;\n    Checks of CREATE. And (docs/server.md, Races)\n# more"
    )
    assert citations(text) == [
        ("server.md", "Names"),
        ("server.md", "Checks of CREATE"),
        ("server.md", "Races"),
    ]


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_headings_are_unique(page: Path) -> None:
    assert [h for h, count in Counter(headings(page.name)).items() if count > 1] == []


def test_every_citation_names_a_heading() -> None:
    cited = 0
    for path in (*SOURCES, *TEXTS):
        for page, heading in citations(path.read_text()):
            assert heading in headings(page), f"{name_of(path)}: docs/{page}, {heading}"
            cited += 1
    assert cited > 60


def test_facts_are_cited_in_that_form_only() -> None:
    """No numbered sections, and no page of facts that is not shipped."""
    other = re.compile(r"\b(matrixone|design|ecosystem|style)\.md\b|\b[Ss]ections? \d")
    bare = re.compile(r"(?<!docs/)\b(server|architecture)\.md\b")
    for path in (*SOURCES, *TEXTS):
        assert not other.search(path.read_text()), name_of(path)
    for path in SOURCES:
        assert not bare.search(path.read_text()), name_of(path)


@pytest.mark.parametrize("path", TEXTS, ids=name_of)
def test_named_tests_are_there(path: Path) -> None:
    for file, function in TEST.findall(path.read_text()):
        found = ROOT / (file if "/" in file else f"tests/server/{file}")
        assert found.is_file(), file
        assert function in functions(found), f"{file}::{function}"


@pytest.mark.parametrize("path", TEXTS, ids=name_of)
def test_facts_without_a_test_say_when_they_were_measured(path: Path) -> None:
    """Each "no test" has a date, or says that it was read in the source."""
    for remark in re.findall(r"\(([^()]*no test[^()]*)\)", prose(path)):
        assert re.match(r"measured (by )?\d{4}-\d\d-\d\d|source, no test", remark), remark


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_named_paths_are_there(page: Path) -> None:
    tops = {path.name for path in ROOT.iterdir()}
    for code in re.findall(r"`([^`\s]+)`", prose(page)):
        path = code.partition("::")[0]
        if path in tops or ("/" in path and path.split("/")[0] in tops):
            assert (ROOT / path).exists(), code
        elif "/" in path:
            assert not path.endswith(SUFFIXES), f"{code}: give the path from the root"


def test_every_folder_is_on_the_map() -> None:
    """Folders of the packages, and of the tests that pytest collects itself."""
    named = set(re.findall(r"`([^`\s]+/)`", prose(ROOT / "docs/architecture.md")))
    for top in ("sqlalchemy_matrixone_pitr", "alembic_ext", "matrixone_emulator", "tests"):
        for path in sorted((ROOT / top).glob("*/__init__.py")):
            assert f"{name_of(path.parent)}/" in named


def test_files_in_drawings_are_there() -> None:
    """Names in the blocks of docs/architecture.md, of the packages or of alembic_ext/."""
    names = {path.name for path in SOURCES}
    for block in FENCE.findall((ROOT / "docs/architecture.md").read_text()):
        for name in re.findall(r"[\w/]+\.py", block):
            assert name.rpartition("/")[2] in names, name


@pytest.mark.parametrize("path", TEXTS, ids=name_of)
def test_relative_links_resolve(path: Path) -> None:
    for target in LINK.findall(prose(path)):
        if re.match(r"[a-z]+:", target):
            continue
        file, _, fragment = target.partition("#")
        found = path.parent / file if file else path
        assert found.exists(), target
        if fragment:
            marks = re.findall(r"^#+ (.+)$", prose(found), re.MULTILINE)
            assert fragment in map(anchor, marks), target
