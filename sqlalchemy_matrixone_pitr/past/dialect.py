"""A second dialect object for an engine, which compiles every table as it was at a moment.

It is a copy of the engine's own dialect. Compiled statements are cached by the dialect's identity,
so that past and present stay apart, and the moment is a parameter, so that one compilation serves
all moments. What the copy does otherwise:

===============================  ===================================================================
of a statement                   it
===============================  ===================================================================
a table, in any place            is followed by ``{MO_TS = :matrixone_as_of}``, before its alias
INSERT, UPDATE, DELETE,          is refused: PastWriteError
SELECT ... FOR UPDATE
``as_of()`` inside it            is refused: a statement knows one moment
MATCH ... AGAINST                is refused: the server finds nothing in the past
text that has a SELECT           is refused, unless it names a moment itself
===============================  ===================================================================

Source: docs/server.md, Time travel.
"""

from __future__ import annotations

import re
from collections.abc import Collection
from functools import cache
from typing import Any, Final

from sqlalchemy import BigInteger, bindparam
from sqlalchemy.engine import Connection, Dialect
from sqlalchemy.engine.reflection import Inspector
from sqlalchemy.exc import DBAPIError

from ..connections import AS_OF
from ..errors import PastError, PastWriteError, driver_code_and_text
from ..names import shorten
from ..server import SUPPORTED_DIALECTS
from ..without_literals import without_literals
from .options import PAST_TABLES, PastTable

LEAVE_OUT: Final = (
    "use a connection, or a session, without the execution option matrixone_as_of for it"
)

_MOMENT: Final = re.compile(
    r"\{\s*(?:MO_TS\s*=|AS\s+OF\s+TIMESTAMP\b|TIMESTAMP\s*=|SNAPSHOT\s*=)", re.IGNORECASE
)
_READS_TABLES: Final = re.compile(r"\b(?:FROM|JOIN|TABLE)\b", re.IGNORECASE)
_SELECT: Final = re.compile(r"\bSELECT\b", re.IGNORECASE)


def names_a_moment(text: str) -> bool:
    """Whether a text has a brace part that names a moment.

    >>> names_a_moment("SELECT * FROM t {MO_TS = 5}"), names_a_moment("SELECT '{MO_TS = 5}'")
    (True, False)
    """
    return _MOMENT.search(without_literals(text)) is not None


class PastCompiler:
    """Mixin for a dialect's compiler that reads the past."""

    reads_past = True

    def _then(self, **kw: Any) -> str:
        compiler: Any = self
        parameter = compiler.__dict__.get("_past_parameter")
        if parameter is None:
            parameter = bindparam(AS_OF, type_=BigInteger(), required=True)
            compiler.__dict__["_past_parameter"] = parameter
        literal = kw.get("literal_binds", False)
        return f" {{MO_TS = {compiler.process(parameter, literal_binds=literal)}}}"

    def visit_table(
        self,
        table: Any,
        asfrom: bool = False,
        iscrud: bool = False,
        ashint: bool = False,
        fromhints: Any = None,
        ambiguous_table_name_map: Any = None,
        enclosing_alias: Any = None,
        **kw: Any,
    ) -> str:
        compiler: Any = self
        base: Any = super()
        if ashint or not (asfrom or kw.get("within_tstring")):
            return str(base.visit_table(table, asfrom=asfrom, ashint=ashint, iscrud=iscrud, **kw))
        text = base.visit_table(table, asfrom=asfrom, enclosing_alias=enclosing_alias, **kw)
        schema = compiler.preparer.schema_for_object(table)
        alone = enclosing_alias is None or enclosing_alias.element is not table
        read = PastTable(schema, table.name, text, bool(schema) and alone)
        compiler.__dict__.setdefault(PAST_TABLES, []).append(read)
        text += self._then(**kw)
        ambiguous = (ambiguous_table_name_map or {}).get(table.name)
        if ambiguous is not None and alone and not schema:
            name = compiler._truncated_identifier("alias", ambiguous)
            quoted = compiler.preparer.format_alias(None, name)
            text += compiler.get_render_as_alias_suffix(quoted)
        if fromhints and table in fromhints:
            text = compiler.format_from_hint_text(text, table, fromhints[table], iscrud)
        return str(text)

    def visit_textclause(self, textclause: Any, *arguments: Any, **kw: Any) -> str:
        compiler: Any = self
        base: Any = super()
        within = bool(compiler.stack)
        text = str(base.visit_textclause(textclause, *arguments, **kw))
        if within:
            _check_fragment(text, in_from=bool(kw.get("asfrom")))
        return text

    def visit_tstring(self, tstring: Any, *arguments: Any, **kw: Any) -> str:
        base: Any = super()
        text = str(base.visit_tstring(tstring, *arguments, **kw))
        _check_fragment(text, in_from=bool(kw.get("asfrom")))
        return text

    def escape_literal_column(self, text: str) -> str:
        _check_fragment(text)
        base: Any = super()
        return str(base.escape_literal_column(text))

    def for_update_clause(self, select: Any, **kw: Any) -> str:
        raise PastWriteError(f"SELECT ... FOR UPDATE locks rows of the present: {LEAVE_OUT}")

    def _visit_write(self, statement: Any, *arguments: Any, **kw: Any) -> str:
        raise PastWriteError(
            f"{statement.__visit_name__.upper()} is not sent: this connection reads the past, and "
            f"the past is not written. {LEAVE_OUT.capitalize()}"
        )

    visit_insert = visit_update = visit_delete = _visit_write

    def _visit_match(self, *arguments: Any, **kw: Any) -> str:
        raise PastError(
            "MATCH ... AGAINST finds nothing in the past, whatever was there: search with LIKE, or "
            "on a copy of the table"
        )

    visit_mysql_match = visit_match_op_binary = visit_not_match_op_binary = _visit_match


