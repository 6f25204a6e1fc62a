"""The opening of a comparison with the past: the moment, the tables' shapes, what keeps it.

The catalogue of the past is read on a side connection; the present one on the caller's, whose own
uncommitted changes count.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from typing import Any

from sqlalchemy.engine import Connection, Engine
from sqlalchemy.exc import DBAPIError

from .. import server
from ..catalog import Key, TableShape, names_of, read_shapes
from ..connections import ALLOW_UNPROTECTED, AS_OF, Bind, roll_back, side_connection, unwrap
from ..coverage.model import Kept, Verdict
from ..coverage.reading import ask, say
from ..declarations import Databases
from ..errors import PastError, PastNotKeptError, PitrValidationError, is_not_there
from ..moment import Moment, MomentLike
from ..names import shorten
from ..show import typed_errors
from .comparison import Comparison, RealTable, Target, Where, find_table

_KINDS = {"v": "a view, which has no rows of its own", "e": "an external table", "S": "a sequence"}


def to_moment(value: MomentLike | str, now: Moment) -> Moment:
    """A moment that has passed; a relative one counts from the server's clock.

    :raises PitrValidationError: it is none, or lies in the future.
    """
    moment = Moment.parse(value, now=now) if isinstance(value, str) else Moment.of(value)
    return moment.check_past(now)


def open_comparisons(
    bind: Bind,
    targets: Sequence[Target | RealTable],
    at: MomentLike | str,
    *,
    until: MomentLike | str | None = None,
    where: Where = None,
    only: Iterable[Any] | None = None,
    allow_unprotected: bool = False,
    surely: bool = False,
) -> list[Comparison]:
    """The comparisons of tables, by one moment, ready to be executed.

    :param surely: refuse what is kept only probably.
    :raises PastError: a table was not there, or is none.
    :raises PastNotKeptError: nothing keeps the history of one.
    """
    found = unwrap(bind)
    if found.get_execution_options().get(AS_OF) is not None:
        raise PastError(
            "the past is compared with the present, and this engine or connection reads the past: "
            f"give one without the execution option {AS_OF}, and the moments as at and until"
        )
    databases = Databases.of(found)
    tables = [find_table(target, databases) for target in targets]
    for number, (key, _) in enumerate(tables):
        if key in [other for other, _ in tables[:number]]:
            raise PitrValidationError(f"{'.'.join(key)} is given twice")
    with side_connection(found) as side:
        version = server.require_matrixone(side)
        now = Moment(server.clock(side))
        then = to_moment(at, now)
        later = None if until is None else to_moment(until, now)
        if later is not None and later <= then:
            raise PitrValidationError(f"until={later} is not after {then}")
        side.rollback()
        if not (allow_unprotected or is_allowed(found)):  # no index is read in any case
            moments = [then] if later is None else [then, later]
            check_unless(found, [key for key, _ in tables], moments, False, surely=surely)
        keys = [key for key, _ in tables]
        before = _shapes(side, version, keys, then)
        mine = side if later is not None or isinstance(found, Engine) else found
        after = _shapes(mine, version, keys, later)
    return [
        Comparison(key, declared, then, later, first, second, where=where, only=only)
        for (key, declared), first, second in zip(tables, before, after, strict=True)
    ]


def is_allowed(bind: Engine | Connection) -> bool:
    """Whether a bind reads what nothing keeps, too."""
    return bool(bind.get_execution_options().get(ALLOW_UNPROTECTED))


def check_unless(
    bind: Engine | Connection,
    tables: Collection[Key],
    moments: Iterable[Moment],
    allow_unprotected: bool,
    *,
    surely: bool = False,
) -> list[Verdict]:
    """Ask what keeps the history of tables; nothing is said if the caller or the bind allows that
    nothing does.

    :param surely: refuse what is kept only probably, instead of warning of it.
    :raises PastNotKeptError: the history of one is not kept.
    """
    verdicts = [verdict for moment in moments for verdict in ask(bind, tables, moment)]
    if allow_unprotected or is_allowed(bind):
        return verdicts
    for verdict in verdicts:
        if surely and verdict.kept is Kept.PROBABLE:
            raise PastNotKeptError(
                f"nothing surely keeps the history of {verdict.database_name}.{verdict.table_name} "
                f"at {verdict.moment}: {verdict.reason}. Where the server has collected it, its "
                "past is empty, and to go back to it would delete every row. Look at diff_rows(), "
                "which only warns; if that is whole, give allow_unprotected=True"
            )
    say(verdicts)
    return verdicts


def _shapes(
    connection: Connection, version: server.Version, tables: Sequence[Key], at: Moment | None
) -> list[TableShape]:
    """The shapes of tables: two statements, however many tables.

    :raises PastError: one was not there, or is no table.
    :raises PitrPermissionError: this user may not read the catalogue.
    """
    with typed_errors():
        try:
            found = read_shapes(connection, version, tables, at=at)
        except DBAPIError as error:
            if at is None or not is_not_there(error):
                raise
            roll_back(connection)
            found = {}
    return [_checked(table, found.get(table), at) for table in tables]


def _checked(table: Key, shape: TableShape | None, at: Moment | None) -> TableShape:
    name = names_of([table])
    if shape is None and at is None:
        raise PastError(
            f"{name} is not there, so there is nothing to compare its past with: dropped_objects() "
            "tells when it went, and undrop() brings it back"
        )
    if shape is None:
        raise PastError(
            f"{name} was not there at {at}: it was made later, or this moment is before all that "
            "the server remembers. Choose a later one"
        )
    if shape.kind not in ("r", "p", "cluster"):
        what = _KINDS.get(shape.kind, f"of kind {shorten(shape.kind)}")
        raise PastError(f"{name} is {what}: compare the tables that it is made from")
    return shape
