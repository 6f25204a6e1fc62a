"""Expressions and queries of ordinary SQL with what every server answers alike.

What versions answer differently is in test_queries.py, test_functions.py and test_casts.py.
"""

from __future__ import annotations

import datetime
from decimal import Decimal

import pytest

from tests.conftest import Server
from tests.server.conftest import Client, answers, is_3_0_18, is_main

TABLES = (
    """\
CREATE TABLE n (id INT PRIMARY KEY, g INT, v VARCHAR(9), d DECIMAL(10,2), f DOUBLE, b BOOL,
  dt DATETIME(3), da DATE, ti TIME, ts TIMESTAMP, j JSON, bl BLOB, u BIGINT UNSIGNED,
  e ENUM('x','y'), bi BIT(8))""",
    """\
INSERT INTO n VALUES
  (1, 1, 'b', 1.50, 1.5, true, '2024-01-02 03:04:05.678', '2024-01-02', '01:02:03',
   '2024-01-02 03:04:05', '{"a": [1, {"b": 2}], "c": "x"}', 'ab', 5, 'x', 3),
  (2, 1, 'a', 2.25, -2.5, false, '2024-02-29 23:59:59', '2024-02-29', '-10:00:01',
   '2024-02-29 23:59:59', '[1, 2, [3]]', 'cd', 18446744073709551615, 'y', 255),
  (3, 2, NULL, -3.10, 1e20, true, NULL, NULL, NULL, NULL, '"t"', NULL, 0, NULL, NULL),
  (4, 2, 'd', NULL, NULL, NULL, '1999-12-31 00:00:00', '1999-12-31', '100:00:00',
   '1999-12-31 00:00:00', NULL, '', NULL, 'x', 0)""",
    "CREATE TABLE m (a INT UNSIGNED, b SMALLINT UNSIGNED, c BIGINT, x TINYINT)",
    "INSERT INTO m VALUES (5, 5, 9223372036854775807, 3)",
)
MOMENT = "CAST('2024-03-04 15:06:07.123456' AS DATETIME(6))"

WINDOWS: list[tuple[str, object]] = [
    ("id, row_number() OVER (ORDER BY id) FROM n ORDER BY id", [(1, 1), (2, 2), (3, 3), (4, 4)]),
    (
        "id, row_number() OVER (PARTITION BY g ORDER BY id DESC) FROM n ORDER BY id",
        [(1, 2), (2, 1), (3, 2), (4, 1)],
    ),
    ("id, rank() OVER (ORDER BY g) FROM n ORDER BY id", [(1, 1), (2, 1), (3, 3), (4, 3)]),
    ("id, dense_rank() OVER (ORDER BY g) FROM n ORDER BY id", [(1, 1), (2, 1), (3, 2), (4, 2)]),
    (
        "id, lag(v) OVER (ORDER BY id) FROM n ORDER BY id",
        [(1, None), (2, "b"), (3, "a"), (4, None)],
    ),
    (
        "id, first_value(v) OVER (PARTITION BY g ORDER BY id) FROM n ORDER BY id",
        [(1, "b"), (2, "b"), (3, None), (4, None)],
    ),
    ("id, sum(g) OVER (ORDER BY id) FROM n ORDER BY id", [(1, 1), (2, 2), (3, 4), (4, 6)]),
    (
        "id, sum(d) OVER (PARTITION BY g) FROM n ORDER BY id",
        [(1, Decimal("3.75")), (2, Decimal("3.75")), (3, Decimal("-3.10")), (4, Decimal("-3.10"))],
    ),
    (
        "id, avg(d) OVER (PARTITION BY g) FROM n ORDER BY id",
        [
            (1, Decimal("1.87500000")),
            (2, Decimal("1.87500000")),
            (3, Decimal("-3.10000000")),
            (4, Decimal("-3.10000000")),
        ],
    ),
    ("id, count(*) OVER (PARTITION BY g) FROM n ORDER BY id", [(1, 2), (2, 2), (3, 2), (4, 2)]),
    (
        "id, sum(g) OVER (ORDER BY id ROWS BETWEEN 1 PRECEDING AND CURRENT ROW) FROM n ORDER BY id",
        [(1, 1), (2, 2), (3, 3), (4, 4)],
    ),
    (
        "id, max(v) OVER (PARTITION BY g) FROM n ORDER BY id",
        [(1, "b"), (2, "b"), (3, "d"), (4, "d")],
    ),
    (
        "id, sum(d) OVER (ORDER BY id ROWS BETWEEN 1 PRECEDING AND CURRENT ROW) FROM n ORDER BY id",
        [(1, Decimal("1.50")), (2, Decimal("3.75")), (3, Decimal("-0.85")), (4, Decimal("-3.10"))],
    ),
]

AGGREGATES: list[tuple[str, object]] = [
    ("avg(g), avg(d), avg(f) FROM n WHERE id < 3", (1.0, Decimal("1.87500000"), -0.5)),
    (
        "min(d), max(d), min(dt), max(da), min(ti), max(ti) FROM n",
        (
            Decimal("-3.10"),
            Decimal("2.25"),
            datetime.datetime(1999, 12, 31, 0, 0),
            datetime.date(2024, 2, 29),
            datetime.timedelta(days=-1, seconds=50399),
            datetime.timedelta(days=4, seconds=14400),
        ),
    ),
    ("min(j) FROM n", (20203, "invalid argument aggregate function min, bad value [JSON]")),
    ("max(j) FROM n", (20203, "invalid argument aggregate function max, bad value [JSON]")),
    ("sum(j) FROM n", (20203, "invalid argument aggregate function sum, bad value [JSON]")),
    ("avg(j) FROM n", (20203, "invalid argument aggregate function avg, bad value [JSON]")),
    ("min(bl), max(bl) FROM n", (b"", b"cd")),
    (
        "variance(b) FROM n",
        (20203, "invalid argument aggregate function variance, bad value [BOOL]"),
    ),
    ("variance(g) FROM n WHERE id > 9", None),
    ("sum(v) FROM n", (20203, "invalid argument aggregate function sum, bad value [VARCHAR]")),
    ("avg(v) FROM n", (20203, "invalid argument aggregate function avg, bad value [VARCHAR]")),
    (
        "sum(g), sum(d), avg(d), avg(g), min(v), count(v) FROM n WHERE id > 9",
        (None, None, None, None, None, 0),
    ),
    ("count(DISTINCT v) FROM n", 3),
    ("sum(DISTINCT g), sum(DISTINCT d) FROM n", (3, Decimal("0.65"))),
    ("avg(DISTINCT g), avg(DISTINCT d) FROM n", (1.5, Decimal("0.21666667"))),
    ("group_concat(v ORDER BY v DESC) FROM n", "d,b,a"),
    ("group_concat(v ORDER BY g DESC, v SEPARATOR '; ') FROM n", "d; a; b"),
    ("group_concat(DISTINCT g, v) FROM n", "1b,1a,2d"),
    ("group_concat(v) FROM n WHERE id > 9", None),
    ("group_concat(g, v) FROM n", "1b,1a,2d"),
    ("group_concat(d ORDER BY d) FROM n", "-3.10,1.50,2.25"),
    ("any_value(v) FROM n WHERE id = 1", "b"),
    ("sum(da) FROM n", (20203, "invalid argument aggregate function sum, bad value [DATE]")),
    ("avg(dt) FROM n", (20203, "invalid argument aggregate function avg, bad value [DATETIME]")),
    ("sum(e) FROM n", (20203, "invalid argument aggregate function sum, bad value [VARCHAR]")),
    (
        "variance(v) FROM n",
        (20203, "invalid argument aggregate function variance, bad value [VARCHAR]"),
    ),
    ("max(b) FROM n", 1),
    ("min(e) FROM n", "x"),
    ("variance(u) FROM n WHERE id < 2", 0.0),
]

