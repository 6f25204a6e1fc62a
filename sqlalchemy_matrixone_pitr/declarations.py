"""Declarations with real names: what is declared, bound to one connection.

A declared database is a schema, as a Table's is: SQLAlchemy's ``schema_translate_map`` is looked up
once, by the spelling that was declared, and what names none is the connection's current database.
That happens here, once (:class:`Databases`): a policy, an action or an element that has come out of
here has the server's own names, which are never translated again.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Final, Protocol, TypeAlias

from sqlalchemy import MetaData, Table
from sqlalchemy.engine import Connection, Engine

from .connections import Bind, current_database, side_connection, unwrap
from .errors import PitrValidationError
from .extent import Key, Parts, parts_of
from .generations import LONGEST_SUFFIX, check_declared_name, target_of
from .model import Pitr, PitrLevel, check_flag
from .names import (
    MAX_NAME_LENGTH,
    check_database_name,
    check_pitr_name,
    check_target_name,
    fit_pitr_name,
    fold,
    plain,
    shorten,
)
from .schema import (
    DatabasePitr,
    Given,
    OnRebuild,
    TablePitr,
    Unprotected,
    attach,
    check_table,
    describe,
    given_to,
    item_of,
    keep,
    same_name,
)

DEFAULT_NAMING: Final = "pitr_%(object_name)s"
"""Names of policies that are given none; ``metadata.naming_convention["pitr"]`` overrules it."""

_CONVENTION: Final = "pitr"


class HasMetaData(Protocol):
    """A declarative base."""

    metadata: Any


Schemas: TypeAlias = (
    "MetaData | HasMetaData | list[MetaData | HasMetaData] | tuple[MetaData | HasMetaData, ...]"
)
SchemaMap: TypeAlias = "Mapping[str | None, str | None] | None"


@dataclass(frozen=True, slots=True)
class Declaration:
    """One declared policy, its database and name resolved, and where it was declared."""

    pitr: Pitr
    source: str
    database: str | None = None
    """The database as declared: None where it is the connection's."""
    on_rebuild: OnRebuild = "renew"
    naming: str | None = None
    """The convention that made the name; None where it was given one."""


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
    check_flag("require_all", require_all)
    before = given_to(metadata)
    known = list(before.policies)
    sources = {
        item.name: f"table {table.fullname!r}"
        for table in metadata.tables.values()
        if isinstance(item := item_of(table), TablePitr) and item.name is not None
    }
    sources |= {policy.name: describe(policy) for policy in known if policy.name is not None}
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
                raise same_name(policy.name, sources[policy.name], describe(policy))
            sources[policy.name] = describe(policy)
        if isinstance(policy, Pitr) and policy.level is PitrLevel.TABLE:
            table, item = _table_of(metadata, policy), TablePitr(policy.range, policy.name)
            check_table(table, item, of_tables.get(table) or item_of(table))
            of_tables[table] = item
            continue
        for other in known:
            if level_and_target(policy) == level_and_target(other):
                raise _same_target(describe(other), describe(policy))
        known.append(policy)
    changed = Given(tuple(known), before.require_all or require_all)
    _require_all({metadata: changed}, protected=of_tables)
    for table, item in of_tables.items():
        attach(table, item)
    keep(metadata, changed)


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


def level_and_target(policy: Pitr | DatabasePitr) -> tuple[object, ...]:
    if isinstance(policy, DatabasePitr):
        return PitrLevel.DATABASE, None, policy.database_name, None
    return target_of(policy)


def _same_target(one: str, other: str) -> PitrValidationError:
    return PitrValidationError(
        f"two policies of one level are declared for one target, {one} and {other}: the server "
        "takes one active PITR per object; keep one"
    )


# ------------------------------------------------------------------------------------------ binding


