"""Functions of ordinary SQL: those that programs and ORMs send most, with what they answer."""

from __future__ import annotations

import datetime
import uuid
from decimal import Decimal

import pytest

from tests.conftest import Server
from tests.server.conftest import Client, is_3_0_18

VALUES: list[tuple[str, object]] = [
    ("COALESCE(NULL, NULL, 3)", 3),
    ("IFNULL(NULL, 'x')", "x"),
    ("IFNULL(1, 2)", 1),
    ("NULLIF(1, 1)", None),
    ("NULLIF(1, 2)", 1),
    ("IF(1 > 2, 'a', 'b')", "b"),
    # Texts
    ("CONCAT_WS('-', 'a', NULL, 'b')", "a-b"),
    ("UPPER('aé')", "AÉ"),
    ("LOWER('AÉ')", "aé"),
    ("LENGTH('aé')", 3),
    ("CHAR_LENGTH('aé')", 2),
    ("REPLACE('banana', 'an', 'o')", "booa"),
    ("REPEAT('ab', 3)", "ababab"),
    ("TRIM('  a  ')", "a"),
    ("TRIM(LEADING 'x' FROM 'xxax')", "ax"),
    ("TRIM(TRAILING 'x' FROM 'xaxx')", "xa"),
    ("LTRIM('  a ')", "a "),
    ("RTRIM(' a  ')", " a"),
    ("LEFT('abcdef', 2)", "ab"),
    ("SUBSTRING('abcdef', 3)", "cdef"),
    ("SUBSTRING('abcdef', 2, 3)", "bcd"),
    ("SUBSTR('abcdef', -2)", "ef"),
    ("LPAD('7', 3, '0')", "007"),
    ("RPAD('7', 3, '0')", "700"),
    ("LOCATE('b', 'abcb')", 2),
    ("INSTR('abcb', 'c')", 3),
    ("HEX('abc')", "616263"),
    ("HEX(255)", "FF"),
    ("MD5('abc')", "900150983cd24fb0d6963f7d28e17f72"),
    ("'abc' REGEXP '^a.c$'", 1),
    ("'abc' REGEXP 'x'", 0),
    # Numbers
    ("ABS(-3)", 3),
    ("ROUND(5.64, 1)", Decimal("5.6")),
    ("ROUND(5.5)", 6),
    ("FLOOR(-1.5)", -2),
    ("CEIL(1.2)", 2),
    ("MOD(7, 3)", 1),
    # Moments
    ("DATE(m)", datetime.date(2024, 3, 4)),
    ("YEAR(m)", 2024),
    ("MONTH(m)", 3),
    ("DAY(m)", 4),
    ("HOUR(m)", 5),
    ("MINUTE(m)", 6),
    ("SECOND(m)", 7),
    ("DATE_FORMAT(m, '%Y/%m/%d %H:%i:%s')", "2024/03/04 05:06:07"),
    ("DATE_FORMAT(m, '%b %e, %y')", "Mar 4, 24"),
    ("DATE_ADD(m, INTERVAL 1 MONTH)", datetime.datetime(2024, 4, 4, 5, 6, 7)),
    ("DATE_SUB(m, INTERVAL 5 HOUR)", datetime.datetime(2024, 3, 4, 0, 6, 7)),
    ("STR_TO_DATE('03/04/2024', '%m/%d/%Y')", datetime.date(2024, 3, 4)),
    ("DATEDIFF('2024-03-04', '2024-02-28')", 5),
    ("TIMESTAMPDIFF(MONTH, '2017-11-01 12:15:12', '2018-01-01 12:15:12')", 2),
    ("TIMESTAMPDIFF(SECOND, '2017-12-01 12:15:12', '2018-01-01 07:18:20')", 2660588),
    # JSON
    ("""JSON_UNQUOTE(JSON_EXTRACT('{"a": "x"}', '$.a'))""", "x"),
    # Aggregates
    ("ANY_VALUE(m)", datetime.datetime(2024, 3, 4, 5, 6, 7)),
]


