"""``op.drop_unnamed_constraint``: a key without a name of ours is dropped by its columns.

The server names a foreign key that has been given none, otherwise in each database, so that no
migration can name it. Autogenerate writes this operation where Alembic would write that name, or
None: for a foreign key that goes, and in the downgrade of an unnamed key that is added.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, Self, TypeAlias

from alembic.autogenerate.api import AutogenContext
from alembic.autogenerate.render import _alembic_autogenerate_prefix
from alembic.operations import BatchOperations, Operations
from alembic.operations.ops import (
    AddConstraintOp,
    CreateForeignKeyOp,
    CreateUniqueConstraintOp,
    DropConstraintOp,
    MigrateOperation,
    ModifyTableOps,
    UpgradeOps,
)
from alembic.util import CommandError, PriorityDispatchResult
from sqlalchemy import ForeignKeyConstraint
from sqlalchemy.engine import Connection

from sqlalchemy_matrixone_pitr.dialect import is_generated

from .keys import is_matrixone
from .render import call

_KINDS = {"foreignkey": "foreign key", "unique": "UNIQUE key"}


class DropUnnamedConstraintOp(MigrateOperation):
    """``op.drop_unnamed_constraint``.

    :ivar dropped: the same as Alembic's operation, where autogenerate has made it.
    """

    def __init__(
        self,
        table_name: str,
        columns: Sequence[str],
        *,
        type_: str,
        referent_table: str | None = None,
        schema: str | None = None,
        dropped: DropConstraintOp | None = None,
    ) -> None:
        if type_ not in _KINDS:
            raise CommandError(
                f"drop_unnamed_constraint() takes type_='foreignkey' or 'unique', not {type_!r}"
            )
        if isinstance(columns, str) or not columns or not all(isinstance(c, str) for c in columns):
            raise CommandError(
                f"drop_unnamed_constraint() takes a list of columns such as ['order_id'], not "
                f"{columns!r}"
            )
        self.table_name = table_name
        self.columns = list(columns)
        self.type_ = type_
        self.referent_table = referent_table
        self.schema = schema
        self.dropped = dropped

    @classmethod
    def of(cls, dropped: DropConstraintOp) -> Self:
        """Alembic's operation, by columns."""
        constraint: Any = dropped.to_constraint()
        foreign = isinstance(constraint, ForeignKeyConstraint)
        return cls(
            dropped.table_name,
            list(constraint.column_keys) if foreign else [c.name for c in constraint.columns],
            type_="foreignkey" if foreign else "unique",
            referent_table=_referent(constraint) if foreign else None,
            schema=dropped.schema,
            dropped=dropped,
        )

    @classmethod
    def drop_unnamed_constraint(
        cls,
        operations: Operations,
        table_name: str,
        columns: Sequence[str],
        *,
        type_: str,
        referent_table: str | None = None,
        schema: str | None = None,
    ) -> None:
        """Drop a foreign key or UNIQUE key by its columns, whatever the server calls it.

        The name is asked of the server when the migration runs; a ``--sql`` script cannot.

        :param columns: of the table, in any order.
        :param type_: ``"foreignkey"`` or ``"unique"``.
        :param referent_table: that a foreign key refers to; needed where several have the columns.
        """
        made = cls(table_name, columns, type_=type_, referent_table=referent_table, schema=schema)
        operations.invoke(made)

    @classmethod
    def batch_drop_unnamed_constraint(
        cls,
        operations: BatchOperations,
        columns: Sequence[str],
        *,
        type_: str,
        referent_table: str | None = None,
    ) -> None:
        """The same of a batch's table."""
        batch: Any = operations.impl
        made = cls(
            batch.table_name,
            columns,
            type_=type_,
            referent_table=referent_table,
            schema=batch.schema,
        )
        operations.invoke(made)

    def reverse(self) -> AddConstraintOp:
        if self.dropped is None:
            raise ValueError("what drop_unnamed_constraint() has dropped is not known")
        return self.dropped.reverse()

    def to_diff_tuple(self) -> tuple[Any, ...]:
        if self.dropped is None:
            return "remove_constraint", self.table_name, self.columns
        return self.dropped.to_diff_tuple()

    def __str__(self) -> str:
        """The dropped constraint, for messages.

        >>> str(DropUnnamedConstraintOp("orders", ["customer"], type_="foreignkey"))
        'the foreign key (customer) of table orders'
        """
        of = f"{self.schema}.{self.table_name}" if self.schema else self.table_name
        to = f" to {self.referent_table}" if self.referent_table else ""
        return f"the {_KINDS[self.type_]} ({', '.join(self.columns)}){to} of table {of}"