NUMBERS: list[tuple[str, object]] = [
    ("mod(7, 2.5)", Decimal("2.0")),
    ("mod(-7, 3)", -1),
    ("mod(7, 0)", None),
    ("-7 % 3", -1),
    ("7.5 % 2", Decimal("1.5")),
    ("7e0 % 2", 1.0),
    ("9007199254740993 % 10", 3),
    (
        "round(2.5), round(-2.5), round(2.45, 1), round(2.5e0), round(3.5e0), round(25, "
        "-1), round(35, -1), round(1234.567, -2)",
        (Decimal(3), Decimal(-3), Decimal("2.5"), 2.0, 4.0, 30, 40, Decimal(1200)),
    ),
    ("round(2.25e0, 1), round(2.35e0, 1)", (2.2, 2.4)),
    ("round('2.5')", (20203, "invalid argument cast to int, bad value 2.5")),
    ("round(id, 1) FROM n WHERE id = 1", 1),
    ("round(d, 1) FROM n ORDER BY id", [Decimal("1.5"), Decimal("2.3"), Decimal("-3.1"), None]),
    (
        "round(d, id) FROM n ORDER BY id",
        (20203, "invalid argument the second argument of the round, bad value not const"),
    ),
    ("round(NULL)", None),
    ("round(f) FROM n ORDER BY id", [2.0, -2.0, 1e20, None]),
    (
        "floor(1.5), floor(-1.5), floor(-2), ceil(1.5), ceil(-1.5), ceil(2)",
        (Decimal(1), Decimal(-2), -2, Decimal(2), Decimal(-1), 2),
    ),
    ("floor(1.5e0), ceil(-1.5e0)", (1.0, -1.0)),
    ("floor('1.5')", 1.0),
    (
        "floor(d), ceil(d) FROM n ORDER BY id",
        [
            (Decimal(1), Decimal(2)),
            (Decimal(2), Decimal(3)),
            (Decimal(-4), Decimal(-3)),
            (None, None),
        ],
    ),
    ("floor(f) FROM n WHERE id < 3 ORDER BY id", [1.0, -3.0]),
    (
        "abs(d), abs(f), abs(g) FROM n ORDER BY id",
        [
            (Decimal("1.50"), 1.5, 1),
            (Decimal("2.25"), 2.5, 1),
            (Decimal("3.10"), 1e20, 2),
            (None, None, 2),
        ],
    ),
    ("abs('-3')", 3),
    ("abs(-1.50)", Decimal("1.50")),
    ("abs(u) FROM n WHERE id = 2", 18446744073709551615),
    ("7e0 DIV 2", 3),
    (
        "1.10 + 2.2, 1.1 - 2.25, 1.5 * 1.25, 1.0 / 3, 7 / 2, 1.5 / 0.5",
        (
            Decimal("3.30"),
            Decimal("-1.15"),
            Decimal("1.875"),
            Decimal("0.3333333"),
            3.5,
            Decimal("3.0000000"),
        ),
    ),
    (
        "d + 1, d * 2, d / 2, d % 2, -d FROM n WHERE id = 1",
        (
            Decimal("2.50"),
            Decimal("3.00"),
            Decimal("0.75000000"),
            Decimal("1.50"),
            Decimal("-1.50"),
        ),
    ),
    ("f + 1, f * 2, f / 2, -f FROM n WHERE id = 1", (2.5, 3.0, 0.75, -1.5)),
    ("1 % 0", None),
    ("NULL + 1, NULL * 1.5", (None, None)),
    ("'5' + 1, '5' * 2, '1.5' + 1", (20203, "invalid argument cast to int, bad value 1.5")),
    ("'1.5' + 1.5, '2' + 1.5e0", (3.0, 3.5)),
    ("'abc' + 1", (20203, "invalid argument cast to int, bad value abc")),
    ("'' + 1", (20203, "invalid argument cast to int, bad value ")),
    ("true + 1", 2),
    ("bi + 0 FROM n WHERE id = 1", 3),
    ("bi + 1 FROM n WHERE id = 2", 256),
    ("u + 1 FROM n WHERE id = 1", Decimal(6)),
    ("5 & 3, 5 | 3, 5 ^ 3, 1 << 3, 16 >> 2", (1, 7, 6, 8, 4)),
    ("NULL & 1", None),
    ("1 XOR 0, 1 XOR 1, NULL XOR 1", (1, 0, None)),
    ("NOT 0, NOT NULL", (1, None)),
    ("!1", 0),
    ("a + 1, b + 1, a - 6, a * 2, b - 6 FROM m", (6, 6, -1, 10, -1)),
    ("a + a FROM m", 10),
    ("sum(a), sum(b) FROM m", (5, 5)),
    ("u - 1, u * 2, u + u FROM n WHERE id = 1", (Decimal(4), Decimal(10), 10)),
    ("u + x FROM n, m WHERE id = 1", 8),
    ("x + 127 FROM m", 130),
    ("u % 3, -u FROM n WHERE id = 1", (Decimal(2), Decimal(-5))),
    ("round(-25, -1), round(-35, -1), round(24, -1), round(5, 2)", (-30, -40, 20, 5)),
    ("round(2.5, 9)", Decimal("2.5")),
    ("round(u, -1) FROM n WHERE id = 1", 10),
    ("abs('x')", (20203, "invalid argument cast to int, bad value x")),
    ("abs('-1.5')", (20203, "invalid argument cast to int, bad value -1.5")),
    ("round('7')", 7),
    ("floor('x')", (1105, 'strconv.ParseFloat: parsing "x": invalid syntax')),
    ("floor(NULL), abs(NULL)", (None, None)),
    ("floor(u) FROM n WHERE id = 2", 18446744073709551615),
    ("g DIV 2 FROM n WHERE id = 3", 1),
    ("f DIV 2 FROM n WHERE id = 2", -1),
    ("'7' DIV 2", 3),
]

TEXTS: list[tuple[str, object]] = [
    ("0x4142, x'4142', b'1000001', 0b1000001", ("AB", "AB", "A", "A")),
    (
        "hex(-1), hex(0), hex('é'), hex(bl), hex(d), hex(f) FROM n WHERE id = 1",
        ("FFFFFFFFFFFFFFFF", "0", "C3A9", "6162", "2", "2"),
    ),
    (
        "hex(NULL), md5(NULL), md5(bl), md5(5) FROM n WHERE id = 1",
        (None, None, "187ef4436122d1cc2f40dc2b92f0eba0", "e4da3b7fbbce2345d7772b0674a318d5"),
    ),
    ("concat(true, 'x')", "1x"),
    (
        "concat(da, 'x'), concat(dt, 'x'), concat(ti, 'x'), concat(ts, 'x'), concat(f, "
        "'x'), concat(j, 'x') FROM n WHERE id = 1",
        (20203, "invalid argument function concat, bad value [JSON VARCHAR]"),
    ),
    (
        "upper(NULL), lower(5), length(NULL), length(bl), length(5), char_length(NULL), "
        "length(da), length(f) FROM n WHERE id = 1",
        (None, "5", None, 2, 1, None, 10, 3),
    ),
    ("repeat('a', 0), repeat('a', -1), repeat(NULL, 2), repeat('a', NULL)", ("", "", None, None)),
    ("repeat(5, 2)", "55"),
    (
        "lpad('abc', 2, 'x'), rpad('abc', 2, 'x'), lpad('a', 5, 'xy'), rpad('a', 5, 'xy'), "
        "lpad('a', 3, ''), lpad('a', -1, 'x'), lpad(NULL, 2, 'x'), lpad('a', 2, NULL)",
        ("ab", "ab", "xyxya", "axyxy", "", None, None, None),
    ),
    ("lpad('a', 3)", (20203, "invalid argument function lpad, bad value [VARCHAR BIGINT]")),
    ("rpad('a', 3)", (20203, "invalid argument function rpad, bad value [VARCHAR BIGINT]")),
    (
        "left('abc', 0), left('abc', -1), left(NULL, 1), left('abc', 9), left(12345, 2)",
        ("", "", None, "abc", "12"),
    ),
    (
        "substring('abcdef', 0), substring('abcdef', -3, 2), substring('abcdef', 2, -1), "
        "substring('abcdef', 9), substring(NULL, 1)",
        ("", "de", "", "", None),
    ),
    ("substring('abcdef' FROM 2), substring('abcdef' FROM 2 FOR 3)", ("bcdef", "bcd")),
    ("substr('abcdef', 2, 3), substr(12345, 2)", ("bcd", "2345")),
    ("locate('', 'abc'), locate(NULL, 'a'), locate('x', 'abc')", (1, None, 0)),
    ("instr('abc', ''), instr(NULL, 'a'), instr('aé', 'é')", (1, None, 2)),
    ("trim(both 'x' from 'xax'), trim('x' from 'xax'), trim(NULL), trim(5)", ("a", "a", None, "5")),
    (
        "replace('abc', '', 'x'), replace(NULL, 'a', 'b'), replace('aaa', 'a', NULL)",
        ("abc", None, None),
    ),
    (
        "'abc' LIKE 'A%', 'abc' LIKE 'a_c', 'a%c' LIKE 'a\\\\%c', 'abc' LIKE NULL, NULL "
        "LIKE 'a', 'abc' NOT LIKE 'b%'",
        (0, 1, 1, None, None, 1),
    ),
    ("5 LIKE '5', 'ABC' ILIKE 'abc'", (1, 1)),
    ("'abc' REGEXP NULL", None),
    ("'abc' NOT REGEXP 'b'", 0),
    ("'abc' RLIKE 'b'", 1),
    ("strcmp('a', 'b'), strcmp('b', 'a'), strcmp('a', 'a'), strcmp(NULL, 'a')", (-1, 1, 0, None)),
    ("strcmp(1, 2)", -1),
    ("field('b', 'a', 'b'), field('x', 'a'), field(NULL, 'a'), field(2, 1, 2)", (2, 0, 0, 2)),
    ("substring('abcdef', -9)", ""),
    ("substring('abcdef', -9, 4)", ""),
    ("hex(1.5), hex('1.5'), hex(2.5), hex(-1.5)", ("2", "312E35", "3", "FFFFFFFFFFFFFFFE")),
    ("hex(da) FROM n WHERE id = 1", "323032342D30312D3032"),
    ("hex(u) FROM n WHERE id = 2", "FFFFFFFFFFFFFFFF"),
    ("hex(true)", "31"),
    ("repeat('ab', '2')", "abab"),
    ("left('abc', '2')", "ab"),
    ("substring('abcdef', '2')", "bcdef"),
    ("substring('abcdef', 2.5)", "cdef"),
    ("concat_ws(NULL, 'a'), concat_ws(',', 'a', NULL)", (None, "a")),
    ("lower(j) FROM n WHERE id = 3", (20203, "invalid argument function lower, bad value [JSON]")),
    (
        "replace(j, 't', 'x') FROM n WHERE id = 3",
        (20203, "invalid argument function replace, bad value [JSON VARCHAR VARCHAR]"),
    ),
    (
        "left(j, 2) FROM n WHERE id = 3",
        (20203, "invalid argument function left, bad value [JSON BIGINT]"),
    ),
    (
        "concat_ws(',', j, 'x') FROM n WHERE id = 3",
        (20203, "invalid argument function concat_ws, bad value [VARCHAR JSON VARCHAR]"),
    ),
    ("md5(j) FROM n WHERE id = 3", (20203, "invalid argument function md5, bad value [JSON]")),
    ("hex(j) FROM n WHERE id = 3", (20203, "invalid argument function hex, bad value [JSON]")),
    (
        "substring(j, 2) FROM n WHERE id = 3",
        (20203, "invalid argument function substring, bad value [JSON BIGINT]"),
    ),
    (
        "char_length(j) FROM n WHERE id = 3",
        (20203, "invalid argument function char_length, bad value [JSON]"),
    ),
    (
        "trim(j) FROM n WHERE id = 3",
        (20203, "invalid argument function trim, bad value [VARCHAR VARCHAR JSON]"),
    ),
    ("abs(1, 2)", (20203, "invalid argument function abs, bad value [BIGINT BIGINT]")),
    ("abs()", (20203, "invalid argument function abs, bad value []")),
    ("substring('abc')", (20203, "invalid argument function substring, bad value [VARCHAR]")),
    ("nullif(1)", (20203, "invalid argument nullif need two args, bad value 1")),
    ("year()", (20203, "invalid argument function year, bad value []")),
    ("lpad('a')", (20203, "invalid argument function lpad, bad value [VARCHAR]")),
    ("concat()", (20203, "invalid argument function concat, bad value []")),
    ("ifnull(1)", (20203, "invalid argument ifnull function need two args, bad value 1")),
    (
        "date_format('2024-01-01')",
        (20203, "invalid argument function date_format, bad value [VARCHAR]"),
    ),
    ("hex()", (20203, "invalid argument function hex, bad value []")),
    (
        "upper(DISTINCT 'a')",
        (
            1064,
            "SQL parser error: You have an error in your SQL syntax; check the manual that "
            "corresponds to your MatrixOne server version for the right syntax to use. "
            "syntax error at line 1 column 21 near \"DISTINCT 'a')\";",
        ),
    ),
]

