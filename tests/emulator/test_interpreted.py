"""sqlglot's parser from its source, as where its compiled build is installed.

``make matrix`` runs the tests of migrations and of the server's rules with that build.
"""

from __future__ import annotations

import pytest
import sqlglot.parser
from sqlglot.dialects.mysql import MySQL

from matrixone_emulator.parsing import interpreted


@pytest.mark.skipif(
    MySQL.Parser.__module__ == MySQL.__module__, reason="sqlglot 30 has the parser apart"
)
def test_a_parser_of_its_own_parses_the_same() -> None:
    base = interpreted._run("sqlglot.parser", {})
    module = interpreted._run(MySQL.Parser.__module__, {"sqlglot.parser": base})
    parser = getattr(module, MySQL.Parser.__name__)
    assert parser is not MySQL.Parser
    assert issubclass(parser, base.Parser)
    assert not issubclass(parser, sqlglot.parser.Parser)

    class Twin(MySQL):
        Parser = parser

    for statement in (
        "SELECT a, COUNT(*) FROM t WHERE b IN (1, 2) GROUP BY a HAVING 1 < 2 ORDER BY a DESC",
        "INSERT INTO t (a) VALUES (1) ON DUPLICATE KEY UPDATE a = VALUES(a)",
        "UPDATE t JOIN u ON t.a = u.a SET t.b = CONVERT(u.b USING utf8)",
    ):
        assert sqlglot.parse_one(statement, dialect=Twin) == sqlglot.parse_one(
            statement, dialect="mysql"
        )


def test_the_parser_can_be_extended() -> None:
    class Extended(interpreted.mysql_parser()):  # type: ignore[misc] # made at run time
        FUNCTIONS: dict[str, object] = {}  # noqa: RUF012 - as sqlglot declares it

    assert Extended(dialect="mysql").FUNCTIONS == {}
