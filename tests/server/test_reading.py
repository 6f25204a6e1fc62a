"""docs/server.md, SHOW PITR; SHOW RECOVERY_WINDOW; Versions."""

from __future__ import annotations

import datetime
import re
from collections.abc import Callable

import pytest

from tests.clock import wait
from tests.conftest import Server
from tests.server.conftest import Client, Tenant, internal, is_main, moment

LABELS = [
    "PITR_NAME",
    "CREATED_TIME",
    "MODIFIED_TIME",
    "PITR_LEVEL",
    "ACCOUNT_NAME",
    "DATABASE_NAME",
    "TABLE_NAME",
    "PITR_LENGTH",
    "PITR_UNIT",
]

# -- SHOW PITR -------------------------------------------------------------------------------------


def test_labels(say: Client) -> None:
    assert say.ok("SHOW PITR").labels == LABELS


def test_labels_with_where_are_lower_case_on_3(say: Client, server: Server) -> None:
    labels = say.ok("SHOW PITR WHERE pitr_length > 0").labels
    lower = [label.lower() for label in LABELS]
    assert labels == (LABELS if server.version >= (4,) else lower)


def test_stars_where_a_column_does_not_apply(their_shop: Client, tenant: Tenant) -> None:
    their_shop.ok(
        "CREATE PITR ~_a RANGE 1 'h'",
        "CREATE PITR ~_d FOR DATABASE ~ RANGE 2 'mo'",
        "CREATE PITR ~_t FOR TABLE ~ t RANGE 3 'y'",
    )
    rows = {row[0]: row[3:] for row in their_shop.ok("SHOW PITR").rows}
    assert rows == {
        "~_a": ("account", tenant.name, "*", "*", 1, "h"),
        "~_d": ("database", tenant.name, "~", "*", 2, "mo"),
        "~_t": ("table", tenant.name, "~", "t", 3, "y"),
    }


def test_the_account_of_a_pitr_made_by_sys_for_it(say: Client, tenant: Tenant) -> None:
    say.ok(f"CREATE PITR ~_p FOR ACCOUNT {tenant.name} RANGE 1 'd'")
    assert say.rows("SHOW PITR WHERE pitr_name = '~_p'")[0][4] == tenant.name


def test_newest_first(shop: Client, server: Server) -> None:
    """Rows of one second come in either order on 2.2.2."""
    names = ["~_b", "~_c", "~_a"]
    for number, name in enumerate(names):
        shop.ok(f"CREATE TABLE ~.t{number} (id INT)")
        shop.ok(f"CREATE PITR {name} FOR TABLE ~ t{number} RANGE 1 'd'")
        if server.version < (3,):
            wait(server, 1.1)
    shown = [name for name in shop.ok("SHOW PITR").column if name in names]
    assert shown == ["~_a", "~_c", "~_b"]
    shop.ok("ALTER PITR ~_c RANGE 2 'd'")
    assert [name for name in shop.ok("SHOW PITR").column if name in names] == shown