CONDITIONS: list[tuple[str, object]] = [
    ("coalesce(1)", 1),
    (
        "CASE WHEN id < 3 THEN d ELSE id END FROM n ORDER BY id",
        [Decimal("1.50"), Decimal("2.25"), Decimal("3.00"), Decimal("4.00")],
    ),
    (
        "CASE WHEN id < 3 THEN da ELSE dt END FROM n ORDER BY id",
        [
            datetime.datetime(2024, 1, 2, 0, 0),
            datetime.datetime(2024, 2, 29, 0, 0),
            None,
            datetime.datetime(1999, 12, 31, 0, 0),
        ],
    ),
    ("CASE WHEN id < 3 THEN f ELSE id END FROM n ORDER BY id", [1.5, -2.5, 3.0, 4.0]),
    (
        "1 = '1', 1 = 1.0, '1' = 1.0, 1.5 = 1.5e0, NULL = 1, 'a' = 'A', 'a' < 'b', true = 1",
        (1, 1, 1, 1, None, 0, 1, 1),
    ),
    ("'abc' = 1", (20203, "invalid argument cast to int, bad value abc")),
    ("id FROM n WHERE da = '2024-01-02'", 1),
    ("id FROM n WHERE dt > '2024-01-02'", [1, 2]),
    ("id FROM n WHERE da = dt ORDER BY id", 4),
    ("id FROM n WHERE ti = '01:02:03'", 1),
    ("id FROM n WHERE ti > '00:00:00' ORDER BY id", [1, 4]),
    ("id FROM n WHERE ts >= '2024-01-02 03:04:05' ORDER BY id", [1, 2]),
    ("id FROM n WHERE dt = 'x'", (20301, "invalid input: invalid datetime value x")),
    ("id FROM n WHERE ti = 'x'", (20301, "invalid input: invalid time value x")),
    ("id FROM n WHERE ts = da ORDER BY id", 4),
    ("id FROM n WHERE ts = dt ORDER BY id", [2, 4]),
    ("id FROM n WHERE ti = dt", (20203, "invalid argument operator =, bad value [TIME DATETIME]")),
    ("id FROM n WHERE bl = 'ab'", 1),
    ("id FROM n WHERE b = 1 ORDER BY id", [1, 3]),
    ("id FROM n WHERE b = 'true' ORDER BY id", [1, 3]),
    ("id FROM n WHERE b ORDER BY id", [1, 3]),
    ("id FROM n WHERE v ORDER BY id", (20301, "invalid input: 'b' is not a valid bool expression")),
    (
        "id FROM n WHERE d ORDER BY id",
        (20203, "invalid argument operator cast, bad value [DECIMAL64 BOOL]"),
    ),
    ("id FROM n WHERE d = '1.5'", 1),
    ("id FROM n WHERE d = 1.5e0", 1),
    ("id FROM n WHERE d > 1 ORDER BY id", [1, 2]),
    ("id FROM n WHERE u = 18446744073709551615", 2),
    ("id FROM n WHERE u > 5 ORDER BY id", 2),
    ("id FROM n WHERE e = 'x' ORDER BY id", [1, 4]),
    ("id FROM n WHERE bi = 3", 1),
    ("id FROM n WHERE bi > 3 ORDER BY id", 2),
    ("id FROM n WHERE (id, g) = (1, 1)", 1),
    ("id FROM n WHERE (id, g) <> (1, 1) ORDER BY id", [2, 3, 4]),
    ("id FROM n WHERE (id, g) IN ((1, 1), (3, 2)) ORDER BY id", [1, 3]),
    ("id FROM n WHERE (id, g) IN (SELECT id, 1 FROM n) ORDER BY id", [1, 2]),
    ("id FROM n WHERE d IN (1.5, 2.25) ORDER BY id", [1, 2]),
    ("id FROM n WHERE d IN (SELECT 1.5)", 1),
    ("id FROM n WHERE da IN ('2024-01-02', '2024-02-29') ORDER BY id", [1, 2]),
    ("id FROM n WHERE id NOT IN (1, 2) ORDER BY id", [3, 4]),
    ("id FROM n WHERE da BETWEEN '2024-01-01' AND '2024-01-31'", 1),
    ("id FROM n WHERE d NOT BETWEEN 0 AND 2 ORDER BY id", [2, 3]),
    ("id FROM n WHERE b IS TRUE ORDER BY id", [1, 3]),
    ("id FROM n WHERE b IS NOT TRUE ORDER BY id", [2, 4]),
    ("id FROM n WHERE b IS FALSE ORDER BY id", 2),
    ("id FROM n WHERE v IS NULL", 3),
    ("id FROM n WHERE b IS UNKNOWN", 4),
    ("1 IS TRUE", 1),
    ("'1.5' = 1", (20203, "invalid argument cast to int, bad value 1.5")),
    ("' 1 ' = 1", 1),
    ("v = 1 FROM n WHERE id = 1", (20203, "invalid argument cast to int, bad value b")),
    ("if(id = 1, 'a', 0) FROM n WHERE id < 3 ORDER BY id", ["a", "0"]),
    ("if(id, 1, 2) FROM n WHERE id = 1", 1),
    ("0.0 AND 1", (20203, "invalid argument operator cast, bad value [DECIMAL64 BOOL]")),
    ("'x' AND 1", (20301, "invalid input: 'x' is not a valid bool expression")),
    ("'1' AND 1", 1),
    ("1.5 OR 0", (20203, "invalid argument operator cast, bad value [DECIMAL64 BOOL]")),
    ("NOT 1.5", (20203, "invalid argument operator cast, bad value [DECIMAL64 BOOL]")),
    ("NOT 'a'", (20301, "invalid input: 'a' is not a valid bool expression")),
    ("id FROM n WHERE f ORDER BY id", [1, 2, 3]),
    ("id FROM n WHERE '1' AND id = 1", 1),
    ("1 FROM n WHERE NULL", []),
    (
        "id FROM n WHERE da ORDER BY id",
        (20203, "invalid argument operator cast, bad value [DATE BOOL]"),
    ),
    ("'a' COLLATE utf8mb4_bin", "a"),
    ("_utf8mb4'a'", "a"),
    ("BINARY 'a' = 'A'", 0),
    ("'a' 'b'", "a"),
    ("@nope", (20101, "internal error: the user variable nope does not exist")),
]

