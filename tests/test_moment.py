"""Instants: reading, showing, refusing. What asks the server is in tests/past/test_clock.py."""

from __future__ import annotations

import datetime as dt
import pickle
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, strategies as st

from sqlalchemy_matrixone_pitr import Moment, PitrValidationError

NOON = 1795953600 * 10**9
"""2026-11-29 12:00:00 UTC"""


@pytest.mark.parametrize(
    ("text", "nanoseconds"),
    [
        ("2026-11-29 12:00:00Z", NOON),
        ("2026-11-29T12:00:00Z", NOON),
        ("2026-11-29 12:00Z", NOON),
        ("2026-11-29 13:00:00+01:00", NOON),
        ("2026-11-29 13:00:00 +01:00", NOON),
        ("2026-11-29T06:30:00-05:30", NOON),
        ("2026-11-29 12:00:00.5Z", NOON + 500_000_000),
        ("2026-11-29 12:00:00.000000001Z", NOON + 1),
        ("2026-11-30 02:00:00+14:00", NOON),
        (str(NOON), NOON),
    ],
)
def test_absolute_texts(text: str, nanoseconds: int) -> None:
    assert Moment.parse(text).nanoseconds == nanoseconds


def test_times_that_no_server_had() -> None:
    """They are said as they were given, and not taken for counts of something else."""
    for year in (1970, 1971, 2263):
        with pytest.raises(PitrValidationError, match=rf"^{year}-01-02 00:00:00\+00:00 is outside"):
            Moment.of(dt.datetime(year, 1, 2, tzinfo=dt.UTC))
    with pytest.raises(PitrValidationError, match=r"^-20000 days, 0:00:00 from 2026.* is outside"):
        Moment(NOON) - dt.timedelta(days=20000)


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("10m ago", 600),
        ("2h30m ago", 9000),
        ("2h 30m ago", 9000),
        ("7d ago", 7 * 86400),
        ("1w1d ago", 8 * 86400),
        ("90s ago", 90),
        ("250ms ago", 0.25),
        ("1m250ms ago", 60.25),
        ("0s ago", 0),
    ],
)
def test_relative_texts(text: str, seconds: float) -> None:
    assert Moment.parse(text, now=NOON).nanoseconds == NOON - int(seconds * 10**9)


def test_relative_texts_want_the_servers_clock() -> None:
    with pytest.raises(PitrValidationError, match=r"counts from the server's clock: give the eng"):
        Moment.parse("10m ago")


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("2026-11-29 12:00:00", "has no zone.*'2026-11-29 12:00:00Z'"),
        ("2026-11-29T12:00", "has no zone"),
        ("2026-11-29", "is no moment: write it as"),
        ("29.11.2026 12:00Z", "is no moment: write it as"),
        ("2026-11-29 12:00:00 Europe/Berlin", "is no moment: write it as"),
        ("2026-11-29 12:00:00+0100", "is no moment: write it as"),
        ("2026-11-29 12:00:00.1234567890Z", "is no moment: write it as"),
        ("2026-02-30 12:00Z", "day .*"),
        ("2026-11-29 24:00Z", "hour must be in 0..23"),
        ("2026-11-29 12:00:60Z", "second must be in 0..59"),
        ("2026-11-29 12:00+15:00", "no zone is \\+15:00 off UTC"),
        ("2026-11-29 12:00+01:60", "no zone is \\+01:60 off UTC"),
        ("٢٠٢٦-11-29 12:00Z", "is no moment"),
        (" 2026-11-29 12:00Z", "is no moment"),
        ("", "is no moment"),
        ("now", "is no moment"),
        ("yesterday", "is no moment"),
        ("ago", "the longest first"),
        (" ago", "the longest first"),
        ("10 m ago", "the longest first"),
        ("30m2h ago", "the longest first"),
        ("1m1m ago", "the longest first"),
        ("1.5h ago", "the longest first"),
        ("-1h ago", "the longest first"),
        ("10M ago", "the longest first"),
        ("1mo ago", "no fixed length; write days"),
        ("2 years ago", "no fixed length; write days"),
        ("999999999w ago", "before any server"),
        ("54y ago", "no fixed length"),
        ("99999d ago", "outside of 1973 to 2262"),
        ("1970-01-02 00:00Z", "^'1970-01-02 00:00Z' is outside of 1973 to 2262"),
        ("1970-04-29 00:00Z", "^'1970-04-29 00:00Z' is outside"),
        ("2262-04-12 00:00Z", "^'2262-04-12 00:00Z' is outside"),
        ("1795953600", "taken for seconds"),
        ("1795953600000", "taken for milliseconds"),
    ],
)
def test_texts_that_are_no_moment(text: str, reason: str) -> None:
    with pytest.raises(PitrValidationError, match=reason):
        Moment.parse(text, now=NOON)


