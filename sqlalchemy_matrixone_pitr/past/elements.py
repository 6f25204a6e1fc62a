"""``as_of()``: a table, alias or mapped class as it was at a moment, as a part of any statement.

The moment is a bound parameter, so that a statement is compiled once however many moments it reads.
But MatrixOne knows one past moment in a statement: where two differ, the first holds for all of
them without a word. So the key under which a compiled statement is cached says which elements share
a moment (:meth:`AsOf._gen_cache_key`), and the compiler refuses two.

Source: docs/server.md, Time travel.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeVar, cast, overload

from sqlalchemy import BigInteger, Column, Join, Table, bindparam, inspect as inspect_
from sqlalchemy.exc import CompileError, NoInspectionAvailable
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql import FromClause, TableClause, visitors
from sqlalchemy.sql.compiler import SQLCompiler
from sqlalchemy.sql.elements import _truncated_label
from sqlalchemy.sql.selectable import (
    Alias,
    AliasedReturnsRows,
    FromClauseAlias,
    FromGrouping,
    Subquery,
)
from sqlalchemy.sql.util import ClauseAdapter, ColumnAdapter
from sqlalchemy.sql.visitors import InternalTraversal, replacement_traverse

from ..errors import PastError, PitrValidationError
from ..moment import Moment, MomentLike
from ..names import shorten
from ..server import SUPPORTED_DIALECTS
from .options import NAMED_MOMENTS, PAST_TABLES, PastTable

if TYPE_CHECKING:
    from sqlalchemy.orm.util import AliasedClass

_T = TypeVar("_T")


class AsOf(FromClauseAlias):  # type: ignore[type-arg, unused-ignore]
    """A table as it was at a moment: ``shop.orders {MO_TS = n} AS orders_1``; see :func:`as_of`.

    :ivar moment: when it is read.
    :ivar is_of_caller: whether the caller has made it; else it is of a column_property.
    """

    is_of_caller = True

    __visit_name__ = "matrixone_as_of"

    _traverse_internals = [  # noqa: RUF012
        *AliasedReturnsRows._traverse_internals,
        ("nanoseconds", InternalTraversal.dp_clauseelement),
    ]

    moment: Moment

    def _init(self, selectable: Any, *, name: str | None = None, moment: Moment) -> None:  # type: ignore[override]
        super()._init(selectable, name=name)
        self.moment = moment
        self.nanoseconds = bindparam("as_of", moment.nanoseconds, BigInteger(), unique=True)

    def _gen_cache_key(self, anon_map: Any, bindparams: Any) -> Any:
        """The key of an alias, and which of the statement's moments it is, by order of appearance.

        The moment itself is a parameter, and in no key.
        """
        key = super()._gen_cache_key(anon_map, bindparams)
        if key is None:
            return None
        moments = anon_map.get(AsOf)
        if moments is None:
            moments = anon_map[AsOf] = {}
        number = moments.setdefault(self.moment, len(moments))
        return (*key, "as of", number)


@overload
def as_of(selectable: type[_T], moment: MomentLike, *, name: str | None = None) -> type[_T]: ...
@overload
def as_of(
    selectable: AliasedClass[_T], moment: MomentLike, *, name: str | None = None
) -> AliasedClass[_T]: ...
@overload
def as_of(selectable: FromClause, moment: MomentLike, *, name: str | None = None) -> FromClause: ...
def as_of(selectable: Any, moment: MomentLike, *, name: str | None = None) -> Any:
    """A table, an alias of one, a join, or a mapped class, as it was at a moment.

    Of a Table it is an alias of its own, with the table's columns; of a mapped class an aliased
    entity. Either goes wherever SQLAlchemy takes an alias: select, join, subquery, CTE, EXISTS,
    INSERT ... FROM SELECT. The rest of the statement is read now, so past and present can be
    compared in one; but all moments of a statement must be the same.

    What keeps the moment is asked when the statement is executed, once a minute for a table: see
    :func:`check_kept`. A moment in the future is refused then, too.

    :param name: of the alias; None makes one.
    :raises PitrValidationError: no moment, or nothing that has a past of its own: a subquery or CTE
        is made *from* ``as_of()``.

    >>> from sqlalchemy import Column, Integer, MetaData, Table, select
    >>> orders = Table("orders", MetaData(), Column("id", Integer, primary_key=True))
    >>> then = as_of(orders, Moment.parse("2026-11-22 09:30:00Z"))
    >>> print(str(select(then.c.id)).replace(chr(10), ""))
    SELECT orders_1.id FROM orders {MO_TS = :as_of_1} AS orders_1
    """
    at = Moment.of(moment)
    if isinstance(selectable, FromClause):
        return _from_clause(selectable, at, name)
    try:
        found: Any = inspect_(selectable)
    except NoInspectionAvailable:
        found = None
    if getattr(found, "is_mapper", False) or getattr(found, "is_aliased_class", False):
        return _entity(found, at, name)
    if isinstance(found, FromClause):
        return _from_clause(found, at, name)
    raise PitrValidationError(
        f"as_of takes a Table, an alias of one, or a mapped class, not {shorten(selectable)}"
    )


def _from_clause(selectable: FromClause, at: Moment, name: str | None) -> FromClause:
    """Each table of a FROM element as it was."""
    if isinstance(selectable, Alias) and isinstance(selectable.element, TableClause):
        own = selectable.name if name is None else name
        return AsOf._construct(
            selectable.element,
            name=None if isinstance(own, _truncated_label) else own,
            moment=at,
        )
    if isinstance(selectable, TableClause):
        return AsOf._construct(selectable, name=name, moment=at)
    if isinstance(selectable, Join):
        return _join(selectable, at, name)
    if isinstance(selectable, FromGrouping):
        return _from_clause(selectable.element, at, name)
    if isinstance(selectable, AsOf):
        raise PitrValidationError(
            f"as_of of {selectable.element} at {selectable.moment} is of a moment already"
        )
    raise PitrValidationError(
        f"a {type(selectable).__name__} has no past of its own: make it from as_of(table, moment), "
        "or read all of a statement then, with the execution option matrixone_as_of"
    )


def _join(join: Join, at: Moment, name: str | None) -> Join:
    """A join of tables as they were, under names of their own: as SQLAlchemy aliases one flat."""
    left = _from_clause(join.left, at, _part_of(name, join.left))
    right = _from_clause(join.right, at, _part_of(name, join.right))
    adapter = ClauseAdapter(left).chain(ClauseAdapter(right))
    onclause = adapter.traverse(join.onclause)
    return Join(left, right, cast(Any, onclause), isouter=join.isouter, full=join.full)


def _part_of(name: str | None, part: FromClause) -> str | None:
    if name is None or isinstance(part, Join | FromGrouping):
        return name
    return f"{name}_{getattr(part, 'name', 'anon')}"


def _union(union: Subquery, at: Moment, name: str | None) -> FromClause:
    """A union of tables as they were, with the columns of the present one."""
    made: dict[Any, FromClause] = {}

    def replace(part: Any, **_: Any) -> Any:
        table = part.table if isinstance(part, Column) else part
        if not isinstance(table, Table):
            return None
        then = made.setdefault(table, as_of(table, at))
        return then.c[part.key] if isinstance(part, Column) else then

    traverse: Any = replacement_traverse
    then: Subquery = traverse(union, {}, replace)
    return then if name is None else then.element.subquery(name)


def _entity(found: Any, at: Moment, name: str | None) -> Any:
    """An aliased entity whose selectable is of the moment."""
    from sqlalchemy.orm import aliased, with_polymorphic

    from .session import attach

    attach()
    if isinstance(found.selectable, Subquery):  # concrete inheritance: polymorphic_union()
        union = _union(found.selectable, at, name)
        return aliased(found.mapper.class_, union, adapt_on_names=True)
    then = _from_clause(found.selectable, at, name)
    if found.is_aliased_class and found.with_polymorphic_mappers:
        classes = [mapper.class_ for mapper in found.with_polymorphic_mappers]
        made = with_polymorphic(found.mapper.class_, classes, then)
    else:
        made = aliased(found.mapper.class_, then)
    _adapt_column_properties(found.mapper, inspect_(made), then, at)
    return made


def _adapt_column_properties(mapper: Any, made: Any, then: FromClause, at: Moment) -> None:
    """Have ``column_property()`` of an entity read other tables at the moment, too."""
    expressions = [one.expression for one in mapper.column_attrs]
    read = {
        part
        for expression in expressions
        if not isinstance(expression, Column)
        for part in visitors.iterate(expression)
        if isinstance(part, Table) and part not in mapper.tables
    }
    own = next(one for one in visitors.iterate(then) if isinstance(one, AsOf))
    for table in sorted(read, key=lambda one: str(one.fullname)):
        other = AsOf._construct(table, name=None, moment=at)
        other.is_of_caller = False
        other.nanoseconds = own.nanoseconds  # the statement's own parameter, where it is cached
        made._adapter.chain(ColumnAdapter(other))


# ------------------------------------------------------------------------------------------ visitor


def moments_in(statement: Any) -> list[Moment]:
    """The moments that a statement's elements name, each once."""
    return list(
        dict.fromkeys(one.moment for one in visitors.iterate(statement) if isinstance(one, AsOf))
    )


