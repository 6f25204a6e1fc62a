"""CAST: 3.x refuses where 4.x makes the best of a value; 3.0.18 does some of both."""

from __future__ import annotations

import datetime
from decimal import Decimal

import pytest

from tests.conftest import Server
from tests.server.conftest import Client, internal, is_3_0_18


def bad(text: str) -> tuple[int, str]:
    return 20203, f"invalid argument {text}"


def no_cast(pair: str) -> tuple[int, str]:
    return bad(f"operator cast, bad value [{pair}]")


def beyond(text: str, kind: str) -> tuple[int, str]:
    return 20301, f"invalid input: {text} beyond the range, can't be converted to {kind}."


def out_of_range(kind: str, value: str) -> tuple[int, str]:
    return 1690, f"data out of range: data type {kind}, value '{value}'"


def too_long(text: str, source: str, target: str, size: str) -> tuple[int, str]:
    return internal(f"Can't cast '{text}' from {source} type to {target}. {size}")


CASTS: list[tuple[str, object, object]] = [
    # whole numbers
    ("-1 AS UNSIGNED", out_of_range("uint64", "-1"), 18446744073709551615),
    ("'-1' AS UNSIGNED", bad("cast to uint64, bad value -1"), 18446744073709551615),
    ("'1.9' AS UNSIGNED", bad("cast to uint64, bad value 1.9"), 1),
    ("1.9 AS UNSIGNED", 1, 2),
    ("1.5 AS SIGNED", 2, 2),
    ("-1.5 AS SIGNED", -2, -2),
    ("'1.5' AS SIGNED", bad("cast to int, bad value 1.5"), 1),
    ("'12abc' AS SIGNED", bad("cast to int, bad value 12abc"), 12),
    ("'1e3' AS SIGNED", bad("cast to int, bad value 1e3"), 1),
    ("' 12 ' AS SIGNED", 12, 12),
    ("'abc' AS SIGNED", bad("cast to int, bad value abc"), bad("cast to int, bad value abc")),
    ("'' AS SIGNED", bad("cast to int, bad value "), bad("cast to int, bad value ")),
    (
        "'abc' AS UNSIGNED",
        bad("cast to uint64, bad value abc"),
        bad("cast to uint64, bad value abc"),
    ),
    ("2.5e0 AS SIGNED", 3, 2),
    ("3.5e0 AS UNSIGNED", 4, 4),
    ("-3.5e0 AS UNSIGNED", 18446744073709551612, 18446744073709551612),
    ("x'3132' AS SIGNED", 12594, 12594),
    (
        "18446744073709551616 AS UNSIGNED",
        out_of_range("uint64", "18446744073709551616"),
        18446744073709551615,
    ),
    ("18446744073709551615 AS UNSIGNED", 18446744073709551615, 18446744073709551615),
    ("18446744073709551615 AS SIGNED", out_of_range("int64", "18446744073709551615"), -1),
    (
        "'9223372036854775808' AS SIGNED",
        out_of_range("int64", "9223372036854775808"),
        -9223372036854775808,
    ),
    ("1e30 AS SIGNED", out_of_range("int64", "1e+30"), out_of_range("int64", "1e+30")),
    ("300 AS TINYINT", out_of_range("int8", "300"), out_of_range("int8", "300")),
    ("NULL AS UNSIGNED", None, None),
    # decimals and doubles
    ("12345.678 AS DECIMAL(5,2)", beyond("12345.678", "Decimal64(5,2)"), Decimal("999.99")),
    ("'99999' AS DECIMAL(4,1)", beyond("99999", "Decimal64(4,1)"), Decimal("999.9")),
    (
        "'x' AS DECIMAL(4,1)",
        beyond("x", "Decimal64(4,1)"),
        beyond("x", "Decimal64(4,1)"),
    ),
    ("'12.345' AS DECIMAL(5,2)", Decimal("12.35"), Decimal("12.35")),
    ("1.23456 AS FLOAT(5,2)", 1.23, 1.23),
    ("'x' AS DOUBLE", (1105, 'strconv.ParseFloat: parsing "x": invalid syntax'), 0.0),
    # texts
    (
        "'abcdef' AS CHAR(3)",
        too_long("abcdef", "VARCHAR", "CHAR type", "Src length 6 is larger than Dest length 3"),
        "abc",
    ),
    (
        "'abcdef' AS VARCHAR(3)",
        too_long("abcdef", "VARCHAR", "VARCHAR type", "Src length 6 is larger than Dest length 3"),
        "abc",
    ),
    ("'abc' AS BINARY(2)", b"ab", b"ab"),
    ("'abc' AS BINARY(5)", b"abc\0\0", b"abc\0\0"),
    # moments
    ("'2024-13-02' AS DATE", bad("parsedate, bad value 2024-13-02"), None),
    ("'' AS DATE", None, None),
    ("20240102 AS DATE", no_cast("BIGINT DATE"), no_cast("BIGINT DATE")),
    ("1.5 AS DATE", no_cast("DECIMAL64 DATE"), no_cast("DECIMAL64 DATE")),
    ("20240102030405 AS DATETIME", no_cast("BIGINT DATETIME"), no_cast("BIGINT DATETIME")),
    (
        "'2024-01-02 03:04:05.678' AS DATETIME",
        datetime.datetime(2024, 1, 2, 3, 4, 6),
        datetime.datetime(2024, 1, 2, 3, 4, 6),
    ),
    ("'03:04:05.6' AS TIME", datetime.timedelta(seconds=11046), datetime.timedelta(seconds=11046)),
    ("CAST('2024-01-02' AS DATE) AS SIGNED", 19724, 20240102),
    ("CAST('2024-01-02 03:04:05' AS DATETIME) AS SIGNED", 1704164645, 20240102030405),
    ("CAST('12:13:14' AS TIME) AS SIGNED", 121314, 121314),
    (
        "CAST('2024-01-02 03:04:05' AS DATETIME) AS DECIMAL(20,2)",
        Decimal("1704164645.00"),
        Decimal("20240102030405.00"),
    ),
    (
        "CAST('2024-01-02 03:04:05' AS DATETIME) AS DOUBLE",
        no_cast("DATETIME DOUBLE"),
        no_cast("DATETIME DOUBLE"),
    ),
    # JSON
    ("'{\"a\":1}' AS JSON", '{"a": 1}', '{"a": 1}'),
    ("1 AS JSON", no_cast("BIGINT JSON"), "1"),
    ("1.5 AS JSON", no_cast("DECIMAL64 JSON"), "1.5"),
    ("true AS JSON", no_cast("BOOL JSON"), "true"),
    ("CAST('2024-01-02' AS DATE) AS JSON", no_cast("DATE JSON"), '"2024-01-02"'),
    ("CAST('01:02:03' AS TIME) AS JSON", no_cast("TIME JSON"), '"01:02:03.000000"'),
    ("CAST('\"1\"' AS JSON) AS SIGNED", no_cast("JSON BIGINT"), 1),
    ("CAST('null' AS JSON) AS SIGNED", no_cast("JSON BIGINT"), None),
    ("CAST('true' AS JSON) AS SIGNED", no_cast("JSON BIGINT"), no_cast("JSON -> BIGINT")),
    ("CAST('1.5' AS JSON) AS DECIMAL(10,2)", no_cast("JSON DECIMAL64"), Decimal("1.50")),
    ("CAST('1.5' AS JSON) AS SIGNED", no_cast("JSON BIGINT"), 1),
    ("CAST('\"-2.5\"' AS JSON) AS SIGNED", no_cast("JSON BIGINT"), -2),
    ("CAST('\"x\"' AS JSON) AS SIGNED", no_cast("JSON BIGINT"), no_cast("JSON -> BIGINT")),
    ("CAST('[1]' AS JSON) AS DOUBLE", no_cast("JSON DOUBLE"), no_cast("JSON -> DOUBLE")),
    (
        "CAST('-1' AS JSON) AS UNSIGNED",
        no_cast("JSON BIGINT UNSIGNED"),
        no_cast("JSON -> BIGINT UNSIGNED"),
    ),
    (
        "CAST('99999999999999999999' AS JSON) AS SIGNED",
        no_cast("JSON BIGINT"),
        no_cast("JSON -> BIGINT"),
    ),
    ("CAST('\"x\"' AS JSON) AS CHAR", '"x"', "x"),
]


