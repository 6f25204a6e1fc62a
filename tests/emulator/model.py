"""A model of two accounts' sight of things, in plain Python, for test_state_machine."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from .conftest import Client


@dataclass
class Table:
    """A table as it should be; *first_id* is its id before it was rebuilt or truncated."""

    columns: list[str]
    rows: dict[int, list[object]]
    id: int = 0
    first_id: int = 0
    wide: int = 10
    big: bool = False


World = dict[str, Table]


@dataclass
class Policy:
    """A PITR as it should be; *since* is how many moments were marked before it."""

    level: str
    table: str
    object_id: int
    length: int
    since: int
    status: int = 1


@dataclass
class Moment:
    """A copy of everything that is committed, and when that was."""

    ns: int
    text: str
    world: World
    described: dict[str, str]


@dataclass
class Account:
    """One account: its two sessions, and what they should see."""

    number: int
    client: Client
    beside: Client
    working: World = field(default_factory=dict)
    committed: World = field(default_factory=dict)
    policies: dict[str, Policy] = field(default_factory=dict)
    moments: list[Moment] = field(default_factory=list)
    pending: list[tuple[str, str, int]] = field(default_factory=list)
    before: dict[str, tuple[int, str]] | None = None
    """The catalogue as it was when the open transaction began."""

    def ids(self, client: Client) -> dict[str, int]:
        found = client(
            "SELECT relname, rel_id FROM mo_catalog.mo_tables "
            f"WHERE reldatabase = 'shop' AND account_id = {self.number} AND relkind = 'r'"
        )
        return dict(found)

    def database_id(self) -> int:
        ((found,),) = self.beside(
            "SELECT dat_id FROM mo_catalog.mo_database "
            f"WHERE datname = 'shop' AND account_id = {self.number}"
        )
        return int(found)

    def described(self, client: Client) -> dict[str, str]:
        names = [name for (name,) in client("SHOW TABLES FROM shop")]
        return {name: client(f"SHOW CREATE TABLE shop.{name}")[0][1] for name in names}

    def catalogue(self) -> dict[str, tuple[int, str]]:
        ids = self.ids(self.client)
        return {name: (ids[name], text) for name, text in self.described(self.client).items()}


def contents(client: Client) -> dict[str, tuple[list[str], list[tuple[Any, ...]]]]:
    """Columns and rows of every table, as the server gives them."""
    found = {}
    for (name,) in client("SHOW TABLES FROM shop"):
        rows = sorted(client(f"SELECT * FROM shop.{name}"))
        found[name] = (client.labels, rows)
    return found


def expected(world: World) -> dict[str, tuple[list[str], list[tuple[Any, ...]]]]:
    return {name: (["id", *table.columns], rows_of(table)) for name, table in world.items()}


def rows_of(table: Table) -> list[tuple[Any, ...]]:
    return sorted((key, *values) for key, values in table.rows.items())


def ids_of(world: World) -> dict[str, int]:
    return {name: table.id for name, table in world.items()}
