"""``mo-pitr when``, ``diff`` and ``undo``: find the moment, see the rows, bring them back."""

from __future__ import annotations

import csv
import datetime as dt
import json
from pathlib import Path

import click
import pytest
from sqlalchemy import Engine, text

from sqlalchemy_matrixone_pitr import Moment, PitrManager
from sqlalchemy_matrixone_pitr.cli.errors import as_commands
from sqlalchemy_matrixone_pitr.cli.sqlparts import ReadTable, at_a_moment, condition, tables_of
from sqlalchemy_matrixone_pitr.emulator import Emulator
from tests.cli import Call, call, call_process, emulator, engine, environment
from tests.clock import wait
from tests.proxy import Proxy, When
from tests.test_cli_policies import on_terminal

__all__ = ["call", "call_process", "emulator", "engine", "environment"]

both_versions = pytest.mark.parametrize("emulator", ["3.0.9", "4.2.0"], indirect=True)


def say(engine: Engine, *statements: str) -> None:
    with engine.begin() as connection:
        for statement in statements:
            connection.exec_driver_sql(statement.replace("%", "%%"))


def rows(engine: Engine, table: str = "orders") -> list[tuple[object, ...]]:
    with engine.connect() as connection:
        found = connection.execute(text(f"SELECT * FROM shop.{table} ORDER BY 1"))
        return [tuple(row) for row in found]


def take_moment(engine: Engine) -> Moment:
    wait(engine, 0.02)
    moment = Moment.now(engine)
    wait(engine, 0.02)
    return moment


BEFORE = [(1, "tea", 5, 1), (2, "10% : x", 6, 2), (3, None, 7, 3)]
NOW = [(1, "tea", 9, 1), (3, None, 7, 3), (7, "desk", 1, 7)]


@pytest.fixture
def at(emulator: Emulator, engine: Engine) -> str:
    """The moment before one order of three was deleted, one updated, and one inserted."""
    say(
        engine,
        "CREATE TABLE shop.orders (id INT PRIMARY KEY, item VARCHAR(30), price INT, code INT)",
        "CREATE UNIQUE INDEX code ON shop.orders (code)",
        "CREATE TABLE shop.plain (a INT, b VARCHAR(9))",
    )
    manager = PitrManager(engine)
    manager.create_database_pitr("shop_week", "shop", 7)
    emulator.advance(dt.timedelta(seconds=1.1))  # policies know seconds
    say(
        engine,
        "INSERT INTO shop.orders VALUES (1, 'tea', 5, 1), (2, '10% : x', 6, 2), (3, NULL, 7, 3)",
    )
    moment = take_moment(engine)
    say(
        engine,
        "DELETE FROM shop.orders WHERE id = 2",
        "UPDATE shop.orders SET price = 9 WHERE id = 1",
        "INSERT INTO shop.orders VALUES (7, 'desk', 1, 7)",
        "INSERT INTO shop.plain VALUES (1, 'x'), (1, 'x'), (2, 'y')",
    )
    return str(moment)


# --------------------------------------------------------------------------------------------- when


@both_versions
def test_when_a_row_vanished(call: Call, at: str) -> None:
    found = call("when", "orders", "--row", "2", "--since", at, "--resolution", "0.01")
    assert (found.code, found.err) == (0, "")
    heads, change, blank, step = found.out.splitlines()
    assert heads.split() == ["BEFORE", "AFTER", "WAS", "BECAME"]
    assert change.split()[-3:] == ["there", "not", "there"]
    before = " ".join(change.split()[:2])
    assert (blank, step) == ("", f"What changed since: mo-pitr diff shop.orders --at '{before}'")
    assert "2 " in call("diff", "orders", "--at", before).out