def _check_fragment(text: str, *, in_from: bool = False) -> None:
    """
    :raises PastError: a piece of text reads a table of the present.
    """
    plain = without_literals(text)
    if (in_from or _SELECT.search(plain)) and not _MOMENT.search(plain):
        raise PastError(
            f"the text {shorten(text)} would read the present in a statement that reads the past: "
            "write the moment into it, as moment.sql, or use a Table"
        )


# --------------------------------------------------------------------------------------------- text

_READING: Final = ("SELECT", "WITH", "EXPLAIN", "VALUES", "TABLE")
_HARMLESS: Final = ("SET", "USE", "COMMIT", "ROLLBACK", "BEGIN", "START", "SHOW", "KILL")
_SHOWN: Final = re.compile(
    r"\s*SHOW\s+(?:CREATE\s+(?:TABLE|DATABASE|VIEW)|(?:FULL\s+)?TABLES)\b", re.IGNORECASE
)
_SCHEMAS: Final = re.compile(r"\s*SHOW\s+(?:DATABASES|SCHEMAS)\s*;?\s*", re.IGNORECASE)
_SHOW_OF_NOW: Final = re.compile(
    r"\s*SHOW\s+(?:DATABASES|SCHEMAS|TABLE|(?:EXTENDED\s+)?(?:FULL\s+)?(?:COLUMNS|FIELDS)|INDEX|"
    r"INDEXES|KEYS|TRIGGERS|SEQUENCES)\b",
    re.IGNORECASE,
)


def text_of_then(statement: str, nanoseconds: int) -> str:
    """A statement that was given as text, as it is sent where all is read as of a moment.

    SHOW CREATE TABLE, SHOW TABLES and SHOW DATABASES get the moment, which is how SQLAlchemy
    reflects; other texts must name a moment themselves, or read no table.

    >>> text_of_then("SHOW CREATE TABLE `shop`.`orders`", 5)
    'SHOW CREATE TABLE `shop`.`orders` {MO_TS = 5}'

    :raises PastWriteError: it writes.
    :raises PastError: it would read the present.
    """
    plain = without_literals(statement)
    first = re.match(r"[\s(]*([A-Za-z]+)", plain)
    word = "" if first is None else first[1].upper()
    then = f" {{MO_TS = {nanoseconds}}}"
    if ";" in plain.rstrip().removesuffix(";"):
        word = ""  # several statements: one may write
    elif _MOMENT.search(plain):
        if word in _READING or word == "SHOW":
            return statement
    elif _SCHEMAS.fullmatch(plain):
        return (
            f"SELECT datname AS `Database` FROM mo_catalog.mo_database{then} "
            "WHERE account_id = current_account_id() ORDER BY datname"
        )
    elif _SHOWN.match(plain):
        return statement.rstrip().rstrip(";") + then
    elif word in ("DESC", "DESCRIBE") or _SHOW_OF_NOW.match(plain):
        raise PastError(
            f"{shorten(statement)} would read the present: inspect(connection) on a connection of "
            "the past reads definitions as they were"
        )
    elif word in _HARMLESS or (word in _READING and not _READS_TABLES.search(plain)):
        return statement
    elif word in _READING:
        raise PastError(
            f"{shorten(statement)} would read the present: what is sent as text names its moment "
            "itself, behind each table, as moment.sql; or use Tables"
        )
    raise PastWriteError(
        f"{shorten(statement)} is not sent: this connection reads the past, and the past is not "
        f"written. {LEAVE_OUT.capitalize()}"
    )


# ------------------------------------------------------------------------------------------- scans

