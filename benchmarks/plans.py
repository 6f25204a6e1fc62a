"""Planning at scale: what it takes apart from the server, how often it reads, and how applying on
several connections compares with one."""

from __future__ import annotations

import functools
import time

from sqlalchemy import URL, Column, Engine, Integer, MetaData, Table, create_engine, event

from benchmarks.create_drop import RAW, pymysql_connection
from benchmarks.measure import (
    Spread,
    interleaved,
    paired_ratio,
    print_table,
    processor_seconds,
    ratio_rows,
    seconds,
)
from sqlalchemy_matrixone_pitr import (
    Pitr,
    PitrStatus,
    TablePitr,
    apply_plan,
    compare,
    declared_pitrs,
    plan_pitrs,
)


def run(url: URL, database: str, rounds: int, policies: int, tables: int) -> None:
    comparing(rounds)
    planning(url, database, rounds, policies)
    applying(url, database, rounds, tables)


def comparing(rounds: int) -> None:
    """``compare`` alone: declared against as many existing, one in ten of which differs."""
    sizes = (10_000, 100_000)
    sides = {size: (declared(size), existing(size)) for size in sizes}

    def of(size: int) -> float:
        return processor_seconds(lambda: compare(*sides[size]))

    samples = interleaved(
        {f"{size:,} with {size:,}": functools.partial(of, size) for size in sizes}, min(rounds, 10)
    )
    base = next(iter(samples.values()))
    rows = []
    for name, times in samples.items():
        took, ratio = Spread.of(times), paired_ratio(times, base)
        rows.append((name, f"{took.median * 1000:.0f}", f"{ratio.median:.1f}"))
    print_table("Comparing (no I/O; processor time)", ("policies", "ms", "times 10,000"), rows)


def declared(size: int) -> list[Pitr]:
    return [
        Pitr.table(f"week_{number}", f"t{number}", "7d", database_name="shop")
        for number in range(size)
    ]


def existing(size: int) -> list[Pitr]:
    spans = ("9d", *["7d"] * 9)
    return [
        Pitr.table(
            f"week_{number}", f"t{number}", spans[number % 10], database_name="shop"
        ).with_status(PitrStatus.ACTIVE)
        for number in range(size)
    ]


def planning(url: URL, database: str, rounds: int, policies: int) -> None:
    """``plan_pitrs`` with a policy for each of many tables; the server's part told apart."""
    engine = create_engine(url.set(database=database))
    metadata = MetaData()
    for number in range(policies):
        pitr = TablePitr("7d", f"bench_week_{number}")
        Table(f"p{number}", metadata, Column("id", Integer, primary_key=True), pitr)
    with engine.begin() as conn:
        for table in metadata.tables:
            conn.exec_driver_sql(f"CREATE TABLE {table} (id INT PRIMARY KEY)")
    begin = time.perf_counter()
    apply_plan(engine, plan_pitrs(engine, metadata)).raise_for_failed()
    made = time.perf_counter() - begin
    server, statements = Waiting(engine), 0
    totals, ours = [], []
    for _ in range(min(rounds, 5)):
        server.clear()
        total = seconds(lambda: plan_pitrs(engine, metadata))
        totals.append(total)
        ours.append(total - server.seconds)
        statements = server.reading
    alone = seconds(lambda: declared_pitrs(metadata, database_name=database))
    rows = [
        ("in all", f"{Spread.of(totals).median:.2f}"),
        ("apart from the server", f"{Spread.of(ours).median:.2f}"),
        ("of that, resolving what is declared", f"{alone:.2f}"),
    ]
    print_table(
        f"Planning {policies:,} policies of {policies:,} tables: {statements} reading statements "
        f"(they were applied in {made:.1f} s)",
        ("", "seconds"),
        rows,
    )
    drop_policies(engine)


def drop_policies(engine: Engine) -> None:
    """Dropping tables one by one takes minutes on a server: they go with their database."""
    nothing = MetaData()
    Table("nothing", nothing, Column("id", Integer))
    undo = plan_pitrs(engine, nothing, drop_undeclared=True)
    apply_plan(engine, undo, allow_destructive=True).raise_for_failed()
    engine.dispose()


class Waiting:
    """The time that an engine's statements wait for the server, and how many of them read."""

    def __init__(self, engine: Engine) -> None:
        self.seconds = 0.0
        self.reading = 0
        self._since = 0.0
        event.listen(engine, "before_cursor_execute", self._before)
        event.listen(engine, "after_cursor_execute", self._after)

    def clear(self) -> None:
        self.seconds, self.reading = 0.0, 0

    def _before(self, conn: object, cursor: object, statement: str, *rest: object) -> None:
        self.reading += statement.lstrip().startswith(("SHOW", "SELECT"))
        self._since = time.perf_counter()

    def _after(self, *rest: object) -> None:
        self.seconds += time.perf_counter() - self._since


def applying(url: URL, database: str, rounds: int, tables: int) -> None:
    """``apply_plan`` of many table policies with one connection and with four."""
    engine = create_engine(url.set(database=database))
    metadata = MetaData()
    for number in range(tables):
        pitr = TablePitr("7d", f"bench_apply_{number}")
        Table(f"a{number}", metadata, Column("id", Integer, primary_key=True), pitr)
    metadata.create_all(engine)
    empty = MetaData()
    for table in metadata.tables.values():
        Table(table.name, empty, Column("id", Integer, primary_key=True))

    def apply(connections: int) -> float:
        plan = plan_pitrs(engine, metadata)
        took = seconds(lambda: apply_plan(engine, plan, connections).raise_for_failed())
        undo = plan_pitrs(engine, empty, drop_undeclared=True)
        apply_plan(engine, undo, allow_destructive=True).raise_for_failed()
        return took

    def raw() -> float:
        """The same statements one after the other by PyMySQL, as a program's loop sends them."""
        creations = [
            text for action in plan_pitrs(engine, metadata).actions for text in action.statements
        ]
        with pymysql_connection(url) as connection, connection.cursor() as cursor:
            took = seconds(lambda: [cursor.execute(text) for text in creations])
        undo = plan_pitrs(engine, empty, drop_undeclared=True)
        apply_plan(engine, undo, allow_destructive=True).raise_for_failed()
        return took

    samples = interleaved(
        {
            RAW: raw,
            "1 connection": lambda: apply(1),
            "4 connections": lambda: apply(4),
        },
        min(rounds, 5),
    )
    print_table(
        f"Applying {tables:,} table policies, against a serial loop",
        ("", "seconds", "quartiles", "times raw", "quartiles"),
        ratio_rows(samples, RAW, 1),
    )
    engine.dispose()
