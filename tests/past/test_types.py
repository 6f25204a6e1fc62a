"""Columns of types that have rules of their own: compared, chosen by, and brought back."""

from __future__ import annotations

from typing import Any

import pytest
from sqlalchemy import Engine, column

from sqlalchemy_matrixone_pitr import diff_rows, undo_changes
from tests.conftest import Server
from tests.past.tables import rows_of, say, take_moment

ONE, OTHER = "6d1b1f73-2dbf-11ed-940f-000c29847904", "00000000-0000-0000-0000-00000000002a"

TYPES = {
    "VECF32(3)": ("[0.1, -2, 16777216]", "[1, 2, 3.5]"),
    "VECF64(2)": ("[0.1, 0.333333333333333]", "[-1, 2]"),
    "SET('x', 'it''s 100%')": ("x", "x,it's 100%"),
    "ENUM('x', 'it''s 100%')": ("x", "it's 100%"),
    "UUID": (ONE, OTHER),
}


@pytest.fixture
def engine(engine: Engine) -> Engine:
    """An engine whose past is trusted without a policy."""
    engine.update_execution_options(matrixone_allow_unprotected=True)
    return engine


@pytest.fixture(params=TYPES)
def of_a_type(request: pytest.FixtureRequest, server: Server) -> tuple[str, str, str]:
    """A type, and two of its values."""
    type_: str = request.param
    if type_.startswith("SET") and server.version < (4,):
        pytest.skip("no SET")
    one, other = TYPES[type_]
    return type_, one, other


@pytest.mark.parametrize("until", [False, True])
def test_rows_with_a_key(engine: Engine, of_a_type: tuple[str, str, str], until: bool) -> None:
    type_, one, other = of_a_type
    insert = "INSERT INTO t VALUES (%s, %s, %s)"
    before = [(1, one, 0), (2, other, 0), (3, None, 0), (4, one, 0), (5, one, 0)]
    after = [(1, other, 0), (2, None, 5), (3, one, 0), (4, one, 0)]
    say(engine, f"CREATE TABLE t (id INT PRIMARY KEY, v {type_}, n INT)")
    with engine.begin() as connection:
        connection.exec_driver_sql(insert, before)
    at = take_moment(engine)
    with engine.begin() as connection:
        for id_, value, n in after:
            change = "UPDATE t SET v = %s, n = %s WHERE id = %s"
            connection.exec_driver_sql(change, (value, n, id_))
        connection.exec_driver_sql("DELETE FROM t WHERE id = 5")
    options: dict[str, Any] = {"until": take_moment(engine)} if until else {}
    changes = list(diff_rows(engine, "t", at, **options))
    assert [(c.key, c.changed) for c in changes] == [
        ((1,), ("v",)), ((2,), ("v", "n")), ((3,), ("v",)), ((5,), ()),
    ]  # fmt: skip
    assert [(c.before or {})["v"] for c in changes] == [one, other, None, one]
    assert [c.after and c.after["v"] for c in changes] == [other, None, one, None]
    with engine.begin() as connection:
        assert undo_changes(connection, "t", at, **options).complete
    assert rows_of(engine, "t") == before


@pytest.mark.parametrize("until", [False, True])
def test_rows_without_a_key(engine: Engine, of_a_type: tuple[str, str, str], until: bool) -> None:
    type_, one, other = of_a_type
    say(engine, f"CREATE TABLE t (v {type_}, n INT)")
    with engine.begin() as connection:
        before = [(one, 1), (one, 1), (None, 1), (other, 2)]
        connection.exec_driver_sql("INSERT INTO t VALUES (%s, %s)", before)
    at = take_moment(engine)
    with engine.begin() as connection:
        connection.exec_driver_sql("DELETE FROM t WHERE n = 1")
        connection.exec_driver_sql("INSERT INTO t VALUES (%s, %s)", [(one, 1), (other, 2)])
    options: dict[str, Any] = {"until": take_moment(engine)} if until else {}
    found = [(str(c.kind), c.before or c.after) for c in diff_rows(engine, "t", at, **options)]
    assert sorted(found, key=repr) == [
        ("deleted", {"v": one, "n": 1}),
        ("deleted", {"v": None, "n": 1}),
        ("inserted", {"v": other, "n": 2}),
    ]


@pytest.mark.parametrize("until", [False, True])
@pytest.mark.parametrize("unique", [False, True], ids=["column", "unique key"])
def test_conditions_on_a_uuid(engine: Engine, unique: bool, until: bool) -> None:
    """And a key of one: the past is read without an index."""
    key = "UNIQUE KEY (v)" if unique else "PRIMARY KEY (n)"
    say(
        engine,
        f"CREATE TABLE t (v UUID NOT NULL, n INT NOT NULL, m INT, {key})",
        f"INSERT INTO t VALUES ('{ONE}', 1, 0), ('{OTHER}', 2, 0)",
    )
    at = take_moment(engine)
    say(engine, "UPDATE t SET m = 5")
    options: dict[str, Any] = {"until": take_moment(engine)} if until else {}
    where = column("v") == OTHER
    (change,) = diff_rows(engine, "t", at, where=where, **options)
    assert change.key == ((OTHER,) if unique else (2,))
    with engine.begin() as connection:
        assert undo_changes(connection, "t", at, where=where, **options).complete
    assert rows_of(engine, "t") == [(OTHER, 2, 0), (ONE, 1, 5)]


def test_datalinks(engine: Engine) -> None:
    """UNION takes none."""
    say(
        engine,
        "CREATE TABLE t (id INT PRIMARY KEY, v DATALINK)",
        "INSERT INTO t VALUES (1, 'file:///tmp/a'), (2, 'file:///tmp/b')",
    )
    at = take_moment(engine)
    say(engine, "UPDATE t SET v = 'file:///tmp/c' WHERE id = 1", "DELETE FROM t WHERE id = 2")
    changes = diff_rows(engine, "t", at)
    assert [(change.before or {})["v"] for change in changes] == ["file:///tmp/a", "file:///tmp/b"]
    with engine.begin() as connection:
        assert undo_changes(connection, "t", at).complete
    assert rows_of(engine, "t") == [(1, "file:///tmp/a"), (2, "file:///tmp/b")]