_ALL: Final = 18446744073709551615
"""LIMIT of a derived table that is meant to have all rows."""


def without_indexes(statement: str, tables: Collection[PastTable]) -> str:
    """A compiled statement whose tables are scanned, never read through an index.

    The history of a table's indexes is not kept under a table's policy. The planner takes
    one for ``WHERE g = 5`` in a derived table and in a CTE too, on 3.0.9 whatever IGNORE INDEX or
    USE INDEX says, but not behind a LIMIT.

    >>> table = PastTable(None, "t", "t", False)
    >>> without_indexes("SELECT t.a FROM t {MO_TS = %s} WHERE t.g = %s", [table])
    'SELECT t.a FROM (SELECT * FROM t {MO_TS = %s} LIMIT 18446744073709551615) AS t WHERE t.g = %s'

    :raises PastError: a table that cannot be written so.
    """
    for table in dict.fromkeys(tables):
        pattern = (
            rf"(?<![\w`.$]){re.escape(table.sql)} \{{MO_TS = (?:%s|%\(\w+\)s|\?|:\w+|[0-9]+)\}}"
            r"(?P<alias> AS )?"
        )
        name = table.sql.rpartition(".")[2]

        def scan(found: re.Match[str], name: str = name) -> str:
            read = found[0].removesuffix(" AS ")
            return f"(SELECT * FROM {read} LIMIT {_ALL}) AS {'' if found['alias'] else name}"

        statement, count = re.subn(pattern, scan, statement)
        if table.qualified or not count:
            raise PastError(
                f"{table.sql} has no policy that keeps the history of its indexes, and this "
                "statement may read it through one: give it an alias, table.alias(), which is "
                "scanned; a policy of the database keeps indexes too"
            )
    return statement


# ------------------------------------------------------------------------------------------ dialect


class PastDialect:
    """Mixin for a dialect that reads the past.

    :ivar present: the dialect that it is a copy of.
    """

    present: Dialect

    @property
    def _has_events(self) -> bool:
        """Listeners of the dialect are shared, and may be added later."""
        return bool(self.present._has_events)

    @_has_events.setter
    def _has_events(self, has: bool) -> None:
        self.present._has_events = has

    def has_table(
        self, connection: Connection, table_name: str, schema: str | None = None, **kw: Any
    ) -> bool:
        """By SHOW CREATE TABLE, which takes a moment; DESCRIBE does not."""
        dialect: Any = self
        parts = [part for part in (schema or dialect.default_schema_name, table_name) if part]
        name = ".".join(dialect.identifier_preparer._quote_free_identifiers(*parts))
        try:
            with connection.exec_driver_sql(
                f"SHOW CREATE TABLE {name}", execution_options={"skip_user_error_events": True}
            ) as found:
                return found.fetchone() is not None
        except DBAPIError as error:
            if driver_code_and_text(error.orig)[0] in (1146, 1049, 1051, 1064):
                return False
            raise


class _PastInspector:
    """Inspector of a connection that reads the past."""

    @property
    def dialect(self) -> Dialect:
        return self._dialect

    @dialect.setter
    def dialect(self, dialect: Dialect) -> None:
        self._dialect = past_dialect(dialect)


_KEPT: Final = "_matrixone_past"
"""Attribute of a dialect: its copy."""


def past_dialect(dialect: Dialect) -> Dialect:
    """The copy of a dialect that reads the past; one for each.

    :param dialect: of an engine that has connected: it knows the server by then.
    :raises PastError: not MatrixOne's.
    """
    if isinstance(dialect, PastDialect):
        return dialect
    found = dialect.__dict__.get(_KEPT)
    if found is None:
        if dialect.name not in SUPPORTED_DIALECTS:
            raise PastError(
                f"the execution option {AS_OF} is for MatrixOne: a {dialect.name} database cannot "
                "be read as of a moment"
            )
        kind: Any = type(dialect)
        kind = _class_of_past(kind)
        made = kind.__new__(kind)
        made.__dict__.update(dialect.__dict__)
        made.present = dialect
        made.statement_compiler = _compiler_of_past(made.statement_compiler)
        found = dialect.__dict__.setdefault(_KEPT, made)
    assert isinstance(found, Dialect)
    return found


@cache
def _class_of_past(kind: Any) -> Any:
    inspector = getattr(kind, "inspector", Inspector)
    attributes = {
        "supports_statement_cache": kind.supports_statement_cache,
        "inspector": type(f"Past{inspector.__name__}", (_PastInspector, inspector), {}),
    }
    return type(f"Past{kind.__name__}", (PastDialect, kind), attributes)


@cache
def _compiler_of_past(kind: Any) -> Any:
    return type(f"Past{kind.__name__}", (PastCompiler, kind), {})
