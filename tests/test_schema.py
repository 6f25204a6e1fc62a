"""Declaring policies: where, under which names, and what is refused."""

from __future__ import annotations

import copy
import pickle
from typing import Any

import pytest
from hypothesis import given, strategies as st
from sqlalchemy import Column, Integer, MetaData, Table
from sqlalchemy.orm import DeclarativeBase, Mapped, MappedAsDataclass, declared_attr, mapped_column

from sqlalchemy_matrixone_pitr import (
    DatabasePitr,
    Pitr,
    PitrValidationError,
    TablePitr,
    Unprotected,
    declare_pitrs,
    declared_pitrs,
)
from sqlalchemy_matrixone_pitr.declarations import Databases, databases_of, declarations
from sqlalchemy_matrixone_pitr.generations import check_declared_name, split_generation
from sqlalchemy_matrixone_pitr.names import MAX_NAME_LENGTH
from sqlalchemy_matrixone_pitr.schema import item_of


def make(name: str, metadata: MetaData, *items: Any, **options: Any) -> Table:
    return Table(name, metadata, Column("id", Integer, primary_key=True), *items, **options)


def test_in_a_table() -> None:
    metadata = MetaData()
    make("orders", metadata, TablePitr("7d", "orders_week"))
    make("Parts", metadata, TablePitr((12, "mo")), schema="Stock")
    assert declared_pitrs(metadata, database_name="shop") == [
        Pitr.table("orders_week", "orders", "7d", database_name="shop"),
        Pitr.table("pitr_stock_parts", "parts", "12mo", database_name="stock"),
    ]
    assert databases_of(metadata, Databases(None, "shop")) == {"shop", "stock"}


def test_without_a_database_a_named_one_waits_for_its_connection() -> None:
    metadata = MetaData()
    make("orders", metadata, TablePitr("7d", "orders_week"))
    assert declared_pitrs(metadata) == [Pitr.table("orders_week", "orders", "7d")]


def test_in_models_of_all_kinds() -> None:
    class Base(DeclarativeBase):
        pass

    shared = TablePitr("7d")

    class Protected:
        id: Mapped[int] = mapped_column(primary_key=True)

        @declared_attr.directive
        def __tablename__(cls: type) -> str:
            return cls.__name__.lower()

        __table_args__ = (shared, {"mysql_engine": "InnoDB"})

    class Order(Protected, Base):
        pass

    class Invoice(Protected, Base):
        pass

    class Note(MappedAsDataclass, Base):
        __tablename__ = "notes"
        __table_args__ = (TablePitr("1y", "notes_year", on_rebuild="warn"),)

        id: Mapped[int] = mapped_column(primary_key=True)

    assert [pitr.name for pitr in declared_pitrs(Base, database_name="shop")] == [
        "notes_year",
        "pitr_shop_invoice",
        "pitr_shop_order",
    ]
    rebuild = {d.pitr.name: d.on_rebuild for d in declarations(Base, Databases(None, "shop"))}
    assert rebuild["notes_year"] == "warn"
    assert rebuild["pitr_shop_order"] == "renew"
    assert Note(id=1).id == 1


def test_above_tables() -> None:
    metadata = MetaData()
    declare_pitrs(metadata, Pitr.cluster("all", "1h"), Pitr.account("nightly", "1mo"))
    declare_pitrs(
        metadata,
        Pitr.account("theirs", "1d", account_name="acme"),
        DatabasePitr("2d"),
        DatabasePitr("3d", "stock_days", database_name="Stock"),
        Pitr.database("old_days", "4d", database_name="old"),
    )
    assert declared_pitrs(metadata, database_name="shop") == [
        Pitr.cluster("all", "1h"),
        Pitr.account("nightly", "1mo"),
        Pitr.account("theirs", "1d", account_name="acme"),
        Pitr.database("old_days", "4d", database_name="old"),
        Pitr.database("pitr_shop", "2d", database_name="shop"),
        Pitr.database("stock_days", "3d", database_name="stock"),
    ]


def test_a_table_that_is_there_already() -> None:
    metadata = MetaData()
    table = make("orders", metadata)
    declare_pitrs(metadata, Pitr.table("orders_week", "Orders", "7d"))
    assert repr(item_of(table)) == "TablePitr('7d', 'orders_week')"
    with pytest.raises(PitrValidationError, match="does not have"):
        declare_pitrs(metadata, Pitr.table("parts_week", "parts", "7d"))
    with pytest.raises(PitrValidationError, match=r"another database than 'orders'"):
        declare_pitrs(metadata, Pitr.table("o", "orders", "7d", database_name="stock"))


