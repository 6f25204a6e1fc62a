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

import hashlib
import weakref
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Final, Literal, Protocol, TypeAlias, get_args

from sqlalchemy import MetaData, Table
from sqlalchemy.sql.schema import SchemaItem

from .ddl import translate_database
from .errors import PitrValidationError
from .generations import LONGEST_SUFFIX, check_declared_name, target_of
from .model import Pitr, PitrLevel, PitrRange, RangeLike
from .names import (
    MAX_NAME_LENGTH,
    check_database_name,
    check_pitr_name,
    check_target_name,
    fit_pitr_name,
    fold,
    shorten,
)

OnRebuild: TypeAlias = Literal["renew", "warn"]
"""What a migration does about a table's policy when it has rebuilt the table."""

DEFAULT_NAMING: Final = "pitr_%(object_name)s"
"""Names of policies that are given none; ``metadata.naming_convention["pitr"]`` overrules it."""

_KEY: Final = "matrixone_pitr"
_ATTRIBUTE: Final = "_matrixone_pitr"
_CONVENTION: Final = "pitr"


class HasMetaData(Protocol):
    """A declarative base."""

    metadata: Any


Schemas: TypeAlias = (
    "MetaData | HasMetaData | list[MetaData | HasMetaData] | tuple[MetaData | HasMetaData, ...]"
)
SchemaMap: TypeAlias = "Mapping[str | None, str | None] | None"


class _TableItem(SchemaItem):
    """What stands in ``Table(...)`` or ``__table_args__``; immutable, so that a mixin may share one
    object between its tables."""

    __visit_name__ = "matrixone_pitr"

    def _set_parent(self, parent: Any, **kw: Any) -> None:
        _attach(parent, self)


class TablePitr(_TableItem):
    """The policy of the Table it stands in.

    :param range: how far back, see :meth:`PitrRange.of`.
    :param name: unique in the account; without it the name follows the naming convention, which
        contains the table's database.
    :param on_rebuild: when a migration rebuilds the table, which ends its protection: ``"renew"``
        creates the next generation after the migration's COMMIT, ``"warn"`` only says so.
    :raises PitrValidationError: a value breaks a rule; or the table is declared twice.

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

    :param database_name: None is the connection's default database.
    """

    range: PitrRange
    name: str | None
    database_name: str | None

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


@dataclass(frozen=True)
class _Declared:
    """What :func:`declare_pitrs` was given for a MetaData.

    :ivar owner: that MetaData; not known of a copy that pickle or deepcopy has made.
    """

    policies: tuple[Pitr | DatabasePitr, ...] = ()
    require_all: bool = False
    owner: weakref.ref[MetaData] | None = field(default=None, compare=False, repr=False)

    def __reduce__(self) -> tuple[type[_Declared], tuple[object, ...]]:
        return _Declared, (self.policies, self.require_all)

    def is_of(self, metadata: MetaData) -> bool:
        """Whether it was given for a MetaData, or for what it is a copy of; else they share a
        naming convention."""
        owner = None if self.owner is None else self.owner()
        return owner is None or owner is metadata or owner.tables is metadata.tables


@dataclass(frozen=True, slots=True)
class Declaration:
    """One declared policy, its database and name resolved, and where it was declared."""

    pitr: Pitr
    source: str
    database: str | None = None
    """The database as declared: None where it is the connection's."""
    on_rebuild: OnRebuild = "renew"
    named: bool = True
    """Whether it was given its name; else the naming convention made it."""


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
    """What a table declares of itself."""
    found: TablePitr | Unprotected | None = table.__dict__.get(_ATTRIBUTE)
    if found is None and isinstance(info := table.__dict__.get("info"), _Info):
        found = info.declared
    return found


def _attach(parent: Any, item: _TableItem) -> None:
    if not isinstance(parent, Table):
        raise PitrValidationError(
            f"{item!r} stands in a Table or in __table_args__, not in {type(parent).__name__}"
        )
    assert isinstance(item, TablePitr | Unprotected)
    _check_table(parent, item, item_of(parent))
    if isinstance(item, TablePitr) and item.name is not None:
        _claim(parent, item.name)
    info = _Info(parent.info)
    info.declared = item
    parent.info = info
    parent.__dict__[_ATTRIBUTE] = item


def _check_table(
    table: Table, item: TablePitr | Unprotected, there: TablePitr | Unprotected | None
) -> None:
    """Whether a table may declare something, where something may be declared already."""
    if there is not None and there is not item:
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
            raise _same_name(name, f"table {holder.fullname!r}", f"table {table.fullname!r}")
    for policy in _declared(metadata).policies:
        if policy.name == name:
            raise _same_name(name, _describe(policy), f"table {table.fullname!r}")
    names[name] = table.key


