"""Columns altered: type, nullability, default, comment."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.alter_column(
        "customers",
        "name",
        existing_type=sa.String(length=80),
        type_=sa.String(length=200),
        existing_nullable=False,
        existing_comment="Family name first",
        comment="As on the invoice",
    )
    op.alter_column("customers", "email", existing_type=sa.String(length=120), nullable=True)
    op.alter_column(
        "customers",
        "credit",
        existing_type=sa.Numeric(10, 2),
        type_=sa.Numeric(12, 2),
        existing_nullable=False,
        existing_server_default="0.00",
    )
    op.alter_column(
        "products",
        "stock",
        existing_type=sa.Integer(),
        type_=sa.BigInteger(),
        existing_server_default="0",
    )
    op.alter_column("products", "price", existing_type=sa.Numeric(10, 2), server_default="9.99")


def downgrade() -> None:
    op.alter_column("products", "price", existing_type=sa.Numeric(10, 2), server_default=None)
    op.alter_column(
        "products",
        "stock",
        existing_type=sa.BigInteger(),
        type_=sa.Integer(),
        existing_server_default="0",
    )
    op.alter_column(
        "customers",
        "credit",
        existing_type=sa.Numeric(12, 2),
        type_=sa.Numeric(10, 2),
        existing_nullable=False,
        existing_server_default="0.00",
    )
    op.alter_column("customers", "email", existing_type=sa.String(length=120), nullable=False)
    op.alter_column(
        "customers",
        "name",
        existing_type=sa.String(length=200),
        type_=sa.String(length=80),
        existing_nullable=False,
        existing_comment="As on the invoice",
        comment="Family name first",
    )
