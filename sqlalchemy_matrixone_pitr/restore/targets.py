"""The target of a restore: a database, or tables."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

from ..catalog import Key, ObjectKey
from ..declarations import Databases
from ..errors import PitrValidationError
from ..names import OWN_DATABASE, check_database_name, plain, shorten
from ..past.comparison import Target, find_table

RestoreTarget: TypeAlias = "Target | Sequence[Target]"
"""A Table, a mapped class, ``"db.table"``, a database's name, or several tables."""


@dataclass(frozen=True, slots=True)
class Scope:
    """A database as a whole, or tables.

    :ivar database: None of tables.
    :ivar tables: sorted; () of a database.
    """

    database: str | None
    tables: tuple[Key, ...] = ()

    @property
    def databases(self) -> tuple[str, ...]:
        """The databases that are concerned, sorted."""
        if self.database is not None:
            return (self.database,)
        return tuple(sorted({database for database, _ in self.tables}))

    @property
    def objects(self) -> tuple[ObjectKey, ...]:
        return self.tables if self.database is None else ((self.database, None),)

    def has(self, table: Key) -> bool:
        """Whether a table belongs to it."""
        return table[0] == self.database if self.database is not None else table in self.tables

    def __str__(self) -> str:
        """
        >>> print(Scope("shop"), "|", Scope(None, (("shop", "lines"), ("shop", "orders"))))
        shop | shop.lines, shop.orders
        """
        return self.database or ", ".join(".".join(table) for table in self.tables)


def find_scope(target: RestoreTarget, databases: Databases) -> Scope:
    """The server's names of a target.

    :raises PitrValidationError: it is none, names something twice, or is the system's or ours.
    """
    if isinstance(target, str) and "." not in target:
        check_database_name(target)
        scope = Scope(databases.real(plain(target)) or target)
    else:
        several = isinstance(target, list | tuple | set | frozenset)
        each: list[Any] = list(target) if several else [target]  # type: ignore[arg-type]
        if not each:
            raise PitrValidationError("no table is given: there is nothing to restore")
        keys = [_table(one, databases, several) for one in each]
        for number, key in enumerate(keys):
            if key in keys[:number]:
                raise PitrValidationError(f"{'.'.join(key)} is given twice")
        scope = Scope(None, tuple(sorted(keys)))
    for database in scope.databases:
        if database == OWN_DATABASE:
            raise PitrValidationError(f"{database} is where safety copies are: it is not restored")
    return scope


def _table(target: Any, databases: Databases, several: bool) -> Key:
    if several and isinstance(target, str) and "." not in target:
        raise PitrValidationError(
            f"{shorten(target)} is no table: of several each is 'db.table', a Table or a mapped "
            "class; a database is restored by itself"
        )
    key, _ = find_table(target, databases)
    check_database_name(key[0])
    return key
