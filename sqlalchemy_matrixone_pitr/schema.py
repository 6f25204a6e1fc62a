"""Declaring policies beside the models: in a Table, and on its MetaData.

A table's own policy is an item of the Table, a policy for a database, an account or the cluster is
given to its MetaData::

    metadata = MetaData()
    orders = Table("orders", metadata, Column("id", Integer, primary_key=True), TablePitr("7d"))
    parts = Table("parts", metadata, Column("id", Integer, primary_key=True))
    declare_pitrs(metadata, DatabasePitr("1d"), Pitr.account("nightly", "1mo"))

Nothing is sent here: ``plan_pitrs`` compares what is declared with the server, ``install_events``
creates it with the tables, Alembic's autogenerate writes it into migrations.

Where it is kept, in two places each, since programs assign one of them anew: a table's on the
Table, and with ``Table.info``, which ``to_metadata()`` carries along, but beside its keys, which
Alembic writes into migrations; the others in ``MetaData.info``, and in
``MetaData.naming_convention``, the one dictionary of a MetaData that pickle and copy keep.
"""

from __future__ import annotations

import weakref
from dataclasses import dataclass, field, replace
from typing import Any, Final, Literal, TypeAlias, get_args

from sqlalchemy import MetaData, Table
from sqlalchemy.sql.schema import SchemaItem

from .errors import PitrValidationError
from .generations import check_declared_name
from .model import Pitr, PitrRange, RangeLike
from .names import (
    check_database_name,
    check_target_name,
    plain,
    shorten,
)

OnRebuild: TypeAlias = Literal["renew", "warn"]
"""The choices for a table's policy when a migration has rebuilt the table."""

_KEY: Final = "matrixone_pitr"
_ATTRIBUTE: Final = "_matrixone_pitr"


class _TableItem(SchemaItem):
    """An item of ``Table(...)`` or ``__table_args__``; immutable, so that a mixin may share one
    object between its tables."""

    __visit_name__ = "matrixone_pitr"

    def _set_parent(self, parent: Any, **kw: Any) -> None:
        attach(parent, self, replacing=bool(kw.get("allow_replacements")))


class TablePitr(_TableItem):
    """The policy of the Table it stands in.

    :param range: how far back, see :meth:`PitrRange.of`.
    :param name: unique in the account; without it the name follows the naming convention, which
        contains the table's database.
    :param on_rebuild: when a migration rebuilds the table, which ends its protection: ``"renew"``
        creates the next generation after the migration's COMMIT, ``"warn"`` only says so.
    :raises PitrValidationError: a value breaks a rule; or the table is declared twice, unlike, and
        not with ``Table(..., extend_existing=True)``, which replaces the policy as it replaces
        columns.

    >>> from sqlalchemy import Column, Integer, MetaData, Table
    >>> metadata = MetaData()
    >>> table = Table("orders", metadata, Column("id", Integer), TablePitr("7d"))
    >>> declared_pitrs(metadata, database_name="shop")
    [Pitr('pitr_shop_orders', 'table', '7d', database_name='shop', table_name='orders')]
    """

    def __init__(
        self, range: RangeLike, name: str | None = None, *, on_rebuild: OnRebuild = "renew"
    ) -> None:
        self.range = PitrRange.of(range)
        self.name = None if name is None else check_declared_name(name)
        if on_rebuild not in get_args(OnRebuild):
            raise PitrValidationError(
                f"on_rebuild={shorten(on_rebuild)} is not known: use one of "
                f"{', '.join(map(repr, get_args(OnRebuild)))}"
            )
        self.on_rebuild: OnRebuild = on_rebuild

    def __repr__(self) -> str:
        name = "" if self.name is None else f", {self.name!r}"
        option = "" if self.on_rebuild == "renew" else f", on_rebuild={self.on_rebuild!r}"
        return f"TablePitr({str(self.range)!r}{name}{option})"


class Unprotected(_TableItem):
    """The Table it stands in needs no policy, and why: a decision, not an accident.

    It counts where ``declare_pitrs(..., require_all=True)`` is asked for.

    >>> Unprotected("a cache, filled again in a minute")
    Unprotected('a cache, filled again in a minute')
    """

    def __init__(self, reason: str) -> None:
        if not isinstance(reason, str) or not reason.strip():
            raise PitrValidationError("Unprotected needs its reason: say why, in words")
        self.reason = reason

    def __repr__(self) -> str:
        return f"Unprotected({self.reason!r})"


@dataclass(frozen=True, slots=True, init=False)
class DatabasePitr:
    """A database's policy for :func:`declare_pitrs`, whose name may follow the naming convention.

    With a name of its own it is the same as :meth:`Pitr.database`.

    >>> from sqlalchemy import MetaData
    >>> metadata = MetaData()
    >>> declare_pitrs(metadata, DatabasePitr("7d", database_name="shop"))
    >>> declared_pitrs(metadata)
    [Pitr('pitr_shop', 'database', '7d', database_name='shop')]

    :param database_name: None is the connection's default database.
    """

    range: PitrRange
    name: str | None
    database_name: str | None
    declared_database: str | None = field(compare=False, repr=False)
    """The database as it was written, not folded: ``schema_translate_map`` knows it by that."""

    def __init__(
        self, range: RangeLike, name: str | None = None, *, database_name: str | None = None
    ) -> None:
        set_field = object.__setattr__
        set_field(self, "range", PitrRange.of(range))
        set_field(self, "name", None if name is None else check_declared_name(name))
        set_field(
            self,
            "database_name",
            None if database_name is None else check_database_name(database_name),
        )
        set_field(
            self, "declared_database", None if database_name is None else plain(database_name)
        )


