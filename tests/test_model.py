"""Every rule of model.py, and the words of its messages."""

from __future__ import annotations

import datetime as dt
import pickle
import unicodedata
from typing import Any

import pytest
from hypothesis import given, strategies as st

from sqlalchemy_matrixone_pitr import (
    Pitr,
    PitrLevel,
    PitrRange,
    PitrStatus,
    PitrUnit,
    PitrValidationError,
)
from sqlalchemy_matrixone_pitr.model import range_of_arguments
from sqlalchemy_matrixone_pitr.names import (
    SYSTEM_DATABASES,
    check_database_name,
    check_pitr_name,
    check_target_name,
    fold,
)

UTC_NOW = dt.datetime(2026, 11, 22, 9, 30, tzinfo=dt.UTC)


@pytest.mark.parametrize("value", [1, 7, 100])
@pytest.mark.parametrize("unit", ["h", "d", "mo", "y", "H", "D", "MO", "Y", "Mo"])
def test_ranges_that_are_accepted(value: int, unit: str) -> None:
    range = PitrRange.of((value, unit))
    assert range == PitrRange.parse(f"{value}{unit}")
    assert str(range) == f"{value}{unit.lower()}"
    assert PitrRange.parse(str(range)) == range


@pytest.mark.parametrize(
    ("value", "words"),
    [
        (0, ["0", "1 to 100", "no protection"]),
        (101, ["101", "1 to 100", "another unit"]),
        (-1, ["-1", "1 to 100"]),
        (True, ["bool", "True", "1 to 100"]),
        (1.0, ["float", "1.0"]),
        ("7", ["str", "'7'"]),
        (None, ["NoneType"]),
    ],
)
def test_range_values_that_are_refused(value: Any, words: list[str]) -> None:
    with pytest.raises(PitrValidationError) as caught:
        PitrRange(value, PitrUnit.DAY)
    assert isinstance(caught.value, ValueError)
    for word in words:
        assert word in str(caught.value)


def test_range_value_of_many_digits() -> None:
    with pytest.raises(PitrValidationError, match="of many digits"):
        PitrRange(10**6000, PitrUnit.DAY)


@pytest.mark.parametrize("unit", ["w", "min", "days", "", "m", None, 1])
def test_units_that_are_refused(unit: Any) -> None:
    with pytest.raises(PitrValidationError, match="'h', 'd', 'mo', 'y'"):
        PitrRange(1, unit)


@pytest.mark.parametrize(
    "text",
    ["", "7", "d", "7 days", "-7d", "+7d", "7.5d", "0x7d", "7d;", "7d\n", "٧d", "1e1d", " 7d"],
)
def test_range_texts_that_are_refused(text: str) -> None:
    with pytest.raises(PitrValidationError):
        PitrRange.parse(text)


@pytest.mark.parametrize("value", [7, 7.0, None, ("7",), (1, "d", 2), [7, "d"], b"7d", object()])
def test_range_spellings_that_are_refused(value: Any) -> None:
    with pytest.raises(PitrValidationError):
        PitrRange.of(value)


@pytest.mark.parametrize(
    ("delta", "text"),
    [
        (dt.timedelta(days=7), "7d"),
        (dt.timedelta(hours=24), "1d"),
        (dt.timedelta(hours=36), "36h"),
        (dt.timedelta(hours=1), "1h"),
    ],
)
def test_timedeltas(delta: dt.timedelta, text: str) -> None:
    assert str(PitrRange.of(delta)) == text


@pytest.mark.parametrize(
    "delta",
    [
        dt.timedelta(minutes=90),
        dt.timedelta(0),
        dt.timedelta(days=-1),
        dt.timedelta(hours=101),
        dt.timedelta(days=101),
        dt.timedelta(microseconds=1),
    ],
)
def test_timedeltas_that_are_refused(delta: dt.timedelta) -> None:
    with pytest.raises(PitrValidationError):
        PitrRange.of(delta)


def test_ranges_have_no_order() -> None:
    with pytest.raises(TypeError):
        assert PitrRange.parse("30d") < PitrRange.parse("1mo")  # type: ignore[operator]
    assert PitrRange.parse("24h") != PitrRange.parse("1d")