def _same_name(name: str, one: str, other: str) -> PitrValidationError:
    return PitrValidationError(
        f"PITR name {name!r} is declared twice, by {one} and by {other}: names are unique in an "
        "account, whatever the level; choose another one for one of them",
        name=name,
    )


def _describe(policy: Pitr | DatabasePitr) -> str:
    if isinstance(policy, DatabasePitr):
        return f"{policy!r}"
    return f"{policy!r} of declare_pitrs()"


def _declared(metadata: MetaData) -> _Declared:
    found: Any = metadata.info.get(_KEY) or metadata.naming_convention.get(_KEY)
    if not isinstance(found, _Declared) or not found.is_of(metadata):
        return _Declared()
    _keep(metadata, found)
    return found


def _keep(metadata: MetaData, declared: _Declared) -> None:
    """The naming convention is replaced, never changed in place: MetaData may share it."""
    if declared.owner is None or declared.owner() is not metadata:
        declared = replace(declared, owner=weakref.ref(metadata))
    metadata.info[_KEY] = declared
    if metadata.naming_convention.get(_KEY) is not declared:
        convention: Any = {**metadata.naming_convention, _KEY: declared}
        metadata.naming_convention = convention


def declare_pitrs(
    metadata: MetaData, *policies: Pitr | DatabasePitr, require_all: bool = False
) -> None:
    """Declare policies for the cluster, for accounts and for databases, beside the models.

    Calls add up. A table's policy is declared in its Table, by :class:`TablePitr`; a
    :meth:`Pitr.table` is taken too, for a table that is in the MetaData already.

    :param require_all: refuse tables that are neither under a declared policy nor marked
        :class:`Unprotected`: those of the MetaData now, and later ones whenever the declarations
        are used.
    :raises PitrValidationError: the same name twice, two policies of one level on one target, or a
        table that the MetaData does not have.

    >>> from sqlalchemy import MetaData
    >>> metadata = MetaData()
    >>> declare_pitrs(metadata, Pitr.account("nightly", "1mo"), DatabasePitr("7d"))
    >>> [pitr.name for pitr in declared_pitrs(metadata, database_name="shop")]
    ['nightly', 'pitr_shop']
    """
    if not isinstance(metadata, MetaData):
        raise PitrValidationError(
            f"declare_pitrs takes a MetaData first, not {type(metadata).__name__}: for declarative "
            "models give Base.metadata"
        )
    before = _declared(metadata)
    known = list(before.policies)
    sources = {
        item.name: f"table {table.fullname!r}"
        for table in metadata.tables.values()
        if isinstance(item := item_of(table), TablePitr) and item.name is not None
    }
    sources |= {policy.name: _describe(policy) for policy in known if policy.name is not None}
    of_tables: dict[Table, TablePitr] = {}
    for policy in policies:
        if not isinstance(policy, Pitr | DatabasePitr):
            raise PitrValidationError(
                f"declare_pitrs takes policies such as Pitr.database('shop_week', '7d'), not "
                f"{shorten(policy)}"
            )
        if policy.name is not None:
            check_declared_name(policy.name)
            if policy.name in sources:
                raise _same_name(policy.name, sources[policy.name], _describe(policy))
            sources[policy.name] = _describe(policy)
        if isinstance(policy, Pitr) and policy.level is PitrLevel.TABLE:
            table, item = _table_of(metadata, policy), TablePitr(policy.range, policy.name)
            _check_table(table, item, of_tables.get(table) or item_of(table))
            of_tables[table] = item
            continue
        for other in known:
            if _level_and_target(policy) == _level_and_target(other):
                raise _same_target(_describe(other), _describe(policy))
        known.append(policy)
    changed = _Declared(tuple(known), before.require_all or require_all)
    _require_all({metadata: changed}, protected=of_tables)
    for table, item in of_tables.items():
        _attach(table, item)
    _keep(metadata, changed)


def _table_of(metadata: MetaData, policy: Pitr) -> Table:
    """The table that a table-level policy of :func:`declare_pitrs` speaks of."""
    others = []
    for table in metadata.tables.values():
        if fold(table.name) != policy.table_name:
            continue
        schema = None if table.schema is None else fold(table.schema)
        if schema == policy.database_name:
            return table
        others.append(table)
    if others:
        raise PitrValidationError(
            f"{policy!r} is declared for a table of another database than "
            f"{', '.join(repr(table.fullname) for table in others)} of this MetaData: a Table's "
            "schema is its database, none is the connection's default one",
            name=policy.name,
        )
    raise PitrValidationError(
        f"{policy!r} is declared for a table that this MetaData does not have: put "
        f"TablePitr({str(policy.range)!r}, {policy.name!r}) into the Table, or declare it after it",
        name=policy.name,
    )


