"""The history that can no longer be restored after an action, for people."""

from __future__ import annotations

from ..generations import target_text
from ..model import Pitr


def dropping_cost(pitr: Pitr) -> str:
    """The cost of a DROP, for people."""
    return f"up to {pitr.range} of history of {target_text(pitr)} can no longer be restored"


def replacing_cost(pitr: Pitr) -> str:
    """The cost of a renewal that has to drop the old generation, for people."""
    return (
        f"what was in {target_text(pitr)} before it was rebuilt can no longer be restored: the "
        f"server still takes {pitr.name} for active, and refuses a second one beside it"
    )
