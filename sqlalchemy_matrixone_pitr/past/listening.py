"""Hearing the execution option ``matrixone_as_of``, wherever it is set.

SQLAlchemy ignores an execution option that nobody knows, and a read of the past that reads the
present is worse than an error. So these listeners are on the class Engine, for ``mysql+...`` URLs
and all others, from the first :class:`Moment` on: the option takes nothing else. A program that
makes no Moment has none of them; in one that does they cost each statement 3 microseconds.

What happens, in the order of SQLAlchemy's execution:

1. ``before_execute``: the options of the statement, its connection and its engine are one mapping
   by now. With a moment in it the connection gets the dialect of the past, and the statement the
   moment as a parameter; without one it gets its own dialect back. So a moment may come and go with
   each statement.
2. The dialect compiles (:mod:`.dialect`), and refuses what writes.
3. ``before_cursor_execute``: what was given as text is looked at, and whether something keeps the
   moment for the tables that are read (:mod:`..coverage.reading`), before anything is sent.
4. ``handle_error``: where the server says that the moment's files are gone, so does the error.
"""

from __future__ import annotations

import functools
from collections.abc import Mapping
from typing import Any, Final

from sqlalchemy import event
from sqlalchemy.engine import Connection, Engine, ExceptionContext
from sqlalchemy.sql.compiler import Compiled
from sqlalchemy.sql.ddl import ExecutableDDLElement
from sqlalchemy.sql.schema import DefaultGenerator

from ..connections import AS_OF, QUIET_LISTENERS
from ..coverage.reading import check_statement
from ..errors import GONE, PastError, PastNotKeptError, PastWriteError, driver_code_and_text
from ..moment import Moment
from .dialect import LEAVE_OUT, PastDialect, past_dialect, text_of_then, without_indexes
from .options import NAMED_MOMENTS, PAST_TABLES, moment_of_options
from .session import attach_if_orm


@functools.cache
def listen() -> None:
    """Add the listeners, once in a process."""
    event.listen(Engine, "set_engine_execution_options", _on_options)
    event.listen(Engine, "set_connection_execution_options", _on_connection_options)
    QUIET_LISTENERS.add(_on_connect)
    event.listen(Engine, "engine_connect", _on_connect)
    event.listen(Engine, "before_execute", _on_statement, retval=True)
    event.listen(Engine, "before_cursor_execute", _on_cursor, retval=True)
    event.listen(Engine, "handle_error", _on_error, retval=True)
    attach_if_orm()


def _on_options(engine: Engine, options: Mapping[str, Any]) -> None:
    if AS_OF in options:
        moment_of_options(options)


def _on_connection_options(connection: Connection, options: Mapping[str, Any]) -> None:
    if AS_OF in options:
        _set_dialect(connection, moment_of_options(options) is not None)


def _on_connect(connection: Connection) -> None:
    if AS_OF in connection.get_execution_options():
        _set_dialect(connection, moment_of_options(connection.get_execution_options()) is not None)


def _set_dialect(connection: Connection, past: bool) -> None:
    """``inspect(connection)`` and the next compilation take the dialect from here."""
    if past:
        connection.dialect = past_dialect(connection.dialect)
    elif isinstance(connection.dialect, PastDialect):
        connection.dialect = connection.dialect.present


def _on_statement(
    connection: Connection, element: Any, many: Any, one: Any, options: Mapping[str, Any]
) -> tuple[Any, Any, Any]:
    moment = moment_of_options(options)
    own = getattr(element, "_execution_options", {}).get(AS_OF)
    if own is not None and own != moment:
        raise PastError(
            f"the statement says {AS_OF}={own}, and its connection {moment}, which would overrule "
            "it: give the option to execute(), or to one of them"
        )
    _set_dialect(connection, moment is not None)
    if moment is None or isinstance(many[0] if many else one, _Then):
        return element, many, one
    _check_identity(element, moment, connection, options)
    if isinstance(element, ExecutableDDLElement | DefaultGenerator):
        raise PastWriteError(
            f"{type(element).__name__} is not sent: this connection reads the past, and the past "
            f"is not written. {LEAVE_OUT.capitalize()}"
        )
    if isinstance(element, Compiled):
        raise PastError(
            "a statement that was compiled before is of the present: execute the statement itself"
        )
    then = {AS_OF: moment.nanoseconds}
    if many:
        return element, [_Then(each, **then) for each in many], one
    return element, many, _Then(one or {}, **then)