def _level_and_target(policy: Pitr | DatabasePitr) -> tuple[object, ...]:
    if isinstance(policy, DatabasePitr):
        return PitrLevel.DATABASE, None, policy.database_name, None
    return target_of(policy)


def _same_target(one: str, other: str) -> PitrValidationError:
    return PitrValidationError(
        f"two policies of one level are declared for one target, {one} and {other}: the server "
        "takes one active PITR per object; keep one"
    )


# ------------------------------------------------------------------------------------------ reading


def metadatas(schemas: Schemas) -> list[MetaData]:
    """The MetaData objects of an argument: one, several, or declarative bases.

    :raises PitrValidationError: something else.
    """
    if isinstance(schemas, MetaData):
        return [schemas]
    of_base = getattr(schemas, "metadata", None)
    if isinstance(of_base, MetaData):
        return [of_base]
    if isinstance(schemas, list | tuple):
        return [metadata for one in schemas for metadata in metadatas(one)]
    raise PitrValidationError(
        f"{shorten(schemas)} is not a MetaData, a declarative base, or a list of them"
    )


def declared_pitrs(
    metadata: Schemas,
    *,
    database_name: str | None = None,
    schema_translate_map: SchemaMap = None,
) -> list[Pitr]:
    """The policies that MetaData declare, sorted by level and name.

    :param database_name: the database of tables without a schema; without it theirs stays None,
        and a policy that is given no name cannot be named.
    :param schema_translate_map: as of a Connection's execution options.
    :raises PitrValidationError: a conflict between declarations, with both sides named; a table
        without a policy where all are required; a name that cannot be made.
    """
    return [
        declaration.pitr
        for declaration in declarations(
            metadata, database_name=database_name, schema_translate_map=schema_translate_map
        )
    ]


def declarations(
    schemas: Schemas,
    *,
    database_name: str | None = None,
    schema_translate_map: SchemaMap = None,
) -> list[Declaration]:
    """:func:`declared_pitrs`, with where each was declared."""
    given = metadatas(schemas)
    if database_name is not None:
        database_name = check_database_name(database_name)
    found: list[Declaration] = []
    for metadata in given:
        found += _declarations_of(metadata, database_name, schema_translate_map)
    names: dict[str, Declaration] = {}
    targets: dict[object, Declaration] = {}
    for declaration in found:
        pitr = declaration.pitr
        if (other := names.setdefault(pitr.name, declaration)) is not declaration:
            raise _same_name(pitr.name, other.source, declaration.source)
        if (other := targets.setdefault(target_of(pitr), declaration)) is not declaration:
            raise _same_target(other.source, declaration.source)
    _require_all({one: _declared(one) for one in given}, database_name, schema_translate_map)
    order = list(PitrLevel)
    found.sort(key=lambda declaration: (order.index(declaration.pitr.level), declaration.pitr.name))
    return found


def _declarations_of(
    metadata: MetaData, default: str | None, schema_map: SchemaMap
) -> Iterator[Declaration]:
    for policy in _declared(metadata).policies:
        if isinstance(policy, Pitr) and policy.level is not PitrLevel.DATABASE:
            yield Declaration(policy, _describe(policy))
            continue
        database = translate_database(policy.database_name, schema_map) or default
        source = _describe(policy)
        name = policy.name or conventional_name(metadata, database, source=source)
        pitr = Pitr.database(name, policy.range, database_name=database)
        yield Declaration(pitr, source, policy.database_name, named=policy.name is not None)
    for table in metadata.tables.values():
        item = item_of(table)
        if not isinstance(item, TablePitr):
            continue
        database = database_of(table, default, schema_map)
        source = f"table {table.fullname!r}"
        name = item.name or conventional_name(metadata, database, table.name, source=source)
        pitr = Pitr.table(name, table.name, item.range, database_name=database)
        declared = None if table.schema is None else fold(table.schema)
        yield Declaration(pitr, source, declared, item.on_rebuild, item.name is not None)


def database_of(table: Table, default: str | None, schema_map: SchemaMap = None) -> str | None:
    """The database of a table: its schema, through the map; none is the default database."""
    database = _database_of(table, default, schema_map)
    return None if database is None else check_database_name(database)


def _database_of(table: Table, default: str | None, schema_map: SchemaMap) -> str | None:
    schema = None if table.schema is None else fold(table.schema)
    return translate_database(schema, schema_map) or default