MOMENTS: list[tuple[str, object]] = [
    ("date_format({moment}, '%Y')", "2024"),
    ("date_format({moment}, '%y')", "24"),
    ("date_format({moment}, '%m')", "03"),
    ("date_format({moment}, '%c')", "3"),
    ("date_format({moment}, '%d')", "04"),
    ("date_format({moment}, '%e')", "4"),
    ("date_format({moment}, '%H')", "15"),
    ("date_format({moment}, '%k')", "15"),
    ("date_format({moment}, '%h')", "03"),
    ("date_format({moment}, '%I')", "03"),
    ("date_format({moment}, '%l')", "3"),
    ("date_format({moment}, '%i')", "06"),
    ("date_format({moment}, '%s')", "07"),
    ("date_format({moment}, '%S')", "07"),
    ("date_format({moment}, '%f')", "123456"),
    ("date_format({moment}, '%T')", "15:06:07"),
    ("date_format({moment}, '%r')", "03:06:07 PM"),
    ("date_format({moment}, '%p')", "PM"),
    ("date_format({moment}, '%M')", "March"),
    ("date_format({moment}, '%b')", "Mar"),
    ("date_format({moment}, '%W')", "Monday"),
    ("date_format({moment}, '%a')", "Mon"),
    ("date_format({moment}, '%j')", "064"),
    ("date_format({moment}, '%w')", "1"),
    ("date_format({moment}, '%v')", "10"),
    ("date_format({moment}, '%x')", "2024"),
    ("date_format({moment}, '%q')", "q"),
    ("date_format({moment}, '%%')", "%"),
    ("date_format('2024-03-04', '%Y')", "2024"),
    ("date_format(NULL, '%Y')", None),
    ("date_format('2024-03-04', NULL)", None),
    ("date_format('x', '%Y')", (20301, "invalid input: invalid datetime value x")),
    (
        "date_format(CAST('2024-03-04 00:06:07' AS DATETIME), '%h %I %l %p %r')",
        "12 12 12 AM 12:06:07 AM",
    ),
    ("date_format(CAST('2024-12-30' AS DATE), '%x %v %j')", "2025 01 365"),
    ("date_format(ts, '%H:%i') FROM n WHERE id = 1", "03:04"),
    ("year({moment})", 2024),
    ("month({moment})", 3),
    ("day({moment})", 4),
    ("hour({moment})", 15),
    ("minute({moment})", 6),
    ("second({moment})", 7),
    ("date({moment})", datetime.date(2024, 3, 4)),
    (
        "year(NULL), year('2024-03-04'), month('2024-03-04 01:02:03'), day(da), hour(dt), "
        "hour(ti), minute(ti), second(ti), year(ts) FROM n WHERE id = 1",
        (None, 2024, 3, 2, 3, 1, 2, 3, 2024),
    ),
    ("year(20240304)", 2024),
    ("extract(YEAR FROM {moment})", "2024"),
    ("extract(QUARTER FROM {moment})", "1"),
    ("extract(MONTH FROM {moment})", "03"),
    ("extract(WEEK FROM {moment})", "10"),
    ("extract(DAY FROM {moment})", "04"),
    ("extract(HOUR FROM {moment})", "15"),
    ("extract(MINUTE FROM {moment})", "06"),
    ("extract(SECOND FROM {moment})", "07"),
    ("extract(MICROSECOND FROM {moment})", "123456"),
    (
        "extract(YEAR FROM da), extract(MONTH FROM da), extract(DAY FROM da), "
        "extract(QUARTER FROM da), extract(WEEK FROM da) FROM n WHERE id = 1",
        (2024, 1, 2, 1, 1),
    ),
    ("extract(HOUR FROM da) FROM n WHERE id = 1", (20101, "internal error: invalid unit")),
    ("extract(HOUR FROM ti) FROM n WHERE id = 1", "01"),
    ("extract(YEAR FROM '2024-03-04')", "2024"),
    ("extract(DAY FROM ts) FROM n WHERE id = 1", "02"),
    (
        "date_add(dt, INTERVAL 3 MICROSECOND), date_sub(dt, INTERVAL 1 MICROSECOND) FROM n "
        "WHERE id = 2",
        (
            datetime.datetime(2024, 2, 29, 23, 59, 59, 3),
            datetime.datetime(2024, 2, 29, 23, 59, 58, 999999),
        ),
    ),
    (
        "date_add(da, INTERVAL 3 MICROSECOND) FROM n WHERE id = 2",
        datetime.datetime(2024, 2, 29, 0, 0, 0, 3),
    ),
    (
        "timestampdiff(MICROSECOND, '2023-12-31 10:00:00', '2024-02-29 09:00:00'), "
        "timestampdiff(MICROSECOND, '2024-02-29 09:00:00', '2023-12-31 10:00:00')",
        (5180400000000, -5180400000000),
    ),
    (
        "date_add(dt, INTERVAL 3 SECOND), date_sub(dt, INTERVAL 1 SECOND) FROM n WHERE id = 2",
        (datetime.datetime(2024, 3, 1, 0, 0, 2), datetime.datetime(2024, 2, 29, 23, 59, 58)),
    ),
    (
        "date_add(da, INTERVAL 3 SECOND) FROM n WHERE id = 2",
        datetime.datetime(2024, 2, 29, 0, 0, 3),
    ),
    (
        "timestampdiff(SECOND, '2023-12-31 10:00:00', '2024-02-29 09:00:00'), "
        "timestampdiff(SECOND, '2024-02-29 09:00:00', '2023-12-31 10:00:00')",
        (5180400, -5180400),
    ),
    (
        "date_add(dt, INTERVAL 3 MINUTE), date_sub(dt, INTERVAL 1 MINUTE) FROM n WHERE id = 2",
        (datetime.datetime(2024, 3, 1, 0, 2, 59), datetime.datetime(2024, 2, 29, 23, 58, 59)),
    ),
    ("date_add(da, INTERVAL 3 MINUTE) FROM n WHERE id = 2", datetime.datetime(2024, 2, 29, 0, 3)),
    (
        "timestampdiff(MINUTE, '2023-12-31 10:00:00', '2024-02-29 09:00:00'), "
        "timestampdiff(MINUTE, '2024-02-29 09:00:00', '2023-12-31 10:00:00')",
        (86340, -86340),
    ),
    (
        "date_add(dt, INTERVAL 3 HOUR), date_sub(dt, INTERVAL 1 HOUR) FROM n WHERE id = 2",
        (datetime.datetime(2024, 3, 1, 2, 59, 59), datetime.datetime(2024, 2, 29, 22, 59, 59)),
    ),
    ("date_add(da, INTERVAL 3 HOUR) FROM n WHERE id = 2", datetime.datetime(2024, 2, 29, 3, 0)),
    (
        "timestampdiff(HOUR, '2023-12-31 10:00:00', '2024-02-29 09:00:00'), "
        "timestampdiff(HOUR, '2024-02-29 09:00:00', '2023-12-31 10:00:00')",
        (1439, -1439),
    ),
    (
        "date_add(dt, INTERVAL 3 DAY), date_sub(dt, INTERVAL 1 DAY) FROM n WHERE id = 2",
        (datetime.datetime(2024, 3, 3, 23, 59, 59), datetime.datetime(2024, 2, 28, 23, 59, 59)),
    ),
    ("date_add(da, INTERVAL 3 DAY) FROM n WHERE id = 2", datetime.date(2024, 3, 3)),
    (
        "timestampdiff(DAY, '2023-12-31 10:00:00', '2024-02-29 09:00:00'), "
        "timestampdiff(DAY, '2024-02-29 09:00:00', '2023-12-31 10:00:00')",
        (59, -59),
    ),
    (
        "date_add(dt, INTERVAL 3 WEEK), date_sub(dt, INTERVAL 1 WEEK) FROM n WHERE id = 2",
        (datetime.datetime(2024, 3, 21, 23, 59, 59), datetime.datetime(2024, 2, 22, 23, 59, 59)),
    ),
    ("date_add(da, INTERVAL 3 WEEK) FROM n WHERE id = 2", datetime.date(2024, 3, 21)),
    (
        "timestampdiff(WEEK, '2023-12-31 10:00:00', '2024-02-29 09:00:00'), "
        "timestampdiff(WEEK, '2024-02-29 09:00:00', '2023-12-31 10:00:00')",
        (8, -8),
    ),
    (
        "date_add(dt, INTERVAL 3 MONTH), date_sub(dt, INTERVAL 1 MONTH) FROM n WHERE id = 2",
        (datetime.datetime(2024, 5, 29, 23, 59, 59), datetime.datetime(2024, 1, 29, 23, 59, 59)),
    ),
    ("date_add(da, INTERVAL 3 MONTH) FROM n WHERE id = 2", datetime.date(2024, 5, 29)),
    (
        "date_add(dt, INTERVAL 3 QUARTER), date_sub(dt, INTERVAL 1 QUARTER) FROM n WHERE id = 2",
        (datetime.datetime(2024, 11, 29, 23, 59, 59), datetime.datetime(2023, 11, 29, 23, 59, 59)),
    ),
    ("date_add(da, INTERVAL 3 QUARTER) FROM n WHERE id = 2", datetime.date(2024, 11, 29)),
    (
        "date_add(dt, INTERVAL 3 YEAR), date_sub(dt, INTERVAL 1 YEAR) FROM n WHERE id = 2",
        (datetime.datetime(2027, 2, 28, 23, 59, 59), datetime.datetime(2023, 2, 28, 23, 59, 59)),
    ),
    ("date_add(da, INTERVAL 3 YEAR) FROM n WHERE id = 2", datetime.date(2027, 2, 28)),
    ("date_add(NULL, INTERVAL 1 DAY)", None),
    ("date_add(ts, INTERVAL 1 DAY) FROM n WHERE id = 1", datetime.datetime(2024, 1, 3, 3, 4, 5)),
    (
        "dt + INTERVAL 1 DAY, dt - INTERVAL 1 DAY, INTERVAL 1 DAY + dt FROM n WHERE id = 1",
        (
            datetime.datetime(2024, 1, 3, 3, 4, 5, 678000),
            datetime.datetime(2024, 1, 1, 3, 4, 5, 678000),
            datetime.datetime(2024, 1, 3, 3, 4, 5, 678000),
        ),
    ),
    ("da + INTERVAL 1 DAY FROM n WHERE id = 1", datetime.date(2024, 1, 3)),
    ("now() - INTERVAL 1 DAY < now()", 1),
    (
        "date_add(dt, INTERVAL id DAY) FROM n ORDER BY id",
        [
            datetime.datetime(2024, 1, 3, 3, 4, 5, 678000),
            datetime.datetime(2024, 3, 2, 23, 59, 59),
            None,
            datetime.datetime(2000, 1, 4, 0, 0),
        ],
    ),
    ("timestampdiff(DAY, da, dt) FROM n WHERE id = 1", 0),
    ("timestampdiff(DAY, NULL, '2024-01-01')", None),
    (
        "datediff('2024-03-01 23:59:59', '2024-02-28'), datediff(NULL, '2024-01-01'), "
        "datediff('2024-01-01', '2024-01-02')",
        (2, None, -1),
    ),
    ("datediff(da, dt) FROM n WHERE id = 1", 0),
    (
        "str_to_date('2024-03-04 05:06:07', '%Y-%m-%d %H:%i:%s')",
        datetime.datetime(2024, 3, 4, 5, 6, 7),
    ),
    ("str_to_date('04.03.2024', '%d.%m.%Y')", datetime.date(2024, 3, 4)),
    ("str_to_date('March 4 2024', '%M %e %Y')", datetime.date(2024, 3, 4)),
    ("str_to_date('x', '%Y')", None),
    ("str_to_date(NULL, '%Y')", None),
    ("str_to_date('2024-03-04', NULL)", None),
    ("str_to_date('3/4/24', '%c/%e/%y')", datetime.date(2024, 3, 4)),
    (
        "str_to_date('2024-03-04 05:06:07 PM', '%Y-%m-%d %h:%i:%s %p')",
        datetime.datetime(2024, 3, 4, 17, 6, 7),
    ),
    ("str_to_date('2024-03-04 05:06:07', '%Y-%m-%d %T')", datetime.datetime(2024, 3, 4, 5, 6, 7)),
    (
        "from_unixtime(0), from_unixtime(1700000000), from_unixtime(1700000000.5), "
        "from_unixtime(NULL)",
        (
            datetime.datetime(1970, 1, 1, 0, 0),
            datetime.datetime(2023, 11, 14, 22, 13, 20),
            datetime.datetime(2023, 11, 14, 22, 13, 20, 500000),
            None,
        ),
    ),
    ("from_unixtime(-1)", None),
    ("from_unixtime(1700000000, '%Y')", "2023"),
    ("from_unixtime('1700000000')", datetime.datetime(2023, 11, 14, 22, 13, 20)),
    ("from_unixtime(1.5e9)", datetime.datetime(2017, 7, 14, 2, 40)),
    ("from_unixtime(99999999999)", None),
    (
        "from_unixtime(d) FROM n ORDER BY id",
        [
            datetime.datetime(1970, 1, 1, 0, 0, 1, 500000),
            datetime.datetime(1970, 1, 1, 0, 0, 2, 250000),
            None,
            None,
        ],
    ),
    (
        "unix_timestamp('2024-01-01 00:00:00'), unix_timestamp('2024-01-01 00:00:00.5'), "
        "unix_timestamp(da), unix_timestamp(dt), unix_timestamp(ts), unix_timestamp(NULL) "
        "FROM n WHERE id = 1",
        (1704067200, Decimal("1704067200.500000"), 1704153600, 1704164645, 1704164645, None),
    ),
    ("unix_timestamp('1960-01-01')", None),
    ("unix_timestamp() > 1", 1),
    (
        "convert_tz('2024-01-01 00:00:00', '+00:00', '+02:30'), convert_tz('2024-01-01 "
        "00:00:00', '+00:00', '-02:30'), convert_tz('2024-07-01 00:00:00', 'UTC', "
        "'Europe/Berlin'), convert_tz('2024-01-01 00:00:00', 'nope', 'UTC'), "
        "convert_tz(NULL, '+00:00', '+01:00')",
        ("2024-01-01 02:30:00", "2023-12-31 21:30:00", "2024-07-01 02:00:00", None, None),
    ),
    ("convert_tz('x', '+00:00', '+01:00')", (20301, "invalid input: invalid datetime value x")),
    (
        "date('2024-01-02 03:04:05'), date(dt), date(ts), date(NULL) FROM n WHERE id = 1",
        (datetime.date(2024, 1, 2), datetime.date(2024, 1, 2), datetime.date(2024, 1, 2), None),
    ),
    ("utc_timestamp() <= now() + INTERVAL 1 DAY", 1),
    ("now(0) = now(0), length(CAST(now(3) AS CHAR)), length(CAST(now() AS CHAR))", (1, 23, 26)),
    ("length(CAST(utc_timestamp AS CHAR))", 19),
]