@pytest.mark.parametrize(
    "carried",
    [copy.copy, copy.deepcopy, lambda m: pickle.loads(pickle.dumps(m))],
    ids=["copy", "deepcopy", "pickle"],
)
def test_copies_keep_the_declarations(carried: Any) -> None:
    metadata = MetaData(naming_convention={"pitr": "x_%(object_name)s"})
    make("orders", metadata, TablePitr("7d"))
    declare_pitrs(metadata, Pitr.account("nightly", "1mo"), DatabasePitr("2d"))
    other = carried(metadata)
    assert declared_pitrs(other, database_name="d") == declared_pitrs(metadata, database_name="d")
    declare_pitrs(other, Pitr.cluster("all", "1h"))
    assert len(declared_pitrs(metadata, database_name="d")) == 3


def test_to_metadata_keeps_a_tables_policy() -> None:
    metadata, other = MetaData(), MetaData()
    make("orders", metadata, TablePitr("7d")).to_metadata(other, schema="archive")
    assert [pitr.name for pitr in declared_pitrs(other)] == ["pitr_archive_orders"]


def test_the_tables_own_info_stays() -> None:
    """Alembic writes it into migrations, which must not need this package."""
    metadata = MetaData()
    table = make("orders", metadata, TablePitr("7d", "week"), info={"owner": "sales"})
    assert table.info == {"owner": "sales"}
    assert dict(table.info) == {"owner": "sales"}
    assert table.info.copy() == {"owner": "sales"}
    bare = make("parts", metadata, TablePitr("7d", "parts_week"))
    assert not bare.info
    bare.info["key"] = 1
    copied = bare.to_metadata(MetaData())
    assert (copied.info, repr(item_of(copied))) == ({"key": 1}, "TablePitr('7d', 'parts_week')")


def test_a_shared_naming_convention_is_not_changed() -> None:
    convention = {"ix": "ix_%(column_0_label)s"}
    one, other = MetaData(naming_convention=convention), MetaData(naming_convention=convention)
    declare_pitrs(one, Pitr.account("nightly", "1mo"))
    assert declared_pitrs(other) == []
    assert list(convention) == ["ix"]
    table = Table("t", one, Column("a", Integer, index=True))
    assert [index.name for index in table.indexes] == ["ix_t_a"]


def test_a_new_naming_convention_keeps_the_declarations() -> None:
    metadata = MetaData()
    declare_pitrs(metadata, Pitr.account("nightly", "7d"), require_all=True)
    metadata.naming_convention = {"ix": "ix_%(column_0_label)s"}
    assert [pitr.name for pitr in declared_pitrs(metadata)] == ["nightly"]
    other = pickle.loads(pickle.dumps(metadata))
    declare_pitrs(other, Pitr.cluster("all", "7d"))
    other.naming_convention = {}
    assert [pitr.name for pitr in declared_pitrs(other)] == ["all", "nightly"]


def test_a_shared_naming_convention_shares_no_declarations() -> None:
    one = MetaData()
    declare_pitrs(one, Pitr.account("nightly", "7d"), require_all=True)
    other = MetaData(naming_convention=one.naming_convention)
    make("parts", other)
    assert declared_pitrs(other) == []
    assert [pitr.name for pitr in declared_pitrs([one, other])] == ["nightly"]
    declare_pitrs(other, Pitr.cluster("all", "7d"))
    assert [pitr.name for pitr in declared_pitrs(other)] == ["all"]
    assert [pitr.name for pitr in declared_pitrs([one, other])] == ["all", "nightly"]


def test_a_tables_new_info_keeps_its_policy() -> None:
    metadata = MetaData()
    table = make("orders", metadata, TablePitr("7d", "week"))
    table.info = {"owner": "sales"}
    Table("orders", metadata, Column("x", Integer), extend_existing=True, info={"a": 1})
    other = pickle.loads(pickle.dumps(metadata))
    for one in (metadata, other):
        assert [pitr.name for pitr in declared_pitrs(one)] == ["week"]


# -- conflicts -------------------------------------------------------------------------------------