def databases_of(
    schemas: Schemas, *, database_name: str | None = None, schema_translate_map: SchemaMap = None
) -> frozenset[str]:
    """The databases that MetaData speak of: those of their tables and of their policies."""
    default = None if database_name is None else fold(database_name)
    found: set[str | None] = set()
    for metadata in metadatas(schemas):
        for schema in {table.schema for table in metadata.tables.values()}:
            folded = None if schema is None else fold(schema)
            found.add(translate_database(folded, schema_translate_map) or default)
        for policy in _declared(metadata).policies:
            if _level_and_target(policy)[0] is PitrLevel.DATABASE:
                of_policy = translate_database(policy.database_name, schema_translate_map)
                found.add(of_policy or default)
    return frozenset(name for name in found if name is not None)


def declares_any(schemas: Schemas) -> bool:
    """Whether MetaData declare a policy at all."""
    return any(
        _declared(metadata).policies
        or any(isinstance(item_of(table), TablePitr) for table in metadata.tables.values())
        for metadata in metadatas(schemas)
    )


def tables_of(schemas: Schemas) -> frozenset[str]:
    """The names of the tables that declare a policy."""
    return frozenset(
        fold(table.name)
        for metadata in metadatas(schemas)
        for table in metadata.tables.values()
        if isinstance(item_of(table), TablePitr)
    )


def _require_all(
    given: Mapping[MetaData, _Declared],
    default: str | None = None,
    schema_map: SchemaMap = None,
    *,
    protected: Collection[Table] = (),
) -> None:
    """Refuse tables without a policy, where that was asked for.

    :param default: the default database; as long as it is not known, a table or policy that names
        none may be of any.
    :param protected: tables that are being given a policy.
    """
    policies = [policy for declared in given.values() for policy in declared.policies]
    everywhere = any(
        isinstance(policy, Pitr)
        and (
            policy.level is PitrLevel.CLUSTER
            or (policy.level is PitrLevel.ACCOUNT and policy.account_name is None)
        )
        for policy in policies
    )
    databases = {
        translate_database(policy.database_name, schema_map) or default
        for policy in policies
        if _level_and_target(policy)[0] is PitrLevel.DATABASE
    }

    def is_covered(table: Table) -> bool:
        if item_of(table) is not None or table in protected or getattr(table, "is_view", False):
            return True
        database = _database_of(table, default, schema_map)
        return None in databases or database in databases or (database is None and bool(databases))

    for metadata, declared in given.items():
        if not declared.require_all or everywhere:
            continue
        bare = sorted(table.fullname for table in metadata.tables.values() if not is_covered(table))
        if bare:
            shown = ", ".join(map(repr, bare[:5])) + (" ..." if len(bare) > 5 else "")
            raise PitrValidationError(
                f"{len(bare)} of the tables have no policy although all are required to: {shown}; "
                "give each a TablePitr, its database a policy, or mark it Unprotected('why')"
            )


# ------------------------------------------------------------------------------------------- naming


def conventional_name(
    metadata: MetaData, database: str | None, table: str | None = None, *, source: str = "this"
) -> str:
    """The name of a policy that was given none: the convention, made fit to be a PITR's name.

    What a PITR's name cannot have becomes ``_``; what was changed gets a digest, so that different
    objects keep different names.

    :param table: of a table's policy; None is the database's.
    :param source: what declares it, for messages.
    :raises PitrValidationError: the database is not known, or the convention names nothing.

    >>> conventional_name(MetaData(), "shop", "orders")
    'pitr_shop_orders'
    """
    convention: object = metadata.naming_convention.get(_CONVENTION, DEFAULT_NAMING)
    if database is None:
        raise PitrValidationError(
            f"{source} declares a policy without a name, and its database, which the name "
            "contains, is not known: give it a name, its Table a schema, or say database_name="
        )
    if not isinstance(convention, str):
        raise PitrValidationError(
            f"naming_convention[{_CONVENTION!r}] must be a str such as {DEFAULT_NAMING!r}, not "
            f"{shorten(convention)}"
        )
    tokens = {
        "level": "database" if table is None else "table",
        "database_name": database,
        "object_name": database if table is None else f"{database}_{table}",
    }
    if table is not None:
        tokens["table_name"] = table
    try:
        wanted = fold(convention % tokens)
    except (KeyError, TypeError, ValueError) as error:
        raise PitrValidationError(
            f"naming_convention[{_CONVENTION!r}] {convention!r} does not name {source}: its tokens "
            "are %(object_name)s, %(database_name)s, %(level)s, and for a table %(table_name)s"
        ) from error
    name = fit_pitr_name(wanted)
    limit = MAX_NAME_LENGTH - LONGEST_SUFFIX
    try:
        fits = name == wanted and check_declared_name(name) == name
    except PitrValidationError:
        fits = False
    if fits:
        return name
    digest = hashlib.sha256(wanted.encode("utf-8", "surrogatepass")).hexdigest()[:8]
    return check_pitr_name(f"{name[: limit - 9]}_{digest}")
