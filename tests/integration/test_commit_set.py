"""Any SET commits the open transaction, up to 4.2: a warning where PITR statements wait in it."""

from __future__ import annotations

import warnings
from collections.abc import Callable

import pytest
from sqlalchemy import Engine, create_engine, text
from sqlalchemy.exc import DBAPIError, SAWarning

from sqlalchemy_matrixone_pitr import CreatePitr, DropPitr, Pitr
from sqlalchemy_matrixone_pitr.transaction import _is_set
from tests.conftest import Server

Names = Callable[[], list[str]]

STATEMENTS = [
    "SET @a = 1",
    "set names utf8mb4",
    "  \n SET time_zone = '+00:00'",
    "/* routing */ SET @a = 1",
    "-- first a comment\n# another\n// and a third\nSET @a = 1",
    "/*!40101 SET NAMES utf8mb4 */",
    "SET autocommit = 0",
]

# the server refuses these in a transaction, which they leave as it is
REFUSED = [
    "SET SESSION TRANSACTION ISOLATION LEVEL READ COMMITTED",
    "SET ROLE public",
    "SET no_such_variable = 1",
]


@pytest.fixture(autouse=True)
def tables(server: Server, database: str) -> None:
    server.query("CREATE TABLE t (id INT PRIMARY KEY)", database)


@pytest.mark.parametrize("statement", STATEMENTS)
def test_it_commits_and_a_warning_says_so(
    matrixone_engine: Engine,
    server: Server,
    database: str,
    prefix: str,
    pitr_names: Names,
    statement: str,
) -> None:
    if server.version > (4, 2, 0):
        pytest.skip("commits nothing after 4.2: test_a_set_that_commits_nothing")
    with matrixone_engine.connect() as conn:
        conn.execute(text("INSERT INTO t VALUES (1)"))
        conn.execute(CreatePitr(Pitr.database(prefix, "1d")))
        with pytest.warns(SAWarning, match="has committed the open transaction") as caught:
            conn.exec_driver_sql(statement)
        assert f"CREATE PITR `{prefix}`" in str(caught[0].message)
        assert caught[0].filename == __file__
        conn.rollback()
    # what the warning warns of
    assert server.query("SELECT count(*) FROM t", database) == [(1,)]
    assert pitr_names() == []


@pytest.mark.parametrize("statement", STATEMENTS)
def test_a_set_that_commits_nothing(
    matrixone_engine: Engine, server: Server, database: str, pitr_names: Names, statement: str
) -> None:
    """After 4.2: what waits is discarded with the rest."""
    if server.version <= (4, 2, 0):
        pytest.skip("commits up to 4.2: test_it_commits_and_a_warning_says_so")
    with warnings.catch_warnings(), matrixone_engine.connect() as conn:
        warnings.simplefilter("error")
        conn.execute(text("INSERT INTO t VALUES (1)"))
        conn.execute(CreatePitr(Pitr.database(database, "1d")))
        conn.exec_driver_sql(statement)
        conn.rollback()
    assert server.query("SELECT count(*) FROM t", database) == [(0,)]
    assert pitr_names() == []


@pytest.mark.parametrize("statement", REFUSED)
def test_a_refused_one_commits_nothing(
    matrixone_engine: Engine, server: Server, database: str, prefix: str, statement: str
) -> None:
    if "SESSION" in statement and server.version > (4, 2, 0):
        statement = "SET TRANSACTION ISOLATION LEVEL READ COMMITTED"
    with warnings.catch_warnings(), matrixone_engine.connect() as conn:
        warnings.simplefilter("error")
        conn.execute(text("INSERT INTO t VALUES (1)"))
        conn.execute(CreatePitr(Pitr.database(prefix, "1d")))
        with pytest.raises(DBAPIError, match=r"20101|1568"):
            conn.exec_driver_sql(statement)
        conn.rollback()
    assert server.query("SELECT count(*) FROM t", database) == [(0,)]


def test_once_in_a_transaction(
    matrixone_engine: Engine, server: Server, prefix: str, pitr_names: Names
) -> None:
    if server.version > (4, 2, 0):
        pytest.skip("commits nothing after 4.2")
    with warnings.catch_warnings(), matrixone_engine.connect() as conn:
        warnings.simplefilter("error")
        for _ in range(2):
            conn.execute(DropPitr(prefix, if_exists=True))
            with pytest.warns(SAWarning):
                conn.execute(text("SET @a = 1"))
            conn.execute(text("SET @b = 2"))
            conn.execute(CreatePitr(Pitr.database(prefix, "1d")))
            conn.execute(text("SET @b = 3"))
            conn.commit()
    assert pitr_names() == [prefix]


def test_not_where_nothing_waits(matrixone_engine: Engine, prefix: str) -> None:
    with warnings.catch_warnings(), matrixone_engine.connect() as conn:
        warnings.simplefilter("error")
        conn.execute(text("SET @a = 1"))
        conn.execute(CreatePitr(Pitr.database(prefix, "1d")))
        conn.commit()
        conn.execute(text("SET @a = 1"))
        conn.rollback()


def test_not_of_other_statements(matrixone_engine: Engine, prefix: str) -> None:
    with warnings.catch_warnings(), matrixone_engine.connect() as conn:
        warnings.simplefilter("error")
        conn.execute(CreatePitr(Pitr.database(prefix, "1d")))
        conn.execute(text("UPDATE t SET id = 2 WHERE id = 1"))
        conn.execute(text("SELECT '; SET @a = 1' /* ; SET @a = 1 */"))
        conn.rollback()


def test_not_on_a_server_whose_set_commits_nothing(
    server: Server, database: str, prefix: str
) -> None:
    engine = create_engine(
        server.url(database=database), execution_options={"matrixone_version": "4.3.0"}
    )
    with warnings.catch_warnings(), engine.connect() as conn:
        warnings.simplefilter("error")
        conn.execute(CreatePitr(Pitr.database(prefix, "1d")))
        conn.execute(text("SET @a = 1"))
        conn.rollback()
    engine.dispose()


@pytest.mark.parametrize(
    ("statement", "is_set"),
    [
        *((statement, True) for statement in STATEMENTS),
        *((statement, True) for statement in REFUSED),
        ("/*! SET @a = 1 */", True),
        ("SELECT 1; SET @a = 1", True),
        ("SELECT ';' ; /* ' */ set @a = 1", True),
        ("SELECT 'it''s; SET @a = 1'", False),
        ('SELECT `; SET a`, "; SET \\"; SET b" FROM t', False),
        ("SETTINGS", False),
        ("-- SET @a = 1", False),
        ("INSERT INTO t VALUES (1)", False),
        ("RESET PERSIST", False),
        ("-- a\n" * 5000 + "SELECT 1", False),
    ],
)
def test_what_is_a_set(statement: str, is_set: bool) -> None:
    assert _is_set(statement) is is_set