class Databases:
    """The meaning of declared databases on one connection: SQLAlchemy's rule for a Table's schema.

    >>> databases = Databases({"core": "tenant1"}, "shop")
    >>> databases.real("core"), databases.real("Core"), databases.real(None)
    ('tenant1', 'core', 'shop')

    :param schema_map: ``schema_translate_map``; None is an empty one.
    :param current: the connection's current database, or what asks for it, once and only if needed.
    """

    def __init__(
        self, schema_map: SchemaMap, current: str | Callable[[], str | None] | None = None
    ) -> None:
        self._map = {
            None if schema is None else plain(schema): None if name is None else fold(name)
            for schema, name in (schema_map or {}).items()
        }
        self._current = current

    @classmethod
    def of(cls, bind: Bind, options: Mapping[str, Any] | None = None) -> Databases:
        """The declared databases of a bind.

        :param options: its execution options, where a statement adds some.
        """
        found = unwrap(bind)
        options = found.get_execution_options() if options is None else options
        if isinstance(found, Connection):
            return cls(options.get("schema_translate_map"), lambda: current_database(found))
        return _OfEngine(options.get("schema_translate_map"), lambda: _first_database(found))

    def known(self) -> Databases:
        """The same without asking for a current database that is told later."""
        return self

    def told(self, current: str | Callable[[], str | None] | None) -> Databases:
        """The same where another connection has told its current database, which counts for an
        Engine."""
        return self

    @property
    def current(self) -> str | None:
        """The connection's current database; None where none is chosen."""
        if callable(self._current):
            self._current = self._current()
        return None if self._current is None else fold(self._current)

    @property
    def mapped(self) -> frozenset[str]:
        """The databases that the map leads to."""
        return frozenset(name for name in self._map.values() if name is not None)

    def real(self, declared: str | None) -> str | None:
        """The server's name of a declared database; None where none is named, nor chosen."""
        name = self._map.get(declared, declared) if self._map else declared
        return fold(name) if name else self.current

    def declared(self, real: str | None) -> str | None:
        """The database as it is declared, of the server's name: None for the current one, or the
        schema that the map leads from."""
        if real is None or real == self.real(None):
            return None
        return next((schema for schema, name in self._map.items() if name == real), real)

    def of_table(self, table: Table) -> str | None:
        """The database that a table is in."""
        return self.real(None if table.schema is None else plain(table.schema))

    def key(self, table: Table) -> tuple[str | None, str]:
        """A table's database and name, as the server has them."""
        return self.of_table(table), fold(table.name)


class _OfEngine(Databases):
    """The declared databases on connections that an Engine makes."""

    def known(self) -> Databases:
        return Databases(self._map)

    def told(self, current: str | Callable[[], str | None] | None) -> Databases:
        return Databases(self._map, current)


def _first_database(engine: Engine) -> str | None:
    """The current database of a new connection, which listeners may have chosen."""
    with side_connection(engine) as connection:
        return current_database(connection)


def real_database(bind: Bind, declared: str | None) -> str | None:
    """The server's name of one declared database; None stays None, and means any."""
    if declared is None:
        return None
    check_target_name(declared, "database name")
    return Databases.of(bind).real(plain(declared))


@dataclass(frozen=True, slots=True)
class Bound:
    """Declarations on one connection; immutable.

    :ivar declarations: sorted by level and name.
    :ivar databases: those of the tables and of the policies.
    :ivar names: what declared databases mean there.
    :ivar parts: what the tables with a policy of their own are declared to have.
    """

    declarations: tuple[Declaration, ...]
    databases: frozenset[str]
    names: Databases
    parts: Mapping[Key, Parts] = field(default_factory=dict, hash=False)

    @property
    def pitrs(self) -> list[Pitr]:
        """The declared policies, with the server's names."""
        return [declaration.pitr for declaration in self.declarations]


def bind_declarations(schemas: Schemas, databases: Databases, account: str | None = None) -> Bound:
    """Declarations as they are on one connection.

    :param account: the current account's name, where it is known: a policy that names it is the
        current account's own.
    :raises PitrValidationError: declarations that contradict each other there.
    """
    found = [
        replace(declaration, pitr=Pitr.account(declaration.pitr.name, declaration.pitr.range))
        if account is not None and declaration.pitr.account_name == account
        else declaration
        for declaration in declarations(schemas, databases)
    ]
    own = [d.pitr.name for d in found if target_of(d.pitr) == _OWN_ACCOUNT]
    if len(own) > 1:
        raise PitrValidationError(
            f"two policies are declared for the current account, {own[0]!r} and {own[1]!r}: "
            f"{account!r} is the account that reads; keep one",
            name=own[1],
        )
    targets = {(d.pitr.database_name, d.pitr.table_name) for d in found}
    parts: dict[Key, Parts] = {}
    for metadata in metadatas(schemas):
        for table in metadata.tables.values():
            database, name = databases.key(table)
            if database is not None and (database, name) in targets:
                parts[database, name] = parts_of(table)
    return Bound(tuple(found), databases_of(schemas, databases), databases, parts)


