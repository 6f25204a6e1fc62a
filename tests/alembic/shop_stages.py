"""The example's models as they were at each of its ten revisions; the last is as they are."""

from __future__ import annotations

from typing import Any

from sqlalchemy import (
    BigInteger,
    Column,
    DateTime,
    Index,
    Integer,
    MetaData,
    Numeric,
    String,
    Table,
)

from sqlalchemy_matrixone_pitr import DatabasePitr, TablePitr, Unprotected, declare_pitrs

STAGES = (
    "customers and their policy",
    "orders",
    "the whole database for a day",
    "orders have a note",
    "orders reach back two weeks",
    "payments and carts",
    "orders have no note",
    "the database is covered by its tables",
    "orders have a total",
    "payments are gone",
)
"""The actions of each revision, and its message."""


def models(stage: int) -> MetaData:
    """The models of which revision ``stage``, from 1 on, was written."""
    metadata = MetaData(naming_convention={"ix": "ix_%(table_name)s_%(column_0_name)s"})
    Table(
        "customers",
        metadata,
        Column("id", Integer, primary_key=True),
        Column("name", String(80 if stage < 6 else 200), nullable=False),
        Column("email", String(120)),
        TablePitr("1mo"),
    )
    if stage >= 2:
        _orders(metadata, stage)
    if 3 <= stage < 8:
        declare_pitrs(metadata, DatabasePitr("1d"))
    if stage >= 6:
        Table(
            "carts",
            metadata,
            Column("id", Integer, primary_key=True),
            Column("item", String(40), nullable=False),
            Unprotected("gone in an hour anyway"),
        )
    if 6 <= stage < 10:
        Table(
            "payments",
            metadata,
            Column("id", BigInteger, primary_key=True),
            Column("amount", Numeric(10, 2), nullable=False),
            TablePitr("1y"),
        )
    return metadata


def _orders(metadata: MetaData, stage: int) -> None:
    columns: list[Column[Any]] = [
        Column("id", BigInteger, primary_key=True),
        Column("customer_id", Integer, nullable=False),
        Column("item", String(40), nullable=False),
        Column("placed_at", DateTime, nullable=False),
    ]
    if 4 <= stage < 7:
        columns.append(Column("note", String(200)))
    if stage >= 9:
        columns.append(Column("total", Numeric(10, 2)))
    Table(
        "orders",
        metadata,
        *columns,
        Index(None, "customer_id"),
        TablePitr("7d" if stage < 5 else "14d"),
        comment="What was bought",
    )
