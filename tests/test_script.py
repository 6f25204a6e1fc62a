"""A file of SQL as its statements."""

from __future__ import annotations

import pytest

from sqlalchemy_matrixone_pitr.cli.script import statements


@pytest.mark.parametrize(
    ("script", "found"),
    [
        ("", []),
        (" ;; -- nothing\n;", []),
        ("SELECT 1", [("SELECT 1", 1)]),
        ("SELECT 1;\n\nSELECT 2;", [("SELECT 1", 1), ("SELECT 2", 3)]),
        (
            'SELECT \';\', "a;"";", `;`; SELECT 2',
            [('SELECT \';\', "a;"";", `;`', 1), ("SELECT 2", 1)],
        ),
        ("SELECT 'it\\'s; one'; SELECT 2", [("SELECT 'it\\'s; one'", 1), ("SELECT 2", 1)]),
        ("SELECT 1 -- one; still\n+ 1", [("SELECT 1  \n+ 1", 1)]),
        ("/* a;\n b */ SELECT 1; # c;\nSELECT 2", [("SELECT 1", 2), ("SELECT 2", 3)]),
        ("SELECT 1--1; SELECT 2", [("SELECT 1--1", 1), ("SELECT 2", 1)]),
        ("/*! SET @a = 1 */; SELECT 'open;", [("/*! SET @a = 1 */", 1), ("SELECT 'open", 1)]),
    ],
)
def test_statements(script: str, found: list[tuple[str, int]]) -> None:
    assert [tuple(statement) for statement in statements(script)] == found