JSON: list[tuple[str, object]] = [
    (
        "json_extract(j, '$') FROM n ORDER BY id",
        ['{"a": [1, {"b": 2}], "c": "x"}', "[1, 2, [3]]", '"t"', None],
    ),
    ("json_extract(j, '$.a[1].b') FROM n ORDER BY id", ["2", None, None, None]),
    ("json_extract(j, '$.a', '$.c') FROM n WHERE id = 1", '[[1, {"b": 2}], "x"]'),
    ("json_extract(j, '$.*') FROM n WHERE id = 1", '[[1, {"b": 2}], "x"]'),
    ("json_extract(j, '$[*]') FROM n WHERE id = 2", "[1, 2, [3]]"),
    ("json_extract(j, '$.a[*]') FROM n WHERE id = 1", '[1, {"b": 2}]'),
    ("json_extract(j, '$.nope') FROM n WHERE id = 1", None),
    ("json_extract(j, '$[9]') FROM n WHERE id = 2", None),
    ("json_extract(j, 'a') FROM n WHERE id = 1", (20301, "invalid input: invalid json path 'a'")),
    ("json_extract(j, NULL) FROM n WHERE id = 1", None),
    ("json_extract('{\"a b\": 1}', '$.\"a b\"')", "1"),
    ("json_extract('x', '$')", (20301, "invalid input: json text x")),
    (
        'json_extract(\'{"a": 1.50, "b": 1e3, "c": null, "d": true}\', \'$\')',
        '{"a": 1.5, "b": 1000, "c": null, "d": true}',
    ),
    ('json_extract(\'{"b": 1, "a": 2, "aa": 3}\', \'$\')', '{"a": 2, "aa": 3, "b": 1}'),
    (
        "json_extract('[1,2]', '$[1]'), json_extract('[1,2]', '$[0]', '$[1]', '$[2]')",
        ("2", "[1, 2]"),
    ),
    ("json_extract('{\"a\": \"\\\\u00e9\"}', '$.a')", '"é"'),
    (
        "json_unquote('\"a\"'), json_unquote('a'), json_unquote(NULL), json_unquote('\"a\\\\nb\"')",
        (20301, "invalid input: json text a"),
    ),
    ('json_unquote(\'"a"b"\')', (20301, 'invalid input: json text "a"b"')),
    (
        "json_unquote(j) FROM n ORDER BY id",
        ['{"a": [1, {"b": 2}], "c": "x"}', "[1, 2, [3]]", "t", None],
    ),
    ("json_unquote(5)", "5"),
    ("j = '[1, 2, [3]]' FROM n WHERE id = 2", 1),
    ("id FROM n WHERE j IN ('[1, 2, [3]]')", 2),
    (
        "concat(j, 'x') FROM n WHERE id = 3",
        (20203, "invalid argument function concat, bad value [JSON VARCHAR]"),
    ),
    ("upper(j) FROM n WHERE id = 3", (20203, "invalid argument function upper, bad value [JSON]")),
    (
        "length(j) FROM n WHERE id = 3",
        (20203, "invalid argument function length, bad value [JSON]"),
    ),
    ("j LIKE '%t%' FROM n WHERE id = 3", 1),
    ("j IS NULL FROM n ORDER BY id", [0, 0, 0, 1]),
    ("CAST('[1, {\"a\": 2}]' AS JSON)", '[1, {"a": 2}]'),
    ("CAST('x' AS JSON)", (20301, "invalid input: json text x")),
    ("CAST(NULL AS JSON)", None),
]

