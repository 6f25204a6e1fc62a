"""The first customers, products and orders."""

from __future__ import annotations

import datetime
from decimal import Decimal

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None

customers = sa.table(
    "customers",
    sa.column("id", sa.Integer),
    sa.column("name", sa.String),
    sa.column("email", sa.String),
    sa.column("credit", sa.Numeric),
    sa.column("active", sa.Boolean),
    sa.column("joined_on", sa.Date),
    sa.column("preferences", sa.JSON),
)
products = sa.table(
    "products",
    sa.column("id", sa.Integer),
    sa.column("sku", sa.String),
    sa.column("title", sa.String),
    sa.column("price", sa.Numeric),
    sa.column("weight", sa.Float),
    sa.column("picture", sa.LargeBinary),
    sa.column("pick_from", sa.Time),
    sa.column("changed_at", sa.TIMESTAMP),
)
orders = sa.table(
    "orders",
    sa.column("id", sa.BigInteger),
    sa.column("customer_id", sa.Integer),
    sa.column("placed_at", sa.DateTime),
)
lines = sa.table(
    "order_lines",
    sa.column("order_id", sa.BigInteger),
    sa.column("line", sa.SmallInteger),
    sa.column("article_id", sa.Integer),
    sa.column("quantity", sa.Integer),
)


def upgrade() -> None:
    op.bulk_insert(
        customers,
        [
            {
                "id": 1,
                "name": "Lin 100%",
                "email": "lin@example.org",
                "credit": Decimal("12.50"),
                "active": True,
                "joined_on": datetime.date(2024, 2, 29),
                "preferences": {"colours": ["red", "蓝"], "mail": False},
            },
            {
                "id": 2,
                "name": "O'Hara \\ Söhne",
                "email": "o@example.org",
                "credit": Decimal("-3.05"),
                "active": False,
                "joined_on": None,
                "preferences": None,
            },
        ],
    )
    op.bulk_insert(
        products,
        [
            {
                "id": number,
                "sku": f"A-{number}",
                "title": title,
                "price": Decimal(price),
                "weight": weight,
                "picture": picture,
                "pick_from": at,
                "changed_at": datetime.datetime(2024, 3, 1, 12, number),
            }
            for number, title, price, weight, picture, at in [
                (1, "Pen", "1.20", 0.5, b"\x00\xff'", datetime.time(8, 30)),
                (2, "Ink", "7.00", None, None, None),
            ]
        ],
        multiinsert=False,
    )
    op.bulk_insert(
        orders, [{"id": 10, "customer_id": 1, "placed_at": datetime.datetime(2024, 3, 2, 9)}]
    )
    op.bulk_insert(
        lines,
        [
            {"order_id": 10, "line": 1, "article_id": 1, "quantity": 3},
            {"order_id": 10, "line": 2, "article_id": 2, "quantity": 1},
        ],
    )


def downgrade() -> None:
    op.execute(lines.delete())
    op.execute(orders.delete())
    op.execute(products.delete())
    op.execute(customers.delete())
