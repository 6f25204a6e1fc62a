"""The coverage of tables, computed from what was read: no I/O, and one look at each table."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field

from ..catalog import Key, is_part
from ..extent import Extent, Parts
from ..generations import object_of
from ..model import Pitr, PitrLevel, PitrRange
from ..moment import Moment
from .inventory import Inventory
from .model import Known, Window
from .report import CoverageReport
from .table import TableCoverage
from .windows import Windows, is_active, lasts


@dataclass(frozen=True, slots=True)
class Requirements:
    """The ranges that tables are required to have: of the narrowest declaration, or the general.

    :ivar general: for tables that nothing is declared for.
    :ivar account: declared for the account or the cluster.
    :ivar unprotected: the reasons of tables that are declared :class:`Unprotected`.
    """

    general: PitrRange | None = None
    account: PitrRange | None = None
    databases: Mapping[str, PitrRange] = field(default_factory=dict)
    tables: Mapping[Key, PitrRange] = field(default_factory=dict)
    unprotected: Mapping[Key, str] = field(default_factory=dict)

    @classmethod
    def of(
        cls,
        declared: Iterable[Pitr],
        general: PitrRange | None,
        unprotected: Mapping[Key, str],
    ) -> Requirements:
        """The requirements of declared policies, which have real names.

        >>> found = Requirements.of([Pitr.database("d", "7d", database_name="shop")], None, {})
        >>> str(found.range_of(("shop", "orders")))
        '7d'
        """
        account: PitrRange | None = None
        databases: dict[str, PitrRange] = {}
        tables: dict[Key, PitrRange] = {}
        for pitr in declared:
            database, table = object_of(pitr)
            if pitr.level is PitrLevel.TABLE and table is not None:
                tables[database, table] = pitr.range
            elif pitr.level is PitrLevel.DATABASE:
                databases[database] = pitr.range
            elif pitr.account_name is None and (account is None or pitr.level is PitrLevel.ACCOUNT):
                account = pitr.range
        return cls(general, account, databases, tables, unprotected)

    def range_of(self, key: Key, *, exists: bool = True) -> PitrRange | None:
        """The required range of a table; None where none is, or it is declared unprotected.

        Of one that is not there only a declared one: a table that was dropped lacks nothing.
        """
        if key in self.unprotected:
            return None
        declared = self.tables.get(key) or self.databases.get(key[0]) or self.account
        return declared or (self.general if exists else None)


def cover(
    inventory: Inventory,
    keys: Collection[Key],
    requirements: Requirements,
    *,
    databases: Collection[str] | None = None,
    at: Moment | None = None,
) -> CoverageReport:
    """The report of tables.

    :param keys: of the tables, also of some that are not there.
    :param databases: the policies of these, and those above, are told; None is of all.
    """
    known = inventory.known
    windows = Windows(known)

    def table(key: Key) -> TableCoverage:
        found = windows.of(key)
        exists = key in known.ids
        required = requirements.range_of(key, exists=exists)
        altered = known.altered.get(key)
        return TableCoverage(
            key[0],
            key[1],
            found,
            windows.policies_of(key),
            windows.gaps_of(key, found),
            exists,
            known.parts.get(key, _NO_PARTS),
            windows.extent_of(key, found) if exists else Extent.NOTHING,
            altered,
            required,
            None if required is None or not exists else _meets(required, found),
            requirements.unprotected.get(key),
        )

    pitrs = tuple(
        pitr
        for pitr in inventory.pitrs
        if pitr.database_name is None or databases is None or pitr.database_name in databases
    )
    names = {pitr.name for pitr in pitrs} if inventory.held else set()
    return CoverageReport(
        inventory.tables.account,
        known.now,
        tuple(table(key) for key in sorted(keys)),
        pitrs,
        tuple(pitr for pitr in pitrs if _is_gone(pitr, known)),
        at,
        requirements.general,
        held={name: inventory.held[name] for name in sorted(inventory.held) if name in names},
    )


_NO_PARTS = Parts()


def _is_gone(pitr: Pitr, known: Known) -> bool:
    """Whether a policy's table or database is not there; parts of tables were not looked for."""
    if pitr.database_name is None or (pitr.table_name is not None and is_part(pitr.table_name)):
        return False
    return object_of(pitr) not in known.ids


def _meets(required: PitrRange, windows: Iterable[Window]) -> bool | None:
    """Whether an active policy has a range; None where only one may have it that this account
    cannot know to be active."""
    unknown = False
    for window in windows:
        if lasts(window, required):
            if is_active(window):
                return True
            unknown = True
    return None if unknown else False
