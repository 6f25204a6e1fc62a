"""A view of what is open; it reads two tables."""

from __future__ import annotations

from alembic import op

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute(
        "CREATE VIEW open_orders AS "
        "SELECT o.id, c.name, o.placed_at FROM orders o JOIN customers c ON c.id = o.customer_id "
        "WHERE o.status = 'new'"
    )


def downgrade() -> None:
    op.execute("DROP VIEW open_orders")
