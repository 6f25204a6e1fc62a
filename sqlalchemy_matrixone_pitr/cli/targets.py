"""Targets on the command line: what a name means, to every command alike.

==============  ====================================================================
``db.table``    that table
``name``        a table of the URL's database, or else a database: whichever is there
``'name.*'``    the database
==============  ====================================================================

"There" is at the moment in question: of a restore or copy then, of a hold now, of an undrop once.
Where both are there nobody guesses. A command about rows takes tables alone: a name without a dot
is one of the URL's database.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import TYPE_CHECKING, Final, TypeAlias

import click

from .errors import CliError

if TYPE_CHECKING:
    from sqlalchemy.engine import Engine

    from ..catalog import Key, ObjectKey
    from ..moment import Moment

Meant: TypeAlias = "tuple[str, tuple[ObjectKey, ...]]"
"""A name, and what it may mean."""

WHOLE: Final = ".*"
"""End of a name that is a database's, as in GRANT."""


def meanings(engine: Engine, name: str) -> tuple[ObjectKey, ...]:
    """The objects that a name may mean, by the server's names: two of a name without a dot, where
    the URL names a database; a table comes first."""
    from ..declarations import Databases
    from ..names import fold

    if not name.strip():
        raise click.UsageError("the name of a target is empty")
    if name.endswith(WHOLE):
        return ((fold(name.removesuffix(WHOLE)), None),)
    if "." in name:
        return (table_key(engine, name),)
    database = Databases.of(engine).real(None)
    whole: ObjectKey = (fold(name), None)
    return (whole,) if database is None else ((database, fold(name)), whole)


def choose(name: str, meant: Sequence[ObjectKey], there: Collection[ObjectKey]) -> ObjectKey:
    """The object that a name means: of two, the one that is there.

    :raises CliError: neither is there, or both are.
    """
    if len(meant) == 1:
        return meant[0]  # whether it is there, is for the command to say
    found = [key for key in meant if key in there]
    if len(found) == 1:
        return found[0]
    table = f"{meant[0][0]}.{name}"
    if found:
        raise CliError(
            f"{name} is a table of database {meant[0][0]} and a database: write {table} for the "
            f"table, or '{name}{WHOLE}' for the database"
        )
    raise CliError(
        f"{name} is neither a table of database {meant[0][0]} nor a database that was there: write "
        f"{table}, or the table's own database before the dot, or '{name}{WHOLE}' for a database"
    )


def target_then(engine: Engine, name: str, moment: Moment) -> str:
    """The target of a copy as functions take it."""
    return _then(engine, [name], moment)[0]


def targets_then(engine: Engine, names: Sequence[str], moment: Moment) -> str | list[str]:
    """The targets of a restore, as functions take them: one, or a list."""
    return _one_or_all(_then(engine, names, moment))


def _then(engine: Engine, names: Sequence[str], moment: Moment) -> list[str]:
    meant = [(name, meanings(engine, name)) for name in names]
    return _as_given(meant, _there_then(engine, meant, moment))


def targets_held(engine: Engine, names: Sequence[str]) -> str | list[str]:
    """The targets of a hold: what is there now, or what a policy names, though it may be gone."""
    from ..generations import object_of
    from ..moment import Moment
    from ..reflection import get_pitrs

    meant = [(name, meanings(engine, name)) for name in names]
    there = _there_then(engine, meant, Moment.now(engine))
    if there is not None:
        there |= {object_of(pitr) for pitr in get_pitrs(engine) if pitr.database_name is not None}
    return _one_or_all(_as_given(meant, there))


def _there_then(engine: Engine, meant: Sequence[Meant], moment: Moment) -> set[ObjectKey] | None:
    """The objects that were there, of names that may mean two; one statement."""
    from .. import server
    from ..catalog import ids_at
    from ..connections import side_connection

    asked = [key for _, keys in meant if len(keys) > 1 for key in keys]
    if not asked:
        return set()
    databases, tables = {key[0] for key in asked}, {key[1] for key in asked if key[1] is not None}
    with side_connection(engine) as side:
        server.require_matrixone(side)
        side.rollback()
        found = ids_at(side, databases, moment, tables)
    return None if found is None else set(found)


def _as_given(meant: Sequence[Meant], there: set[ObjectKey] | None) -> list[str]:
    """
    :param there: None where the server has forgotten it, as the command will say of a table.
    """
    given = []
    for name, keys in meant:
        database, table = keys[0] if there is None else choose(name, keys, there)
        given.append(database if table is None else f"{database}.{table}")
    return given


def _one_or_all(targets: list[str]) -> str | list[str]:
    return targets[0] if len(targets) == 1 else targets


def table_key(engine: Engine, name: str) -> Key:
    """The table that a command about rows is given.

    :raises CliError: it is given a database.
    """
    from ..declarations import Databases
    from ..past.comparison import find_table

    if name.endswith(WHOLE):
        raise CliError(f"{name} is a database, and this command takes tables: database.table")
    return find_table(name, Databases.of(engine))[0]