@dataclass(frozen=True)
class Given:
    """The arguments of :func:`declare_pitrs` for a MetaData.

    :ivar owner: that MetaData; not known of a copy that pickle or deepcopy has made.
    """

    policies: tuple[Pitr | DatabasePitr, ...] = ()
    require_all: bool = False
    owner: weakref.ref[MetaData] | None = field(default=None, compare=False, repr=False)

    def __reduce__(self) -> tuple[type[Given], tuple[object, ...]]:
        return Given, (self.policies, self.require_all)

    def is_of(self, metadata: MetaData) -> bool:
        """Whether it was given for a MetaData, or for what it is a copy of; else they share a
        naming convention."""
        owner = None if self.owner is None else self.owner()
        return owner is None or owner is metadata or owner.tables is metadata.tables


# ---------------------------------------------------------------------------------------- declaring

# Names given in a MetaData's tables -> the table's key: only to refuse a second one at once.
_given_names: weakref.WeakKeyDictionary[MetaData, dict[str, str]] = weakref.WeakKeyDictionary()


class _Info(dict[Any, Any]):
    """A ``Table.info`` that carries what the table declares, beside its keys."""

    declared: TablePitr | Unprotected | None = None

    def copy(self) -> _Info:
        copied = _Info(self)
        copied.declared = self.declared
        return copied


def item_of(table: Table) -> TablePitr | Unprotected | None:
    """The item by which a table declares its protection."""
    found: TablePitr | Unprotected | None = table.__dict__.get(_ATTRIBUTE)
    if found is None and isinstance(info := table.__dict__.get("info"), _Info):
        found = info.declared
    return found


def attach(parent: Any, item: _TableItem, *, replacing: bool = False) -> None:
    """Let a table declare something.

    :param replacing: in place of what it declares already: ``Table(..., extend_existing=True)``.
    """
    if not isinstance(parent, Table):
        raise PitrValidationError(
            f"{item!r} stands in a Table or in __table_args__, not in {type(parent).__name__}"
        )
    assert isinstance(item, TablePitr | Unprotected)
    check_table(parent, item, None if replacing else item_of(parent))
    if isinstance(item, TablePitr) and item.name is not None:
        _claim(parent, item.name)
    info = _Info(parent.info)
    info.declared = item
    parent.info = info
    parent.__dict__[_ATTRIBUTE] = item


def check_table(
    table: Table, item: TablePitr | Unprotected, there: TablePitr | Unprotected | None
) -> None:
    """Whether a table may declare something, where something may be declared already.

    The same once more contradicts nothing: a module may be loaded again.
    """
    if there is not None and repr(there) != repr(item):
        raise PitrValidationError(
            f"table {table.fullname!r} is declared twice, by {there!r} and by {item!r}: keep one"
        )
    check_target_name(table.name, "table name")
    if table.schema is not None:
        check_database_name(table.schema)


def _claim(table: Table, name: str) -> None:
    """Take a name for a table; refused where the MetaData knows it already."""
    metadata = table.metadata
    names = _given_names.get(metadata)
    if names is None:
        names = _given_names[metadata] = {
            item.name: key
            for key, known in metadata.tables.items()
            if isinstance(item := item_of(known), TablePitr) and item.name is not None
        }
    holder = metadata.tables.get(names.get(name, ""))
    if holder is not None and holder is not table:
        item = item_of(holder)
        if isinstance(item, TablePitr) and item.name == name:
            raise same_name(name, f"table {holder.fullname!r}", f"table {table.fullname!r}")
    for policy in given_to(metadata).policies:
        if policy.name == name:
            raise same_name(name, describe(policy), f"table {table.fullname!r}")
    names[name] = table.key


def same_name(name: str, one: str, other: str) -> PitrValidationError:
    return PitrValidationError(
        f"PITR name {name!r} is declared twice, by {one} and by {other}: names are unique in an "
        "account, whatever the level; choose another one for one of them",
        name=name,
    )


def describe(policy: Pitr | DatabasePitr) -> str:
    if isinstance(policy, DatabasePitr):
        return f"{policy!r}"
    return f"{policy!r} of declare_pitrs()"


def given_to(metadata: MetaData) -> Given:
    found: Any = metadata.info.get(_KEY) or metadata.naming_convention.get(_KEY)
    if not isinstance(found, Given) or not found.is_of(metadata):
        return Given()
    keep(metadata, found)
    return found


def keep(metadata: MetaData, declared: Given) -> None:
    """The naming convention is replaced, never changed in place: MetaData may share it."""
    if declared.owner is None or declared.owner() is not metadata:
        declared = replace(declared, owner=weakref.ref(metadata))
    metadata.info[_KEY] = declared
    if metadata.naming_convention.get(_KEY) is not declared:
        convention: Any = {**metadata.naming_convention, _KEY: declared}
        metadata.naming_convention = convention
