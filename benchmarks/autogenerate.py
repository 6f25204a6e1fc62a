"""Autogenerate at scale: the comparator's share of its time, and what it asks of the server."""

from __future__ import annotations

from alembic.autogenerate import produce_migrations
from alembic.autogenerate.api import AutogenContext
from alembic.operations.ops import UpgradeOps
from alembic.runtime.migration import MigrationContext
from sqlalchemy import URL, Column, Integer, MetaData, Table, create_engine

from alembic_ext.compare import compare_pitrs
from benchmarks.measure import Spread, print_table, seconds
from benchmarks.plans import Waiting, drop_policies
from sqlalchemy_matrixone_pitr import TablePitr, apply_plan, plan_pitrs
from sqlalchemy_matrixone_pitr.alembic import pitr_options, register


def run(url: URL, database: str, rounds: int, policies: int) -> None:
    """``alembic check`` of many tables, each with its policy, where all is as declared."""
    register()
    engine = create_engine(url.set(database=database))
    metadata = MetaData()
    for number in range(policies):
        pitr = TablePitr("7d", f"bench_auto_{number}")
        Table(f"g{number}", metadata, Column("id", Integer, primary_key=True), pitr)
    with engine.begin() as conn:
        for table in metadata.tables:
            conn.exec_driver_sql(f"CREATE TABLE {table} (id INT PRIMARY KEY)")
    apply_plan(engine, plan_pitrs(engine, metadata)).raise_for_failed()
    asked = Waiting(engine)
    with engine.connect() as conn:
        options = {"target_metadata": metadata, **pitr_options(metadata)}
        context = MigrationContext.configure(conn, opts=options)

        def in_all() -> None:
            found = produce_migrations(context, metadata).upgrade_ops
            assert found is not None
            assert found.is_empty()

        def ours() -> None:
            found = UpgradeOps([])
            compare_pitrs(AutogenContext(context, metadata), found)
            assert found.is_empty()

        asked.clear()
        total = Spread.of([seconds(in_all) for _ in range(min(rounds, 2))])
        statements = asked.reading // min(rounds, 2)
        asked.clear()
        alone = Spread.of([seconds(ours) for _ in range(min(rounds, 5))])
        reading = asked.reading // min(rounds, 5)
        client = alone.median - asked.seconds / min(rounds, 5)
    rows = [
        ("in all", f"{total.median:.2f}", f"{statements:,}", ""),
        (
            "the comparator of policies",
            f"{alone.median:.2f}",
            f"{reading:,}",
            f"{alone.median / total.median:.1%}",
        ),
        ("of that, apart from the server", f"{client:.2f}", "", f"{client / total.median:.1%}"),
    ]
    print_table(
        f"Autogenerate of {policies:,} tables with {policies:,} policies",
        ("", "seconds", "reading statements", "share"),
        rows,
    )
    drop_policies(engine)
