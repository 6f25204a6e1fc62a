"""``coverage()``: what can be restored, from when until when, and by what."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import replace

from ..catalog import Key, is_part
from ..connections import Bind
from ..declarations import Databases, Schemas, bind_declarations, databases_of, metadatas
from ..errors import PitrValidationError
from ..model import PitrRange, RangeLike
from ..moment import Moment, MomentLike
from ..names import OWN_DATABASE, check_database_name
from ..schema import Unprotected, item_of
from ..show import reading
from .computing import Requirements, cover
from .differences import differences, read_server_windows
from .inventory import Inventory, read_inventory
from .report import CoverageReport
from .windows import Windows


def coverage(
    bind: Bind,
    metadata: Schemas | None = None,
    *,
    databases: Iterable[str] | None = None,
    require: RangeLike | None = None,
    at: MomentLike | None = None,
    server_windows: bool = False,
) -> CoverageReport:
    """Compute for every table what can be restored, from when until when, and by which policy.

    It is computed from the policies, the ids that they recorded and the present ids, since the
    server does not tell: once garbage collection has taken a moment, RESTORE, CLONE and reads of
    the past say OK and bring no rows (docs/server.md, Garbage collection). Views, sequences,
    external tables and the server's own databases are left out.

    Four reading statements at most, however many tables, on a connection of its own; the caller's
    transaction is not disturbed, and what it has not committed is not seen. sys knows most; to
    another account policies that sys made for it are not visible, and what cannot be known is said
    to be ``unknown``.

    :param metadata: a MetaData, a declarative base, or a list of them: the report is of their
        tables, also of those that the server does not have. Each is required to have the range that
        is declared for it (:class:`TablePitr`, else its database's, else its account's), and none
        where it is :class:`Unprotected`. Without it the report is of every table that is there or
        that a policy names.
    :param databases: only tables in these, by the server's names.
    :param require: the range that a table must have for which none is declared: ``"7d"``, see
        :meth:`PitrRange.of`.
    :param at: a moment in question: :meth:`CoverageReport.at_risk` says where it is lost, and where
        it soon will be.
    :param server_windows: also read SHOW RECOVERY_WINDOW, and say why it differs.
    :raises PitrValidationError: ``at`` lies in the future; a table has no database; one of
        ``databases`` is neither there nor named by a policy, or not of the metadata.
    :raises PitrPermissionError: this user may not read policies.
    :raises PitrUnsupportedError: not a MatrixOne server.

    >>> from sqlalchemy import create_engine, text
    >>> engine = create_engine(url)
    >>> with engine.begin() as conn:
    ...     result = conn.execute(text("CREATE TABLE parcels (id INT PRIMARY KEY)"))
    ...     result = conn.execute(CreatePitr(Pitr.table("parcels_week", "parcels", "7d")))
    >>> report = coverage(engine, databases=[engine.url.database], require="1d")
    >>> table = report.table(engine.url.database, "parcels")
    >>> table.state.value, [window.by for window in table.windows], table.meets_requirement
    ('covered', ['parcels_week'], True)
    """
    required = None if require is None else PitrRange.of(require)
    moment = None if at is None else Moment.of(at)
    within = None if databases is None else _databases(databases)
    names = Databases.of(bind)
    asked = within if metadata is None else databases_of(metadata, names.known())
    with reading(bind) as connection:
        inventory = read_inventory(connection, asked)
        if moment is not None:
            moment.check_past(inventory.known.now)
        shown = None
        if server_windows:
            shown = read_server_windows(connection, inventory.tables.account)
    if metadata is None:
        _check_there(inventory, within or ())
        keys, requirements = _all_tables(inventory, within), Requirements(required)
    else:
        names = names.told(inventory.tables.database)
        keys = _declared_tables(metadata, names, inventory, within)
        bound = bind_declarations(metadata, names, inventory.tables.account)
        requirements = Requirements.of(bound.pitrs, required, _unprotected(metadata, names))
        _check_declared(bound.databases, within or ())
        if within is None:
            within = bound.databases
    report = cover(inventory, keys, requirements, databases=within, at=moment)
    if shown is None:
        return report
    if within is not None:
        shown = tuple(one for one in shown if one.database_name in (None, *within))
    return replace(report, server_windows=shown, differences=differences(report, shown))


def _databases(names: Iterable[str]) -> frozenset[str]:
    if isinstance(names, str):
        raise PitrValidationError(f"databases takes several names: write [{names!r}]")
    return frozenset(check_database_name(name) for name in names)


def _check_there(inventory: Inventory, within: Collection[str]) -> None:
    """
    :raises PitrValidationError: a database is not there, and no policy names it: all would be well.
    """
    there = {database for database, _ in inventory.known.ids}
    there |= {pitr.database_name for pitr in inventory.pitrs if pitr.database_name is not None}
    missing = sorted(set(within) - there)
    if missing:
        raise PitrValidationError(
            f"there is no database {', '.join(missing)}, nor a policy for one of that name: "
            "check the name and the account"
        )


def _check_declared(declared: Collection[str], within: Collection[str]) -> None:
    """
    :raises PitrValidationError: the metadata have nothing in a database: all would be well.
    """
    missing = sorted(set(within) - set(declared))
    if missing:
        raise PitrValidationError(
            f"the metadata have no table or policy in database {', '.join(missing)}: check the "
            "name, and whether the modules with the tables are imported"
        )


def _all_tables(inventory: Inventory, within: Collection[str] | None) -> set[Key]:
    """The tables that are there, and those that a policy names."""
    there = {(database, table) for database, table in inventory.known.ids if table is not None}
    named = {key for key in Windows(inventory.known).named() if not is_part(key[1])}
    named -= inventory.tables.others
    return {
        key
        for key in there | named
        if (key[0] != OWN_DATABASE if within is None else key[0] in within)
    }


def _declared_tables(
    metadata: Schemas, names: Databases, inventory: Inventory, within: Collection[str] | None
) -> set[Key]:
    """The tables of metadata, without views.

    :raises PitrValidationError: one has no database.
    """
    keys: set[Key] = set()
    for one in metadatas(metadata):
        for table in one.tables.values():
            database, name = names.key(table)
            if database is None:
                raise PitrValidationError(
                    f"table {table.name!r} has no database: it has no schema, and the connection "
                    "has none"
                )
            is_view = (
                getattr(table, "is_view", False) or (database, name) in inventory.tables.others
            )
            if not is_view and (within is None or database in within):
                keys.add((database, name))
    return keys - inventory.tables.others


def _unprotected(metadata: Schemas, names: Databases) -> dict[Key, str]:
    """The reasons of tables that are declared to need no policy."""
    found: dict[Key, str] = {}
    for one in metadatas(metadata):
        for table in one.tables.values():
            item, (database, name) = item_of(table), names.key(table)
            if isinstance(item, Unprotected) and database is not None:
                found[database, name] = item.reason
    return found