_LOADS_OBJECTS: Final = "_result_disable_adapt_to_context"
"""Execution option of SQLAlchemy's own, of every statement that a Session executes for the ORM; its
load options are there only where one of them is not the default."""


class _Then(dict[str, Any]):
    """Parameters that have the moment, so that this execution was heard before: an engine with
    execution options of its own hears the listeners of the class twice."""


def _check_identity(
    element: Any, moment: Moment, connection: Connection, options: Mapping[str, Any]
) -> None:
    """
    :raises PastError: objects of the past would be taken for those of the present.
    """
    load: Any = options.get("_sa_orm_load_options")
    if load is None and not options.get(_LOADS_OBJECTS):
        return
    if connection.get_execution_options().get(AS_OF) == moment:
        return
    if load is None or load._identity_token != moment:
        attach_if_orm()
        raise PastError(
            f"this Session did not hear of the execution option {AS_OF}, and would take objects of "
            "the past for those of the present: use past_session(), or execute it again"
        )


def _on_cursor(
    connection: Connection,
    cursor: Any,
    statement: str,
    parameters: Any,
    context: Any,
    executemany: bool,
) -> tuple[str, Any]:
    if context.__dict__.get(_HEARD) == statement:  # once, as of _Then
        return statement, parameters
    found = context.__dict__[_HEARD] = _read_then(connection, statement, context)
    return found, parameters


_HEARD: Final = "_matrixone_heard"
"""Attribute of an execution's context: the statement as it was sent."""


def _read_then(connection: Connection, statement: str, context: Any) -> str:
    """A statement as it is sent: of the past, where it is read, and past what keeps it."""
    compiled = context.compiled
    named = getattr(compiled, NAMED_MOMENTS, ())
    moment = None
    if AS_OF in context.execution_options:
        moment = moment_of_options(context.execution_options)
    if moment is None and not named:
        return statement
    if moment is not None and (compiled is None or compiled.isplaintext):
        return text_of_then(statement, moment.nanoseconds)
    for name in named:
        value = context.compiled_parameters[0][name]
        if moment is not None and value != moment.nanoseconds:
            raise PastError(
                f"as_of() in a statement that is read as of {moment} as a whole, by the execution "
                f"option {AS_OF}, names another moment: MatrixOne knows one past moment in a "
                "statement"
            )
        moment = Moment(value)
    tables = getattr(compiled, PAST_TABLES, ())
    if moment is not None and tables:
        names = [(table.schema, table.name) for table in tables]
        unindexed = check_statement(connection, names, moment, context.execution_options)
        if unindexed:
            read = [table for table in tables if (table.schema, table.name) in unindexed]
            statement = without_indexes(statement, read)
    return statement


def _on_error(error: ExceptionContext) -> PastNotKeptError | None:
    """The files of a moment are gone: an error instead of no rows, as long as nobody has read the
    table between its change and the collection. The catalogue's own reads are left alone."""
    code, text = driver_code_and_text(error.original_exception)
    statement = error.statement or getattr(error.execution_context, "statement", None) or ""
    if code != GONE or "{MO_TS" not in statement or "mo_catalog" in statement:
        return None
    return PastNotKeptError(
        f"the server has collected what this statement reads of the past: {text}. Nothing kept it; "
        "check_kept() tells which moments are kept, and by what",
        errno=code,
        statement=statement,
        orig=error.original_exception,
    )