@both_versions
def test_when_an_answer_changed(call: Call, at: str) -> None:
    select = "SELECT count(*) FROM orders o WHERE o.item LIKE '10% : %'"
    found = call("when", "orders", select, "--since", at, "--json")
    assert (found.code, found.err) == (0, "")
    told = json.loads(found.out)
    assert told["table"] == "shop.orders"
    assert told["since"]["moment"] == at
    [change] = told["changes"]
    assert [change[side]["value"] for side in ("before", "after")] == [1, 0]
    assert change["before"]["nanoseconds"] < change["after"]["nanoseconds"]
    latest = call("when", "orders", select, "--since", at, "--latest", "--json")
    assert [one["after"]["value"] for one in json.loads(latest.out)["changes"]] == [0]


def test_when_the_table_was_not_there(call: Call, at: str) -> None:
    """No policy reaches back an hour, and the table was made since: that is an answer too."""
    found = call("when", "shop.orders", "SELECT max(price) FROM shop.orders")
    assert (found.code, found.err) == (0, "")
    assert "no table" in found.out.splitlines()[1]


def test_when_a_table_is_gone(call: Call, at: str, engine: Engine) -> None:
    say(engine, "DROP TABLE shop.orders")
    found = call("when", "orders", "--row", "3", "--since", at)
    assert found.out.splitlines()[1].endswith("there  no table")
    found = call("when", "nowhere", "--row", "3", "--since", at)
    assert (found.code, found.out) == (2, "")
    assert "shop.nowhere is there neither now nor at" in found.err


def test_when_nothing_changed(call: Call, at: str) -> None:
    found = call("when", "orders", "--row", "3", "--since", at)
    assert found.code == 0
    assert "the row neither came nor went, at 32 moments" in found.out


def test_the_latest_changes_are_listed(call: Call, at: str, engine: Engine) -> None:
    for number in range(20, 23):
        wait(engine, 0.1)
        say(engine, f"INSERT INTO shop.orders VALUES ({number}, 'x', 1, {number})")
    select = "SELECT count(*) FROM orders"
    options = ("--since", at, "--resolution", "0.005", "--limit", "1")
    first, _, change, *_ = call("when", "orders", select, *options).out.splitlines()
    assert first.endswith(" more, earlier (--limit)")
    assert change.split()[-1] == "6"


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ((), "give a SELECT or --row KEY"),
        (("SELECT 1", "--row", "1"), "give a SELECT or --row KEY"),
        (("SELECT 1",), "the SELECT reads no table"),
        (("DELETE FROM orders",), "write a SELECT of one value"),
        (("SELECT count(*) FROM plain",), "the SELECT reads shop.plain, and not shop.orders"),
        (("SELECT count(*) FROM orders, plain",), "write JOIN instead of a comma"),
        (("SELECT 1 FROM orders; DROP TABLE orders",), "'; DROP TABLE orders' is not understood"),
        (("--row", "two"), "--row 'two' is no value of id, an integer"),
        (("--row", "1,2"), "--row '1,2' is no value of id, an integer"),
        (("--row", "1", "--since", "yesterday"), "Invalid value for '--since': 'yesterday' is no"),
        (("--row", "1", "--until", "2200-01-01 00:00Z"), "lies in the future"),
    ],
)
def test_when_refuses(call: Call, at: str, arguments: tuple[str, ...], said: str) -> None:
    found = call("when", "orders", *arguments)
    assert (found.code, found.out) == (2, "")
    assert said in found.err


def test_when_without_a_primary_key(call: Call, at: str, engine: Engine) -> None:
    assert "shop.plain has no primary key" in call("when", "plain", "--row", "1").err
    say(engine, "CREATE TABLE shop.two (a INT, b VARCHAR(9), PRIMARY KEY (a, b))")
    assert "is a, b: give --row 2 values" in call("when", "two", "--row", "1").err
    since = str(take_moment(engine))
    say(engine, "INSERT INTO shop.two VALUES (1, 'x')")
    found = call("when", "two", "--row", "1, x", "--since", since)
    assert found.out.splitlines()[1].endswith("not there  there")


# --------------------------------------------------------------------------------------------- diff