_OWN_ACCOUNT: Final = (PitrLevel.ACCOUNT, None, None, None)


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
    if database_name is not None:
        database_name = check_database_name(database_name)
    databases = Databases(schema_translate_map, database_name)
    return [declaration.pitr for declaration in declarations(metadata, databases)]


def declarations(schemas: Schemas, databases: Databases) -> list[Declaration]:
    """The declared policies with the server's names, and where each was declared."""
    given = metadatas(schemas)
    found = [found for metadata in given for found in _declarations_of(metadata, databases)]
    names: dict[str, Declaration] = {}
    targets: dict[object, Declaration] = {}
    for declaration in found:
        pitr = declaration.pitr
        if (other := names.setdefault(pitr.name, declaration)) is not declaration:
            raise same_name(pitr.name, other.source, declaration.source)
        if (other := targets.setdefault(target_of(pitr), declaration)) is not declaration:
            raise _same_target(other.source, declaration.source)
    _require_all({one: given_to(one) for one in given}, databases)
    order = list(PitrLevel)
    found.sort(key=lambda declaration: (order.index(declaration.pitr.level), declaration.pitr.name))
    return found


def _declarations_of(metadata: MetaData, databases: Databases) -> Iterator[Declaration]:
    for policy in given_to(metadata).policies:
        if isinstance(policy, Pitr) and policy.level is not PitrLevel.DATABASE:
            yield Declaration(policy, describe(policy))
            continue
        declared = policy.declared_database
        database = databases.real(declared)
        source = describe(policy)
        name, naming = _named(metadata, policy.name, database, None, source)
        pitr = Pitr.database(name, policy.range, database_name=database)
        yield Declaration(pitr, source, declared, naming=naming)
    for table in metadata.tables.values():
        item = item_of(table)
        if not isinstance(item, TablePitr):
            continue
        database = databases.of_table(table)
        source = f"table {table.fullname!r}"
        name, naming = _named(metadata, item.name, database, table.name, source)
        pitr = Pitr.table(name, table.name, item.range, database_name=database)
        schema = None if table.schema is None else plain(table.schema)
        yield Declaration(pitr, source, schema, item.on_rebuild, naming)


def _named(
    metadata: MetaData, given: str | None, database: str | None, table: str | None, source: str
) -> tuple[str, str | None]:
    """A policy's name, and the convention that made it where it was given none."""
    if given is not None:
        return given, None
    convention = convention_of(metadata)
    return conventional_name(convention, database, table, source=source), convention


def databases_of(schemas: Schemas, databases: Databases) -> frozenset[str]:
    """The databases that MetaData speak of: those of their tables and of their policies."""
    schemata = {
        None if schema is None else plain(schema)
        for metadata in metadatas(schemas)
        for schema in {table.schema for table in metadata.tables.values()}
    } | {
        policy.declared_database
        for metadata in metadatas(schemas)
        for policy in given_to(metadata).policies
        if level_and_target(policy)[0] is PitrLevel.DATABASE
    }
    found = {databases.real(schema) for schema in schemata}
    return frozenset(name for name in found if name is not None)


