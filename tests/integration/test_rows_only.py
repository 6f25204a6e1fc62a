"""Plans and the catalogue say which tables a table-level policy keeps the rows of alone."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from sqlalchemy import (
    Column,
    Engine,
    Index,
    Integer,
    MetaData,
    Table,
    UniqueConstraint,
    event,
    text,
)

from sqlalchemy_matrixone_pitr import DatabasePitr, TablePitr, apply_plan, declare_pitrs, plan_pitrs
from sqlalchemy_matrixone_pitr.catalog import table_parts
from sqlalchemy_matrixone_pitr.extent import Parts
from sqlalchemy_matrixone_pitr.show import reading


def models(prefix: str, *, tables: int = 1) -> MetaData:
    """Tables with and without what a table-level policy does not keep."""
    metadata = MetaData()
    for number in range(tables):
        columns = Column("id", Integer, primary_key=True), Column("n", Integer)
        key = UniqueConstraint("n", name=f"uq_{number}")
        Table(f"t{number}", metadata, *columns, key, TablePitr("7d", f"{prefix}_{number}"))
    Table(
        "plain", metadata, Column("id", Integer, primary_key=True), TablePitr("7d", f"{prefix}_p")
    )
    return metadata


@contextmanager
def statements(engine: Engine) -> Iterator[list[str]]:
    sent: list[str] = []

    def note(conn: Any, cursor: Any, statement: str, *rest: Any) -> None:
        if statement.startswith(("SELECT", "SHOW")):
            sent.append(statement)

    event.listen(engine, "before_cursor_execute", note)
    yield sent
    event.remove(engine, "before_cursor_execute", note)


def test_a_plan_says_so_before_the_tables_are_there(engine: Engine, prefix: str) -> None:
    plan = plan_pitrs(engine, models(prefix))
    assert [(one.table, str(one.kept)) for one in plan.rows_only] == [("t0", "rows only")]
    assert f"rows only: {prefix}.t0 (uq_0): a table-level policy keeps no indexes" in repr(plan)
    assert plan.to_dict()["rows_only"][0]["indexes"] == ["uq_0"]


def test_it_is_no_drift(matrixone_engine: Engine, prefix: str) -> None:
    metadata = models(prefix)
    metadata.create_all(matrixone_engine)
    apply_plan(matrixone_engine, plan_pitrs(matrixone_engine, metadata))
    plan = plan_pitrs(matrixone_engine, metadata)
    assert plan.in_sync
    assert [one.policy for one in plan.rows_only] == [f"{prefix}_0"]


def test_indexes_that_are_not_declared_count(matrixone_engine: Engine, prefix: str) -> None:
    metadata = models(prefix)
    metadata.create_all(matrixone_engine)
    with matrixone_engine.begin() as conn:
        conn.execute(text("CREATE INDEX by_hand ON plain (id)"))
    found = {
        one.table: one.parts.indexes for one in plan_pitrs(matrixone_engine, metadata).rows_only
    }
    assert found == {"t0": ("uq_0",), "plain": ("by_hand",)}


def test_a_database_level_policy_keeps_them(matrixone_engine: Engine, prefix: str) -> None:
    """Declared, and there without being declared; not where the plan drops it."""
    metadata = models(prefix)
    metadata.create_all(matrixone_engine)
    with_database = models(prefix)
    declare_pitrs(with_database, DatabasePitr("1d", f"{prefix}_day"))
    plan = plan_pitrs(matrixone_engine, with_database)
    assert plan.rows_only == ()
    apply_plan(matrixone_engine, plan)
    assert plan_pitrs(matrixone_engine, metadata).rows_only == ()
    dropping = plan_pitrs(matrixone_engine, metadata, drop_undeclared=True)
    assert [one.table for one in dropping.rows_only] == ["t0"]
    kept = dropping.only(lambda action: action.kind != "drop")
    assert kept.actions == ()


def test_one_statement_more_however_many_tables(matrixone_engine: Engine, prefix: str) -> None:
    counts = []
    for tables in (1, 12):
        metadata = models(prefix, tables=tables)
        metadata.create_all(matrixone_engine)
        with matrixone_engine.connect():
            pass
        with statements(matrixone_engine) as sent:
            assert len(plan_pitrs(matrixone_engine, metadata).rows_only) == tables
        counts.append(sum("mo_indexes" in statement for statement in sent))
        assert len(sent) <= 4 + sum("time_zone" in statement for statement in sent)
    assert counts == [1, 1]
    nothing = MetaData()
    declare_pitrs(nothing, DatabasePitr("1d", f"{prefix}_day"))
    with statements(matrixone_engine) as sent:
        plan_pitrs(matrixone_engine, nothing)
    assert not any("mo_indexes" in statement for statement in sent)


def test_the_catalogue(matrixone_engine: Engine, prefix: str) -> None:
    """After a rebuild too, which gives the table another id."""
    metadata = models(prefix)
    Table("more", metadata, Column("id", Integer, primary_key=True), Column("m", Integer))
    Index("ix_m", metadata.tables["more"].c.m)
    metadata.create_all(matrixone_engine)
    keys = [(prefix, name) for name in metadata.tables]
    expected = {(prefix, "t0"): Parts(("uq_0",)), (prefix, "more"): Parts(("ix_m",))}
    with reading(matrixone_engine) as connection:
        assert table_parts(connection, keys) == expected
        assert table_parts(connection, []) == {}
    with matrixone_engine.begin() as conn:
        conn.execute(text("ALTER TABLE more ADD COLUMN k INT"))
    with reading(matrixone_engine) as connection:
        assert table_parts(connection, keys) == expected
        assert table_parts(connection, [(prefix, "more")]).keys() == {(prefix, "more")}


def test_partitions(matrixone_engine: Engine, prefix: str) -> None:
    with matrixone_engine.begin() as conn:
        conn.execute(text("CREATE TABLE p (id INT PRIMARY KEY) PARTITION BY KEY(id) PARTITIONS 2"))
    with reading(matrixone_engine) as connection:
        assert table_parts(connection, [(prefix, "p")]) == {(prefix, "p"): Parts(partitioned=True)}