def _referent(constraint: ForeignKeyConstraint) -> str:
    """The name of the table that a foreign key refers to, without its schema."""
    return constraint.elements[0].target_fullname.split(".")[-2]


class _ForeignKeyOp(CreateForeignKeyOp):
    """One without a name."""

    def reverse(self) -> Any:
        return DropUnnamedConstraintOp.of(super().reverse())


class _UniqueConstraintOp(CreateUniqueConstraintOp):
    """One without a name."""

    def reverse(self) -> Any:
        return DropUnnamedConstraintOp.of(super().reverse())


# ------------------------------------------------------------------------------------ autogenerate


def write_unnamed(
    autogen_context: AutogenContext, upgrade_ops: UpgradeOps
) -> PriorityDispatchResult:
    """A comparator that runs after all others, and writes by columns what has no name of ours."""
    if is_matrixone(autogen_context):
        for operation in upgrade_ops.ops:
            if isinstance(operation, ModifyTableOps):
                operation.ops[:] = [_by_columns(one) for one in operation.ops]
    return PriorityDispatchResult.CONTINUE


def _by_columns(operation: MigrateOperation) -> MigrateOperation:
    match operation:
        case DropConstraintOp(constraint_type="foreignkey", constraint_name=name) if (
            name is None or is_generated(str(name))
        ):
            return DropUnnamedConstraintOp.of(operation)
        case CreateForeignKeyOp(constraint_name=None):
            return _ForeignKeyOp.from_constraint(operation.to_constraint())
        case CreateUniqueConstraintOp(constraint_name=None):
            return _UniqueConstraintOp.from_constraint(operation.to_constraint())
    return operation


def render(autogen_context: AutogenContext, operation: DropUnnamedConstraintOp) -> str:
    """The call of a migration."""
    in_batch = autogen_context._has_batch
    keywords: dict[str, object] = {
        "type_": operation.type_,
        "referent_table": operation.referent_table,
        "schema": None if in_batch else operation.schema,
    }
    table: list[object] = [] if in_batch else [operation.table_name]
    prefix = _alembic_autogenerate_prefix(autogen_context)
    return call(f"{prefix}drop_unnamed_constraint", [*table, operation.columns], keywords)


# ----------------------------------------------------------------------------------- in a migration


def drop_unnamed_constraint(operations: Operations, operation: DropUnnamedConstraintOp) -> None:
    """Drop what the server has under the name that it has there."""
    context = operations.migration_context
    if context.as_sql or context.connection is None:
        raise CommandError(
            f"{operation} has no name that a script could say: the server has made one up, another "
            "in each database. Run this migration online; and give keys names, or the MetaData a "
            "naming_convention"
        )
    names = list(_names(context.connection, operation))
    if not names:
        raise CommandError(f"{operation} is not there: nothing was dropped")
    generated = [name for name in names if is_generated(name)]
    if len(generated or names) > 1:
        raise CommandError(
            f"{operation} could be {' or '.join(names)}: say which one, with op.drop_constraint()"
        )
    operations.invoke(
        DropConstraintOp(
            (generated or names)[0],
            operation.table_name,
            operation.type_,
            schema=operation.schema,
        )
    )


Reflected: TypeAlias = "list[dict[str, Any]]"


def _names(connection: Connection, operation: DropUnnamedConstraintOp) -> Iterator[str]:
    """The server's names for the keys of these columns: the dialect tells all names."""
    dialect: Any = connection.dialect
    wanted = sorted(operation.columns)
    if operation.type_ == "unique":
        indexes: Reflected = dialect.get_indexes(connection, operation.table_name, operation.schema)
        for index in indexes:
            if index["unique"] and sorted(index["column_names"]) == wanted:
                yield index["name"]
        return
    keys: Reflected = dialect.get_foreign_keys(connection, operation.table_name, operation.schema)
    for key in keys:
        if sorted(key["constrained_columns"]) == wanted and operation.referent_table in (
            None,
            key["referred_table"],
        ):
            yield key["name"]