QUERIES: list[tuple[str, object]] = [
    ("SELECT (SELECT id FROM n WHERE id > 9)", None),
    ("id FROM n WHERE id > ANY (SELECT g FROM n) ORDER BY id", [2, 3, 4]),
    ("id FROM n WHERE id >= ALL (SELECT g FROM n) ORDER BY id", [2, 3, 4]),
    ("id FROM n WHERE id = SOME (SELECT g FROM n) ORDER BY id", [1, 2]),
    ("WITH q AS (SELECT id FROM n) SELECT * FROM q ORDER BY id", [1, 2, 3, 4]),
    ("WITH q (z) AS (SELECT id FROM n WHERE id < 3) SELECT z FROM q ORDER BY z", [1, 2]),
    (
        "WITH RECURSIVE q AS (SELECT 1 AS k UNION ALL SELECT k + 1 FROM q WHERE k < 4) "
        "SELECT * FROM q",
        [1, 2, 3, 4],
    ),
    ("* FROM (SELECT id, v FROM n) AS q (a, b) ORDER BY a LIMIT 1", (1, "b")),
    ("* FROM (VALUES ROW(1, 'a'), ROW(2, 'b')) AS q ORDER BY 1", [(1, "a"), (2, "b")]),
    ("* FROM dual", (1064, "SQL parser error: No tables used")),
    ("1 FROM dual", 1),
    ("*", (1064, "SQL parser error: No tables used")),
    ("nope.* FROM n", (20301, "invalid input: missing FROM-clause entry for table 'nope'")),
    ("n.id FROM n AS n, m AS n", (20301, "invalid input: table 'n' specified more than once")),
    ("a.id FROM n a NATURAL JOIN n b ORDER BY 1", [1, 2]),
    ("a.id FROM n a JOIN n b USING (id) ORDER BY 1", [1, 2, 3, 4]),
    (
        "a.id FROM n a JOIN n b USING (nope)",
        (
            20301,
            "invalid input: column 'nope' specified in USING clause does not exist in left table",
        ),
    ),
    ("id FROM n a JOIN n b USING (id) ORDER BY 1", [1, 2, 3, 4]),
    (
        "a.id, b.id FROM n a LEFT JOIN n b ON a.id = b.id + 2 ORDER BY 1",
        [(1, None), (2, None), (3, 1), (4, 2)],
    ),
    (
        "a.id, b.id FROM n a RIGHT JOIN n b ON a.id = b.id + 2 ORDER BY 2",
        [(3, 1), (4, 2), (None, 3), (None, 4)],
    ),
    ("a.id FROM n a CROSS JOIN m ORDER BY 1", [1, 2, 3, 4]),
    ("a.id FROM n a INNER JOIN m ORDER BY 1", [1, 2, 3, 4]),
    ("a.id FROM n a STRAIGHT_JOIN m ORDER BY 1", [1, 2, 3, 4]),
    ("DISTINCT g FROM n ORDER BY g", [1, 2]),
    (
        "DISTINCT g FROM n ORDER BY id",
        (
            1149,
            "SQL syntax error: for SELECT DISTINCT, ORDER BY expressions must appear in "
            "select list",
        ),
    ),
    ("g FROM n GROUP BY 1 ORDER BY 1", [1, 2]),
    ("g FROM n GROUP BY 5", (1149, "SQL syntax error: GROUP BY position 5 is not in select list")),
    ("g FROM n ORDER BY 5", (1149, "SQL syntax error: ORDER BY position 5 is not in select list")),
    ("g AS z, count(*) FROM n GROUP BY z ORDER BY z", [(1, 2), (2, 2)]),
    ("g + 1, count(*) FROM n GROUP BY g + 1 ORDER BY 1", [(2, 2), (3, 2)]),
    ("id FROM n ORDER BY v DESC, id", [4, 1, 2, 3]),
    ("id FROM n ORDER BY d", [4, 3, 1, 2]),
    ("id FROM n ORDER BY e, id", [3, 1, 4, 2]),
    ("id FROM n ORDER BY id LIMIT 1 OFFSET 2", 3),
    ("id FROM n ORDER BY id LIMIT 2, 1", 3),
    (
        "id, g FROM n UNION SELECT a FROM m",
        (1064, "SQL parser error: SELECT statements have different number of columns"),
    ),
    ("id FROM n WHERE id < 3 EXCEPT SELECT 1", 2),
    ("id FROM n INTERSECT SELECT 1", 1),
    ("(SELECT id FROM n) ORDER BY id LIMIT 1", 1),
    ("g FROM n GROUP BY g HAVING count(*) > 1 ORDER BY g", [1, 2]),
    ("count(*) FROM n HAVING count(*) > 9", []),
    (
        "count(*) FROM n WHERE count(*) > 1",
        (1149, "SQL syntax error: aggregate function count not allowed in WHERE clause"),
    ),
    (
        "sum(count(*)) FROM n",
        (1149, "SQL syntax error: aggregate function count calls cannot be nested"),
    ),
    (
        "id FROM n HAVING id > 1",
        (
            1149,
            'SQL syntax error: column "n.id" must appear in the GROUP BY clause or be '
            "used in an aggregate function",
        ),
    ),
    (
        "v FROM n GROUP BY g",
        (
            1149,
            'SQL syntax error: column "n.v" must appear in the GROUP BY clause or be '
            "used in an aggregate function",
        ),
    ),
    ("id FROM n WHERE EXISTS (SELECT 1 FROM m WHERE a = id + 4)", 1),
    ("id FROM n WHERE NOT EXISTS (SELECT 1 FROM m WHERE a = id + 4) ORDER BY id", [2, 3, 4]),
    ("sum(g) + 1, -sum(g), abs(sum(g)) FROM n", (7, -6, 6)),
    ("@a", (20101, "internal error: the user variable a does not exist")),
    ("id x FROM n WHERE x = 1", (20301, "invalid input: column x does not exist")),
    ("n.nope FROM n", (20301, "invalid input: column 'n.nope' does not exist")),
    ("nope FROM n", (20301, "invalid input: column nope does not exist")),
    ("nope.id FROM n", (20301, "invalid input: missing FROM-clause entry for table 'nope'")),
    ("~.n.id FROM n ORDER BY id LIMIT 1", 1),
]


