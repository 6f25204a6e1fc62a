"""Migrations: what this package adds to a run of Alembic, in time, statements and connections."""

from __future__ import annotations

import contextlib
import itertools
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from alembic import command
from alembic.config import Config
from sqlalchemy import URL, Column, Engine, Integer, MetaData, Table, create_engine

from benchmarks.measure import Spread, interleaved, paired_ratio, print_table, seconds
from benchmarks.plans import drop_policies
from sqlalchemy_matrixone_pitr import TablePitr, apply_plan, plan_pitrs
from tests.proxy import Proxy

ENV = """
from alembic import context
from sqlalchemy import create_engine, pool

options = {}
if context.config.attributes["ours"]:
    from sqlalchemy_matrixone_pitr.alembic import pitr_options, register

    register()
    options = pitr_options()
url = context.config.get_main_option("sqlalchemy.url")
engine = create_engine(url, poolclass=pool.NullPool)
with engine.connect() as connection:
    context.configure(connection=connection, **options)
    with context.begin_transaction():
        context.run_migrations()
"""
"""As Alembic's template writes it."""

REVISION = """
from alembic import op
import sqlalchemy as sa

revision = {name!r}
down_revision = {before!r}


def upgrade():
    {body}
"""

Action = Callable[[URL], object]


def run(url: URL, database: str, rounds: int, revisions: int, policies: int) -> None:
    """Empty revisions with and without this package; and many policies in one revision, against
    ``apply_plan`` of the same."""
    with tempfile.TemporaryDirectory() as directory:
        bench = _Bench(url, database, Path(directory))
        _print_empty(bench, rounds, revisions)
        _print_policies(bench, rounds, policies)


def _print_empty(bench: _Bench, rounds: int, revisions: int) -> None:
    bodies = ["pass"] * revisions
    with_ours = bench.upgrade(bodies, ours=True)
    contenders: dict[str, Action] = {
        "Alembic alone, mysql+pymysql": _on("mysql+pymysql", bench.upgrade(bodies, ours=False)),
        "with this package, mysql+pymysql": _on("mysql+pymysql", with_ours),
        "with this package, matrixone+pymysql": _on("matrixone+pymysql", with_ours),
    }
    samples = interleaved(
        {name: bench.timed(action) for name, action in contenders.items()}, min(rounds, 10)
    )
    _print(
        f"Upgrade by {revisions} empty revisions, NullPool",
        samples,
        {name: bench.counted(action) for name, action in contenders.items()},
    )


def _on(drivername: str, action: Action) -> Action:
    """An action with another dialect than the one it is given."""

    def act(url: URL) -> None:
        action(url.set(drivername=drivername))

    return act


def _print_policies(bench: _Bench, rounds: int, policies: int) -> None:
    names = [f"bench_mig_{number}" for number in range(policies)]
    metadata = MetaData()
    for name in names:
        Table(name, metadata, Column("id", Integer, primary_key=True), TablePitr("7d", name))

    def make_tables(engine: Engine) -> None:
        with engine.begin() as conn:
            for name in names:
                conn.exec_driver_sql(f"CREATE TABLE {name} (id INT PRIMARY KEY)")

    def apply(url: URL) -> None:
        engine = create_engine(url)
        apply_plan(engine, plan_pitrs(engine, metadata)).raise_for_failed()
        engine.dispose()

    body = "\n    ".join(f'op.create_pitr("{name}", "7d", table="{name}")' for name in names)
    contenders: dict[str, Action] = {
        "apply_plan": apply,
        "a revision": bench.upgrade([body], ours=True),
    }
    samples = interleaved(
        {name: bench.timed(action, make_tables) for name, action in contenders.items()},
        min(rounds, 5),
    )
    _print(
        f"Create {policies} table policies",
        samples,
        {name: bench.counted(action, make_tables) for name, action in contenders.items()},
    )


def _print(title: str, samples: dict[str, list[float]], counts: dict[str, tuple[int, int]]) -> None:
    base = next(iter(samples.values()))
    rows = []
    for name, times in samples.items():
        took, ratio = Spread.of(times), paired_ratio(times, base)
        statements, connections = counts[name]
        rows.append(
            (
                name,
                f"{took.median:.2f}",
                f"{ratio.median:.2f}",
                f"{ratio.low:.2f} .. {ratio.high:.2f}",
                f"{statements:,}",
                f"{connections:,}",
            )
        )
    heads = ("", "seconds", "times", "quartiles", "statements", "connections")
    print_table(title, heads, rows)


@dataclass(frozen=True)
class _Bench:
    """A place where migrations run; each run has a database of its own.

    :ivar name: what the databases' names begin with.
    """

    url: URL
    name: str
    directory: Path
    _numbers: Iterator[int] = field(default_factory=itertools.count)

    def upgrade(self, bodies: list[str], *, ours: bool) -> Action:
        """A function that upgrades a database by revisions."""
        where = self.directory / f"migrations_{next(self._numbers)}"
        (where / "versions").mkdir(parents=True)
        (where / "env.py").write_text(ENV)
        before = None
        for number, body in enumerate(bodies, 1):
            name = f"{number:04}"
            text = REVISION.format(name=name, before=before, body=body)
            (where / "versions" / f"{name}.py").write_text(text)
            before = name

        def act(url: URL) -> None:
            config = Config()
            config.set_main_option("script_location", str(where))
            shown = url.render_as_string(hide_password=False)
            config.set_main_option("sqlalchemy.url", shown.replace("%", "%%"))
            config.attributes["ours"] = ours
            command.upgrade(config, "head")

        return act

    def timed(
        self, action: Action, prepare: Callable[[Engine], None] | None = None
    ) -> Callable[[], float]:
        """Seconds of an action on a new database."""

        def measure() -> float:
            with self._new_database(prepare) as url:
                return seconds(lambda: action(url))

        return measure

    def counted(
        self, action: Action, prepare: Callable[[Engine], None] | None = None
    ) -> tuple[int, int]:
        """The statements and the connections of an action, as they go over the wire."""
        assert self.url.host is not None
        proxy = Proxy(self.url.host, self.url.port or 6001)
        try:
            with self._new_database(prepare) as url:
                action(url.set(host="127.0.0.1", port=proxy.port))
            return len(proxy.statements), len(proxy.by_connection)
        finally:
            proxy.close()

    @contextlib.contextmanager
    def _new_database(self, prepare: Callable[[Engine], None] | None) -> Iterator[URL]:
        name = f"{self.name}_{next(self._numbers)}"
        url = self.url.set(database=name)
        outside, engine = create_engine(self.url), create_engine(url)
        with outside.begin() as conn:
            conn.exec_driver_sql(f"CREATE DATABASE {name}")
        try:
            if prepare is not None:
                prepare(engine)
            yield url
        finally:
            drop_policies(engine)
            with outside.begin() as conn:
                conn.exec_driver_sql(f"DROP DATABASE {name}")
            engine.dispose()
            outside.dispose()
