"""What columns of every type store of what they are given, or refuse."""

from __future__ import annotations

import datetime
from decimal import Decimal

import pytest

from tests.conftest import Server
from tests.server.conftest import Client, answers, is_3_0_18

TABLE = """\
CREATE TABLE s (k INT AUTO_INCREMENT PRIMARY KEY, i TINYINT, iu TINYINT UNSIGNED, bi BIGINT,
  bu BIGINT UNSIGNED, v VARCHAR(3), c CHAR(3), tx TEXT, d DECIMAL(5,2), f FLOAT, fd FLOAT(5,2),
  db DOUBLE, b BOOL, da DATE, dt DATETIME, dt3 DATETIME(3), ts TIMESTAMP, ti TIME, ti2 TIME(2),
  bl BLOB, bn BINARY(3), vb VARBINARY(3), j JSON, e ENUM('x','Y'), u UUID, bt BIT(4))"""

STORED: list[tuple[str, str, object]] = [
    ("i", "'5'", 5),
    ("i", "'1.5'", (20203, "invalid argument cast to int, bad value 1.5")),
    ("i", "1.5", 1),
    ("i", "'x'", (20203, "invalid argument cast to int, bad value x")),
    ("i", "128", (1690, "data out of range: data type int8, value '128'")),
    ("i", "-129", (1690, "data out of range: data type int8, value '-129'")),
    ("i", "true", 1),
    ("i", "0x05", 5),
    ("i", "5e0", 5),
    ("i", "NULL", None),
    ("i", "' 7 '", 7),
    ("iu", "-1", (1690, "data out of range: data type uint8, value '-1'")),
    ("iu", "256", (1690, "data out of range: data type uint8, value '256'")),
    ("iu", "'-1'", (20203, "invalid argument cast to uint8, bad value -1")),
    ("iu", "'256'", (1690, "data out of range: data type uint8, value '256'")),
    ("iu", "255", 255),
    ("iu", "1.5", 1),
    ("iu", "-0.4", (20203, "invalid argument cast to uint8, bad value 0.4")),
    (
        "bi",
        "'9223372036854775808'",
        (1690, "data out of range: data type int64, value '9223372036854775808'"),
    ),
    (
        "bi",
        "9223372036854775808",
        (1690, "data out of range: data type int64, value '9223372036854775808'"),
    ),
    ("bu", "18446744073709551615", 18446744073709551615),
    ("bu", "'18446744073709551615'", 18446744073709551615),
    ("bu", "-1", (1690, "data out of range: data type uint64, value '-1'")),
    ("v", "1.5", "1.5"),
    ("v", "true", "1"),
    ("v", "x'414243'", "ABC"),
    ("tx", "5", "5"),
    ("tx", "CAST('01:02:03' AS TIME)", "01:02:03"),
    ("tx", "CAST('2024-01-02 03:04:05.6' AS DATETIME(1))", "2024-01-02 03:04:05.6"),
    ("tx", "true", "1"),
    ("tx", "x'c3a9'", "é"),
    ("tx", "1.50", "1.50"),
    ("d", "'1.005'", Decimal("1.01")),
    ("d", "1.005", Decimal("1.01")),
    ("d", "1000", Decimal("1000.00")),
    (
        "d",
        "999.999",
        (20301, "invalid input: 999.999 beyond the range, can't be converted to Decimal64(5,2)."),
    ),
    (
        "d",
        "'x'",
        (20301, "invalid input: x beyond the range, can't be converted to Decimal64(5,2)."),
    ),
    ("d", "5e0", Decimal("5.00")),
    ("d", "' 1 '", Decimal("1.00")),
    ("d", "'1e2'", Decimal("100.00")),
    ("d", "-0.005", Decimal("-0.01")),
    ("d", "0.005", Decimal("0.01")),
    ("d", "NULL", None),
    ("d", "-999.99", Decimal("-999.99")),
    ("f", "'1.5'", 1.5),
    ("f", "1.5", 1.5),
    ("f", "true", 1.0),
    ("fd", "123.456", 123.46),
    ("fd", "1000", (1690, "data out of range: data type float, value '1000'")),
    ("fd", "'99.999'", 100.0),
    ("db", "'1e3'", 1000.0),
    ("b", "'true'", 1),
    ("b", "0.5", 1),
    ("b", "NULL", None),
    ("b", "1", 1),
    ("b", "0", 0),
    ("b", "0.0", 0),
    ("b", "'TRUE'", 1),
    ("b", "'false'", 0),
    ("b", "1e0", 1),
    ("da", "'2024-01-02 23:59:59'", datetime.date(2024, 1, 2)),
    ("da", "'20240102'", datetime.date(2024, 1, 2)),
    ("da", "'2024-1-2'", datetime.date(2024, 1, 2)),
    ("da", "'x'", (20203, "invalid argument parsedate, bad value x")),
    ("da", "'2024-13-01'", (20203, "invalid argument parsedate, bad value 2024-13-01")),
    ("da", "CAST('2024-01-02 03:04:05' AS DATETIME)", datetime.date(2024, 1, 2)),
    ("dt", "'2024-01-02 03:04:05.5'", datetime.datetime(2024, 1, 2, 3, 4, 6)),
    ("dt", "'2024-01-02'", datetime.datetime(2024, 1, 2, 0, 0)),
    ("dt", "'20240102030405'", datetime.datetime(2024, 1, 2, 3, 4, 5)),
    ("dt", "'x'", (20301, "invalid input: invalid datetime value x")),
    ("dt", "'2024/01/02 03:04:05'", datetime.datetime(2024, 1, 2, 3, 4, 5)),
    ("dt", "CAST('2024-01-02' AS DATE)", datetime.datetime(2024, 1, 2, 0, 0)),
    ("dt", "NULL", None),
    ("dt", "'2024-01-02 03:04'", datetime.datetime(2024, 1, 2, 3, 4)),
    ("dt", "'2024-02-30'", (20301, "invalid input: invalid datetime value 2024-02-30")),
    ("dt3", "'2024-01-02 03:04:05.6785'", datetime.datetime(2024, 1, 2, 3, 4, 5, 679000)),
    ("ts", "'2024-01-02 03:04:05.5'", datetime.datetime(2024, 1, 2, 3, 4, 6)),
    ("ts", "'x'", (20203, "invalid argument parse timestamp, bad value x")),
    ("ts", "CAST('2024-01-02' AS DATE)", datetime.datetime(2024, 1, 2, 0, 0)),
    ("ti", "'01:02:03.5'", datetime.timedelta(seconds=3724)),
    ("ti", "'1 02:03:04'", datetime.timedelta(days=1, seconds=7384)),
    ("ti", "'-01:02:03'", datetime.timedelta(days=-1, seconds=82677)),
    ("ti", "'010203'", datetime.timedelta(seconds=3723)),
    ("ti", "'x'", (20301, "invalid input: invalid time value x")),
    ("ti", "'25:61:00'", (20301, "invalid input: invalid time value 25:61:00")),
    ("ti", "'2024-01-02 03:04:05'", datetime.timedelta(seconds=11045)),
    ("ti", "CAST('2024-01-02 03:04:05' AS DATETIME)", datetime.timedelta(seconds=11045)),
    ("ti", "10203", datetime.timedelta(seconds=3723)),
    ("ti", "'100:00:00'", datetime.timedelta(days=4, seconds=14400)),
    ("ti", "CAST('01:02:03' AS TIME)", datetime.timedelta(seconds=3723)),
    ("ti2", "'01:02:03.456'", datetime.timedelta(seconds=3723, microseconds=460000)),
    ("ti2", "CAST('01:02:03' AS TIME)", datetime.timedelta(seconds=3723)),
    ("bl", "'abc'", b"abc"),
    ("bl", "5", b"5"),
    ("bl", "x'ff'", b"\xff"),
    ("bn", "'a'", b"a\x00\x00"),
    ("bn", "'abcd'", b"abcd"),
    ("vb", "'abc'", b"abc"),
    (
        "vb",
        "'abcd'",
        (
            20101,
            "internal error: Can't cast 'abcd' to VARBINARY type. Src length 4 is larger "
            "than Dest length 3",
        ),
    ),
    ("j", '\'{"b": 1, "a": [1.50, null, true, "x"]}\'', '{"a": [1.5, null, true, "x"], "b": 1}'),
    ("j", "'x'", (20301, "invalid input: json text x")),
    ("j", "5", "5"),
    ("j", "true", 1),
    ("j", "'5'", "5"),
    ("j", '\'{"a": "\\\\u00e9"}\'', '{"a": "é"}'),
    ("j", "1.5", "1.5"),
    ("j", "'null'", "null"),
    ("j", "CAST('[1]' AS JSON)", "[1]"),
    ("e", "'X'", "x"),
    ("e", "'y'", "Y"),
    ("e", "1", "x"),
    ("e", "2", "Y"),
    (
        "e",
        "3",
        (
            20101,
            "internal error: convert to MySQL enum failed: number 3 overflow enum boundary [1, 2]",
        ),
    ),
    (
        "e",
        "0",
        (
            20101,
            "internal error: convert to MySQL enum failed: number 0 overflow enum boundary [1, 2]",
        ),
    ),
    (
        "e",
        "'z'",
        (20101, "internal error: convert to MySQL enum failed: item z is not in enum [x Y]"),
    ),
    ("e", "NULL", None),
    (
        "e",
        "''",
        (20101, "internal error: convert to MySQL enum failed: item  is not in enum [x Y]"),
    ),
    ("u", "'6d1b1f73-2dbf-11ed-940f-000c29847904'", "6d1b1f73-2dbf-11ed-940f-000c29847904"),
    ("u", "'6d1b1f732dbf11ed940f000c29847904'", "6d1b1f73-2dbf-11ed-940f-000c29847904"),
    ("u", "'x'", (1105, "invalid UUID length: 1")),
    ("u", "'6d1b1f73-2dbf-11ed-940f-000c2984790z'", (1105, "invalid UUID format")),
    ("bt", "3", b"\x03"),
    ("bt", "15", b"\x0f"),
    ("bt", "16", (20301, "invalid input: data too long, type width = 4, val = 10000")),
    ("bt", "b'101'", b"\x05"),
    ("bt", "'a'", (20301, "invalid input: data too long, type width = 4, val = 1100001")),
    ("bt", "'3'", (20301, "invalid input: data too long, type width = 4, val = 110011")),
    ("bt", "1.5", b"\x02"),
    ("bt", "x'05'", b"\x05"),
]


