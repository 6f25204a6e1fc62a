"""Shops to be restored, and the whole state of a database as data."""

from __future__ import annotations

from typing import Any

from sqlalchemy import Engine

from sqlalchemy_matrixone_pitr import Moment
from sqlalchemy_matrixone_pitr.catalog import keys_in
from tests.past.tables import rows_of, say, take_moment

State = dict[str, Any]

PARENT = "CREATE TABLE parent (id INT PRIMARY KEY, v VARCHAR(9), UNIQUE KEY uv (v))"
CHILD = (
    "CREATE TABLE child (id INT PRIMARY KEY, p INT, "
    "CONSTRAINT f FOREIGN KEY (p) REFERENCES parent (id) ON DELETE CASCADE)"
)
OWN = (
    "CREATE TABLE own (id INT PRIMARY KEY, up INT, "
    "CONSTRAINT s FOREIGN KEY (up) REFERENCES own (id))"
)
CIRCLE = (
    "CREATE TABLE egg (id INT PRIMARY KEY, hen INT)",
    "CREATE TABLE hen (id INT PRIMARY KEY, egg INT, "
    "CONSTRAINT h FOREIGN KEY (egg) REFERENCES egg (id))",
    "ALTER TABLE egg ADD CONSTRAINT e FOREIGN KEY (hen) REFERENCES hen (id)",
    "INSERT INTO egg VALUES (1, NULL)",
    "INSERT INTO hen VALUES (1, 1)",
    "UPDATE egg SET hen = 1 WHERE id = 1",
)


def state_of(engine: Engine, *databases: str) -> State:
    """Tables with their definition and rows, views with their text."""
    state: State = {}
    for database in databases or (str(engine.url.database),):
        with engine.connect() as connection:
            found = connection.exec_driver_sql(
                "SELECT relname, relkind FROM mo_catalog.mo_tables WHERE account_id = "
                f"current_account_id() AND reldatabase = '{database}' AND relkind IN ('r', 'v')"
            ).all()
            for name, kind in sorted(found):
                if name.startswith("__mo_"):
                    continue
                shown = connection.exec_driver_sql(f"SHOW CREATE TABLE {database}.{name}").one()
                state[f"{database}.{name}"] = (kind, _in_order(shown[1]))
        for name in [name for name in state if name.startswith(f"{database}.")]:
            state[name] += (rows_of(engine, name),)
    return state


def _in_order(definition: str) -> str:
    """A definition whose foreign keys are sorted: the server lists them as they were added."""
    head, *keys = definition.removesuffix("\n)").split(",\n  CONSTRAINT ")
    return ",\n  CONSTRAINT ".join([head, *sorted(keys)]) + "\n)"


def keys_of(state: State) -> set[tuple[str, str]]:
    """The tables with a foreign key, and its name."""
    return {
        (name, key.name)
        for name, (_, definition, _) in state.items()
        for key in keys_in(definition, ("", name))
    }


def make_shop(engine: Engine) -> None:
    """Parents with their children, a table that refers to itself, and one by itself."""
    say(
        engine,
        PARENT,
        CHILD,
        OWN,
        "CREATE TABLE free (id INT PRIMARY KEY, v VARCHAR(9), KEY kv (v))",
        "CREATE VIEW named AS SELECT v FROM parent",
        "INSERT INTO parent VALUES (1, 'a'), (2, 'b')",
        "INSERT INTO child VALUES (1, 1), (2, 2)",
        "INSERT INTO own VALUES (1, NULL)",
        "INSERT INTO own VALUES (2, 1)",
        "INSERT INTO free VALUES (1, 'x'), (2, 'y')",
    )


def change_shop(engine: Engine) -> None:
    """Rows, a rebuild, a table more, another view."""
    say(
        engine,
        "INSERT INTO parent VALUES (3, 'c')",
        "UPDATE free SET v = 'z' WHERE id = 1",
        "ALTER TABLE child ADD COLUMN note VARCHAR(9)",
        "DELETE FROM own WHERE id = 2",
        "CREATE TABLE later (id INT PRIMARY KEY, p INT, "
        "CONSTRAINT l FOREIGN KEY (p) REFERENCES parent (id))",
        "DROP VIEW named",
        "CREATE VIEW newer AS SELECT id FROM free",
    )


def moment_of_shop(engine: Engine) -> tuple[Moment, State]:
    at = take_moment(engine)
    return at, state_of(engine)
