"""``--sql``: PITR statements are held to the end of their revision, as online they follow COMMIT.

Scripts are for clients in autocommit. Nothing is asked of a server, so that names are taken as they
stand, and the default database comes from ``sqlalchemy.url`` or ``-x pitr_database=``.
"""

from __future__ import annotations

import dataclasses
import weakref
from typing import Any

from alembic.runtime.migration import MigrationContext
from sqlalchemy import make_url
from sqlalchemy.exc import ArgumentError

from sqlalchemy_matrixone_pitr.ddl import CreatePitr, PitrDDLElement
from sqlalchemy_matrixone_pitr.errors import PitrValidationError
from sqlalchemy_matrixone_pitr.model import PitrLevel

_held: weakref.WeakKeyDictionary[MigrationContext, list[str]] = weakref.WeakKeyDictionary()


def hold(context: MigrationContext, element: PitrDDLElement) -> None:
    """Keep a statement for the end of the revision that is being written."""
    statement = str(_with_database(context, element))
    if context not in _held:
        _held[context] = []
        context.on_version_apply_callbacks = (
            *context.on_version_apply_callbacks,
            write_held,
        )
    _held[context].append(statement)


def write_held(*, ctx: MigrationContext, **kw: Any) -> None:
    """Write what was held, after a revision's own statements."""
    statements = _held.get(ctx, [])
    while statements:
        ctx.impl.static_output(f"{statements.pop(0)}{ctx.impl.command_terminator}\n")


def _with_database(context: MigrationContext, element: PitrDDLElement) -> PitrDDLElement:
    """The element with the database that online would be the connection's."""
    if not isinstance(element, CreatePitr):
        return element
    pitr = element.pitr
    if pitr.database_name is not None or pitr.level not in (PitrLevel.DATABASE, PitrLevel.TABLE):
        return element
    filled = dataclasses.replace(pitr, database_name=default_database(context, pitr.name))
    return CreatePitr(filled, element.if_not_exists)


def default_database(context: MigrationContext, name: str) -> str:
    """The database of policies that name none.

    :raises PitrValidationError: nothing says which.
    """
    environment = context.environment_context
    if environment is not None:
        asked = environment.get_x_argument(as_dictionary=True).get("pitr_database")
        if isinstance(asked, str) and asked:
            return asked
        url = environment.config.get_main_option("sqlalchemy.url")
        try:
            database = make_url(url).database if url else None
        except ArgumentError:
            database = None
        if database:
            return database
    raise PitrValidationError(
        f"PITR {name!r} names no database, and a script has no connection to ask: put the database "
        "into sqlalchemy.url, or say -x pitr_database=NAME",
        name=name,
    )