@pytest.fixture
def table(say: Client) -> Client:
    """`say` in database ~ with table s."""
    say.ok("CREATE DATABASE ~", "USE ~", TABLE)
    return say


def stored(client: Client, column: str, value: str) -> object:
    """What the column has of a value, or the error."""
    insert = f"INSERT INTO s ({column}) VALUES ({value})"
    select = f"SELECT {column} FROM s ORDER BY k DESC LIMIT 1"
    found = answers(client, [insert])[insert]
    return found or answers(client, [select])[select]


@pytest.mark.usefixtures("since_3")
def test_what_is_stored(table: Client) -> None:
    found = {(column, value): stored(table, column, value) for column, value, _ in STORED}
    assert found == {(column, value): expected for column, value, expected in STORED}


@pytest.mark.usefixtures("since_3")
def test_bytes_that_are_no_utf_8(table: Client) -> None:
    """A literal's bytes, as PyMySQL before 1.2 writes a parameter of bytes."""
    written = {
        ("bl", b"_binary'a\xff\\0\\''"): b"a\xff\0'",
        ("bl", b"'\xfe'"): b"\xfe",
        ("bn", b"_binary'\xff'"): b"\xff\0\0",
        ("vb", b"_binary'\xff\xfe'"): b"\xff\xfe",
        ("vb", "_binary'é'".encode()): "é".encode(),
    }
    query = table.connection.query
    for (column, value), expected in written.items():
        assert query(b"INSERT INTO s (%s) VALUES (%s)" % (column.encode(), value)) == 1
        assert table.value(f"SELECT {column} FROM s ORDER BY k DESC LIMIT 1") == expected
    assert query(b"UPDATE s SET bl = _binary'\xee' WHERE vb = _binary'\xff\xfe'") == 1
    assert query(b"SELECT 1 FROM s WHERE bl = _binary'\xee' AND _binary'\xff' <> x'fe'") == 1
    assert query(b"SELECT 1 FROM s WHERE bl <> 'a' AND hex(_binary'a\xff') = '61FF' LIMIT 1") == 1
    assert query(b"SELECT 1 FROM s WHERE bl <> 'a' AND length('\xfe') = 1 LIMIT 1") == 1


@pytest.mark.usefixtures("since_3")
def test_what_is_stored_since_4(table: Client, server: Server) -> None:
    since_4 = server.version >= (4,)
    if not is_3_0_18(server):
        bad = "is not a valid bool expression"
        for text, old in {"'x'": 0, "'yes'": 0}.items():
            new = (20301, f"invalid input: {text} {bad}")
            assert stored(table, "b", text) == (new if since_4 else old)
        assert stored(table, "b", "'1'") == since_4
        for value, pair in {"20240102": "BIGINT DATE", "5": "BIGINT DATETIME"}.items():
            word = "cast_strict" if since_4 else "cast"
            error = (20203, f"invalid argument operator {word}, bad value [{pair}]")
            assert stored(table, "da" if value != "5" else "dt", value) == error
        text = "2024-01-02T03:04:05"
        old_error = (20301, f"invalid input: invalid datetime value {text}")
        new_value = datetime.datetime(2024, 1, 2, 3, 4, 5)
        assert stored(table, "dt", f"'{text}'") == (new_value if since_4 else old_error)
