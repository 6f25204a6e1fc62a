"""Policies that hold nothing any more: their ranges have passed what they kept. Pure."""

from __future__ import annotations

import datetime as dt
import itertools

from ..generations import Policy, is_detached
from ..model import Pitr
from ..moment import Moment
from .model import Policy as KeptPolicy
from .windows import begin_of, start_of


def earliest(pitr: Pitr, now: dt.datetime, ended: dt.datetime | None = None) -> dt.datetime | None:
    """The earliest moment that RESTORE takes of a PITR; None where it takes none any more.

    SHOW PITR gives the creation in whole seconds: it may be up to a second later than this.

    :param ended: when it was detached, where that is known.

    >>> at = dt.datetime(2026, 11, 22, 9, 30, tzinfo=dt.UTC)
    >>> week = Pitr("week", "account", "7d", created_time=at, modified_time=at)
    >>> str(earliest(week, at + dt.timedelta(days=1)))
    '2026-11-22 09:30:00+00:00'
    """
    assert pitr.created_time is not None  # every PITR that was read has one
    created = Moment.of(pitr.created_time)
    policy = KeptPolicy(pitr, None, created, ended=None if ended is None else Moment.of(ended))
    begin = begin_of(policy, Moment.of(now))
    return None if begin is None else begin.datetime()


def has_passed(pitr: Pitr, ended: dt.datetime, now: dt.datetime) -> bool:
    """Whether the range of a PITR, which was detached, has passed all that it kept."""
    return start_of(pitr.range, Moment.of(now)) > Moment.of(ended)


def expired(policy: Policy, now: dt.datetime) -> tuple[Pitr, ...]:
    """The generations that hold nothing any more: their last restorable moment has passed.

    A generation's protection ended before the next one was created, so that its last moment is out
    of reach when its range, counted back from now, ends after that. The newest one never expires.

    :param now: the server's present, aware.
    """
    found = []
    for pitr, successor in itertools.pairwise(policy.generations):
        ended = successor.created_time
        if is_detached(pitr) and ended is not None and has_passed(pitr, ended, now):
            found.append(pitr)
    return tuple(found)