def declares_any(schemas: Schemas) -> bool:
    """Whether MetaData declare a policy at all."""
    return any(
        given_to(metadata).policies
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


def unprotected_tables(schemas: Schemas, databases: Databases) -> set[tuple[str | None, str]]:
    """The tables that are marked :class:`Unprotected`, by database and name."""
    return {
        databases.key(table)
        for metadata in metadatas(schemas)
        for table in metadata.tables.values()
        if isinstance(item_of(table), Unprotected)
    }


def _require_all(
    given: Mapping[MetaData, Given],
    databases: Databases | None = None,
    *,
    protected: Collection[Table] = (),
) -> None:
    """Refuse tables without a policy, where that was asked for.

    :param databases: while they are not known, a table or policy that names none may be of any.
    :param protected: tables that are being given a policy.
    """
    if not any(declared.require_all for declared in given.values()):
        return
    databases = databases or Databases(None)
    policies = [policy for declared in given.values() for policy in declared.policies]
    everywhere = any(
        isinstance(policy, Pitr)
        and (
            policy.level is PitrLevel.CLUSTER
            or (policy.level is PitrLevel.ACCOUNT and policy.account_name is None)
        )
        for policy in policies
    )
    covered = {
        databases.real(policy.declared_database)
        for policy in policies
        if level_and_target(policy)[0] is PitrLevel.DATABASE
    }

    def is_covered(table: Table) -> bool:
        if item_of(table) is not None or table in protected or getattr(table, "is_view", False):
            return True
        database = databases.of_table(table)
        return None in covered or database in covered or (database is None and bool(covered))

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


def convention_of(metadata: MetaData) -> str:
    """The naming convention of a MetaData's policies.

    :raises PitrValidationError: it is no text.
    """
    convention: object = metadata.naming_convention.get(_CONVENTION, DEFAULT_NAMING)
    if not isinstance(convention, str):
        raise PitrValidationError(
            f"naming_convention[{_CONVENTION!r}] must be a str such as {DEFAULT_NAMING!r}, not "
            f"{shorten(convention)}"
        )
    return plain(convention)


class _Tokens(dict[str, str]):
    """The tokens of a convention, each to be named: ``%s`` would write them all."""

    def __str__(self) -> str:
        raise TypeError("a token has no name")

    __repr__ = __str__


def conventional_name(
    convention: str, database: str | None, table: str | None = None, *, source: str = "this"
) -> str:
    """The name of a policy that was given none: the convention, made fit to be a PITR's name.

    What a PITR's name cannot have becomes ``_``; what was changed gets a digest, so that different
    objects keep different names. So does ``%(object_name)s``, in which each underscore of the
    database's name is doubled.

    :param table: of a table's policy; None is the database's.
    :param source: what declares it, for messages.
    :raises PitrValidationError: the database is not known, or the convention names nothing.

    >>> conventional_name(DEFAULT_NAMING, "shop", "orders")
    'pitr_shop_orders'
    >>> conventional_name(DEFAULT_NAMING, "my_shop", "orders")
    'pitr_my__shop_orders'
    """
    if database is None:
        raise PitrValidationError(
            f"{source} declares a policy without a name, and its database, which the name "
            "contains, is not known: give it a name, its Table a schema, or say database_name="
        )
    tokens = _Tokens(
        level="database" if table is None else "table",
        database_name=database,
        object_name=_object_name(database, table),
    )
    if table is not None:
        table = tokens["table_name"] = plain(table)
    try:
        wanted = fold(convention % tokens)
        if not wanted:
            raise ValueError("empty")
    except (KeyError, TypeError, ValueError) as error:
        raise PitrValidationError(
            f"naming_convention[{_CONVENTION!r}] {convention!r} does not name {source}: its tokens "
            "are %(object_name)s, %(database_name)s, %(level)s, and for a table %(table_name)s"
        ) from error
    name = fit_pitr_name(wanted)
    limit = MAX_NAME_LENGTH - LONGEST_SUFFIX
    ambiguous = table is not None and table.startswith("_")
    try:
        fits = name == wanted and check_declared_name(name) == name and not ambiguous
    except PitrValidationError:
        fits = False
    if fits:
        return name
    named = "\0".join((wanted, database, fold(table or "")))
    digest = hashlib.sha256(named.encode("utf-8", "surrogatepass")).hexdigest()[:8]
    return check_pitr_name(f"{name[: limit - 9]}_{digest}")


def _object_name(database: str, table: str | None) -> str:
    """A database's and a table's name as one. Underscores of the database's are doubled, so that
    ``core.a_r`` and ``core_a.r`` differ (but for a table whose name begins with one)."""
    escaped = database.replace("_", "__")
    return escaped if table is None else f"{escaped}_{plain(table)}"
