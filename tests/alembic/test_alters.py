"""Effects of operations on a table's id, as a script takes them, against those on a server."""

from __future__ import annotations

from typing import Any

import pytest
import sqlalchemy as sa
from alembic.migration import MigrationContext
from alembic.operations import Operations, ops
from sqlalchemy.dialects import mysql, postgresql

from alembic_ext.alters import Altered, Effect, altered, both
from tests.conftest import Server

MYSQL = mysql.dialect()
VARCHAR = sa.String(20)
INTEGER = sa.Integer()


def column(name: str, before: Any, **changes: Any) -> ops.AlterColumnOp:
    """``modify_`` and ``existing_`` of a column that may be NULL."""
    changes.setdefault("existing_nullable", True)
    return ops.AlterColumnOp("t", name, existing_type=before, **changes)


ALTERS: list[tuple[ops.MigrateOperation, Effect | None]] = [
    (ops.AddColumnOp("t", sa.Column("c", sa.Integer)), Effect.REBUILDS),
    (ops.DropColumnOp("t", "n"), Effect.REBUILDS),
    (column("n", VARCHAR, modify_name="m"), Effect.REBUILDS),
    (column("n", VARCHAR, modify_type=sa.String(40)), None),
    (column("n", VARCHAR, modify_type=sa.String(20)), None),
    (column("n", VARCHAR, modify_type=sa.String(40), modify_comment="so"), None),
    (column("n", VARCHAR, modify_type=sa.String(9)), Effect.REBUILDS),
    (column("n", VARCHAR, modify_type=sa.CHAR(40)), Effect.REBUILDS),
    (column("n", VARCHAR, modify_type=sa.Text()), Effect.REBUILDS),
    (column("n", VARCHAR, modify_nullable=False), Effect.REBUILDS),
    (column("n", VARCHAR, modify_nullable=True), None),
    (column("n", VARCHAR, modify_comment="so"), None),
    (column("f", sa.CHAR(20), modify_type=sa.CHAR(40)), None),
    (
        column("r", VARCHAR, modify_type=sa.String(40), existing_nullable=False),
        None,
    ),
    (column("r", VARCHAR, existing_nullable=False, modify_nullable=True), None),
    (column("i", INTEGER, modify_type=sa.BigInteger()), Effect.REBUILDS),
    (column("i", INTEGER, modify_type=sa.Integer()), Effect.REBUILDS),
    (column("i", INTEGER, modify_comment="so"), Effect.REBUILDS),
    (column("n", VARCHAR, modify_type=sa.String(40), modify_server_default="x"), None),
    (
        ops.AlterColumnOp("t", "n", existing_type=VARCHAR, modify_server_default="x"),
        Effect.REBUILDS,
    ),
    (ops.DropConstraintOp("x", "t", "primary"), Effect.REBUILDS),
    (ops.CreateIndexOp("ix", "t", ["n"]), None),
    (ops.CreateUniqueConstraintOp("uq", "t", ["n"]), None),
    (ops.CreateTableCommentOp("t", "so"), None),
    (ops.DropTableOp("t"), Effect.DROPS),
    (ops.RenameTableOp("t", "u"), Effect.RENAMES),
    (ops.ExecuteSQLOp("/* why */ ALTER TABLE t DROP COLUMN i"), Effect.REBUILDS),
    (ops.ExecuteSQLOp("ALTER TABLE t ADD c INT, ADD COLUMN d INT"), Effect.REBUILDS),
    (ops.ExecuteSQLOp("DROP TABLE t"), Effect.DROPS),
    (ops.ExecuteSQLOp("ALTER TABLE t RENAME TO u"), Effect.RENAMES),
]


@pytest.mark.parametrize(("op", "effect"), ALTERS)
def test_as_the_server_does(
    server: Server, database: str, op: ops.MigrateOperation, effect: Effect | None
) -> None:
    """From 3.0 on; on 2.x more of them rebuild."""
    if server.version < (3,):
        pytest.skip("there RENAME COLUMN and others rebuild as well")
    server.query(
        "CREATE TABLE t (id INT PRIMARY KEY, i INT, n VARCHAR(20), f CHAR(20), "
        "r VARCHAR(20) NOT NULL)",
        database,
    )

    def table_id() -> object:
        found = server.query(
            "SELECT rel_id FROM mo_catalog.mo_tables WHERE account_id = current_account_id() "
            f"AND reldatabase = '{database}' AND relname = 't'"
        )
        return found[0][0] if found else None

    before = table_id()
    engine = sa.create_engine(server.url("matrixone+pymysql", database))
    with engine.begin() as connection:
        Operations(MigrationContext.configure(connection)).invoke(op)
    engine.dispose()
    after = table_id()
    told = [found.effect for found in altered(op, MYSQL) if found.table == "t"]
    assert told == ([] if effect is None else [effect])
    if after is None:
        assert effect in (Effect.DROPS, Effect.RENAMES)
    else:
        assert effect is (None if after == before else Effect.REBUILDS)