@both_versions
def test_diff(call: Call, at: str) -> None:
    found = call("diff", "orders", "--at", at)
    assert (found.code, found.err) == (0, "")
    assert found.out.splitlines() == [
        f"KEY  {'ROW':41}  CHANGE",
        f"1    {'price: 5 -> 9':41}  updated",
        "2    id: 2, item: '10% : x', price: 6, code: 2  deleted",
        "7    id: 7, item: 'desk', price: 1, code: 7     inserted",
        "",
        f"shop.orders since {at}: 1 inserted, 1 updated, 1 deleted",
        f"Undo them: mo-pitr undo shop.orders --at '{at}'",
    ]


def test_diff_for_machines(call: Call, at: str) -> None:
    told = json.loads(call("diff", "orders", "--at", at, "--limit", "1", "--json").out)
    assert told["summary"] == {"inserted": 1, "updated": 1, "deleted": 1}
    assert [(one["kind"], one["key"]) for one in told["changes"]] == [
        ("updated", [1]),
        ("deleted", [2]),
        ("inserted", [7]),
    ]
    assert told["changes"][0]["changed"] == ["price"]
    printed = call("diff", "orders", "--at", at, "--limit", "1", "--csv").out
    read = list(csv.reader(printed.splitlines()))
    assert read[0][:3] == ["kind", "before.id", "before.item"]
    assert read[2] == ["deleted", "2", "10% : x", "6", "2", "", "", "", ""]
    nothing = call("diff", "orders", "--at", at, "--where", "id = 99", "--json").out
    assert json.loads(nothing)["changes"] == []


