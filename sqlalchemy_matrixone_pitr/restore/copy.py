"""A table or database as it was, beside the original: :func:`restore_copy`.

Nothing of the original is touched: no policy is detached, no later row is lost.
"""

from __future__ import annotations

from sqlalchemy.engine import Connection

from .. import server
from ..catalog import Key, ObjectKey, inventory, names_of
from ..connections import Bind, side_connection
from ..coverage.model import Kept
from ..declarations import Databases
from ..errors import PastError
from ..moment import Moment, MomentLike
from ..names import check_database_name, plain
from ..past.comparison import Target, find_table
from ..past.copies import Copying, CopyReport, destination, own_engine
from ..past.opening import check_unless, to_moment
from ..show import typed_errors


def restore_copy(
    bind: Bind,
    source: Target,
    at: MomentLike | str,
    into: str,
    *,
    allow_unprotected: bool = False,
) -> CopyReport:
    """Copy a table or database as it was at a moment, beside the original.

    In one transaction, on a connection of its own: it takes effect at once and as a whole, with as
    many rows as there were, or not at all. A CLONE, in milliseconds; where only a table's own
    policy keeps the moment, its definition and its rows, since a CLONE would have broken indexes.

    :param source: a Table, a mapped class, or ``"db.table"``; text without a dot is a database.
    :param at: a Moment, an aware datetime, nanoseconds, or text as :meth:`Moment.parse` reads it.
    :param into: the name of the copy, which must be free: of a table ``"db.table"``, or ``"table"``
        in the database of the source.
    :param allow_unprotected: copy what no policy surely keeps, too: where the server has collected
        it, the copy is empty.
    :raises PastNotKeptError: nothing surely keeps the moment.
    :raises PastError: the source was not there then.
    :raises PitrPermissionError: this user may not read the catalogue.
    :raises PitrRestoreError: the destination is there, or the server refused; nothing was made.
    :raises PitrTransactionError: the bind is in a transaction.

    >>> import time
    >>> from sqlalchemy import create_engine, text
    >>> engine = create_engine(url)
    >>> with engine.begin() as conn:
    ...     made = conn.execute(text("CREATE TABLE crates (id INT PRIMARY KEY)"))
    ...     made = conn.execute(text("INSERT INTO crates VALUES (1), (2)"))
    >>> time.sleep(0.1)
    >>> name = f"{engine.url.database}.crates"
    >>> now = Moment.now(engine)
    >>> report = restore_copy(engine, name, now, "crates_then", allow_unprotected=True)
    >>> report.rows, report.tables[0].name == f"{name}_then"
    (2, True)
    """
    return copying(bind, source, at, into, allow_unprotected=allow_unprotected).make()


def copying(
    bind: Bind, source: Target, at: MomentLike | str, into: str, *, allow_unprotected: bool
) -> Copying:
    """The copy that :func:`restore_copy` makes, with its checks."""
    found = own_engine(bind, "restore_copy()")
    key = _source(source, Databases.of(bind))
    target = destination(into, key)
    with side_connection(found) as connection, typed_errors():
        version = server.require_matrixone(connection)
        moment = to_moment(at, Moment(server.clock(connection)))
        tables = _tables(connection, version, key, moment)
    verdicts = check_unless(found, tables, [moment], allow_unprotected, surely=True)
    kept = {
        (one.database_name, one.table_name): one.kept is Kept.KEPT and one.indexes
        for one in verdicts
    }
    return Copying(found, key, moment, target, kept)


def _source(source: Target, databases: Databases) -> ObjectKey:
    if isinstance(source, str) and "." not in source:
        check_database_name(source)
        return databases.real(plain(source)) or source, None
    key, _ = find_table(source, databases)
    check_database_name(key[0])
    return key


def _tables(
    connection: Connection, version: server.Version, source: ObjectKey, at: Moment
) -> list[Key]:
    """The tables that are copied.

    :raises PastError: there was no such table or database; 4.2.0 would say OK.
    """
    there = inventory(connection, version, at=at, database=source[0]) or {}
    if source not in {one.key for one in there.values()}:
        name = source[0] if source[1] is None else names_of([(source[0], source[1])])
        raise PastError(
            f"there was no {'database' if source[1] is None else 'table'} {name} at {at}: it was "
            "made later or dropped before (dropped_objects() tells), or this moment is before all "
            "that the server remembers. A table is given as 'database.table'"
        )
    return sorted(
        (one.database_name, one.table_name)
        for one in there.values()
        if one.table_name is not None and source[1] in (None, one.table_name)
    )