def test_one_name_in_two_tables() -> None:
    metadata = MetaData()
    make("orders", metadata, TablePitr("7d", "week"))
    with pytest.raises(PitrValidationError, match=r"'week' .* table 'orders' .* table 'parts'"):
        make("parts", metadata, TablePitr("7d", "Week"))
    assert list(metadata.tables) == ["orders"]
    make("parts", metadata, TablePitr("7d", "parts_week"))


def test_a_name_is_free_again_when_its_table_is_gone() -> None:
    metadata = MetaData()
    metadata.remove(make("orders", metadata, TablePitr("7d", "week")))
    make("parts", metadata, TablePitr("7d", "week"))
    assert len(declared_pitrs(metadata)) == 1


def test_one_name_in_a_table_and_above_it() -> None:
    metadata = MetaData()
    make("orders", metadata, TablePitr("7d", "week"))
    with pytest.raises(PitrValidationError, match=r"'week' .* table 'orders' .* declare_pitrs"):
        declare_pitrs(metadata, Pitr.account("week", "7d"))
    declare_pitrs(metadata, Pitr.account("nightly", "7d"))
    with pytest.raises(PitrValidationError, match=r"'nightly' .* declare_pitrs.* table 'parts'"):
        make("parts", metadata, TablePitr("7d", "nightly"))


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (Pitr.cluster("a", "7d"), Pitr.cluster("b", "8d")),
        (Pitr.account("a", "7d"), Pitr.account("b", "8d")),
        (Pitr.account("a", "7d", account_name="x"), Pitr.account("b", "8d", account_name="X")),
        (DatabasePitr("7d"), Pitr.database("b", "8d")),
        (DatabasePitr("7d", database_name="x"), DatabasePitr("8d", database_name="X")),
    ],
)
def test_two_policies_of_one_level_on_one_target(one: Any, other: Any) -> None:
    for given_ in ((one, other), (other, one)):
        metadata = MetaData()
        with pytest.raises(PitrValidationError, match="two policies of one level") as caught:
            declare_pitrs(metadata, *given_)
        assert all(repr(policy) in str(caught.value) for policy in given_)
        assert declared_pitrs(metadata, database_name="shop") == []


def test_what_only_the_database_tells() -> None:
    metadata = MetaData()
    declare_pitrs(metadata, DatabasePitr("7d", "a"), DatabasePitr("8d", "b", database_name="shop"))
    assert len(declared_pitrs(metadata, database_name="other")) == 2
    with pytest.raises(PitrValidationError, match="two policies of one level"):
        declared_pitrs(metadata, database_name="shop")


def test_across_metadata() -> None:
    one, other = MetaData(), MetaData()
    make("orders", one, TablePitr("7d", "week"))
    make("parts", other, TablePitr("7d", "week"))
    with pytest.raises(PitrValidationError, match=r"table 'orders' .* table 'parts'"):
        declared_pitrs([one, other])


def test_a_table_says_it_once() -> None:
    metadata = MetaData()
    with pytest.raises(PitrValidationError, match="declared twice"):
        make("orders", metadata, TablePitr("7d"), Unprotected("no"))
    with pytest.raises(PitrValidationError, match="declared twice"):
        make("parts", metadata, TablePitr("7d"), TablePitr("7d", on_rebuild="warn"))


def ranges(metadata: MetaData) -> list[tuple[str, str]]:
    return [(p.name, str(p.range)) for p in declared_pitrs(metadata, database_name="shop")]


@pytest.mark.parametrize("name", [None, "week"])
def test_a_table_that_is_extended(name: str | None) -> None:
    """The same again, as a module that is loaded again says it; or another, which replaces it."""
    metadata = MetaData()
    made = name or "pitr_shop_orders"
    for _ in range(2):
        make("orders", metadata, TablePitr("7d", name), extend_existing=True)
        assert ranges(metadata) == [(made, "7d")]
    make("orders", metadata, TablePitr("14d", name), extend_existing=True)
    assert ranges(metadata) == [(made, "14d")]
    make("orders", metadata, extend_existing=True)
    assert ranges(metadata) == [(made, "14d")]
    make("orders", metadata, Unprotected("a cache"), extend_existing=True)
    assert ranges(metadata) == []
    make("parts", metadata, TablePitr("7d", name))  # the name is free again
    assert len(ranges(metadata)) == 1


