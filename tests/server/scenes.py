"""Scenes before a garbage collection: a table, and moments of it that are looked for afterwards."""

from __future__ import annotations

from dataclasses import dataclass, field

from tests.conftest import Server
from tests.server.conftest import Client, Moment, moment, write_objects

KNOWN_AFTER = 20.0
"""Seconds after which a real server has a table in a checkpoint, and its collection knows of it."""

_FILLERS = 200
"""Rows beside them on a real server, with numbers from 1,000 on: tables of few rows have plans of
their own."""


COLUMNS = "id INT PRIMARY KEY, u INT UNIQUE, g INT, KEY (g)"


@dataclass
class Scene:
    """A table ~.t with a key, a UNIQUE column u and an indexed one g, and moments of it."""

    say: Client
    server: Server
    moments: dict[str, Moment] = field(default_factory=dict)

    def take(self, name: str) -> None:
        """Remember this moment."""
        self.moments[name] = moment(self.say)

    def take_snapshot(self, name: str, target: str) -> None:
        """Make a snapshot, and remember its moment."""
        self.say.ok(f"CREATE SNAPSHOT ~_{name} FOR {target}")
        at = self.say.value(f"SELECT ts FROM mo_catalog.mo_snapshots WHERE sname = '~_{name}'")
        self.moments[name] = Moment("", at)

    def make(self, partitions: str = "", columns: str = COLUMNS) -> None:
        """Make the table. A real server collects surely what is in several objects."""
        self.say.ok(f"CREATE TABLE ~.t ({columns}){partitions}")
        self.add((1, 10, 5))
        self.add((2, 20, 5))
        self.add((77, 30, 6))

    def add(self, row: tuple[int, int, int]) -> None:
        numbers = range(1000 * row[0], 1000 * row[0] + (_FILLERS if self.server.live else 0))
        rows = ", ".join(str(one) for one in [row, *((n, n, n) for n in numbers)])
        self.say.ok(f"INSERT INTO ~.t (id, u, g) VALUES {rows}")
        self.flush()

    def flush(self) -> None:
        if self.server.live:
            write_objects(self.server, self.say.own, merge=False)

    # afterwards

    def ids(self, source: str, where: str = "") -> list[int]:
        """The ids of rows, without the fillers."""
        rows = self.say.rows(f"SELECT id FROM {source}{where and ' WHERE '}{where}")
        return [row[0] for row in rows if row[0] < 1000]

    def past(self, name: str = "then", where: str = "", table: str = "~.t") -> list[int]:
        """The ids of a moment: an answer without error, at any rate."""
        return self.ids(f"{table} {{MO_TS = {self.moments[name].nanoseconds}}}", where)

    def cloned(self, copy: str, name: str = "then") -> list[int]:
        """The ids of a clone of a moment."""
        self.say.ok("CREATE DATABASE IF NOT EXISTS ~_c")
        self.say.ok(
            f"CREATE TABLE ~_c.{copy} CLONE ~.t {{MO_TS = {self.moments[name].nanoseconds}}}"
        )
        return self.ids(f"~_c.{copy}")

    def restored(self, name: str = "then", pitr: str = "~_p") -> list[int]:
        """The ids of ~.t after a RESTORE to a moment."""
        self.say.ok(f"RESTORE DATABASE ~ TABLE t FROM PITR {pitr} '{self.moments[name].text}'")
        return self.ids("~.t")
