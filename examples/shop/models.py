"""The shop's tables, and how far back each can be restored."""

from __future__ import annotations

import datetime as dt
from decimal import Decimal

from sqlalchemy import BigInteger, DateTime, Index, MetaData, Numeric, String
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

from sqlalchemy_matrixone_pitr import TablePitr, Unprotected, declare_pitrs


class Base(DeclarativeBase):
    metadata = MetaData(naming_convention={"ix": "ix_%(table_name)s_%(column_0_name)s"})


class Customer(Base):
    __tablename__ = "customers"
    __table_args__ = (TablePitr("1mo"),)

    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str] = mapped_column(String(200))
    email: Mapped[str | None] = mapped_column(String(120))


class Order(Base):
    __tablename__ = "orders"
    __table_args__ = (
        Index(None, "customer_id"),
        TablePitr("14d"),
        {"comment": "What was bought"},
    )

    id: Mapped[int] = mapped_column(BigInteger, primary_key=True)
    customer_id: Mapped[int]
    item: Mapped[str] = mapped_column(String(40))
    placed_at: Mapped[dt.datetime] = mapped_column(DateTime)
    total: Mapped[Decimal | None] = mapped_column(Numeric(10, 2))


class Cart(Base):
    __tablename__ = "carts"
    __table_args__ = (Unprotected("gone in an hour anyway"),)

    id: Mapped[int] = mapped_column(primary_key=True)
    item: Mapped[str] = mapped_column(String(40))


declare_pitrs(Base.metadata, require_all=True)
