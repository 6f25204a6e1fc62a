"""The history that can no longer be restored after an action, for people."""

from __future__ import annotations

import datetime as dt

from ..coverage.expiry import earliest
from ..generations import target_text
from ..model import Pitr


def dropping_cost(
    pitr: Pitr, now: dt.datetime | None = None, ended: dt.datetime | None = None
) -> str:
    """The cost of a DROP, for people: as much as the window of a policy holds.

    In whole hours or days, so that policies of one age read alike.

    :param now: the server's; without it the range is all that is known.
    :param ended: when it was detached, where that is known.

    >>> at = dt.datetime(2026, 11, 22, 9, 30, tzinfo=dt.UTC)
    >>> week = Pitr("week", "account", "7d", created_time=at, modified_time=at)
    >>> dropping_cost(week)
    'up to 7d of history of the current account can no longer be restored'
    >>> dropping_cost(week, at + dt.timedelta(minutes=90))
    'up to 2h of history of the current account can no longer be restored'
    >>> dropping_cost(week, at + dt.timedelta(days=8), at + dt.timedelta(hours=1))
    'what it kept of the current account is out of its range already'
    """
    of = target_text(pitr)
    length = str(pitr.range)
    if now is not None and pitr.created_time is not None:
        begin = earliest(pitr, now, ended)
        if begin is None:
            return f"what it kept of {of} is out of its range already"
        if begin <= pitr.created_time or ended is not None:
            length = _length((now if ended is None else ended) - begin)
    return f"up to {length} of history of {of} can no longer be restored"


def _length(span: dt.timedelta) -> str:
    hours = max(1, -(-span // dt.timedelta(hours=1)))
    return f"{hours}h" if hours <= 72 else f"{-(-hours // 24)}d"


def replacing_cost(pitr: Pitr) -> str:
    """The cost of a renewal that has to drop the old generation, for people."""
    return (
        f"what was in {target_text(pitr)} before it was rebuilt can no longer be restored: the "
        f"server still takes {pitr.name} for active, and refuses a second one beside it"
    )
