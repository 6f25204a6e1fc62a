"""The project's way up and down as text: what each revision changes in tables, views and rows.

``python -m tests.integration.alembic_sample.journey URL`` records it anew in journey.txt, from a
real server of 3.x.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pymysql
from alembic import command
from alembic.config import Config
from sqlalchemy import URL, make_url

HERE = Path(__file__).parent
RECORDED = HERE / "journey.txt"
REVISIONS = tuple(f"{number:04}" for number in range(1, 11))

Query = Callable[[str], list[tuple[object, ...]]]
State = dict[str, str]


def config(url: URL) -> Config:
    """The settings of alembic.ini."""
    made = Config()
    made.set_main_option("script_location", str(HERE))
    made.set_main_option("path_separator", "os")
    made.set_main_option(
        "sqlalchemy.url", url.render_as_string(hide_password=False).replace("%", "%%")
    )
    return made


def state(query: Query) -> State:
    """Each table or view as the server describes it, and its rows."""
    found = {}
    for name in (str(row[0]) for row in query("SHOW TABLES")):
        described = str(query(f"SHOW CREATE TABLE `{name}`")[0][1])
        rows = sorted(map(repr, query(f"SELECT * FROM `{name}`")))
        found[name] = "\n".join((described, *rows))
    return found


def difference(before: State, after: State) -> str:
    """List differences from before, by name."""
    return "\n".join(
        after.get(name, f"-- no {name}")
        for name in sorted(before.keys() | after.keys())
        if before.get(name) != after.get(name)
    )


def journey(settings: Config, query: Query) -> Iterator[tuple[str, str]]:
    """Up to the last revision and down again, a revision at a time: the step, and what it did."""
    seen = state(query)
    for revision in REVISIONS:
        command.upgrade(settings, revision)
        before, seen = seen, state(query)
        yield f"upgrade {revision}", difference(before, seen)
    for revision in (*reversed(REVISIONS[:-1]), "base"):
        command.downgrade(settings, revision)
        before, seen = seen, state(query)
        yield f"downgrade {revision}", difference(before, seen)


def recorded() -> dict[str, str]:
    """The steps of journey.txt."""
    steps = RECORDED.read_text(encoding="utf-8").split("== ")[1:]
    return dict(step.rstrip("\n").split("\n", 1) for step in steps)


def _record(url: URL) -> None:
    database = "alembic_sample_journey"
    with pymysql.connect(
        host=url.host or "",
        port=url.port or 6001,
        user=url.username,
        password=url.password or "",
        autocommit=True,
    ) as connection:

        def query(statement: str) -> list[tuple[object, ...]]:
            with connection.cursor() as cursor:
                cursor.execute(statement)
                return list(cursor.fetchall())

        query(f"CREATE DATABASE {database}")
        query(f"USE {database}")
        try:
            steps = list(journey(config(url.set(database=database)), query))
        finally:
            query(f"DROP DATABASE {database}")
    text = "\n".join(f"== {title}\n{changed}\n" for title, changed in steps)
    RECORDED.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    _record(make_url(sys.argv[1]))
