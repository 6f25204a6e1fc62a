"""Categories move from a column of articles to a table of their own."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None

categories = sa.table("categories", sa.column("id", sa.Integer), sa.column("name", sa.String))
articles = sa.table(
    "articles",
    sa.column("id", sa.Integer),
    sa.column("category", sa.String),
    sa.column("category_id", sa.Integer),
)


def upgrade() -> None:
    op.create_table(
        "categories",
        sa.Column("id", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("name", sa.String(length=40), nullable=False),
        sa.PrimaryKeyConstraint("id"),
    )
    op.add_column("articles", sa.Column("category_id", sa.Integer(), nullable=True))
    names = op.get_bind().scalars(
        sa.select(articles.c.category).distinct().order_by(articles.c.category)
    )
    op.bulk_insert(
        categories, [{"id": number, "name": name} for number, name in enumerate(names, 1)]
    )
    op.execute(
        articles.update().values(
            category_id=sa.select(categories.c.id)
            .where(categories.c.name == articles.c.category)
            .scalar_subquery()
        )
    )
    op.drop_column("articles", "category")
    op.create_index("ix_articles_category_title", "articles", ["category_id", "title"])


def downgrade() -> None:
    op.drop_index("ix_articles_category_title", table_name="articles")
    op.add_column("articles", sa.Column("category", sa.String(length=40), nullable=True))
    op.execute(
        articles.update().values(
            category=sa.select(categories.c.name)
            .where(categories.c.id == articles.c.category_id)
            .scalar_subquery()
        )
    )
    op.drop_column("articles", "category_id")
    op.drop_table("categories")
