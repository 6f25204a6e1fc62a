"""The report of a coverage: its tables, what is at risk, and both for machines. Pure values.

:func:`~.coverage.coverage` reads and computes it.
"""

from __future__ import annotations

import bisect
import itertools
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from ..model import Pitr, PitrRange, RangeLike, RecoveryWindow
from ..moment import Moment
from ..names import fold
from .metrics import families, to_text
from .model import Window
from .risks import Risk, RiskKind, find_risks
from .table import TableCoverage, policy_to_dict


@dataclass(frozen=True, slots=True)
class Difference:
    """A difference between the windows that the server shows and those that were computed.

    >>> from sqlalchemy import create_engine
    >>> engine = create_engine(url)
    >>> report = coverage(engine, databases=[engine.url.database], server_windows=True)
    >>> [difference.reason for difference in report.differences]
    []

    :ivar server: the server's window; None where it shows none.
    :ivar computed: ours; None where there is none.
    :ivar reason: why they differ, for people.
    """

    database_name: str
    table_name: str
    server: RecoveryWindow | None
    computed: Window | None
    reason: str

    def to_dict(self) -> dict[str, Any]:
        """Plain values, for JSON; times are texts in UTC."""
        shown = self.server
        return {
            "database_name": self.database_name,
            "table_name": self.table_name,
            "server": None
            if shown is None
            else {
                "begin": Moment.of(shown.start).text(),
                "end": Moment.of(shown.end).text(),
                "by": shown.source_name,
                "kind": shown.source,
            },
            "computed": None if self.computed is None else self.computed.to_dict(),
            "reason": self.reason,
        }


@dataclass(frozen=True, slots=True)
class CoverageReport:
    """Coverage of an account's tables at one time: the moments to which each can be restored.

    >>> from sqlalchemy import create_engine, text
    >>> engine = create_engine(url)
    >>> with engine.begin() as conn:
    ...     result = conn.execute(text("CREATE TABLE pallets (id INT PRIMARY KEY)"))
    >>> report = coverage(engine, databases=[engine.url.database])
    >>> [risk] = [risk for risk in report.at_risk() if risk.table_name == "pallets"]
    >>> risk.kind.value, report.ok
    ('not covered', False)

    :ivar account: the account that asked; ``sys`` alone knows the recorded ids.
    :ivar now: the server's clock.
    :ivar at: the moment in question; None where none was given.
    :ivar tables: sorted by database and name; also tables that are gone but named by a policy.
    :ivar pitrs: the policies of the databases in question and those above, with their status.
    :ivar gone: the policies whose table or database is not there.
    :ivar required: the range that was asked for; None where none was.
    :ivar server_windows: SHOW RECOVERY_WINDOW, where it was asked for; of the databases that the
        report is about.
    :ivar differences: of these from the computed windows.
    :ivar held: the policies that :func:`hold` holds, by name, each with the range that a release
        gives back: requirements are measured by that.
    """

    account: str
    now: Moment
    tables: tuple[TableCoverage, ...]
    pitrs: tuple[Pitr, ...] = ()
    gone: tuple[Pitr, ...] = ()
    at: Moment | None = None
    required: PitrRange | None = None
    server_windows: tuple[RecoveryWindow, ...] | None = None
    differences: tuple[Difference, ...] = ()
    held: Mapping[str, PitrRange] = field(default_factory=dict)

    @property
    def ok(self) -> bool:
        """Whether nothing is at risk within a day, and each table meets its requirement.

        :attr:`RiskKind.CDC` does not count: nothing is lost by it.
        """
        risks = self.at_risk()
        unmet = any(one.requirement and not one.meets_requirement for one in self.tables)
        return not unmet and all(risk.kind is RiskKind.CDC for risk in risks)

    @property
    def exit_code(self) -> int:
        """0 where :attr:`ok`, else 1, for programs."""
        return 0 if self.ok else 1

    def table(self, database_name: str, table_name: str) -> TableCoverage:
        """The coverage of one table.

        :raises KeyError: it is not in the report.
        """
        wanted = fold(database_name), fold(table_name)
        found = bisect.bisect_left(self.tables, wanted, key=lambda table: table.key)
        if found == len(self.tables) or self.tables[found].key != wanted:
            raise KeyError(".".join(wanted))
        return self.tables[found]

    def by_database(self) -> dict[str, tuple[TableCoverage, ...]]:
        """The tables of each database, in order."""
        return {
            name: tuple(tables)
            for name, tables in itertools.groupby(self.tables, lambda table: table.database_name)
        }

    def at_risk(self, within: RangeLike = "24h") -> tuple[Risk, ...]:
        """List what is lost, or will be within a time unless somebody acts; the gravest first.

        :param within: how far ahead to look.
        :raises PitrValidationError: ``within`` is no range.
        """
        return find_risks(
            self.tables,
            self.pitrs,
            self.gone,
            now=self.now,
            at=self.at,
            within=within,
            held=self.held,
        )

    def to_dict(self) -> dict[str, Any]:
        """Plain values, for JSON; times are texts in UTC."""
        return {
            "account": self.account,
            "now": self.now.text(),
            "at": None if self.at is None else self.at.text(),
            "ok": self.ok,
            "required": None if self.required is None else str(self.required),
            "tables": [table.to_dict() for table in self.tables],
            "risks": [risk.to_dict() for risk in self.at_risk()],
            "policies": [policy_to_dict(pitr) for pitr in self.pitrs],
            "held": {name: str(before) for name, before in self.held.items()},
            "differences": [difference.to_dict() for difference in self.differences],
        }

    def to_prometheus(self) -> str:
        """Gauges in Prometheus' text format 0.0.4, for a textfile collector or an endpoint."""
        kinds = [risk.kind for risk in self.at_risk()]
        statuses = [pitr.status for pitr in self.pitrs]
        return to_text(families(self.account, self.now, self.tables, statuses, kinds))
