"""Tidying up: what nobody uses any more goes; addresses are unique by name."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute("DROP VIEW open_orders")
    op.drop_constraint("fk_order_lines_article", "order_lines", type_="foreignkey")
    op.drop_column("articles", "changed_at")
    op.drop_index("ix_customers_email", table_name="customers")
    op.create_unique_constraint("uq_customers_email_name", "customers", ["email", "name"])
    op.create_table_comment("customers", "Who buys, and who did", existing_comment="Who buys")
    op.alter_column(
        "articles",
        "price",
        existing_type=sa.Numeric(10, 2),
        nullable=False,
        existing_server_default="9.99",
        server_default=None,
    )


def downgrade() -> None:
    op.alter_column("articles", "price", existing_type=sa.Numeric(10, 2), server_default="9.99")
    op.create_table_comment("customers", "Who buys", existing_comment="Who buys, and who did")
    op.drop_constraint("uq_customers_email_name", "customers", type_="unique")
    op.create_index("ix_customers_email", "customers", ["email"], unique=True)
    op.add_column(
        "articles",
        sa.Column(
            "changed_at",
            sa.TIMESTAMP(),
            server_default=sa.text("'2024-03-01 00:00:00'"),
            nullable=False,
        ),
    )
    op.create_foreign_key(
        "fk_order_lines_article", "order_lines", "articles", ["article_id"], ["id"]
    )
    op.execute(
        "CREATE VIEW open_orders AS "
        "SELECT o.id, c.name, o.placed_at FROM orders o JOIN customers c ON c.id = o.customer_id "
        "WHERE o.status = 'new'"
    )
