"""``include_name`` and ``include_object``, asked for policies as they are for tables.

Written for tables they work here: ``object.schema``, ``object.table.name``, ``object.info``. A
schema is what the metadata say, before ``schema_translate_map``, and None the default database. A
policy is left out with its table, and with its schema.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from alembic.autogenerate.api import AutogenContext
from sqlalchemy import MetaData, Table

from sqlalchemy_matrixone_pitr.declarations import Bound, Schemas, metadatas
from sqlalchemy_matrixone_pitr.generations import policies, target_of
from sqlalchemy_matrixone_pitr.model import Pitr
from sqlalchemy_matrixone_pitr.status import ServerState


@dataclass(frozen=True, slots=True)
class NoTable:
    """A stand-in for the Table of a policy that is for more than one table."""

    schema: str | None
    name: str | None = None
    fullname: str = ""
    info: dict[Any, Any] = field(default_factory=dict)


class FilteredPitr(Pitr):
    """A policy as ``include_object`` is given it, with what filters look at.

    :ivar schema: None is the default database; also where there is no database.
    :ivar table: the declared Table, where there is one.
    :ivar info: of the table.
    """

    __slots__ = ("info", "schema", "table")

    info: dict[Any, Any]
    schema: str | None
    table: Table | NoTable  # type: ignore[assignment]  # Pitr.table is a constructor

    def __init__(self, pitr: Pitr, table: Table | NoTable) -> None:
        for attribute in Pitr.__slots__:
            object.__setattr__(self, attribute, getattr(pitr, attribute))
        object.__setattr__(self, "table", table)
        object.__setattr__(self, "schema", table.schema)
        object.__setattr__(self, "info", dict(table.info))

    def _with(self, **changed: object) -> Pitr:
        pitr = object.__new__(Pitr)
        for attribute in Pitr.__slots__:
            object.__setattr__(pitr, attribute, getattr(self, attribute))
        return pitr._with(**changed)


class Filters:
    """The filters, each asked once for a policy, declared or not."""

    def __init__(
        self,
        autogen_context: AutogenContext,
        schemas: Schemas,
        bound: Bound,
        state: ServerState,
    ) -> None:
        self._context = autogen_context
        self._names = bound.names
        self._existing = {policy.name: policy for policy in policies(state.pitrs)}
        self._tables: dict[tuple[str | None, str | None], Table] = {
            bound.names.key(table): table
            for metadata in metadatas(schemas)
            for table in metadata.tables.values()
        }

    def included(self, pitr: Pitr) -> bool:
        table, declared = self._table_of(pitr)
        if pitr.database_name is not None and not self._is_schema_included(table.schema):
            return False
        parents: Any = {"schema_name": table.schema, "table_name": table.name}
        if not self._context.run_name_filters(pitr.name, "pitr", parents):  # type: ignore[arg-type]
            return False
        if isinstance(table, Table) and not self._is_table_included(table, declared):
            return False
        shown: Any = FilteredPitr(pitr, table)
        there: Any = self._compared_to(pitr, table)
        reflected = pitr.status is not None
        return self._context.run_object_filters(shown, pitr.name, "pitr", reflected, there)  # type: ignore[arg-type]

    def _table_of(self, pitr: Pitr) -> tuple[Table | NoTable, bool]:
        """A policy's table, and whether it is declared; else one of that name stands for it."""
        declared = self._tables.get((pitr.database_name, pitr.table_name))
        if declared is not None:
            return declared, True
        schema = self._names.declared(pitr.database_name)
        if pitr.table_name is None:
            return NoTable(schema), False
        return Table(pitr.table_name, MetaData(), schema=schema), False

    def _compared_to(self, pitr: Pitr, table: Table | NoTable) -> FilteredPitr | None:
        """The server's policy that a declared one is compared to."""
        there = self._existing.get(pitr.name)
        if pitr.status is not None or there is None or there.target != target_of(pitr):
            return None
        return FilteredPitr(there.current, table)

    def _is_schema_included(self, schema: str | None) -> bool:
        return self._context.run_name_filters(schema, "schema", {})

    def _is_table_included(self, table: Table, declared: bool) -> bool:
        return self._context.run_name_filters(
            table.name, "table", {"schema_name": table.schema}
        ) and self._context.run_object_filters(table, table.name, "table", not declared, None)
