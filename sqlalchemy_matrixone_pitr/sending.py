"""One PITR statement, sent once, and what became of it.

=====================================  ==================================================
what came back                         what became of it
=====================================  ==================================================
the server's OK                        done
the server's refusal                   failed
a lost connection, an error of a       the session is ended on the server, so that nothing
listener, anything else                runs there any more; then it is read back: done,
                                       failed, or unknown where that is not possible
an interruption                        ended on the server and raised: unknown
=====================================  ==================================================

Whoever sends so may give up the account lock afterwards: no statement is running.
Source: docs/server.md, Races.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy.engine import Connection, Engine

from .connections import end_for_sure
from .ddl import AlterPitr, CreatePitr, DropPitr, PitrDDLElement
from .errors import (
    PitrError,
    classify,
    driver_code_and_text,
    from_dbapi_error,
    is_about,
    is_settled,
    server_answer,
)
from .generations import target_of
from .model import Pitr
from .report import Outcome
from .show import read_pitrs, reading
from .transaction import send_now


@dataclass(frozen=True, slots=True)
class Sent:
    """The outcome of a statement.

    :ivar outcome: DONE, FAILED or UNKNOWN.
    :ivar error: what was raised, of one that is done too.
    :ivar refusal: what the server said, where it refused; also where ``error`` is a class that a
        listener made of it.
    """

    outcome: Outcome
    error: Exception | None = None
    refusal: PitrError | None = None


def send(engine: Engine, connection: Connection, session: int, element: PitrDDLElement) -> Sent:
    """Send a statement on an AUTOCOMMIT connection of ours.

    The connection is invalidated where its session was ended.

    :param session: the connection's ``connection_id()``.
    """
    outside = sys.exception()
    try:
        try:
            send_now(connection, element, {})
        except Exception as error:  # noqa: BLE001 - listeners and drivers raise anything
            return _resolve_outcome(engine, connection, session, element, error, outside)
        return Sent(Outcome.DONE)
    except BaseException:  # interrupted: it may have taken effect
        end_for_sure(engine, session)
        raise


def _resolve_outcome(
    engine: Engine,
    connection: Connection,
    session: int,
    element: PitrDDLElement,
    error: Exception,
    outside: BaseException | None,
) -> Sent:
    """Resolve the outcome of a statement whose sending raised: refused, or read back."""
    statement = str(element)
    answer = server_answer(error, statement=statement, outside=outside)
    refusal = None
    if answer is not None:
        typed = from_dbapi_error(answer, name=element.name, statement=statement)
        refusal = error if isinstance(error, PitrError) else typed
        if is_about(answer, statement) or classify(*driver_code_and_text(answer.orig)):
            return Sent(Outcome.FAILED, error, refusal)
    try:  # a listener's error, or a refusal that may be of a listener's own statement
        if not is_settled(error, outside=outside):
            end_for_sure(engine, session, raising=True)
            if not connection.invalidated:
                connection.invalidate()
        with reading(engine) as other:
            there = read_pitrs(other, {})
    except Exception as second:  # noqa: BLE001 - the first error is what is reported
        error.add_note(f"Reading back failed too: {second}")
        return Sent(Outcome.UNKNOWN, error, refusal)
    return Sent(Outcome.DONE if is_so(element, there) else Outcome.FAILED, error, refusal)


def is_so(element: PitrDDLElement, there: Sequence[Pitr]) -> bool:
    """Whether what a statement does is so, by exactly what it does.

    :param there: all of the account's PITRs.
    """
    found = next((pitr for pitr in there if pitr.name == element.name), None)
    if isinstance(element, CreatePitr):
        wanted = element.pitr
        return (
            found is not None
            and target_of(found) == target_of(wanted)
            and found.range == wanted.range
        )
    if isinstance(element, AlterPitr):
        return found is not None and found.range == element.range
    assert isinstance(element, DropPitr)
    return found is None