def test_times_are_whole_seconds(shop: Client, server: Server) -> None:
    shop.ok("CREATE PITR ~_p FOR DATABASE ~ RANGE 1 'd'")
    created, modified = shop.rows("SHOW PITR WHERE pitr_name = '~_p'")[0][1:3]
    assert created == modified
    if server.version >= (3,):
        assert isinstance(created, datetime.datetime)
        assert created.microsecond == 0
    else:
        assert re.fullmatch(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d", created)


def created_time(client: Client) -> datetime.datetime:
    value = client.rows("SHOW PITR WHERE pitr_name = '~_p'")[0][1]
    return value if isinstance(value, datetime.datetime) else datetime.datetime.fromisoformat(value)


def test_times_are_in_the_sessions_zone(shop: Client) -> None:
    shop.ok("CREATE PITR ~_p FOR DATABASE ~ RANGE 1 'd'", "SET time_zone = '+00:00'")
    utc = created_time(shop)
    now = datetime.datetime.now(datetime.UTC).replace(tzinfo=None)
    assert abs(now - utc) < datetime.timedelta(minutes=10)
    shop.ok("SET time_zone = '+08:00'")
    assert created_time(shop) - utc == datetime.timedelta(hours=8)
    shop.ok("SET time_zone = '-03:30'")
    assert created_time(shop) - utc == -datetime.timedelta(hours=3, minutes=30)


def test_reading_proof_against_zones(shop: Client) -> None:
    """SET opens no transaction; the ROLLBACK also clears the lying bit."""
    shop.ok("SET time_zone = '+03:00'")
    for autocommit in (1, 0):
        shop.ok(f"SET AUTOCOMMIT = {autocommit}")
        shop.ok("SET @z = @@time_zone", "SET time_zone = '+00:00'", "SHOW PITR")
        shop.ok("SET time_zone = @z", "ROLLBACK")
        assert shop.value("SELECT @@time_zone") == "+03:00"
        shop.ok("ROLLBACK")


def test_types_of_the_other_columns(shop: Client) -> None:
    shop.ok("CREATE PITR ~_p FOR DATABASE ~ RANGE 100 'd'")
    row = shop.rows("SHOW PITR WHERE pitr_name = '~_p'")[0]
    assert [type(value) for value in row[3:]] == [str, str, str, str, int, str]


WHERE: list[tuple[str, Callable[[str], bool]]] = [
    ("pitr_name LIKE '~%'", lambda name: True),
    ("pitr_name LIKE '~%' AND pitr_level = 'table'", lambda name: name == "~_t"),
    ("pitr_name LIKE '~%' AND PITR_LENGTH > 20", lambda name: name == "~_d"),
    ("pitr_name LIKE '~%' AND table_name = '*'", lambda name: name == "~_d"),
    ("database_name = '~' AND pitr_unit IN ('d', 'mo')", lambda name: name == "~_t"),
    ("database_name = '~' AND NOT pitr_unit = 'h'", lambda name: name == "~_t"),
    ("pitr_name = '~_t' OR pitr_name = '~_d'", lambda name: True),
    ("pitr_name LIKE '~%' AND created_time > '2020-01-01 00:00:00'", lambda name: True),
    ("pitr_name LIKE '~%' AND created_time > '2090-01-01 00:00:00'", lambda name: False),
    (
        "database_name = '~' AND CAST_RANGE_VALUE_UNIT(PITR_LENGTH, PITR_UNIT) >= 48",
        lambda name: name == "~_t",
    ),
    ("1 = 0", lambda name: False),
]


@pytest.mark.parametrize(("condition", "expected"), WHERE, ids=[w[0] for w in WHERE])
def test_where_takes_any_expression(
    shop: Client, condition: str, expected: Callable[[str], bool]
) -> None:
    shop.ok(
        "CREATE PITR ~_d FOR DATABASE ~ RANGE 47 'h'", "CREATE PITR ~_t FOR TABLE ~ t RANGE 2 'd'"
    )
    shown = {row[0] for row in shop.rows(f"SHOW PITR WHERE {condition}")}
    assert shown == {name for name in ("~_d", "~_t") if expected(name)}


def test_where_of_a_missing_column(say: Client, server: Server) -> None:
    assert say.error("SHOW PITR WHERE nope = 1") == (
        1054 if is_main(server) else 20301,
        "invalid input: column nope does not exist",
    )


@pytest.mark.parametrize(("unit", "hours"), [("h", 2), ("d", 48), ("mo", 1440), ("y", 17520)])
def test_cast_range_value_unit_gives_hours(say: Client, unit: str, hours: int) -> None:
    assert say.value(f"SELECT CAST_RANGE_VALUE_UNIT(2, '{unit}')") == hours


def test_an_account_sees_its_own_only(say: Client, their_shop: Client, tenant: Tenant) -> None:
    their_shop.ok("CREATE PITR ~_theirs FOR DATABASE ~ RANGE 1 'd'")
    say.ok(f"CREATE PITR ~_ours FOR ACCOUNT {tenant.name} RANGE 1 'd'")
    assert their_shop.ok("SHOW PITR").column == ["~_theirs"]
    assert [name for name in say.ok("SHOW PITR").column if name.startswith("~")] == ["~_ours"]


# -- SHOW RECOVERY_WINDOW --------------------------------------------------------------------------

OBJECT = re.compile(
    r"\{'start_time':'(?P<start>[^']*)', 'end_time':'(?P<end>[^']*)', "
    r"'source':'pitr', 'source_name':'(?P<name>[^']*)'\}"
)


def windows(client: Client, target: str) -> dict[str, list[dict[str, str]]]:
    """The windows shown by table; of the objects, not of the brackets."""
    found: dict[str, list[dict[str, str]]] = {}
    for row in client.rows(f"SHOW RECOVERY_WINDOW FOR {target}"):
        found[row[3]] = [match.groupdict() for match in OBJECT.finditer(row[4])]
    return found


def names(shown: list[dict[str, str]]) -> list[str]:
    return sorted(window["name"] for window in shown)


@pytest.mark.usefixtures("since_3")
def test_labels_of_windows(shop: Client) -> None:
    labels = shop.ok("SHOW RECOVERY_WINDOW FOR DATABASE ~").labels
    assert labels == [
        "RecoveryWindowLevel",
        "AccountName",
        "DatabaseName",
        "TableName",
        "RecoveryWindows",
    ]


def test_a_row_per_table(shop: Client) -> None:
    shop.ok("CREATE TABLE ~.u (id INT)", "CREATE PITR ~_d FOR DATABASE ~ RANGE 1 'd'")
    rows = shop.rows("SHOW RECOVERY_WINDOW FOR DATABASE ~")
    assert sorted(row[:4] for row in rows) == [
        ("database", "sys", "~", "t"),
        ("database", "sys", "~", "u"),
    ]


@pytest.mark.usefixtures("since_3")
@pytest.mark.parametrize(
    ("target", "level"),
    [("ACCOUNT", "account"), ("DATABASE ~", "database"), ("TABLE ~ t", "table")],
)
def test_levels(their_shop: Client, tenant: Tenant, target: str, level: str) -> None:
    their_shop.ok("CREATE PITR ~_d FOR DATABASE ~ RANGE 1 'd'")
    rows = their_shop.rows(f"SHOW RECOVERY_WINDOW FOR {target}")
    assert [row[:4] for row in rows] == [(level, tenant.name, "~", "t")]


@pytest.mark.usefixtures("since_3")
def test_sys_may_ask_for_another_account(say: Client, their_shop: Client, tenant: Tenant) -> None:
    """It sees the account's own PITRs."""
    their_shop.ok("CREATE PITR ~_d FOR DATABASE ~ RANGE 1 'd'")
    rows = say.rows(f"SHOW RECOVERY_WINDOW FOR ACCOUNT {tenant.name}")
    assert [row[:4] for row in rows] == [("account", tenant.name, "~", "t")]


@pytest.mark.usefixtures("since_3")
def test_other_accounts_may_not(admin: Client, tenant: Tenant) -> None:
    assert admin.error("SHOW RECOVERY_WINDOW FOR ACCOUNT sys") == internal(
        "only sys account can show other account's recovery window"
    )
    admin.ok(f"SHOW RECOVERY_WINDOW FOR ACCOUNT {tenant.name}")


@pytest.mark.parametrize(
    ("target", "kind"), [("DATABASE mysql", "database"), ("TABLE mysql user", "table")]
)
def test_system_databases_have_no_windows(say: Client, target: str, kind: str) -> None:
    assert say.error(f"SHOW RECOVERY_WINDOW FOR {target}") == internal(
        f"can not show recovery window for system {kind}"
    )


def test_no_pitr_no_rows(shop: Client) -> None:
    assert shop.rows("SHOW RECOVERY_WINDOW FOR DATABASE ~_nope") == []


@pytest.mark.usefixtures("since_3")
def test_a_window_of_each_level(their_shop: Client) -> None:
    their_shop.ok(
        "CREATE PITR ~_a RANGE 1 'h'",
        "CREATE PITR ~_d FOR DATABASE ~ RANGE 1 'h'",
        "CREATE PITR ~_t FOR TABLE ~ t RANGE 1 'h'",
    )
    for target in ("TABLE ~ t", "DATABASE ~", "ACCOUNT"):
        assert names(windows(their_shop, target)["t"]) == ["~_a", "~_d", "~_t"]


@pytest.mark.usefixtures("since_3")
def test_the_value_is_no_json(shop: Client) -> None:
    """One table, one window: text of objects in single quotes within brackets."""
    shop.ok("CREATE PITR ~_t FOR TABLE ~ t RANGE 1 'h'")
    text = shop.rows("SHOW RECOVERY_WINDOW FOR TABLE ~ t")[0][4]
    assert text[0] + text[-1] == "[]"
    assert OBJECT.fullmatch(text[1:-1])


@pytest.mark.usefixtures("since_3")
def test_several_windows_are_separated_by_commas(shop: Client) -> None:
    shop.ok(
        "CREATE PITR ~_t FOR TABLE ~ t RANGE 1 'h'", "CREATE PITR ~_d FOR DATABASE ~ RANGE 1 'h'"
    )
    text = shop.rows("SHOW RECOVERY_WINDOW FOR TABLE ~ t")[0][4]
    one = re.sub(r"\?P<\w+>", "?:", OBJECT.pattern)
    assert re.fullmatch(rf"\[{one}, {one}\]", text)


@pytest.mark.usefixtures("since_3")
def test_window_times_are_in_the_servers_zone(shop: Client) -> None:
    shop.ok("SET time_zone = '+11:00'", "CREATE PITR ~_t FOR TABLE ~ t RANGE 1 'h'")
    now = moment(shop)
    (window,) = windows(shop, "TABLE ~ t")["t"]
    start, end = window["start"], window["end"]
    near = datetime.datetime.fromisoformat(now.text) - datetime.datetime.fromisoformat(start[:19])
    assert abs(near) < datetime.timedelta(minutes=2)
    assert start < end


@pytest.mark.usefixtures("since_3")
def test_nanoseconds_without_final_zeros(shop: Client) -> None:
    shop.ok("CREATE PITR ~_t FOR TABLE ~ t RANGE 1 'h'")
    (window,) = windows(shop, "TABLE ~ t")["t"]
    for text in (window["start"], window["end"]):
        assert re.fullmatch(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d(\.\d{0,8}[1-9])?", text)


@pytest.mark.usefixtures("since_3")
def test_a_window_ends_now_and_then_at_the_drop(shop: Client) -> None:
    """The row of a dropped table stays, and its window ends there."""
    shop.ok("CREATE PITR ~_t FOR TABLE ~ t RANGE 1 'h'")

    def end() -> str:
        wait(shop.connection, 0.02)
        return windows(shop, "TABLE ~ t")["t"][0]["end"]

    assert end() < end()
    shop.ok("DROP TABLE ~.t")
    assert end() == end()


@pytest.mark.usefixtures("since_3")
def test_tables_created_after_a_database_pitr_are_missing(shop: Client) -> None:
    """Although they are protected: these windows are no source for what is covered."""
    shop.ok("CREATE PITR ~_d FOR DATABASE ~ RANGE 1 'h'", "CREATE TABLE ~.later (id INT)")
    assert set(windows(shop, "DATABASE ~")) == {"t"}


@pytest.mark.usefixtures("since_3")
def test_a_renamed_table_is_missing(shop: Client) -> None:
    shop.ok("CREATE PITR ~_d FOR DATABASE ~ RANGE 1 'h'", "RENAME TABLE ~.t TO ~.u")
    assert "u" not in windows(shop, "DATABASE ~")


@pytest.mark.usefixtures("since_3")
def test_windows_of_all_tables_in_one_answer(their_shop: Client) -> None:
    for number in range(12):
        their_shop.ok(f"CREATE TABLE ~.n{number} (id INT)")
    their_shop.ok("CREATE PITR ~_a RANGE 1 'h'")
    for target in ("ACCOUNT", "DATABASE ~"):
        shown = windows(their_shop, target)
        assert set(shown) == {"t"} | {f"n{number}" for number in range(12)}


@pytest.mark.usefixtures("since_3")
def test_alter_to_0_leaves_no_window(shop: Client) -> None:
    shop.ok("CREATE PITR ~_t FOR TABLE ~ t RANGE 1 'h'", "ALTER PITR ~_t RANGE 0 'h'")
    wait(shop.connection, 0.02)
    (window,) = windows(shop, "TABLE ~ t")["t"]
    start, end = window["start"][:19], window["end"][:19]
    apart = datetime.datetime.fromisoformat(end) - datetime.datetime.fromisoformat(start)
    assert apart < datetime.timedelta(seconds=2)


# -- version() -------------------------------------------------------------------------------------


@pytest.mark.usefixtures("since_3")  # 2.2.2: test_version_2_2.py
def test_version(say: Client, server: Server) -> None:
    text = say.value("SELECT version()")
    if is_main(server):
        assert text == "8.0.30-MatrixOne-v"
        return
    assert re.fullmatch(r"8\.0\.30-MatrixOne-v\d+\.\d+\.\d+", text)
    assert text.endswith("v" + ".".join(map(str, server.version)))


@pytest.mark.usefixtures("since_3")
def test_the_handshake_says_the_version_too(say: Client) -> None:
    assert say.connection.server_version == say.value("SELECT version()")