def test_texts_of_other_types() -> None:
    class Text(str):
        def __str__(self) -> str:
            raise AssertionError

    assert Moment.parse(Text("2026-11-29 12:00Z")).nanoseconds == NOON
    with pytest.raises(PitrValidationError, match="reads text, not int"):
        Moment.parse(NOON)  # type: ignore[arg-type]
    with pytest.raises(PitrValidationError, match="not NoneType"):
        Moment.parse(None)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("number", "guess"),
    [
        (1795953600, r"taken for seconds since 1970 \(2026-11-29 12:00:00 UTC\).*by 1000000000"),
        (1795953600_000, r"taken for milliseconds since 1970 \(2026-11-29 12:00:00 UTC\)"),
        (1795953600_000_000, r"taken for microseconds since 1970 \(2026-11-29 12:00:00 UTC\)"),
        (0, "outside of 1973 to 2262"),
        (-NOON, "outside of 1973 to 2262"),
        (2**63, "outside of 1973 to 2262"),
    ],
)
def test_integers_that_count_something_else(number: int, guess: str) -> None:
    for make in (Moment.of, Moment):
        with pytest.raises(PitrValidationError, match=guess):
            make(number)


@pytest.mark.parametrize("value", [True, 1795953600.0, None, "2026-11-29 12:00Z", dt.date.today()])
def test_values_that_are_no_moment(value: object) -> None:
    with pytest.raises(PitrValidationError, match=type(value).__name__):
        Moment.of(value)  # type: ignore[arg-type]
    with pytest.raises(PitrValidationError, match=type(value).__name__):
        Moment(value)  # type: ignore[arg-type]


def test_datetimes() -> None:
    berlin = ZoneInfo("Europe/Berlin")
    assert Moment.of(dt.datetime(2026, 11, 29, 13, tzinfo=berlin)).nanoseconds == NOON
    with pytest.raises(PitrValidationError, match="has no zone"):
        Moment.of(dt.datetime(2026, 11, 29, 12))
    moment = Moment(NOON + 1_234)
    assert moment.datetime() == dt.datetime(2026, 11, 29, 12, 0, 0, 1, tzinfo=dt.UTC)
    assert moment.datetime("Europe/Berlin").utcoffset() == dt.timedelta(hours=1)
    assert Moment.of(moment) is moment


def test_the_hour_that_a_change_of_clocks_repeats() -> None:
    """Two instants, an hour apart, whose local texts differ in the offset alone."""
    berlin = ZoneInfo("Europe/Berlin")
    first = Moment.of(dt.datetime(2026, 10, 25, 2, 30, tzinfo=berlin))
    second = Moment.of(dt.datetime(2026, 10, 25, 2, 30, fold=1, tzinfo=berlin))
    assert second.nanoseconds - first.nanoseconds == 3600 * 10**9
    assert first.text(berlin) == "2026-10-25 02:30:00+02:00"
    assert second.text("Europe/Berlin") == "2026-10-25 02:30:00+01:00"
    assert Moment.parse(first.text(berlin)) == first
    assert Moment.parse(second.text(berlin)) == second


@given(st.integers(10**17, 2**63 - 1), st.sampled_from(["UTC", "Asia/Kolkata", "America/St_Johns"]))
def test_every_moment_is_shown_as_it_is_read(nanoseconds: int, zone: str) -> None:
    moment = Moment(nanoseconds)
    assert Moment.parse(moment.text(zone)) == moment
    assert eval(repr(moment)) == moment


def test_a_zone_that_no_offset_says() -> None:
    """Half a minute would be lost in a text."""
    odd = dt.timezone(dt.timedelta(seconds=30))
    with pytest.raises(PitrValidationError, match="is not a whole minute off UTC"):
        Moment(10**18).text(odd)


def test_zones_that_are_none() -> None:
    for zone in ("Berlin", "", "../etc/passwd"):
        with pytest.raises(PitrValidationError, match="no zone that this computer knows"):
            Moment(NOON).text(zone)


def test_moments_are_values() -> None:
    moment, later = Moment(NOON), Moment(NOON + 1)
    assert moment == Moment(NOON)
    assert hash(moment) == hash(Moment(NOON))
    assert sorted([later, moment]) == [moment, later]
    assert max(moment, later) is later
    assert len({moment, NOON}) == 2
    assert pickle.loads(pickle.dumps(moment)) == moment
    with pytest.raises(AttributeError):
        moment.nanoseconds = 1  # type: ignore[misc]
    assert not hasattr(moment, "__dict__")
    with pytest.raises(TypeError):
        _ = moment < NOON  # type: ignore[operator]


def test_arithmetic() -> None:
    moment = Moment(NOON + 1)
    hour = dt.timedelta(hours=1)
    assert (moment + hour).nanoseconds == NOON + 1 + 3600 * 10**9
    assert hour + moment == moment + hour
    assert moment - hour + hour == moment
    with pytest.raises(TypeError):
        _ = moment + 1  # type: ignore[operator]
    with pytest.raises(TypeError):
        _ = moment - moment  # type: ignore[operator]


def test_moments_that_have_not_passed() -> None:
    moment = Moment(NOON)
    assert moment.check_past(moment) is moment
    with pytest.raises(PitrValidationError, match=r"lies in the future.*reads the present"):
        Moment(NOON + 1).check_past(moment)