def test_values_of_every_kind(
    call: Call, emulator: Emulator, engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A value that JSON does not know is a text, as SQL writes it."""
    columns = "n DECIMAL(20,10), f DOUBLE, d DATE, m DATETIME(6), t TIME, b BLOB, s VARCHAR(9)"
    PitrManager(engine).create_database_pitr("shop_week", "shop", 7)
    say(engine, f"CREATE TABLE shop.kinds (id INT PRIMARY KEY, {columns})")
    emulator.advance(dt.timedelta(seconds=1.1))
    at = str(take_moment(engine))
    say(
        engine,
        "INSERT INTO shop.kinds VALUES (1, 1.0000000001, 2.5, '2026-01-02', "
        "'2026-01-02 03:04:05.000006', '-01:00:00', x'00ff', 'é''s'), "
        "(2, NULL, NULL, NULL, NULL, NULL, NULL, NULL)",
    )
    told = json.loads(call("diff", "kinds", "--at", at, "--json").out)
    first, second = (change["after"] for change in told["changes"])
    assert list(first.values()) == [
        1,
        "1.0000000001",
        2.5,
        "2026-01-02",
        "2026-01-02T03:04:05.000006",
        "-01:00:00",
        "0x00ff",
        "é's",
    ]
    assert list(second.values()) == [2, *[None] * 7]
    shown = call("diff", "kinds", "--at", at, COLUMNS="200").out
    assert "t: -01:00:00" in shown
    assert "b: 0x00ff" in shown


@both_versions
@pytest.mark.parametrize(
    ("where", "keys"),
    [
        ("item LIKE '10%'", [2]),
        ("id BETWEEN 2 AND 7 AND NOT (`code` = 7)", [2]),
        ("length(item) = 4 or item = 'tea'", [1, 7]),
        ("item IS NULL", []),
        ("price > 5 + 1", [1]),
    ],
)
def test_where(call: Call, at: str, where: str, keys: list[int]) -> None:
    """An updated row is a change whether it is true before or after."""
    found = call("diff", "orders", "--at", at, "--where", where, "--json")
    assert (found.code, found.err) == (0, "")
    assert [one["key"][0] for one in json.loads(found.out)["changes"]] == keys


@pytest.mark.parametrize(
    ("where", "said"),
    [
        ("colour = 1", "--where names the column 'colour', which the table did not have"),
        ("orders.id = 1", "write the columns of --where without their table"),
        ("id IN (SELECT 1)", "without a subquery"),
        ("id = 1; DELETE", "'; DELETE' is not understood"),
        ("id = 1 -- two", "'-- two' is not understood"),
        ("id = 1) OR (id = 2", "the parentheses of"),
        (" ", "--where is empty"),
    ],
)
def test_where_refuses(call: Call, at: str, where: str, said: str) -> None:
    for command in ("diff", "undo"):
        found = call(command, "orders", "--at", at, "--where", where)
        assert (found.code, found.out) == (2, "")
        assert said in found.err


def test_a_table_without_a_key(call: Call, at: str) -> None:
    """Rows are counted, and so many are listed as people want."""
    found = call("diff", "plain", "--at", at, "--limit", "2")
    assert found.code == 0
    assert "... and 1 more (--limit, --csv)" in found.out
    assert "shop.plain has no key that tells its rows apart" in found.out
    assert "mo-pitr undo" not in found.out
    refused = call("undo", "plain", "--at", at, "--yes")
    assert refused.code == 2
    assert "shop.plain has no primary key" in refused.err


def test_two_moments(call: Call, at: str, engine: Engine) -> None:
    until = str(take_moment(engine))
    say(engine, "DELETE FROM shop.orders WHERE id < 9")
    found = call("diff", "orders", "--at", at, "--until", until)
    assert f"shop.orders since {at} until {until}: 1 inserted, 1 updated, 1 deleted" in found.out


def test_what_the_output_cannot_encode(call_process: Call, at: str, engine: Engine) -> None:
    """People see escapes, programs JSON's own; a script or CSV is never another one."""
    with engine.begin() as conn:
        conn.exec_driver_sql("UPDATE shop.orders SET item = 'd\u00e9sk \U0001f600' WHERE id = 7")
    arguments = ("diff", "orders", "--at", at, "--where", "id = 7")
    shown = call_process(*arguments, PYTHONIOENCODING="ascii")
    assert (shown.code, shown.err) == (0, "")
    assert r"item: 'd\xe9sk \U0001f600'" in shown.out
    told = call_process(*arguments, "--json", PYTHONIOENCODING="ascii")
    assert json.loads(told.out)["changes"][0]["after"]["item"] == "d\u00e9sk \U0001f600"
    refused = call_process(*arguments, "--csv", PYTHONIOENCODING="ascii")
    assert refused.code == 2


def test_diff_says_what_is_not_compared(call: Call, at: str, engine: Engine) -> None:
    say(engine, "ALTER TABLE shop.orders ADD COLUMN colour INT")
    found = call("diff", "orders", "--at", at)
    assert "Not compared, since the table had them later only: colour" in found.out


def test_json_or_csv(call: Call, at: str) -> None:
    assert "give --json or --csv" in call("diff", "orders", "--at", at, "--json", "--csv").err


def test_the_moment_before_a_revision(call: Call, at: str, engine: Engine) -> None:
    began = Moment.parse(at).datetime().isoformat()
    say(
        engine,
        "CREATE TABLE shop.alembic_pitr_revision (migrated VARCHAR(255), "
        "version_table VARCHAR(255), version_num VARCHAR(255), began VARCHAR(32), touched TEXT)",
        "INSERT INTO shop.alembic_pitr_revision VALUES "
        f"('shop', 'alembic_version', '4f2a91c07d3e', '{began}', '[]')",
    )
    found = call("diff", "orders", "--at", "revision:4f2a")
    assert f"shop.orders since {at}: 1 inserted, 1 updated, 1 deleted" in found.out
    found = call("diff", "orders", "--at", "revision:77")
    assert (found.code, found.out) == (2, "")
    assert "revision '77' is not recorded of database shop" in found.err


# --------------------------------------------------------------------------------------------- undo


@both_versions
def test_undo(call: Call, at: str, engine: Engine) -> None:
    assert rows(engine) == NOW
    found = call("undo", "orders", "--at", at, "--yes")
    assert (found.code, found.err) == (0, "")
    assert found.out == (
        f"shop.orders since {at}: 1 inserted, 1 updated, 1 deleted\n"
        f"Done: rows as of {at}: 1 inserted, 1 updated, 1 deleted, 0 skipped\n"
        "Nothing differs any more from what was there.\n"
    )
    assert rows(engine) == BEFORE
    assert "There is nothing to undo." in call("undo", "orders", "--at", at).out


def test_nothing_is_done_unasked(call: Call, at: str, engine: Engine) -> None:
    for arguments, code in (((), 2), (("--dry-run",), 0), (("--dry-run", "--json"), 0)):
        found = call("undo", "orders", "--at", at, *arguments)
        assert found.code == code
    assert json.loads(found.out)["done"] is False
    assert json.loads(found.out)["changes"] == {
        "shop.orders": {"inserted": 1, "updated": 1, "deleted": 1}
    }
    assert "give --yes" in call("undo", "orders", "--at", at).err
    assert rows(engine) == NOW


def test_some_of_it(call: Call, at: str, engine: Engine) -> None:
    found = call("undo", "orders", "--at", at, "--where", "item LIKE '10%'", "--yes")
    assert (found.code, found.out.splitlines()[-1]) == (
        0,
        "None of them differs from what was there.",
    )
    assert rows(engine) == sorted([*NOW, BEFORE[1]], key=lambda row: str(row[0]))
    found = call("undo", "orders", "--at", at, "--kind", "updated", "--yes", "--json")
    told = json.loads(found.out)
    assert (found.code, told["done"], told["complete"]) == (0, True, False)
    assert told["tables"][0]["remaining"] == {"inserted": 1, "updated": 0, "deleted": 0}
    assert rows(engine) == [*BEFORE, NOW[-1]]


def test_the_script(call: Call, at: str, engine: Engine) -> None:
    found = call("undo", "orders", "--at", at, "--where", "item LIKE '10%'", "--sql")
    assert (found.code, found.err) == (0, "")
    assert rows(engine) == NOW
    lines = " ".join(line for line in found.out.splitlines() if not line.startswith("--"))
    say(engine, *filter(None, map(str.strip, lines.split(";"))))
    assert (2, "10% : x", 6, 2) in rows(engine)


def test_conflicts(call: Call, at: str, engine: Engine) -> None:
    """They are told before anybody is asked; rows that are left as they are make exit code 1."""
    say(engine, "INSERT INTO shop.orders VALUES (8, 'thief', 1, 2)")
    only = ("undo", "orders", "--at", at, "--kind", "deleted")
    refused = call(*only)
    assert (refused.code, refused.out) == (2, "")
    assert "nothing was written: --on-conflict skip leaves them out" in refused.err
    skipped = call(*only, "--on-conflict", "skip", "--yes")
    assert skipped.code == 1
    assert "1 skipped" in skipped.out
    replaced = call(*only, "--on-conflict", "replace", "--yes")
    assert replaced.code == 0
    assert BEFORE[1] in rows(engine)


@both_versions
def test_only_what_changed_until_then(call: Call, at: str, engine: Engine) -> None:
    until = str(take_moment(engine))
    say(
        engine,
        "UPDATE shop.orders SET price = 10 WHERE id = 1",
        "INSERT INTO shop.orders VALUES (9, 'wanted', 1, 9)",
    )
    command = ("undo", "orders", "--at", at, "--until", until)
    refused = call(*command)
    assert (refused.code, refused.out) == (2, "")
    assert f"orders 1: it was updated, and has changed again since {until}" in refused.err
    shown = call(*command, "--on-conflict", "skip", "--dry-run")
    assert shown.out == f"shop.orders since {at} until {until}: 1 inserted, 1 updated, 1 deleted\n"
    skipped = call(*command, "--on-conflict", "skip", "--yes", "--json")
    described = json.loads(skipped.out)
    assert (skipped.code, described["complete"]) == (1, False)
    assert described["until"]["moment"] == until
    [conflict] = described["tables"][0]["conflicts"]
    assert (conflict["key"], conflict["changed_again"]) == ([1], True)
    assert [row[0] for row in rows(engine)] == [1, 2, 3, 9]
    assert "CREATE TABLE" in call(*command, "--on-conflict", "replace", "--sql").out
    replaced = call(*command, "--on-conflict", "replace", "--yes")
    assert replaced.code == 0
    assert "None of them differs from what was there." in replaced.out
    assert rows(engine)[:3] == BEFORE


def test_several_tables(call: Call, at: str, engine: Engine) -> None:
    say(
        engine,
        "CREATE TABLE shop.parts (id INT PRIMARY KEY, order_id INT, CONSTRAINT f "
        "FOREIGN KEY (order_id) REFERENCES orders (id))",
        "INSERT INTO shop.parts VALUES (1, 3)",
    )
    later = str(take_moment(engine))
    say(engine, "DELETE FROM shop.parts WHERE id = 1", "DELETE FROM shop.orders WHERE id = 3")
    found = call("undo", "parts", "orders", "--at", later, "--yes")
    assert (found.code, found.err) == (0, "")
    assert rows(engine, "parts") == [(1, 3)]
    assert "give one TABLE" in call("undo", "a", "b", "--at", at, "--where", "id = 1").err


@pytest.mark.filterwarnings("always::sqlalchemy_matrixone_pitr.PastNotKeptWarning")
def test_an_unkept_past_is_not_trusted(
    call: Call, at: str, emulator: Emulator, engine: Engine
) -> None:
    PitrManager(engine).delete("shop_week")
    emulator.advance(dt.timedelta(hours=3))
    for command in (("diff", "orders"), ("undo", "orders"), ("when", "orders", "--row", "1")):
        option = "--since" if command[0] == "when" else "--at"
        refused = call(*command, option, at)
        assert (refused.code, refused.out) == (2, "")
        assert "--allow-unprotected reads it all the same" in refused.err
    done = call("undo", "orders", "--at", at, "--yes", "--allow-unprotected")
    assert (done.code, rows(engine)) == (0, BEFORE)


@pytest.mark.filterwarnings("always::sqlalchemy_matrixone_pitr.PastNotKeptWarning")
def test_what_is_kept_probably_is_shown_and_not_undone(call: Call, engine: Engine) -> None:
    at = str(take_moment(engine))
    say(engine, "INSERT INTO shop.t0 VALUES (1)")
    seen = call("diff", "t0", "--at", at)
    assert (seen.code, seen.err.startswith("Warning: nothing surely keeps")) == (0, True)
    refused = call("undo", "t0", "--at", at)
    assert (refused.code, refused.out) == (2, "")
    assert "Look at `mo-pitr diff`, which only warns" in refused.err
    assert "give --allow-unprotected" in refused.err
    assert rows(engine, "t0") == [(1,)]


@pytest.mark.parametrize("when", ["before", "after"])
def test_a_commit_whose_answer_is_lost(
    call: Call, at: str, emulator: Emulator, engine: Engine, when: When
) -> None:
    """Nobody is left to believe that nothing was changed."""
    proxy = Proxy(emulator.host, emulator.port)
    url = emulator.url(database="shop").replace(f":{emulator.port}/", f":{proxy.port}/")
    proxy.on("^DELETE", lambda: proxy.cut("^COMMIT", when))
    lost = call("undo", "orders", "--at", at, "--yes", "--url", url)
    proxy.close()
    assert lost.code == 2
    assert "Done" not in lost.out
    assert f"the connection to 127.0.0.1:{proxy.port} was lost" in lost.err
    assert "Whether the rows are back is not known: `mo-pitr diff` tells." in lost.err
    assert ":111@" not in lost.err
    assert rows(engine) == (BEFORE if when == "after" else NOW)


@pytest.mark.slow
@pytest.mark.parametrize("answer", ["y", "n"])
def test_a_person_is_asked(
    at: str, engine: Engine, environment: dict[str, str], tmp_path: Path, answer: str
) -> None:
    code, shown = on_terminal(["undo", "orders", "--at", at], environment, tmp_path, f"{answer}\n")
    asked = f"As of {at}: delete 1, change back 1, insert 1 rows? [y/N]"
    assert asked in shown.replace("\r\n", "\n")
    if answer == "y":
        assert (code, rows(engine)) == (0, BEFORE)
    else:
        assert (code, rows(engine)) == (2, NOW)
        assert "Nothing was changed." in shown


@pytest.mark.slow
def test_an_asyncio_driver(call: Call, at: str, emulator: Emulator, engine: Engine) -> None:
    pytest.importorskip("aiomysql")
    url = emulator.url(database="shop").replace("+pymysql", "+aiomysql")
    for arguments in (
        ("when", "orders", "--row", "2", "--since", at),
        ("diff", "orders", "--at", at),
        ("undo", "orders", "--at", at, "--yes"),
    ):
        found = call(*arguments, "--url", url)
        assert (found.code, found.err) == (0, "")
    assert rows(engine) == BEFORE


# ----------------------------------------------------------------------------------- SQL as typed


def names(select: str) -> list[tuple[str, bool]]:
    return [(table.name, table.alias) for table in tables_of(select)]


def test_tables_of() -> None:
    assert names("SELECT count(*) FROM orders") == [("orders", False)]
    assert names("select 1 from `shop` . `or``d` as o where x = 'FROM t'") == [("shop.or`d", True)]
    assert names("SELECT 1 FROM a LEFT JOIN s.b x ON a.id = x.id JOIN c USING (id)") == [
        ("a", False),
        ("s.b", True),
        ("c", False),
    ]
    assert names("SELECT extract(YEAR FROM d) FROM a WHERE EXISTS (SELECT 1 FROM b)") == [
        ("a", False),
        ("b", False),
    ]
    assert names("SELECT 1 FROM (SELECT a, b FROM t GROUP BY a, b) AS s ORDER BY a, b") == [
        ("t", False)
    ]
    for wrong in ("SELECT 1 FROM a FOR UPDATE", "SELECT 1 FROM a b, c", "SELECT 1 FROM `a.b`"):
        with pytest.raises(click.UsageError):
            tables_of(wrong)


def test_at_a_moment() -> None:
    select = "SELECT count(*) FROM s.t JOIN u v ON t.a = v.a WHERE t.b = ':x'"

    def write(scanned: bool) -> str:
        def is_scanned(table: ReadTable) -> bool:
            return scanned

        return at_a_moment(select, tables_of(select), "m", is_scanned)

    assert write(False) == (
        "SELECT count(*) FROM s.t {MO_TS = :m} JOIN u {MO_TS = :m} v ON t.a = v.a "
        "WHERE t.b = '\\:x'"
    )
    every = "LIMIT 18446744073709551615)"
    assert write(True) == (
        f"SELECT count(*) FROM (SELECT * FROM s.t {{MO_TS = :m}} {every} AS t "
        f"JOIN (SELECT * FROM u {{MO_TS = :m}} {every} v ON t.a = v.a WHERE t.b = '\\:x'"
    )
    assert set(text(write(False))._bindparams) == {"m"}


@pytest.mark.parametrize(
    ("where", "columns"),
    [
        ("a = 1 AND `and` LIKE 'b%'", {"a", "and"}),
        ("date(day) = DATE '2026-11-28' - INTERVAL 1 day", {"day"}),
        ('CAST(a AS char) = "x" OR b IN (0x1F, 1e3)', {"a", "b"}),
        ("CASE WHEN a THEN b ELSE NULL END IS NOT TRUE", {"a", "b"}),
        ("größe > 1", {"größe"}),
    ],
)
def test_columns_of_a_condition(where: str, columns: set[str]) -> None:
    from sqlalchemy.sql import visitors
    from sqlalchemy.sql.elements import ColumnClause

    made = condition(where)
    assert made is not None
    found = {
        part.name
        for part in visitors.iterate(made)
        if isinstance(part, ColumnClause) and not part.is_literal
    }
    assert found == columns


def test_advice_names_options() -> None:
    assert as_commands("allow_unprotected=True, or the execution option x") == (
        "--allow-unprotected, or the execution option x"
    )
    assert as_commands("give a longer resolution") == "give a longer resolution"