@pytest.mark.parametrize(("call", "value"), VALUES, ids=[call for call, _ in VALUES])
def test_values(say: Client, call: str, value: object) -> None:
    moments = "(SELECT CAST('2024-03-04 05:06:07' AS DATETIME) AS m) AS t"
    found = say.value(f"SELECT {call} FROM {moments}")
    truths = {"true": 1, "false": 0}  # in 3.x, where BOOL is a word
    assert (truths.get(found, found) if isinstance(value, int) else found) == value


@pytest.fixture
def numbers(say: Client) -> Client:
    """`say` in database ~, with table t(id, n, v)."""
    say.ok(
        "CREATE DATABASE ~",
        "USE ~",
        "CREATE TABLE t (id INT PRIMARY KEY AUTO_INCREMENT, n INT, v VARCHAR(5))",
        "INSERT INTO t (n, v) VALUES (1, 'b'), (2, 'a'), (2, 'b'), (3, NULL)",
    )
    return say


def test_aggregates(numbers: Client) -> None:
    found = numbers.rows("SELECT COUNT(*), COUNT(v), COUNT(DISTINCT n), MIN(v), MAX(v) FROM t")
    assert found == [(4, 3, 3, "a", "b")]
    assert numbers.value("SELECT VARIANCE(n) FROM t") == pytest.approx(0.5)
    assert numbers.value("SELECT AVG(n) FROM t") == 2


def test_group_concat(numbers: Client) -> None:
    call = "GROUP_CONCAT(DISTINCT v ORDER BY v SEPARATOR '/')"
    assert numbers.value(f"SELECT {call} FROM t") == "a/b"
    assert numbers.value("SELECT GROUP_CONCAT(v ORDER BY id) FROM t") == "b,a,b"


def test_the_last_generated_key(numbers: Client) -> None:
    numbers.ok("INSERT INTO t (n) VALUES (9)")
    key = numbers.value("SELECT id FROM t WHERE n = 9")
    assert numbers.value("SELECT LAST_INSERT_ID()") == key


def test_uuid(say: Client) -> None:
    first, second = (uuid.UUID(str(say.value("SELECT UUID()"))) for _ in range(2))
    assert first != second


def test_the_session(numbers: Client) -> None:
    assert numbers.value("SELECT SCHEMA()") == numbers.value("SELECT DATABASE()")
    assert numbers.value("SELECT USER()") == numbers.value("SELECT CURRENT_USER()")


def test_today(say: Client) -> None:
    (row,) = say.rows("SELECT CURDATE(), CURRENT_DATE(), CURRENT_TIMESTAMP()")
    assert row[0] == row[1] == row[2].date()


def test_the_right_end(say: Client, server: Server) -> None:
    if server.version >= (4,) or is_3_0_18(server):
        assert say.value("SELECT RIGHT('abcdef', 2)") == "ef"
    else:
        error = say.error("SELECT RIGHT('abcdef', 2)")
        assert error is not None
        assert error[0] in (1064, 20105)


def test_extremes(say: Client, server: Server) -> None:
    if server.version >= (4,):
        assert say.rows("SELECT GREATEST(1, 3, 2), LEAST('b', 'a')") == [(3, "a")]
    else:
        assert say.error("SELECT GREATEST(1, 3, 2)") == (
            20105,
            "not supported: function or operator 'greatest'",
        )


@pytest.mark.usefixtures("since_4")
def test_the_time_of_day(say: Client) -> None:
    """In one statement it stands still; without a zone between them UTC is the session's time."""
    say.ok("SET time_zone = '+00:00'")
    same = "utc_date() = curdate(), utc_time() = curtime(), curtime() = current_time"
    assert say.rows(f"SELECT {same}, localtime() = now(), localtime = now()") == [(1, 1, 1, 1, 1)]