NEW_IN_3_0_18 = {
    "'abcdef' AS CHAR(3)",
    "'abcdef' AS VARCHAR(3)",
    "CAST('\"1\"' AS JSON) AS SIGNED",
    "CAST('null' AS JSON) AS SIGNED",
    "CAST('true' AS JSON) AS SIGNED",
    "CAST('1.5' AS JSON) AS DECIMAL(10,2)",
    "CAST('\"x\"' AS JSON) AS SIGNED",
    "CAST('[1]' AS JSON) AS DOUBLE",
    "CAST('-1' AS JSON) AS UNSIGNED",
    "CAST('99999999999999999999' AS JSON) AS SIGNED",
}
ONLY_IN_3_0_18: dict[str, object] = {
    "-3.5e0 AS UNSIGNED": out_of_range("uint64", "-3.5"),
    "CAST('1.5' AS JSON) AS SIGNED": 2,
    "CAST('\"-2.5\"' AS JSON) AS SIGNED": -3,
}


@pytest.mark.parametrize(("cast", "old", "new"), CASTS, ids=[cast for cast, _, _ in CASTS])
def test_casts(say: Client, server: Server, cast: str, old: object, new: object) -> None:
    answer = say(f"SELECT CAST({cast})")
    wanted = new if server.version >= (4,) else old
    if is_3_0_18(server):
        wanted = ONLY_IN_3_0_18.get(cast, new if cast in NEW_IN_3_0_18 else old)
    if isinstance(wanted, tuple):
        assert answer.error == wanted
    else:
        assert answer.value == wanted
        assert type(answer.value) is type(wanted)


