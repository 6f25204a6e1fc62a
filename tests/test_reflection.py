"""The pure parsers, on rows as each version of the server gives them."""

from __future__ import annotations

import datetime as dt

import pytest

from sqlalchemy_matrixone_pitr import Pitr, PitrLevel, PitrUnit, PitrValidationError
from sqlalchemy_matrixone_pitr.show import (
    parse_pitr_row,
    parse_window_rows,
    parse_windows,
    split_moment,
)

MADE = dt.datetime(2026, 11, 22, 9, 30, 46)
UTC_MADE = MADE.replace(tzinfo=dt.UTC)


@pytest.mark.parametrize(
    ("row", "pitr"),
    [
        (("c", MADE, MADE, "cluster", "*", "*", "*", 1, "h"), Pitr.cluster("c", "1h")),
        (("a", MADE, MADE, "account", "sys", "*", "*", 2, "d"), Pitr.account("a", "2d")),
        (
            ("a", MADE, MADE, "account", "acc", "*", "*", 2, "d"),
            Pitr.account("a", "2d", account_name="acc"),
        ),
        (
            ("d", MADE, MADE, "database", "sys", "shop", "*", 3, "mo"),
            Pitr.database("d", "3mo", database_name="shop"),
        ),
        (
            ("t", MADE, MADE, "table", "sys", "shop", "orders", 4, "y"),
            Pitr.table("t", "orders", "4y", database_name="shop"),
        ),
        # 2.2 gives strings; a database may be called *
        (
            (
                "d",
                "2026-11-22 09:30:46",
                "2026-11-22 09:30:46",
                "database",
                "sys",
                "*",
                "*",
                3,
                "d",
            ),
            Pitr.database("d", "3d", database_name="*"),
        ),
    ],
)
def test_rows(row: tuple[object, ...], pitr: Pitr) -> None:
    found = parse_pitr_row(row, "sys")
    assert found == pitr
    assert found.created_time == found.modified_time == UTC_MADE
    assert found.status is None


def test_rows_that_we_would_not_send() -> None:
    row = ("it's\\", MADE, MADE, "account", "sys", "*", "*", 0, "d")
    found = parse_pitr_row(row, "sys")
    assert (found.name, found.range_value, found.range_unit) == ("it's\\", 0, PitrUnit.DAY)


def test_unknown_level_says_which() -> None:
    with pytest.raises(PitrValidationError, match="'planet'"):
        parse_pitr_row(("p", MADE, MADE, "planet", "*", "*", "*", 1, "d"), "sys")


WINDOW_3X = (
    "[{'start_time':'2026-11-22 09:30:46.500307788', 'end_time':'2026-11-22 09:31:00', "
    "'source':'pitr', 'source_name':'a}b'}, {'timestamp':'2026-11-22 09:30:46.877243 +0000 UTC', "
    "'source':'snapshot', 'source_name':'s'}]"
)
WINDOW_42 = WINDOW_3X.replace("}]", "}]]")
WINDOW_42_OPEN = WINDOW_3X.removesuffix("]")
WINDOW_22 = (
    '{"start_time":"2026-11-22 09:30:46", "end_time":"2026-11-22 09:31:00", "source":"pitr", '
    '"source_name":"a}b"},\n{"timestamp":"2026-11-22 09:30:46", "source":"snapshot", '
    '"source_name":"s"}'
)


@pytest.mark.parametrize("cell", [WINDOW_3X, WINDOW_42, WINDOW_42_OPEN, WINDOW_22])
def test_windows_by_object_not_by_bracket(cell: str) -> None:
    pitr, snapshot = parse_windows(cell)
    assert (pitr["source"], pitr["source_name"]) == ("pitr", "a}b")
    assert pitr["start_time"].startswith("2026-11-22 09:30:46")
    assert (snapshot["source"], snapshot["source_name"]) == ("snapshot", "s")


@pytest.mark.parametrize("cell", ["", "[]", "null", "[{}]"])
def test_no_windows(cell: str) -> None:
    assert parse_windows(cell) == []


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ("2026-11-22 09:30:46", ("2026-11-22 09:30:46", 0, False)),
        ("2026-11-22 09:30:46.5", ("2026-11-22 09:30:46", 500000, False)),
        ("2026-11-22 09:30:46.123456789", ("2026-11-22 09:30:46", 123456, False)),
        ("2026-11-22 09:30:46.000000001", ("2026-11-22 09:30:46", 0, False)),
        ("2026-11-22 09:30:46.877243 +0000 UTC", ("2026-11-22 09:30:46", 877243, True)),
    ],
)
def test_moments(text: str, parts: tuple[str, int, bool]) -> None:
    assert split_moment(text) == parts


def test_moment_that_is_not_understood() -> None:
    with pytest.raises(ValueError, match="'yesterday'"):
        split_moment("yesterday")


@pytest.mark.parametrize("cell", [WINDOW_3X, WINDOW_42, WINDOW_22])
def test_window_rows(cell: str) -> None:
    asked: list[set[str]] = []

    def to_utc(texts: set[str]) -> dict[str, dt.datetime]:
        asked.append(texts)
        east = dt.timezone(dt.timedelta(hours=8))
        return {t: dt.datetime.fromisoformat(t).replace(tzinfo=east) for t in texts}

    rows = [("database", "acc", "shop", "orders", cell), ("database", "acc", "shop", "a", "[]")]
    first, second = parse_window_rows(rows, "acc", to_utc)
    assert len(asked) == 1
    pitr = first if first.source == "pitr" else second
    assert pitr.level is PitrLevel.DATABASE
    assert (pitr.account_name, pitr.database_name, pitr.table_name) == (None, "shop", "orders")
    assert pitr.start.replace(microsecond=0) == dt.datetime(2026, 11, 22, 1, 30, 46, tzinfo=dt.UTC)
    assert pitr.end == dt.datetime(2026, 11, 22, 1, 31, tzinfo=dt.UTC)
    snapshot = second if first is pitr else first
    assert snapshot.start == snapshot.end