@compiles(AsOf)
def _visit_unsupported(element: AsOf, compiler: SQLCompiler, **kw: Any) -> str:
    if compiler.dialect.name == "default":  # str() of a statement without an engine
        return _visit_as_of(element, compiler, **kw)
    raise CompileError(
        f"as_of() is MatrixOne's: dialect {compiler.dialect.name!r} reads no past; supported are "
        f"{', '.join(SUPPORTED_DIALECTS)} (use a matrixone+pymysql:// or mysql+pymysql:// URL)"
    )


@compiles(AsOf, *SUPPORTED_DIALECTS)
def _visit_as_of(
    element: AsOf,
    compiler: Any,
    asfrom: bool = False,
    ashint: bool = False,
    fromhints: Any = None,
    from_linter: Any = None,
    iscrud: bool = False,
    **kw: Any,
) -> str:
    """``table {MO_TS = parameter} AS name``; elsewhere as an alias."""
    if not asfrom or ashint:
        return str(compiler.visit_alias(element, asfrom=asfrom, ashint=ashint, iscrud=iscrud, **kw))
    _check_one_moment(element, compiler)
    if element.is_of_caller:
        _check_eager_joins(element, compiler)
    name: Any = element.name
    if isinstance(name, _truncated_label):
        name = compiler._truncated_identifier("alias", name)
    if from_linter:
        from_linter.froms[element._de_clone()] = name  # type: ignore[no-untyped-call]
    table = compiler.preparer.format_table(element.element)
    moment = compiler.process(element.nanoseconds, literal_binds=kw.get("literal_binds", False))
    if element.nanoseconds in compiler.bind_names:  # else it is a literal
        names = compiler.__dict__.setdefault(NAMED_MOMENTS, [])
        names.append(compiler.bind_names[element.nanoseconds])
    of: Any = element.element
    schema = compiler.preparer.schema_for_object(of)
    compiler.__dict__.setdefault(PAST_TABLES, []).append(PastTable(schema, of.name, table, False))
    quoted = compiler.preparer.format_alias(element, name)
    text = f"{table} {{MO_TS = {moment}}}{compiler.get_render_as_alias_suffix(quoted)}"
    if fromhints and element in fromhints:
        text = compiler.format_from_hint_text(text, element, fromhints[element], iscrud)
    return text


def _check_eager_joins(element: AsOf, compiler: Any) -> None:
    """
    :raises PastError: an object of the past would be joined to related ones of the present.
    """
    joins = getattr(compiler.compile_state, "eager_joins", None)
    if not joins or getattr(compiler, "reads_past", False):
        return
    for join in joins.values():
        if any(isinstance(one, Table) for one in visitors.iterate(join)):
            raise PastError(
                f"joinedload() beside as_of({element.element}) would read related rows of the "
                "present: read the objects in a past_session()"
            )


def _check_one_moment(element: AsOf, compiler: Any) -> None:
    """
    :raises PastError: the statement reads the past at another moment already.
    """
    first = compiler.__dict__.setdefault("_matrixone_moment", element.moment)
    if first != element.moment:
        raise PastError(
            f"this statement reads {element.element} at {element.moment} and another table at "
            f"{first}: MatrixOne knows one past moment in a statement, and would silently take the "
            "first for both. Read them by two statements"
        )
