"""Orders and their lines: foreign keys, a key of two columns, an enumeration."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "orders",
        sa.Column("id", sa.BigInteger(), nullable=False),
        sa.Column("customer_id", sa.Integer(), nullable=False),
        sa.Column(
            "status",
            sa.Enum("new", "paid", "sent", name="status"),
            server_default="new",
            nullable=True,
        ),
        sa.Column("placed_at", sa.DateTime(), nullable=False),
        sa.ForeignKeyConstraint(
            ["customer_id"],
            ["customers.id"],
            name="fk_orders_customer",
            ondelete="CASCADE",
            onupdate="RESTRICT",
        ),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index("ix_orders_customer_placed", "orders", ["customer_id", "placed_at"])
    op.create_table(
        "order_lines",
        sa.Column("order_id", sa.BigInteger(), nullable=False),
        sa.Column("line", sa.SmallInteger(), autoincrement=False, nullable=False),
        sa.Column("article_id", sa.Integer(), nullable=False),
        sa.Column("quantity", sa.Integer(), server_default="1", nullable=False),
        sa.PrimaryKeyConstraint("order_id", "line"),
    )
    op.create_foreign_key("fk_order_lines_order", "order_lines", "orders", ["order_id"], ["id"])
    op.create_foreign_key(
        "fk_order_lines_article", "order_lines", "products", ["article_id"], ["id"]
    )


def downgrade() -> None:
    op.drop_table("order_lines")
    op.drop_table("orders")