def test_the_same_said_twice_contradicts_nothing() -> None:
    metadata = MetaData()
    table = make("orders", metadata, TablePitr("7d"), TablePitr((7, "d")))
    assert ranges(metadata) == [("pitr_shop_orders", "7d")]
    make("cache", metadata, Unprotected("a cache"), Unprotected("a cache"))
    assert ranges(table.metadata) == [("pitr_shop_orders", "7d")]


@pytest.mark.parametrize(
    ("item", "options"),
    [
        (TablePitr("7d"), {"schema": "mo_catalog"}),
        (Unprotected("x"), {"schema": "MySQL"}),
        (TablePitr("7d"), {"schema": "a\\b"}),
    ],
)
def test_tables_that_cannot_be_protected(item: Any, options: Any) -> None:
    with pytest.raises(PitrValidationError):
        make("orders", MetaData(), item, **options)


@pytest.mark.parametrize(
    "wrong",
    [
        lambda: TablePitr("0d"),
        lambda: TablePitr("7d", "a b"),
        lambda: TablePitr("7d", "orders__g2"),
        lambda: TablePitr("7d", "orders__g02"),
        lambda: TablePitr("7d", "x" * 5000),
        lambda: TablePitr("7d", on_rebuild="ignore"),  # type: ignore[arg-type]
        lambda: Unprotected(" "),
        lambda: DatabasePitr("7d", "a__g3"),
        lambda: DatabasePitr("7d", database_name="system"),
        lambda: declare_pitrs(MetaData(), Pitr.account("a__g2", "7d")),
        lambda: declare_pitrs(MetaData(), "nightly"),  # type: ignore[arg-type]
        lambda: declare_pitrs(object(), Pitr.account("a", "7d")),  # type: ignore[arg-type]
        lambda: declared_pitrs("metadata"),  # type: ignore[arg-type]
        lambda: Column("id", Integer, TablePitr("7d")),
    ],
)
def test_refused_where_it_is_written(wrong: Any) -> None:
    with pytest.raises(PitrValidationError):
        wrong()


# -- require_all -----------------------------------------------------------------------------------


def test_require_all() -> None:
    metadata = MetaData()
    make("orders", metadata, TablePitr("7d"))
    make("cache", metadata, Unprotected("filled again in a minute"))
    declare_pitrs(metadata, require_all=True)
    make("parts", metadata)
    with pytest.raises(PitrValidationError, match=r"1 of the tables have no policy.*'parts'"):
        declared_pitrs(metadata, database_name="shop")
    with pytest.raises(PitrValidationError, match="'parts'"):
        declare_pitrs(metadata, Pitr.account("theirs", "7d", account_name="acme"))


@pytest.mark.parametrize(
    ("schema", "policy"),
    [
        (None, Pitr.database("w", "7d", database_name="shop")),
        ("shop", DatabasePitr("7d")),
        ("SHOP", Pitr.database("w", "7d", database_name="shop")),
    ],
)
def test_require_all_compares_the_databases_that_are_meant(schema: Any, policy: Any) -> None:
    metadata = MetaData()
    make("orders", metadata, schema=schema)
    declare_pitrs(metadata, policy, require_all=True)
    assert len(declared_pitrs(metadata, database_name="shop")) == 1
    make("parts", metadata, schema="stock")
    if not isinstance(policy, DatabasePitr):
        with pytest.raises(PitrValidationError, match=r"'stock\.parts'"):
            declared_pitrs(metadata)
    with pytest.raises(PitrValidationError, match=r"'stock\.parts'"):
        declared_pitrs(metadata, database_name="shop")
    translated: dict[str | None, str | None] = {"stock": "shop"}
    assert declared_pitrs(metadata, database_name="shop", schema_translate_map=translated)


def test_refused_as_a_whole() -> None:
    metadata = MetaData()
    table = make("orders", metadata)
    make("parts", metadata)
    week = Pitr.table("week", "orders", "7d")
    for others, matches in (
        ([Pitr.table("other", "orders", "7d")], "declared twice"),
        ([Pitr.account("week", "7d")], r"'week' is declared twice, by Pitr\('week', 'table'"),
        ([Pitr.table("parts_week", "nothing", "7d")], "does not have"),
        ([Pitr.account("a", "7d"), Pitr.account("b", "7d")], "one target"),
    ):
        with pytest.raises(PitrValidationError, match=matches):
            declare_pitrs(metadata, week, *others)
        assert (item_of(table), declared_pitrs(metadata)) == (None, [])
    with pytest.raises(PitrValidationError, match="'parts'"):
        declare_pitrs(metadata, week, require_all=True)
    assert item_of(table) is None
    declare_pitrs(metadata, week, Pitr.table("parts_week", "parts", "7d"), require_all=True)


