"""Costs of actions in what can be restored, for people, and what may go with what."""

from __future__ import annotations

from collections.abc import Collection

from ..generations import target_text
from ..model import Pitr, PitrLevel


def may_go_with(
    pitr: Pitr,
    going: Collection[tuple[str | None, str | None]],
    left: Collection[tuple[str | None, str | None]],
) -> bool:
    """Whether a policy protects nothing but tables that are being dropped, so that it may go with
    them. One for an account or the cluster always protects more.

    :param going: databases and tables.
    :param left: what else is in their databases.

    >>> nightly = Pitr.database("nightly", "7d", database_name="shop")
    >>> may_go_with(nightly, [("shop", "orders")], []), may_go_with(nightly, [], [])
    (True, False)
    >>> may_go_with(nightly, [("shop", "orders")], [("shop", "notes")])
    False
    """
    if pitr.level is PitrLevel.TABLE:
        return (pitr.database_name, pitr.table_name) in going
    if pitr.level is not PitrLevel.DATABASE:
        return False
    database = pitr.database_name
    return any(of == database for of, _ in going) and not any(of == database for of, _ in left)


def dropping_cost(pitr: Pitr) -> str:
    """The cost of a DROP, for people."""
    return f"up to {pitr.range} of history of {target_text(pitr)} can no longer be restored"


def replacing_cost(pitr: Pitr) -> str:
    """The cost of a renewal that has to drop the old generation, for people."""
    return (
        f"what was in {target_text(pitr)} before it was rebuilt can no longer be restored: the "
        f"server still takes {pitr.name} for active, and refuses a second one beside it"
    )
