"""``python -m benchmarks [--url URL]``: all measurements, on an emulator or on a real server.

Compare ratios, not seconds: they are of one run, taken in turns.
"""

from __future__ import annotations

import argparse
import contextlib
import datetime as dt
import json
import os
import platform
from collections.abc import Callable, Iterator
from importlib import metadata
from pathlib import Path

from sqlalchemy import URL, create_engine, make_url

from benchmarks import (
    autogenerate,
    compiling,
    coverage,
    create_drop,
    emulator,
    imports,
    migrations,
    plans,
    reads,
    statements,
)
from benchmarks.measure import TABLES
from sqlalchemy_matrixone_pitr import PitrManager

PARTS = (
    "create-drop",
    "reads",
    "statements",
    "compiling",
    "plans",
    "coverage",
    "autogenerate",
    "migrations",
    "emulator",
    "imports",
)


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("parts", nargs="*", metavar="PART", help=f"of {', '.join(PARTS)}")
    parser.add_argument("--url", help="a real server, mysql+pymysql://user:password@host:6001/")
    parser.add_argument("--json", type=Path, help="a file to write all tables to")
    parser.add_argument("--rounds", type=int, default=30)
    parser.add_argument(
        "--statements", type=int, default=100_000, help="after which the emulator is weighed"
    )
    parser.add_argument("--policies", type=int, default=10_000, help="that are planned")
    parser.add_argument("--revisions", type=int, default=60, help="that are empty")
    parser.add_argument("--created", type=int, default=100, help="policies that a revision makes")
    parser.add_argument("--tables", type=int, default=1_000, help="whose policies are applied")
    arguments = parser.parse_args()
    parts: list[str] = arguments.parts or list(PARTS)
    if unknown := set(parts) - set(PARTS):
        parser.error(f"no such part: {', '.join(sorted(unknown))}; there are {', '.join(PARTS)}")
    rounds: int = arguments.rounds

    facts = about()
    print(", ".join(f"{what} {value}" for what, value in facts.items()))
    measures: dict[str, Callable[[URL, str], None]] = {
        "create-drop": lambda url, name: create_drop.run(url, name, rounds, pairs=5),
        "reads": lambda url, name: reads.run(url, name, rounds, times=5),
        "statements": lambda url, name: statements.run(
            url, name, rounds, times=10, real=arguments.url is not None
        ),
        "plans": lambda url, name: plans.run(
            url, name, rounds, arguments.policies, arguments.tables
        ),
        "autogenerate": lambda url, name: autogenerate.run(url, name, rounds, arguments.policies),
        "migrations": lambda url, name: migrations.run(
            url, name, rounds, arguments.revisions, arguments.created
        ),
    }
    if set(measures) & set(parts):
        with server(arguments.url) as url:
            for part, measure in measures.items():
                if part in parts:
                    with database(url) as name:
                        measure(url, name)
    if "compiling" in parts:
        compiling.run(rounds)
    if "coverage" in parts:
        coverage.run(rounds)
    if "emulator" in parts:
        emulator.run(rounds, arguments.statements)
    if "imports" in parts:
        imports.run(rounds)
    if arguments.json is not None:
        tables = [table.to_dict() for table in TABLES]
        told = {**facts, **SERVER, "rounds": rounds, "tables": tables}
        arguments.json.write_text(json.dumps(told, indent=2, ensure_ascii=False) + "\n")


def about() -> dict[str, str]:
    """The time and the place of the measurement."""
    versions = {}
    for name in ("SQLAlchemy", "alembic", "PyMySQL", "matrixone-python-sdk"):
        with contextlib.suppress(metadata.PackageNotFoundError):
            versions[name] = metadata.version(name)
    return {
        "date": dt.datetime.now(dt.UTC).strftime("%Y-%m-%d %H:%M UTC"),
        "machine": f"{platform.machine()}, {os.cpu_count()} cores",
        "load": " ".join(f"{load:.1f}" for load in os.getloadavg()),
        "Python": platform.python_version(),
        **versions,
    }


SERVER: dict[str, str] = {}
"""The version of the server that was measured."""


@contextlib.contextmanager
def server(url: str | None) -> Iterator[URL]:
    """The URL of the server to measure."""
    if url is not None:
        yield announced(make_url(url).set(drivername="matrixone+pymysql", database=None))
        return
    from sqlalchemy_matrixone_pitr.emulator import Emulator

    with Emulator() as running:
        yield announced(make_url(running.url()))


def announced(url: URL) -> URL:
    """Print which server it is."""
    engine = create_engine(url)
    with engine.connect() as conn:
        version = conn.exec_driver_sql("SELECT version()").scalar_one()
    engine.dispose()
    SERVER["server"] = str(version)
    print(f"Server {version} at {url.host}:{url.port}")
    return url


@contextlib.contextmanager
def database(url: URL, name: str = "bench_pitr") -> Iterator[str]:
    """A database of a part's own; dropped at its end, with the PITRs of all that was in it."""
    engine = create_engine(url)
    with engine.begin() as conn:
        conn.exec_driver_sql(f"CREATE DATABASE {name}")
    try:
        yield name
    finally:
        pitrs = PitrManager(engine)
        for pitr in pitrs.list(database_name=name):
            pitrs.delete(pitr.name)
        with engine.begin() as conn:
            conn.exec_driver_sql(f"DROP DATABASE {name}")
        engine.dispose()


if __name__ == "__main__":
    main()
