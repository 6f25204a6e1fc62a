"""The exact text of every statement, and what is refused before there is one."""

from __future__ import annotations

import datetime as dt
from typing import Any

import pytest
from hypothesis import given, strategies as st
from sqlalchemy import Column, Integer, MetaData, Table, create_mock_engine, event, make_url
from sqlalchemy.dialects import mysql
from sqlalchemy.exc import CompileError
from sqlalchemy.sql.ddl import ExecutableDDLElement

from sqlalchemy_matrixone_pitr import (
    AlterPitr,
    CreatePitr,
    DropPitr,
    Pitr,
    PitrValidationError,
    RestorePitr,
)
from sqlalchemy_matrixone_pitr.names import fold

AT = "2026-11-22 09:30:46.5"

STATEMENTS: list[tuple[ExecutableDDLElement, str]] = [
    (CreatePitr(Pitr.cluster("c", "1h")), "CREATE PITR `c` FOR CLUSTER RANGE 1 'h'"),
    (CreatePitr(Pitr.account("a", "2d")), "CREATE PITR `a` FOR ACCOUNT RANGE 2 'd'"),
    (
        CreatePitr(Pitr.account("a", "2d", account_name="Acc")),
        "CREATE PITR `a` FOR ACCOUNT `acc` RANGE 2 'd'",
    ),
    (
        CreatePitr(Pitr.database("D", "3mo", database_name="Shop"), if_not_exists=True),
        "CREATE PITR IF NOT EXISTS `d` FOR DATABASE `shop` RANGE 3 'mo'",
    ),
    (
        CreatePitr(Pitr.table("t", "orders", "4y", database_name="shop")),
        "CREATE PITR `t` FOR TABLE `shop` `orders` RANGE 4 'y'",
    ),
    (
        CreatePitr(Pitr.table("select", "a`b c", "4y", database_name="100%")),
        "CREATE PITR `select` FOR TABLE `100%` `a``b c` RANGE 4 'y'",
    ),
    (AlterPitr("p%%q", (7, "D")), "ALTER PITR `p%%q` RANGE 7 'd'"),
    (AlterPitr("p", "7d", if_exists=True), "ALTER PITR IF EXISTS `p` RANGE 7 'd'"),
    (DropPitr("订单"), "DROP PITR `订单`"),
    (DropPitr("p", if_exists=True), "DROP PITR IF EXISTS `p`"),
    (RestorePitr("p", AT, level="account"), f"RESTORE FROM PITR `p` '{AT}'"),
    (RestorePitr("p", AT, "cluster"), f"RESTORE CLUSTER FROM PITR `p` '{AT}'"),
    (RestorePitr("p", AT, database="d"), f"RESTORE DATABASE `d` FROM PITR `p` '{AT}'"),
    (
        RestorePitr("p", AT, database="d", table="t"),
        f"RESTORE DATABASE `d` TABLE `t` FROM PITR `p` '{AT}'",
    ),
    (RestorePitr("p", AT, account="a"), f"RESTORE ACCOUNT `a` FROM PITR `p` '{AT}'"),
    (
        RestorePitr("p", AT, account="a", from_account="b"),
        f"RESTORE ACCOUNT `a` FROM PITR `p` '{AT}' AS `b`",
    ),
    (
        RestorePitr("p", AT, account="a", database="d"),
        f"RESTORE ACCOUNT `a` DATABASE `d` FROM PITR `p` '{AT}'",
    ),
    (
        RestorePitr("p", AT, account="a", database="d", table="t"),
        f"RESTORE ACCOUNT `a` DATABASE `d` TABLE `t` FROM PITR `p` '{AT}'",
    ),
]


@pytest.mark.parametrize(("element", "text"), STATEMENTS, ids=[text for _, text in STATEMENTS])
def test_text(element: ExecutableDDLElement, text: str) -> None:
    assert str(element) == text
    on_the_wire = str(element.compile(dialect=mysql.dialect()))
    assert on_the_wire == text.replace("%", "%%")
    for name in ("mariadb", "matrixone"):  # the second is what the SDK calls its dialect
        dialect: Any = mysql.dialect()
        dialect.name = name
        assert str(element.compile(dialect=dialect)) == on_the_wire


@pytest.mark.parametrize("name", ["sqlite", "postgresql"])
@pytest.mark.parametrize("element", [STATEMENTS[0][0], AlterPitr("p", "7d"), DropPitr("p")])
def test_other_dialects(element: ExecutableDDLElement, name: str) -> None:
    with pytest.raises(CompileError, match="mysql, mariadb, matrixone") as caught:
        element.compile(dialect=make_url(f"{name}://").get_dialect()())
    assert name in str(caught.value)
    assert type(element).__name__ in str(caught.value)


def test_repr_is_an_expression() -> None:
    for element, text in STATEMENTS:
        again = eval(repr(element))
        assert str(again) == text


def test_no_database() -> None:
    element = CreatePitr(Pitr.table("p", "t", "7d"))
    with pytest.raises(PitrValidationError, match="no database"):
        str(element)
    compiled = element.compile(dialect=mysql.dialect(), schema_translate_map={None: "shop"})
    assert "`shop` `t`" in str(compiled)
    assert repr(element) == "CreatePitr(Pitr('p', 'table', '7d', table_name='t'))"


def test_schema_translate_map_when_compiled() -> None:
    element = CreatePitr(Pitr.database("p", "7d", database_name="Tenant"))
    compiled = element.compile(dialect=mysql.dialect(), schema_translate_map={"Tenant": "t_1"})
    assert str(compiled) == "CREATE PITR `p` FOR DATABASE `t_1` RANGE 7 'd'"


