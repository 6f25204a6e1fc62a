"""Columns added, with and without a default, one filled from another."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("customers", sa.Column("note", sa.Text(), nullable=True))
    op.add_column(
        "customers",
        sa.Column("country", sa.CHAR(length=2), server_default="CN", nullable=False),
    )
    op.add_column("products", sa.Column("category", sa.String(length=40), nullable=True))
    products = sa.table("products", sa.column("category"), sa.column("title"))
    op.execute(
        products.update().values(
            category=sa.case((products.c.title == "Pen", "Writing"), else_="Supplies")
        )
    )
    customers = sa.table("customers", sa.column("note"), sa.column("name"))
    op.execute(
        customers.update()
        .where(customers.c.name.like("Lin%"))
        .values(note=sa.func.concat("Was: ", customers.c.name))
    )


def downgrade() -> None:
    op.drop_column("products", "category")
    op.drop_column("customers", "country")
    op.drop_column("customers", "note")