def test_a_primary_key_that_is_made(server: Server, database: str) -> None:
    server.query("CREATE TABLE t (id INT NOT NULL)", database)
    ids = (
        "SELECT rel_id FROM mo_catalog.mo_tables WHERE account_id = current_account_id() "
        f"AND reldatabase = '{database}' AND relname = 't'"
    )
    before = server.query(ids)
    op = ops.CreatePrimaryKeyOp("pk", "t", ["id"])
    engine = sa.create_engine(server.url("matrixone+pymysql", database))
    with engine.begin() as connection:
        Operations(MigrationContext.configure(connection)).invoke(op)
    engine.dispose()
    assert server.query(ids) != before
    assert altered(op, MYSQL) == [(None, "t", Effect.REBUILDS)]


@pytest.mark.parametrize(
    ("statement", "schema", "table"),
    [
        ("ALTER TABLE orders MODIFY c INT", None, "orders"),
        ("\n alter table `shop`.`a``b` modify column c int", "shop", "a`b"),
        ("-- why\nALTER /* this */ TABLE orders ADD UNIQUE (c)", None, "orders"),
    ],
)
def test_text_may_do_anything(statement: str, schema: str | None, table: str) -> None:
    assert altered(ops.ExecuteSQLOp(statement), MYSQL) == [(schema, table, Effect.MAY_REBUILD)]


def test_other_text_does_nothing() -> None:
    op = ops.ExecuteSQLOp("INSERT INTO alter_table VALUES ('TRUNCATE orders')")
    assert altered(op, MYSQL) == []


def test_a_type_that_is_not_told() -> None:
    op = ops.AlterColumnOp("t", "n", modify_type=sa.String(40))
    assert altered(op, MYSQL) == [(None, "t", Effect.MAY_REBUILD)]


def test_a_type_of_another_dialect() -> None:
    op = ops.AlterColumnOp("t", "n", existing_type=postgresql.JSONB(), modify_type=sa.String(9))
    assert altered(op, MYSQL) == [(None, "t", Effect.REBUILDS)]


@pytest.mark.parametrize(
    ("op", "found"),
    [
        (ops.CreateTableOp("t", []), [(None, "t", Effect.MAKES)]),
        (ops.CreateTableOp("t", [], if_not_exists=True), [(None, "t", Effect.MAY_MAKE)]),
        (ops.ExecuteSQLOp("CREATE TABLE s.t (id INT)"), [("s", "t", Effect.MAKES)]),
        (
            ops.ExecuteSQLOp("CREATE TABLE IF NOT EXISTS t (id INT)"),
            [(None, "t", Effect.MAY_MAKE)],
        ),
        (
            ops.RenameTableOp("t", "u", schema="s"),
            [("s", "t", Effect.RENAMES), ("s", "u", Effect.MAY_MAKE)],
        ),
        (
            ops.ExecuteSQLOp("ALTER TABLE t RENAME u"),
            [(None, "t", Effect.RENAMES), (None, "u", Effect.MAY_MAKE)],
        ),
        (ops.ExecuteSQLOp("DROP DATABASE shop"), [("shop", None, Effect.DROPS)]),
        (ops.ExecuteSQLOp("create schema `Shop`"), [("Shop", None, Effect.MAKES)]),
        (
            ops.ExecuteSQLOp("CREATE DATABASE IF NOT EXISTS shop"),
            [("shop", None, Effect.MAY_MAKE)],
        ),
        (ops.ExecuteSQLOp("TRUNCATE orders"), [(None, "orders", Effect.TRUNCATES)]),
        (ops.ExecuteSQLOp("truncate table shop . t"), [("shop", "t", Effect.TRUNCATES)]),
    ],
)
def test_what_makes_a_table(op: ops.MigrateOperation, found: list[Altered]) -> None:
    assert altered(op, MYSQL) == found


@pytest.mark.parametrize(
    ("effects", "together"),
    [
        ("DROPS MAKES", "REBUILDS"),
        ("DROPS MAY_MAKE", "REBUILDS"),
        ("REBUILDS DROPS", "DROPS"),
        ("RENAMES MAKES", "REPLACES"),
        ("RENAMES MAY_MAKE REBUILDS", "REPLACES"),
        ("RENAMES MAKES DROPS MAKES", "REBUILDS"),
        ("REBUILDS MAY_REBUILD", "REBUILDS"),
        ("MAY_REBUILD REBUILDS", "REBUILDS"),
        ("MAKES MAY_REBUILD", "MAY_REBUILD"),
        ("TRUNCATES MAY_REBUILD", "TRUNCATES"),
        ("TRUNCATES REBUILDS", "REBUILDS"),
        ("REBUILDS MAY_MAKE", "REBUILDS"),
        ("MAKES", "MAKES"),
    ],
)
def test_one_after_another(effects: str, together: str) -> None:
    found = None
    for name in effects.split():
        found = both(found, Effect[name])
    assert found is Effect[together]
