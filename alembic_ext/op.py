"""The operations with their types, for editors and type checkers: ``alembic.op`` is closed to them.

In a migration, beside ``from alembic import op``::

    from sqlalchemy_matrixone_pitr.alembic import op as pitr_op


    def upgrade() -> None:
        pitr_op.create_pitr("orders_week", "7d", table="orders")

They do what ``op.create_pitr`` and its siblings do, and need ``register()`` in env.py likewise.
"""

from __future__ import annotations

from typing import Any

from alembic import op as _op


def create_pitr(
    name: str | None,
    range: str,
    *,
    level: str | None = None,
    account: str | None = None,
    database: str | None = None,
    table: str | None = None,
    if_not_exists: bool = False,
) -> None:
    """See :meth:`CreatePitrOp.create_pitr`."""
    operations: Any = _op
    operations.create_pitr(
        name,
        range,
        level=level,
        account=account,
        database=database,
        table=table,
        if_not_exists=if_not_exists,
    )


def alter_pitr(
    name: str | None,
    range: str,
    *,
    existing_range: str | None = None,
    existing_level: str | None = None,
    existing_account: str | None = None,
    existing_database: str | None = None,
    existing_table: str | None = None,
) -> None:
    """See :meth:`AlterPitrOp.alter_pitr`."""
    operations: Any = _op
    operations.alter_pitr(
        name,
        range,
        existing_range=existing_range,
        existing_level=existing_level,
        existing_account=existing_account,
        existing_database=existing_database,
        existing_table=existing_table,
    )


def drop_pitr(
    name: str | None,
    *,
    if_exists: bool = False,
    existing_range: str | None = None,
    existing_level: str | None = None,
    existing_account: str | None = None,
    existing_database: str | None = None,
    existing_table: str | None = None,
) -> None:
    """See :meth:`DropPitrOp.drop_pitr`."""
    operations: Any = _op
    operations.drop_pitr(
        name,
        if_exists=if_exists,
        existing_range=existing_range,
        existing_level=existing_level,
        existing_account=existing_account,
        existing_database=existing_database,
        existing_table=existing_table,
    )


def renew_pitr(
    name: str | None,
    *,
    range: str,
    database: str | None = None,
    table: str | None = None,
    generation: int,
) -> None:
    """See :meth:`RenewPitrOp.renew_pitr`."""
    operations: Any = _op
    operations.renew_pitr(name, range=range, database=database, table=table, generation=generation)