MORE: list[tuple[str, object]] = [
    (
        "id FROM n WHERE id < 3 UNION SELECT g FROM n ORDER BY id DESC LIMIT 1",
        2,
    ),
    (
        "id FROM n WHERE id < 3 UNION ALL SELECT g FROM n WHERE id = 1 ORDER BY 1",
        [1, 1, 2],
    ),
    (
        "d FROM n WHERE id < 3 UNION SELECT d FROM n ORDER BY d DESC LIMIT 2",
        [Decimal("2.25"), Decimal("1.50")],
    ),
    (
        "CASE g WHEN 1 THEN 'one' ELSE 'more' END FROM n ORDER BY id",
        ["one", "one", "more", "more"],
    ),
    (
        ("sum(g) OVER (PARTITION BY g ORDER BY id ROWS UNBOUNDED PRECEDING) FROM n ORDER BY id"),
        [1, 2, 2, 4],
    ),
    (
        "CONVERT(5 USING utf8mb4)",
        "5",
    ),
    (
        "concat('', b'1') = '\\x01'",
        0,
    ),
    (
        "id FROM n WHERE id IN (SELECT 1 FROM n WHERE id > (SELECT 0))",
        1,
    ),
    (
        "e FROM n ORDER BY e, id",
        [None, "x", "x", "y"],
    ),
    (
        "repeat('a', 3) FROM n WHERE id = 1",
        "aaa",
    ),
    (
        "CAST_RANGE_VALUE_UNIT(2, 'd')",
        48,
    ),
    (
        "CAST_RANGE_VALUE_UNIT(NULL, 'd')",
        None,
    ),
    (
        "CAST_RANGE_VALUE_UNIT(2, 'x')",
        (20203, "invalid argument invalid pitr time unit %s, bad value x"),
    ),
    (
        "g FROM n GROUP BY g ORDER BY count(*) DESC, g",
        [1, 2],
    ),
    (
        "n.*, 1 AS z FROM n LIMIT 0",
        [],
    ),
    (
        "a.* FROM n a JOIN n b USING (id) LIMIT 0",
        [],
    ),
    (
        "x.a FROM (SELECT id AS a FROM n UNION ALL SELECT 9) x ORDER BY 1",
        [1, 2, 3, 4, 9],
    ),
    (
        "count(*) FROM (SELECT DISTINCT g FROM n) q",
        2,
    ),
    (
        "SELECT (SELECT max(id) FROM n), (SELECT id FROM n WHERE id = 2)",
        (4, 2),
    ),
    (
        "id FROM n WHERE d > ANY (SELECT 1.5) ORDER BY id",
        2,
    ),
    (
        "lower(e), concat(e, 'z') FROM n WHERE id = 1",
        ("x", "xz"),
    ),
    (
        "coalesce(d, 0) FROM n ORDER BY id",
        [Decimal("1.50"), Decimal("2.25"), Decimal("-3.10"), Decimal("0.00")],
    ),
    (
        "d BETWEEN 1 AND 2 FROM n ORDER BY id",
        [1, 0, 0, None],
    ),
    (
        "id FROM n WHERE f > 1 ORDER BY id",
        [1, 3],
    ),
    (
        "f = d FROM n ORDER BY id",
        [1, 0, 0, None],
    ),
    (
        "id FROM n WHERE bl > 'a' ORDER BY id",
        [1, 2],
    ),
    (
        "max(d), min(f), max(u) FROM n",
        (Decimal("2.25"), -2.5, 18446744073709551615),
    ),
    (
        "id FROM n WHERE ti BETWEEN '00:00:00' AND '02:00:00'",
        1,
    ),
    (
        "dt < ts FROM n ORDER BY id",
        [0, 0, None, 0],
    ),
    (
        (
            "CAST(ts AS DATE), CAST(dt AS TIME), CAST(da AS DATETIME), CAST(ti AS CHAR), "
            "CAST(u AS CHAR), CAST(bl AS CHAR) FROM n WHERE id = 1"
        ),
        (
            datetime.date(2024, 1, 2),
            datetime.timedelta(seconds=11046),
            datetime.datetime(2024, 1, 2, 0, 0),
            "01:02:03",
            "5",
            "ab",
        ),
    ),
]
VERSIONED: list[tuple[str, object, object]] = [
    (
        "id, ntile(2) OVER (ORDER BY id) FROM n ORDER BY id",
        (
            1064,
            "SQL parser error: You have an error in your SQL syntax; check the manual that "
            "corresponds to your MatrixOne server version for the right syntax to use. "
            'syntax error at line 1 column 24 near " OVER (ORDER BY id) FROM n ORDER BY '
            'id";',
        ),
        [(1, 1), (2, 1), (3, 2), (4, 2)],
    ),
    (
        "id, cume_dist() OVER (ORDER BY g) FROM n ORDER BY id",
        (
            1064,
            "SQL parser error: You have an error in your SQL syntax; check the manual that "
            "corresponds to your MatrixOne server version for the right syntax to use. "
            'syntax error at line 1 column 27 near " OVER (ORDER BY g) FROM n ORDER BY '
            'id";',
        ),
        [(1, 0.5), (2, 0.5), (3, 1.0), (4, 1.0)],
    ),
    (
        "id, percent_rank() OVER (ORDER BY g) FROM n ORDER BY id",
        (
            1064,
            "SQL parser error: You have an error in your SQL syntax; check the manual that "
            "corresponds to your MatrixOne server version for the right syntax to use. "
            'syntax error at line 1 column 30 near " OVER (ORDER BY g) FROM n ORDER BY '
            'id";',
        ),
        [(1, 0.0), (2, 0.0), (3, 0.6666666666666666), (4, 0.6666666666666666)],
    ),
    (
        "mod(7.5, 0)",
        (20301, "invalid input: Decimal128 Mod by Zero: 75%0"),
        None,
    ),
    (
        "7 DIV 2, -7 DIV 2, 7.5 DIV 2",
        (20203, "invalid argument operator div, bad value [DECIMAL64 BIGINT]"),
        (3, -3, 3),
    ),
    (
        "1 / 0",
        (1365, "division by zero"),
        None,
    ),
    (
        "1.5 / 0",
        (20301, "invalid input: Decimal128 Div by Zero: 15000000/0"),
        None,
    ),
    (
        "1 DIV 0",
        (1365, "division by zero"),
        None,
    ),
    (
        "1.5 % 0",
        (20301, "invalid input: Decimal128 Mod by Zero: 15%0"),
        None,
    ),
    (
        "1e0 / 0",
        (1365, "division by zero"),
        None,
    ),
    (
        "d / 0 FROM n WHERE id = 1",
        (20301, "invalid input: Decimal128 Div by Zero: 150000000/0"),
        None,
    ),
    (
        "d + NULL, d / NULL, 1 DIV NULL, f / NULL FROM n WHERE id = 1",
        (20203, "invalid argument operator div, bad value [BIGINT ANY]"),
        (None, None, None, None),
    ),
    (
        "'abc' + 1.5",
        (1105, 'strconv.ParseFloat: parsing "abc": invalid syntax'),
        1.5,
    ),
    (
        "right('abc', 0), right('abc', -1), right(NULL, 1), right('abc', 9)",
        (20105, "not supported: function or operator 'right'"),
        ("", "", None, "abc"),
    ),
    (
        "'a%' LIKE 'a!%' ESCAPE '!'",
        0,
        1,
    ),
    (
        "greatest(1, 2.5), least(1, 2.5), greatest('a', 'B'), least(NULL, 1)",
        (20105, "not supported: function or operator 'greatest'"),
        (Decimal("2.5"), Decimal("1.0"), "a", None),
    ),
    (
        "greatest(1, 'a')",
        (20105, "not supported: function or operator 'greatest'"),
        "a",
    ),
    (
        "greatest(1.5, 2.25, 10.1)",
        (20105, "not supported: function or operator 'greatest'"),
        Decimal("10.10"),
    ),
    (
        (
            "coalesce(NULL, NULL), coalesce(1, 2.5), coalesce('a', 1), coalesce(NULL, da) FROM "
            "n WHERE id = 1"
        ),
        ...,
        (None, Decimal("1.0"), "a", datetime.date(2024, 1, 2)),
    ),
    (
        ("ifnull(NULL, 1.5), ifnull(1, 'a'), nullif('a', 'A'), nullif(NULL, 1), nullif(1, NULL)"),
        ...,
        (Decimal("1.5"), "1", "a", None, 1),
    ),
    (
        "'abc' = 1.5",
        (1105, 'strconv.ParseFloat: parsing "abc": invalid syntax'),
        0,
    ),
    (
        "'abc' = 1.5e0",
        (1105, 'strconv.ParseFloat: parsing "abc": invalid syntax'),
        0,
    ),
    (
        "NULL <=> NULL, 1 <=> NULL, 1 <=> 1",
        (20102, "'' is not yet implemented"),
        (1, 0, 1),
    ),
    (
        "dayofmonth({moment})",
        (20105, "not supported: function or operator 'dayofmonth'"),
        4,
    ),
    (
        "localtime = now()",
        (20105, "not supported: function or operator 'localtime'"),
        1,
    ),
    (
        "j -> '$.c', j ->> '$.c' FROM n WHERE id = 1",
        (
            1064,
            "SQL parser error: You have an error in your SQL syntax; check the manual that "
            "corresponds to your MatrixOne server version for the right syntax to use. "
            "syntax error at line 1 column 11 near \" -> '$.c', j ->> '$.c' FROM n "
            'WHERE id = 1";',
        ),
        ('"x"', "x"),
    ),
    (
        "json_extract(j, '$.a[0]') = 1 FROM n WHERE id = 1",
        (20203, "invalid argument operator cast, bad value [JSON BIGINT]"),
        1,
    ),
    (
        "j = 1 FROM n WHERE id = 2",
        (20203, "invalid argument operator cast, bad value [JSON BIGINT]"),
        (20203, "invalid argument operator cast, bad value [JSON -> BIGINT]"),
    ),
    (
        "CAST(j AS CHAR) FROM n ORDER BY id",
        ['{"a": [1, {"b": 2}], "c": "x"}', "[1, 2, [3]]", '"t"', None],
        ['{"a": [1, {"b": 2}], "c": "x"}', "[1, 2, [3]]", "t", None],
    ),
    (
        "'1.5' = 1.5, '1.5x' = 1.5",
        (1105, 'strconv.ParseFloat: parsing "1.5x": invalid syntax'),
        (1, 1),
    ),
    (
        "u DIV 2 FROM n WHERE id = 1",
        (20203, "invalid argument operator div, bad value [BIGINT UNSIGNED BIGINT]"),
        2,
    ),
    (
        "CASE WHEN id = 1 THEN v ELSE id END FROM n WHERE id < 3 ORDER BY id",
        ...,
        ["b", "2"],
    ),
    (
        "CASE 1 WHEN 1 THEN 'a' ELSE 2 END",
        ...,
        "a",
    ),
    (
        "CASE WHEN id = 1 THEN 'a' ELSE 2 END FROM n WHERE id < 3 ORDER BY id",
        ...,
        ["a", "2"],
    ),
    (
        "coalesce(v, 0) FROM n WHERE id = 2",
        ...,
        "a",
    ),
    (
        "coalesce(v, 0) FROM n WHERE id = 3",
        ...,
        "0",
    ),
    (
        "ifnull(v, 0) FROM n WHERE id = 3",
        ...,
        "0",
    ),
    (
        "ifnull(id, 'x') FROM n WHERE id = 3",
        ...,
        "3",
    ),
    (
        "1 UNION SELECT '2' ORDER BY 1",
        ...,
        ["1", "2"],
    ),
    (
        "greatest(1, 2.5), least(1, 2.5), greatest('a', 'b'), least(NULL, 1)",
        (20105, "not supported: function or operator 'greatest'"),
        (Decimal("2.5"), Decimal("1.0"), "b", None),
    ),
    (
        "greatest(da, dt) FROM n WHERE id = 1",
        (20105, "not supported: function or operator 'greatest'"),
        datetime.datetime(2024, 1, 2, 3, 4, 5, 678000),
    ),
    (
        "greatest(1, 'a')",
        (20105, "not supported: function or operator 'greatest'"),
        "a",
    ),
    (
        "5 DIV 2.5",
        (20203, "invalid argument operator div, bad value [BIGINT DECIMAL64]"),
        2,
    ),
    (
        "5 DIV 0.5",
        (20203, "invalid argument operator div, bad value [BIGINT DECIMAL64]"),
        10,
    ),
    (
        "d DIV 2 FROM n WHERE id = 2",
        (20203, "invalid argument operator div, bad value [DECIMAL64 BIGINT]"),
        1,
    ),
    (
        "1 DIV NULL",
        (20203, "invalid argument operator div, bad value [BIGINT ANY]"),
        None,
    ),
    (
        "NULL DIV 1",
        (20203, "invalid argument operator div, bad value [ANY BIGINT]"),
        None,
    ),
    (
        "SELECT (SELECT id FROM n)",
        (20101, "internal error: scalar subquery returns more than 1 row"),
        (1242, "Subquery returns more than 1 row"),
    ),
    (
        "a.id, b.id FROM n a FULL OUTER JOIN n b ON a.id = b.id + 2 ORDER BY 1, 2",
        (
            1064,
            "SQL parser error: You have an error in your SQL syntax; check the manual that "
            "corresponds to your MatrixOne server version for the right syntax to use. "
            'syntax error at line 1 column 31 near " FULL OUTER JOIN n b ON a.id = b.id + '
            '2 ORDER BY 1, 2";',
        ),
        [(None, 3), (None, 4), (1, None), (2, None), (3, 1), (4, 2)],
    ),
    (
        "id FROM n UNION SELECT a FROM m ORDER BY id LIMIT 2",
        ...,
        [1, 2],
    ),
    (
        "id FROM n UNION SELECT a FROM m ORDER BY 1 DESC LIMIT 2",
        ...,
        [5, 4],
    ),
    (
        "j -> '$.a[0]' FROM n WHERE id = 1",
        (
            1064,
            "SQL parser error: You have an error in your SQL syntax; check the manual that "
            "corresponds to your MatrixOne server version for the right syntax to use. "
            "syntax error at line 1 column 11 near \" -> '$.a[0]' FROM n WHERE id = 1\";",
        ),
        "1",
    ),
]
"""Statements with what 3.0.9 answers, if the emulator knows, and 4.2.0"""