@pytest.mark.parametrize(
    "policy", [Pitr.cluster("a", "7d"), Pitr.account("a", "7d"), DatabasePitr("7d")]
)
def test_require_all_is_content_with_what_is_above(policy: Any) -> None:
    metadata = MetaData()
    make("parts", metadata)
    with pytest.raises(PitrValidationError):
        declare_pitrs(metadata, require_all=True)
    declare_pitrs(metadata, policy, require_all=True)
    make("more", metadata)
    assert len(declared_pitrs(metadata, database_name="shop")) == 1


# -- names -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("convention", "table", "expected"),
    [
        (None, "orders", "pitr_shop_orders"),
        ("%(database_name)s.%(table_name)s", "orders", "shop.orders"),
        ("%(level)s_%(object_name)s", "orders", "table_shop_orders"),
        ("Backup", "orders", "backup"),
    ],
)
def test_naming_convention(convention: str | None, table: str, expected: str) -> None:
    metadata = MetaData(naming_convention={"pitr": convention} if convention else None)
    make(table, metadata, TablePitr("7d"))
    assert [pitr.name for pitr in declared_pitrs(metadata, database_name="shop")] == [expected]


@pytest.mark.parametrize(
    "convention", ["%(nonsense)s", "%(table_name)d", "%", 7, "", "%s", "%r", "p_%s"]
)
def test_a_convention_that_names_nothing(convention: Any) -> None:
    metadata = MetaData(naming_convention={"pitr": convention})
    make("orders", metadata, TablePitr("7d"))
    with pytest.raises(PitrValidationError, match="naming_convention"):
        declared_pitrs(metadata, database_name="shop")


def test_a_convention_needs_the_database() -> None:
    metadata = MetaData()
    make("orders", metadata, TablePitr("7d"))
    with pytest.raises(
        PitrValidationError, match="table 'orders' declares a policy without a name"
    ):
        declared_pitrs(metadata)


TABLE_NAMES = st.text(
    st.characters(exclude_categories=["Cs", "Cc"], exclude_characters="'\\"), min_size=1
)


@given(TABLE_NAMES, TABLE_NAMES)
def test_made_names_are_good_ones_and_differ(one: str, other: str) -> None:
    def name(table: str) -> str:
        metadata = MetaData()
        make(table, metadata, TablePitr("7d"))
        [pitr] = declared_pitrs(metadata, database_name="shop")
        assert check_declared_name(pitr.name) == pitr.name
        assert split_generation(pitr.name) == (pitr.name, 1)
        return pitr.name

    assert name(one) == name(one)
    [a], [b] = (declared_pitrs(_with(t), database_name="shop") for t in (one, other))
    assert (a.name == b.name) == (a.table_name == b.table_name)


def _with(table: str) -> MetaData:
    metadata = MetaData()
    make(table, metadata, TablePitr("7d"))
    return metadata


@pytest.mark.parametrize("table", ["orders lines", "a`b", 'a"b', "orders__g2", "x" * 6000, "%s %d"])
def test_made_names_of_odd_tables(table: str) -> None:
    metadata = MetaData(naming_convention={"pitr": "p_%(table_name)s"})
    if len(table) > MAX_NAME_LENGTH:
        with pytest.raises(PitrValidationError):
            make(table, metadata, TablePitr("7d"))
        return
    make(table, metadata, TablePitr("7d"))
    [pitr] = declared_pitrs(metadata, database_name="shop")
    assert check_declared_name(pitr.name) == pitr.name
    assert pitr.table_name == table


def test_schema_translate_map() -> None:
    metadata = MetaData()
    make("orders", metadata, TablePitr("7d"), schema="tenant")
    make("parts", metadata, TablePitr("7d"))
    found = declared_pitrs(
        metadata, database_name="shop", schema_translate_map={"tenant": "acme", None: "main"}
    )
    assert [(p.database_name, p.name) for p in found] == [
        ("acme", "pitr_acme_orders"),
        ("main", "pitr_main_parts"),
    ]
