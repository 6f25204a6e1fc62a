"""Parts of a table that a policy keeps: the table of docs/server.md, "Garbage collection"."""

from __future__ import annotations

import pytest
from sqlalchemy import Column, Index, Integer, MetaData, Table, UniqueConstraint

from sqlalchemy_matrixone_pitr import Pitr, PitrLevel, PitrStatus
from sqlalchemy_matrixone_pitr.extent import (
    Extent,
    Parts,
    covers,
    in_words,
    kept_by,
    parts_of,
    shortfalls,
)
from sqlalchemy_matrixone_pitr.server import rules_of

NEW, OLD = rules_of((4, 2, 0)), rules_of((3, 0, 9))
PLAIN, INDEXED = Parts(), Parts(("ix_item", "uq_code"))
PARTITIONED = Parts(partitioned=True)
BOTH = INDEXED | PARTITIONED
ORDERS = ("shop", "orders")

week = Pitr.table("week", "orders", "7d", database_name="shop")
day = Pitr.database("day", "1d", database_name="shop")


@pytest.mark.parametrize(
    ("parts", "on_4", "on_3"),
    [
        (PLAIN, Extent.ALL, Extent.ALL),
        (INDEXED, Extent.ROWS, Extent.ROWS),
        (PARTITIONED, Extent.NOTHING, Extent.ALL),
        (BOTH, Extent.NOTHING, Extent.ROWS),
    ],
)
def test_a_table_level_policy(parts: Parts, on_4: Extent, on_3: Extent) -> None:
    assert kept_by(PitrLevel.TABLE, parts, NEW) is on_4
    assert kept_by(PitrLevel.TABLE, parts, OLD) is on_3


@pytest.mark.parametrize("level", [PitrLevel.DATABASE, PitrLevel.ACCOUNT, PitrLevel.CLUSTER])
@pytest.mark.parametrize("parts", [PLAIN, INDEXED, PARTITIONED, BOTH])
def test_other_levels_keep_all(level: PitrLevel, parts: Parts) -> None:
    assert kept_by(level, parts, NEW) is kept_by(level, parts, OLD) is Extent.ALL


def test_only_the_table_level_falls_short() -> None:
    [found] = shortfalls([week], {ORDERS: INDEXED}, NEW)
    assert (found.database, found.table, found.policy, found.kept) == (
        "shop",
        "orders",
        "week",
        Extent.ROWS,
    )
    assert found.to_dict()["kept"] == "rows only"
    assert shortfalls([week], {ORDERS: PLAIN}, NEW) == ()


@pytest.mark.parametrize(
    "wider",
    [day, Pitr.account("nightly", "1d"), Pitr.cluster("all", "1h")],
    ids=["database", "account", "cluster"],
)
def test_a_wider_policy_keeps_the_rest(wider: Pitr) -> None:
    assert shortfalls([week, wider], {ORDERS: BOTH}, NEW) == ()
    detached = wider.with_status(PitrStatus.DETACHED)
    assert len(shortfalls([week, detached], {ORDERS: BOTH}, NEW)) == 1


def test_other_databases_and_accounts_keep_nothing_of_it() -> None:
    others = [
        Pitr.database("d", "1d", database_name="other"),
        Pitr.account("a", "1d", account_name="tenant"),
    ]
    assert len(shortfalls([week, *others], {ORDERS: INDEXED}, NEW)) == 1


def test_what_has_no_policy_is_another_question() -> None:
    assert shortfalls([], {ORDERS: INDEXED}, NEW) == ()
    assert shortfalls([week.with_status(PitrStatus.DETACHED)], {ORDERS: INDEXED}, NEW) == ()


def test_covers() -> None:
    assert covers(week, *ORDERS)
    assert not covers(week, "shop", "other")
    assert not covers(week, "shop", None)
    assert covers(day, *ORDERS)
    assert covers(day, "shop", None)
    assert not covers(day, "other", "orders")
    assert not covers(Pitr.account("a", "1d", account_name="tenant"), *ORDERS)


def test_a_sentence_for_each_kind() -> None:
    tables = {("shop", f"t{number:02}"): INDEXED for number in range(30)}
    tables["shop", "events"] = PARTITIONED
    pitrs = [Pitr.table(f"p_{t}", t, "7d", database_name="shop") for _, t in tables]
    nothing, rows = in_words(shortfalls(pitrs, tables, NEW))
    assert nothing.startswith("nothing kept: shop.events: a table-level policy keeps nothing of a ")
    assert rows.startswith("rows only: shop.t00 (ix_item, uq_code), shop.t01 ")
    assert " and 10 more: a table-level policy keeps no indexes" in rows
    assert rows.endswith("A database-level policy keeps all of it: DatabasePitr, for shop")
    assert in_words(()) == []


def test_parts_of_a_table() -> None:
    table = Table(
        "t",
        MetaData(),
        Column("id", Integer, primary_key=True),
        Column("a", Integer, unique=True),
        Column("b", Integer, index=True),
        UniqueConstraint("a", "b", name="uq_ab"),
        Index("ix_named", "a"),
        mysql_partition_by="KEY(id)",
    )
    assert parts_of(table) == Parts(("a", "ix_named", "ix_t_b", "uq_ab"), partitioned=True)
    alone = Table("u", MetaData(), Column("id", Integer, primary_key=True))
    assert not parts_of(alone)
