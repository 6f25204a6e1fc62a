"""Changes of one table of a left join, which SQLAlchemy's own elements do not write.

Source: docs/server.md, Time travel.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from sqlalchemy import ColumnElement, Executable
from sqlalchemy.engine import Connection
from sqlalchemy.exc import CompileError
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql import ClauseElement, FromClause
from sqlalchemy.sql.compiler import SQLCompiler

from ..errors import PastError
from ..server import SUPPORTED_DIALECTS, require_matrixone, rules_of


class ChangeJoined(Executable, ClauseElement):
    """A change of one table of a left join, which SQLAlchemy's own elements do not write."""

    stringify_dialect = "mysql"

    def __init__(self, target: FromClause, joined: FromClause, where: ColumnElement[bool]) -> None:
        self.target = target
        self.joined = joined
        self.where = where


class DeleteJoined(ChangeJoined):
    """``DELETE c FROM t AS c LEFT JOIN ... WHERE ...``"""

    inherit_cache = False


class SetJoined(ChangeJoined):
    """``UPDATE t AS c LEFT JOIN ... SET c.a = NULL, ... WHERE ...``

    :param values: of columns, by their keys.
    """

    inherit_cache = False

    def __init__(
        self,
        target: FromClause,
        joined: FromClause,
        where: ColumnElement[bool],
        values: Mapping[str, ColumnElement[Any]],
    ) -> None:
        super().__init__(target, joined, where)
        self.values = values


@compiles(DeleteJoined)
@compiles(SetJoined)
def _visit_unsupported(element: ChangeJoined, compiler: SQLCompiler, **kw: Any) -> str:
    raise CompileError(
        f"this statement is MatrixOne's: dialect {compiler.dialect.name!r} does not know it"
    )


@compiles(DeleteJoined, *SUPPORTED_DIALECTS)
def _visit_delete(element: DeleteJoined, compiler: Any, **kw: Any) -> str:
    target: Any = element.target
    return (
        f"DELETE {compiler.preparer.quote(target.name)} "
        f"FROM {compiler.process(element.joined, asfrom=True, **kw)} "
        f"WHERE {compiler.process(element.where, **kw)}"
    )


@compiles(SetJoined, *SUPPORTED_DIALECTS)
def _visit_set(element: SetJoined, compiler: Any, **kw: Any) -> str:
    changes = (
        f"{compiler.process(element.target.c[name], **kw)} = {compiler.process(value, **kw)}"
        for name, value in element.values.items()
    )
    return (
        f"UPDATE {compiler.process(element.joined, asfrom=True, **kw)} "
        f"SET {', '.join(changes)} "
        f"WHERE {compiler.process(element.where, **kw)}"
    )


LARGEST: Final = 8192
"""Rows of the largest UPDATE of a join that 3.x does right: of more it repeats the keys."""


def is_limited(connection: Connection) -> bool:
    """Whether the server does larger UPDATEs of a join wrong."""
    return not rules_of(require_matrixone(connection)).large_joined_updates


def check_size(connection: Connection, rows: int) -> None:
    """Refuse to go on behind an UPDATE of a join that the server did wrong.

    :raises PastError: it did: what the transaction wrote must not be committed.
    """
    if rows > LARGEST and is_limited(connection):
        raise PastError(
            f"this server damages the keys of rows where one UPDATE of a join changes more than "
            f"{LARGEST}, and here it changed {rows}: roll back, and undo fewer at a time by where="
        )
