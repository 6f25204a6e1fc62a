"""Compiling elements, against SQLAlchemy's own."""

from __future__ import annotations

from collections.abc import Callable

from sqlalchemy import create_engine
from sqlalchemy.schema import CreateSchema
from sqlalchemy.sql.ddl import ExecutableDDLElement

from benchmarks.measure import interleaved, print_table, processor_seconds, ratio_rows
from sqlalchemy_matrixone_pitr import AlterPitr, CreatePitr, DropPitr, Pitr

BASE = "CreateSchema"
TIMES = 1_000


def run(rounds: int) -> None:
    dialect = create_engine("matrixone+pymysql://").dialect
    of_database = CreatePitr(Pitr.database("orders_week", "7d", database_name="shop"))
    of_table = CreatePitr(Pitr.table("orders_week", "orders", "7d", database_name="shop"))
    elements: dict[str, ExecutableDDLElement] = {
        BASE: CreateSchema("shop"),
        "CreatePitr, a database": of_database.with_real_names(),  # as it is sent
        "CreatePitr, a table": of_table.with_real_names(),
        "AlterPitr": AlterPitr("orders_week", "7d"),
        "DropPitr": DropPitr("orders_week"),
    }

    def compiled(element: ExecutableDDLElement) -> Callable[[], float]:
        def several() -> None:
            for _ in range(TIMES):
                element.compile(dialect=dialect)

        return lambda: processor_seconds(several) / TIMES

    samples = interleaved({name: compiled(element) for name, element in elements.items()}, rounds)
    print_table(
        f"Compiling ({rounds} rounds of {TIMES:,}, interleaved; processor time)",
        ("", "µs", "quartiles", f"times {BASE}", "quartiles"),
        ratio_rows(samples, BASE, 1_000_000),
    )
