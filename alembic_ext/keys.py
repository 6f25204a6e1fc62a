"""Autogenerate's reading of keys: as the models declare them, not as the server lists them.

=====================================  ========================================================
the server                             what is compared
=====================================  ========================================================
shows rules of a foreign key that      no rules, no name
has none, and makes up its name        (:func:`~sqlalchemy_matrixone_pitr.dialect.
                                       foreign_key_as_declared`)
forgets the name of a UNIQUE that      the declared name, where the columns are the same
CREATE TABLE makes (``mysql+...``)
writes the names of keys small         the declared spelling
=====================================  ========================================================

A UNIQUE that nobody declares keeps the server's name: it is dropped by it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, TypeVar, cast

from alembic.autogenerate.api import AutogenContext
from alembic.operations.ops import UpgradeOps
from alembic.util import PriorityDispatchResult
from sqlalchemy import Connection, Table, UniqueConstraint
from sqlalchemy.engine.interfaces import (
    Dialect,
    ReflectedIndex,
    ReflectedUniqueConstraint,
    TableKey,
)

from sqlalchemy_matrixone_pitr import server
from sqlalchemy_matrixone_pitr.dialect import MatrixOneInspector
from sqlalchemy_matrixone_pitr.names import fold

_Key = TypeVar("_Key", ReflectedIndex, ReflectedUniqueConstraint)

Names = dict[str, str]
"""Names of keys: the server's -> the declared one."""


def is_matrixone(autogen_context: AutogenContext) -> bool:
    """Whether the database that is compared is MatrixOne's."""
    connection, dialect = autogen_context.connection, autogen_context.dialect
    if connection is None or dialect is None or dialect.name not in server.SUPPORTED_DIALECTS:
        return False
    return server.matrixone_version(connection) is not None


def read_keys_as_declared(
    autogen_context: AutogenContext, upgrade_ops: UpgradeOps
) -> PriorityDispatchResult:
    """A comparator that runs before all others, and lets them read through an inspector of ours."""
    connection = autogen_context.connection
    if connection is not None and is_matrixone(autogen_context):
        tables = autogen_context.table_key_to_table.values()
        autogen_context.inspector = DeclaredKeysInspector.of(connection, tables)
    return PriorityDispatchResult.CONTINUE


class DeclaredKeysInspector(MatrixOneInspector):
    """An inspector that calls UNIQUE keys as the tables of a MetaData do."""

    _tables: Mapping[TableKey, Table]

    @classmethod
    def of(cls, connection: Connection, tables: Iterable[Table]) -> DeclaredKeysInspector:
        """Make one directly: ``inspect()`` asks the dialect for its own class."""
        inspector = cls.__new__(cls)
        inspector._init_connection(connection)
        default = inspector.default_schema_name
        inspector._tables = {
            (None if table.schema == default else table.schema, table.name): table
            for table in tables
        }
        return inspector

    def get_indexes(
        self, table_name: str, schema: str | None = None, **kw: Any
    ) -> list[ReflectedIndex]:
        found = super().get_indexes(table_name, schema, **kw)
        return renamed(found, self._names((schema, table_name), found))

    def get_multi_indexes(self, *arguments: Any, **kw: Any) -> dict[TableKey, list[ReflectedIndex]]:
        found = super().get_multi_indexes(*arguments, **kw)
        return {key: renamed(some, self._names(key, some)) for key, some in found.items()}

    def get_unique_constraints(
        self, table_name: str, schema: str | None = None, **kw: Any
    ) -> list[ReflectedUniqueConstraint]:
        found = super().get_unique_constraints(table_name, schema, **kw)
        indexes = super().get_indexes(table_name, schema, **kw)
        return renamed(found, self._names((schema, table_name), indexes))

    def get_multi_unique_constraints(
        self, *arguments: Any, **kw: Any
    ) -> dict[TableKey, list[ReflectedUniqueConstraint]]:
        found = super().get_multi_unique_constraints(*arguments, **kw)
        indexes = super().get_multi_indexes(*arguments, **kw)
        return {
            key: renamed(some, self._names(key, indexes.get(key, ())))
            for key, some in found.items()
        }

    def _names(self, key: TableKey, indexes: Iterable[ReflectedIndex]) -> Names:
        table = self._tables.get(key)
        return {} if table is None else declared_names(table, indexes, self.dialect)


def declared_names(table: Table, indexes: Iterable[ReflectedIndex], dialect: Dialect) -> Names:
    """The declared names of keys that the server calls otherwise: in small letters, or by columns.

    :param indexes: all that the server has of the table.

    >>> from sqlalchemy import Column, Integer, MetaData
    >>> from sqlalchemy.dialects.mysql import dialect
    >>> columns = Column("item", Integer), UniqueConstraint("item", name="uq_item")
    >>> there: Any = {"name": "item", "column_names": ["item"], "unique": True}
    >>> declared_names(Table("orders", MetaData(), *columns), [there], dialect())
    {'item': 'uq_item'}
    """
    declared = {
        name: sorted(column.name for column in unique.columns)
        for unique in table.constraints
        if isinstance(unique, UniqueConstraint) and (name := _final_name(unique, dialect))
    }
    of_indexes = {str(index.name) for index in table.indexes}
    spelled = {fold(name): name for name in (*declared, *of_indexes)}
    found: Names = {
        name: spelled[name]
        for name in (str(index["name"]) for index in indexes)
        if name in spelled and spelled[name] != name
    }
    there = {
        str(index["name"]): sorted(str(column) for column in index["column_names"])
        for index in indexes
        if index["unique"]
        and index["name"] not in of_indexes
        and index["name"] not in found
        and is_made_up(index)
    }
    missing = {
        name: columns
        for name, columns in declared.items()
        if there.get(name) != columns and name not in found.values()
    }
    for name, columns in there.items():
        if declared.get(name) == columns:
            continue
        match = next((other for other, wanted in missing.items() if wanted == columns), None)
        if match is not None:
            found[name] = match
            del missing[match]
    taken = {str(index["name"]) for index in indexes} - set(found)
    return {name: other for name, other in found.items() if other not in taken}


def is_made_up(index: ReflectedIndex) -> bool:
    """Whether the server may have named a UNIQUE key: after its first column, and ``_2`` and so on.

    >>> [is_made_up({"name": name, "column_names": ["item"]}) for name in ("item_2", "uq_item")]
    [True, False]
    """
    first = str(index["column_names"][0])
    name = str(index["name"])
    return name == first or (name.startswith(f"{first}_") and name[len(first) + 1 :].isdecimal())


def _final_name(unique: UniqueConstraint, dialect: Dialect) -> str | None:
    """The name that is sent: by the naming convention, and not too long."""
    if unique.name is None:
        return None
    preparer: Any = dialect.identifier_preparer
    return cast("str | None", preparer.format_constraint(unique, _alembic_quote=False))


def renamed(keys: Iterable[_Key], names: Names) -> list[_Key]:
    """Reflected keys under other names."""
    found: list[_Key] = []
    for key in keys:
        name = names.get(str(key["name"]))
        if name is None:
            found.append(key)
            continue
        other: Any = {**key, "name": name}
        if "duplicates_index" in other:
            other["duplicates_index"] = name
        found.append(other)
    return found
