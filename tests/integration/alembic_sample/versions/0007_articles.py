"""Products become articles: a table and a column renamed."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.rename_table("products", "articles")
    op.alter_column(
        "articles",
        "sku",
        new_column_name="number",
        existing_type=sa.String(length=20),
        existing_nullable=False,
    )


def downgrade() -> None:
    op.alter_column(
        "articles",
        "number",
        new_column_name="sku",
        existing_type=sa.String(length=20),
        existing_nullable=False,
    )
    op.rename_table("articles", "products")