WIDTHS = [
    ("CHAR(256)", "data type char,  typeLen is over the MaxCharLen: 255"),
    ("VARCHAR(65536)", "data type varchar,  typeLen is over the MaxVarcharLen: 65535"),
]


@pytest.mark.parametrize(("kind", "text"), WIDTHS)
def test_types_too_wide(say: Client, kind: str, text: str) -> None:
    assert say.error(f"SELECT CAST('abc' AS {kind})") == (1690, f"data out of range: {text}")


@pytest.mark.parametrize(
    ("kind", "text"),
    [
        (
            "DECIMAL(5,7)",
            "For float(M,D), double(M,D) or decimal(M,D), M must be >= D (column 'a')) "
            'at line 1 column 29 near "))";',
        ),
        ("DATETIME(7)", 'For Datetime(fsp), fsp must in [0, 6] at line 1 column 28 near "))";'),
    ],
)
def test_types_that_the_grammar_refuses(say: Client, kind: str, text: str) -> None:
    error = say.error(f"SELECT CAST(1 AS {kind})")
    assert error is not None
    assert error[0] == 1064
    assert error[1].endswith(text)


def test_labels(say: Client) -> None:
    answer = say.ok(
        "SELECT CAST(1 AS DECIMAL), CAST(2 AS BOOL), CONVERT('a' USING utf8mb4), "
        "CAST('1' AS SIGNED)"
    )
    assert answer.labels == [
        "cast(1 as decimal(38))",
        "cast(2 as bool)",
        "CONVERT(a, utf8mb4)",
        "cast(1 as signed)",
    ]