@pytest.mark.parametrize(
    ("range", "now", "start"),
    [
        ("1h", dt.datetime(2026, 1, 1), dt.datetime(2025, 12, 31, 23)),
        ("7d", dt.datetime(2026, 3, 3), dt.datetime(2026, 2, 24)),
        ("1mo", dt.datetime(2026, 3, 31, 5), dt.datetime(2026, 3, 3, 5)),
        ("1mo", dt.datetime(2024, 3, 31), dt.datetime(2024, 3, 2)),
        ("13mo", dt.datetime(2026, 1, 15), dt.datetime(2024, 12, 15)),
        ("1y", dt.datetime(2024, 2, 29), dt.datetime(2023, 3, 1)),
        ("100y", dt.datetime(2026, 7, 1), dt.datetime(1926, 7, 1)),
    ],
)
def test_start_of_a_range(range: str, now: dt.datetime, start: dt.datetime) -> None:
    assert PitrRange.parse(range).start(now) == start


@pytest.mark.parametrize("range", ["1h", "1mo", "100y"])
def test_start_before_the_calendar(range: str) -> None:
    with pytest.raises(PitrValidationError, match="calendar"):
        PitrRange.parse(range).start(dt.datetime.min)


@given(
    st.builds(PitrRange, st.integers(1, 100), st.sampled_from(PitrUnit)),
    st.datetimes(min_value=dt.datetime(200, 1, 1)),
)
def test_start_is_earlier_and_keeps_the_zone(range: PitrRange, now: dt.datetime) -> None:
    aware = now.replace(tzinfo=dt.UTC)
    assert range.start(aware) < aware
    assert range.start(aware).tzinfo is dt.UTC


@pytest.mark.parametrize(
    "name",
    [
        "a",
        "orders_week",
        "select",
        "1",
        "a.b",
        "a-b",
        "a%b",
        "a;b",
        "$#*",
        "订单",
        "é",
        "😀",
        "x" * 5000,
    ],
)
def test_pitr_names_that_are_accepted(name: str) -> None:
    assert check_pitr_name(name) == name


@pytest.mark.parametrize(
    ("name", "word"),
    [
        ("", "empty"),
        ("a b", "' '"),
        ("a\tb", r"'\t'"),
        ("a`b", "'`'"),
        ("a'b", "quotation"),
        ('a"b', "quotation"),
        ("a\\b", "backslash"),
        ("a\nb", r"'\n'"),
        ("a\0b", "control"),
        ("a\x7fb", "control"),
        ("a\x85b", "control"),
        ("\ud800", "surrogate"),
        ("x" * 5001, "5000"),
        ("sys_mo_catalog_pitr", "hidden"),
        ("SYS_MO_CATALOG_PITR", "hidden"),
        (7, "int"),
        (None, "NoneType"),
        (b"x", "bytes"),
    ],
)
def test_pitr_names_that_are_refused(name: Any, word: str) -> None:
    with pytest.raises(PitrValidationError) as caught:
        check_pitr_name(name)
    assert word in str(caught.value)
    assert len(str(caught.value)) < 400


@pytest.mark.parametrize(
    ("name", "folded"),
    [
        ("MyPitr", "mypitr"),
        ("ÉTÉ", "été"),
        ("ΟΔΟΣ", "οδοσ"),
        ("İ", "i"),
        ("\u212a", "k"),
        ("ẞ", "ß"),
    ],
)
def test_folding(name: str, folded: str) -> None:
    assert fold(name) == folded
    assert Pitr.account(name, "7d").name == folded


@given(st.text())
def test_folding_is_character_by_character_and_final(text: str) -> None:
    folded = fold(text)
    assert len(folded) == len(text)
    assert fold(folded) == folded
    assert folded == "".join(fold(character) for character in text)


@pytest.mark.parametrize("name", ["a b", 'a"b', "a`b", "x y"])
def test_target_names_that_some_versions_accept(name: str) -> None:
    assert check_target_name(name, "table name") == name


@pytest.mark.parametrize("name", ["", "a'b", "a\\b", "a\nb", None, "x" * 5001])
def test_target_names_that_are_refused(name: Any) -> None:
    with pytest.raises(PitrValidationError, match="table name"):
        check_target_name(name, "table name")