def test_the_keys_of_a_schema_map_are_not_folded() -> None:
    # as SQLAlchemy looks them up for a Table's schema
    element = CreatePitr(Pitr.database("p", "7d", database_name="tenant"))
    compiled = element.compile(dialect=mysql.dialect(), schema_translate_map={"Tenant": "t_1"})
    assert str(compiled) == "CREATE PITR `p` FOR DATABASE `tenant` RANGE 7 'd'"


@pytest.mark.parametrize(
    "arguments",
    [
        {},
        {"level": "database"},
        {"level": "table"},
        {"level": "account", "database": "d"},
        {"level": "cluster", "account": "a"},
        {"level": "table", "database": "d"},
        {"from_account": "b"},
        {"database": "d", "from_account": "b"},
        {"account": "a", "database": "d", "from_account": "b"},
        {"database": "mysql"},
        {"database": ""},
        {"table": "a'b", "database": "d"},
    ],
)
def test_restores_that_are_refused(arguments: dict[str, Any]) -> None:
    with pytest.raises(PitrValidationError):
        RestorePitr("p", AT, **arguments)


@pytest.mark.parametrize(
    "at",
    [
        dt.datetime(2026, 1, 1),
        "2026-11-22T09:30:46",
        "2026-11-22 09:30:46+00:00",
        "2026-11-22",
        "now()",
        "2026-11-22 09:30:46'; DROP PITR p; --",
        "",
        None,
        1763803846,
        dt.date(2026, 1, 1),
    ],
)
def test_moments_that_are_refused(at: Any) -> None:
    with pytest.raises(PitrValidationError, match="restore moment"):
        RestorePitr("p", at, database="d")


def test_an_aware_moment_has_no_text_without_a_server() -> None:
    element = RestorePitr("p", dt.datetime(2026, 1, 1, tzinfo=dt.UTC), database="d")
    with pytest.raises(PitrValidationError, match="when executed"):
        str(element)


def test_alter_to_nothing_is_refused() -> None:
    with pytest.raises(PitrValidationError, match="no protection"):
        AlterPitr("p", (0, "d"))


@pytest.mark.parametrize("bad", ["p`; DROP DATABASE shop; --", "p RANGE 1 'd", "a b", "'"])
def test_injection_shaped_names_never_become_text(bad: str) -> None:
    for make in (
        lambda: CreatePitr(Pitr.account(bad, "7d")),
        lambda: AlterPitr(bad, "7d"),
        lambda: DropPitr(bad),
        lambda: RestorePitr(bad, AT, level="account"),
    ):
        with pytest.raises(PitrValidationError):
            make()


@pytest.mark.parametrize("flag", ["maybe", 1, None, "7d"])
def test_flags_are_flags(flag: Any) -> None:
    for make in (
        lambda: CreatePitr(Pitr.account("p", "7d"), flag),
        lambda: AlterPitr("p", "7d", flag),
        lambda: DropPitr("p", flag),
    ):
        with pytest.raises(PitrValidationError, match="True or False"):
            make()


def test_create_takes_a_pitr() -> None:
    with pytest.raises(PitrValidationError, match="takes a Pitr"):
        CreatePitr("p")  # type: ignore[arg-type]


def test_listener_on_a_mock_engine() -> None:
    printed: list[str] = []
    table = Table("t", MetaData(), Column("id", Integer, primary_key=True))
    pitr = Pitr.table("p", "t", "7d", database_name="shop")
    event.listen(table, "after_create", CreatePitr(pitr).execute_if(dialect="mysql"))

    def dump(sql: ExecutableDDLElement, *args: object, **kw: object) -> None:
        printed.append(str(sql.compile(dialect=engine.dialect)).strip())

    engine = create_mock_engine("mysql+pymysql://", dump)
    table.metadata.create_all(engine, checkfirst=False)
    assert printed[1] == "CREATE PITR `p` FOR TABLE `shop` `t` RANGE 7 'd'"


names = st.text(
    st.characters(exclude_categories=["Cs", "Cc"], exclude_characters="'\\"), min_size=1
)


@given(names, names)
def test_quoting_can_be_undone(database: str, table: str) -> None:
    pitr = Pitr.table("p", f"x{table}", "7d", database_name=f"x{database}")
    text = str(CreatePitr(pitr)).removeprefix("CREATE PITR `p` FOR TABLE `")
    quoted = text.removesuffix("` RANGE 7 'd'")
    # a back-quote inside is doubled, so the first single one ends the name
    first, second, rest = "", "", quoted
    while rest:
        if rest.startswith("``"):
            first, rest = first + "`", rest[2:]
        elif rest.startswith("` `"):
            second, rest = rest[3:].replace("``", "`"), ""
        else:
            first, rest = first + rest[0], rest[1:]
    assert (first, second) == (fold(f"x{database}"), fold(f"x{table}"))


def test_a_moment_of_a_str_subclass_is_its_text() -> None:
    class Text(str):
        def __str__(self) -> str:
            return "another"

        def partition(self, separator: str) -> tuple[str, str, str]:
            raise AssertionError

    element = RestorePitr("p", Text("2026-11-22 09:30:00.5"), database="d")
    assert type(element.at) is str
    assert str(element) == "RESTORE DATABASE `d` FROM PITR `p` '2026-11-22 09:30:00.5'"
