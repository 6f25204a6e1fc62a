"""The tables as the last revision leaves them."""

from __future__ import annotations

import sqlalchemy as sa

metadata = sa.MetaData()

customers = sa.Table(
    "customers",
    metadata,
    sa.Column("id", sa.Integer, primary_key=True),
    sa.Column("name", sa.String(200), nullable=False, comment="As on the invoice"),
    sa.Column("email", sa.String(120), nullable=True),
    sa.Column("credit", sa.Numeric(12, 2), nullable=False, server_default="0.00"),
    sa.Column("active", sa.Boolean, nullable=False, server_default=sa.text("true")),
    sa.Column("joined_on", sa.Date),
    sa.Column("preferences", sa.JSON),
    sa.Column("note", sa.Text),
    sa.Column("country", sa.CHAR(2), nullable=False, server_default="CN"),
    sa.UniqueConstraint("email", "name", name="uq_customers_email_name"),
    comment="Who buys, and who did",
)

articles = sa.Table(
    "articles",
    metadata,
    sa.Column("id", sa.Integer, primary_key=True),
    sa.Column("number", sa.String(20), nullable=False, unique=True),
    sa.Column("title", sa.String(100), nullable=False),
    sa.Column("price", sa.Numeric(10, 2), nullable=False),
    sa.Column("weight", sa.Float),
    sa.Column("stock", sa.BigInteger, server_default="0"),
    sa.Column("picture", sa.LargeBinary),
    sa.Column("pick_from", sa.Time),
    sa.Column("category_id", sa.Integer),
    sa.Index("ix_articles_category_title", "category_id", "title"),
)

categories = sa.Table(
    "categories",
    metadata,
    sa.Column("id", sa.Integer, primary_key=True, autoincrement=False),
    sa.Column("name", sa.String(40), nullable=False),
)

orders = sa.Table(
    "orders",
    metadata,
    sa.Column("id", sa.BigInteger, primary_key=True),
    sa.Column(
        "customer_id",
        sa.ForeignKey("customers.id", ondelete="CASCADE", onupdate="RESTRICT"),
        nullable=False,
    ),
    sa.Column("status", sa.Enum("new", "paid", "sent", name="status"), server_default="new"),
    sa.Column("placed_at", sa.DateTime, nullable=False),
    sa.Index("ix_orders_customer_placed", "customer_id", "placed_at"),
)

order_lines = sa.Table(
    "order_lines",
    metadata,
    sa.Column("order_id", sa.ForeignKey("orders.id"), primary_key=True),
    sa.Column("line", sa.SmallInteger, primary_key=True, autoincrement=False),
    sa.Column("article_id", sa.Integer, nullable=False),
    sa.Column("quantity", sa.Integer, nullable=False, server_default="1"),
)