@pytest.mark.parametrize("name", sorted(SYSTEM_DATABASES))
def test_system_databases_are_refused(name: str) -> None:
    with pytest.raises(PitrValidationError, match="system"):
        check_database_name(name.upper())
    with pytest.raises(PitrValidationError):
        Pitr.database("p", "7d", database_name=name)
    with pytest.raises(PitrValidationError):
        Pitr.table("p", "t", "7d", database_name=name)


@pytest.mark.parametrize(
    ("level", "names"),
    [
        ("cluster", {"account_name": "a"}),
        ("cluster", {"database_name": "d"}),
        ("account", {"database_name": "d"}),
        ("account", {"table_name": "t"}),
        ("database", {"account_name": "a"}),
        ("database", {"database_name": "d", "table_name": "t"}),
        ("table", {}),
        ("table", {"database_name": "d"}),
        ("table", {"table_name": "t", "account_name": "a"}),
        ("tables", {"table_name": "t"}),
    ],
)
def test_level_and_target_must_agree(level: str, names: dict[str, str]) -> None:
    with pytest.raises(PitrValidationError, match="level"):
        Pitr("p", level, "7d", **names)  # type: ignore[arg-type]


def test_equality_leaves_out_what_is_only_read() -> None:
    declared = Pitr.table("P", "T", "7d", database_name="Shop")
    read = Pitr(
        "p",
        "table",
        (7, "d"),
        database_name="shop",
        table_name="t",
        created_time=UTC_NOW,
        modified_time=UTC_NOW,
        status="active",
    )
    assert declared == read
    assert hash(declared) == hash(read)
    assert read.status is PitrStatus.ACTIVE
    assert declared != Pitr.table("p", "t", "8d", database_name="shop")
    assert declared != Pitr.table("p", "t", "7d")


def test_a_pitr_is_frozen_and_picklable() -> None:
    pitr = Pitr.account("p", "7d", account_name="other")
    with pytest.raises(AttributeError):
        pitr.name = "q"  # type: ignore[misc]
    assert pickle.loads(pickle.dumps(pitr)) == pitr
    assert (pitr.range_value, pitr.range_unit) == (7, PitrUnit.DAY)
    assert repr(pitr) == "Pitr('p', 'account', '7d', account_name='other')"


def test_words_of_the_enumerations() -> None:
    assert [str(level) for level in PitrLevel] == ["cluster", "account", "database", "table"]
    assert [str(unit) for unit in PitrUnit] == ["h", "d", "mo", "y"]
    assert [str(status) for status in PitrStatus] == ["active", "detached", "unknown"]


@given(st.text(max_size=30))
def test_a_name_is_accepted_whole_or_refused_with_a_reason(name: str) -> None:
    forbidden = any(c in " `\"'\\" or unicodedata.category(c) in ("Cc", "Cs") for c in name)
    try:
        folded = check_pitr_name(name)
    except PitrValidationError as error:
        assert forbidden or not name or fold(name) == "sys_mo_catalog_pitr"
        assert ":" in str(error)
    else:
        assert not forbidden
        assert folded == fold(name)


@pytest.mark.parametrize(
    ("value", "unit", "found"),
    [
        (7, "d", "7d"),
        (7, PitrUnit.MONTH, "7mo"),
        ("12mo", None, "12mo"),
        ((3, "y"), None, "3y"),
        (PitrRange(7, PitrUnit.DAY), None, "7d"),
        (dt.timedelta(hours=36), None, "36h"),
    ],
)
def test_range_in_place_of_value_and_unit(value: Any, unit: Any, found: str) -> None:
    assert str(range_of_arguments(value, unit)) == found


def test_a_number_without_a_unit() -> None:
    assert str(range_of_arguments(7, None, PitrUnit.DAY)) == "7d"
    with pytest.raises(PitrValidationError, match="7 has no unit"):
        range_of_arguments(7, None)


def test_a_range_with_one_more_unit() -> None:
    with pytest.raises(PitrValidationError, match="7d has its unit already"):
        range_of_arguments("7d", "d")