BY_MAIN: dict[str, object] = {
    "0x4142, x'4142', b'1000001', 0b1000001": (b"AB", b"AB", b"A", b"A"),
    "@nope": None,
    "@a": None,
    "unix_timestamp('2024-01-01 00:00:00'), unix_timestamp('2024-01-01 00:00:00.5'), "
    "unix_timestamp(da), unix_timestamp(dt), unix_timestamp(ts), unix_timestamp(NULL) "
    "FROM n WHERE id = 1": (
        1704067200,
        Decimal("1704067200.500000"),
        1704153600,
        Decimal("1704164645.678000"),
        1704164645,
        None,
    ),
    "a.id FROM n a JOIN n b USING (nope)": (
        1054,
        "invalid input: column 'nope' specified in USING clause does not exist in left table",
    ),
    "id x FROM n WHERE x = 1": (1054, "invalid input: column x does not exist"),
    "n.nope FROM n": (1054, "invalid input: column 'n.nope' does not exist"),
    "nope FROM n": (1054, "invalid input: column nope does not exist"),
    "id FROM n HAVING id > 1": [2, 3, 4],
}
"""Answers of main that are others"""


@pytest.fixture
def tables(say: Client) -> Client:
    """`say` in database ~ with the tables, in UTC."""
    say.ok("CREATE DATABASE ~", "USE ~", "SET time_zone = '+00:00'", *TABLES)
    return say


@pytest.mark.usefixtures("since_3")
@pytest.mark.parametrize(
    "expected",
    [WINDOWS, AGGREGATES, NUMBERS, TEXTS, CONDITIONS, MOMENTS, JSON, QUERIES, MORE],
    ids=[
        "windows",
        "aggregates",
        "numbers",
        "texts",
        "conditions",
        "moments",
        "json",
        "queries",
        "more",
    ],
)
def test_answers(tables: Client, server: Server, expected: list[tuple[str, object]]) -> None:
    changed = BY_MAIN if is_main(server) else {}
    assert_answers(tables, {text: changed.get(text, answer) for text, answer in expected})


def assert_answers(client: Client, expected: dict[str, object]) -> None:
    """What begins with no word of a statement is what a SELECT selects."""
    statements = {text: text.replace("{moment}", MOMENT) for text in expected}
    for text, statement in statements.items():
        if not statement.startswith(("SELECT ", "WITH ", "(")):
            statements[text] = f"SELECT {statement}"
    found = answers(client, statements.values())
    assert {text: found[statement] for text, statement in statements.items()} == expected


@pytest.mark.usefixtures("since_3")
def test_what_differs(tables: Client, server: Server) -> None:
    if is_3_0_18(server):
        pytest.skip("not measured on 3.0.18")
    by_version = {text: new if server.version >= (4,) else old for text, old, new in VERSIONED}
    assert_answers(tables, {text: one for text, one in by_version.items() if one is not ...})
