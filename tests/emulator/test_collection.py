"""`Emulator.collect_garbage`: ranges, margins, and several collections.

tests/server/test_collection.py has what one collection takes, on real servers too.
"""

from __future__ import annotations

import datetime
import doctest
import time

import pytest

from matrixone_emulator import Emulator
from matrixone_emulator.server import emulator as documented
from tests.emulator.conftest import Client, Connect

HOUR = datetime.timedelta(hours=1)
MINUTE = datetime.timedelta(minutes=1)
AT_ONCE = datetime.timedelta()


@pytest.fixture
def shop(client: Client) -> Client:
    client("CREATE DATABASE shop")
    client("USE shop")
    client("CREATE TABLE t (id INT PRIMARY KEY, g INT, KEY (g))")
    client("INSERT INTO t VALUES (1, 5)")
    return client


def now(server: Emulator) -> int:
    """A moment that no commit shares."""
    server.advance(datetime.timedelta(milliseconds=2))
    moment = int(server.now().timestamp() * 1_000_000) * 1_000
    server.advance(datetime.timedelta(milliseconds=2))
    return moment


def rows(client: Client, at: int, table: str = "shop.t") -> list[int]:
    return [row[0] for row in client(f"SELECT id FROM {table} {{MO_TS = {at}}} ORDER BY id")]


def test_an_hour_is_left_by_default(server: Emulator, shop: Client) -> None:
    old = now(server)
    server.advance(30 * MINUTE)
    young = now(server)
    server.advance(40 * MINUTE)
    server.collect_garbage()
    assert rows(shop, old) == []
    assert rows(shop, young) == [1]
    server.collect_garbage(ttl=10 * MINUTE)
    assert rows(shop, young) == []


def test_the_margin_of_a_policy_is_its_range(server: Emulator, shop: Client) -> None:
    shop("CREATE PITR p FOR DATABASE shop RANGE 2 'h'")
    old = now(server)
    server.advance(HOUR)
    young = now(server)
    server.advance(90 * MINUTE)
    server.collect_garbage()
    assert rows(shop, old) == []
    assert rows(shop, young) == [1]


def test_a_longer_range_brings_nothing_back(server: Emulator, shop: Client) -> None:
    shop("CREATE PITR p FOR DATABASE shop RANGE 1 'h'")
    then = now(server)
    server.advance(2 * HOUR)
    server.collect_garbage()
    shop("ALTER PITR p RANGE 10 'd'")
    server.collect_garbage()
    assert rows(shop, then) == []


def test_a_range_altered_before_the_collection_counts(server: Emulator, shop: Client) -> None:
    shop("CREATE PITR p FOR DATABASE shop RANGE 1 'h'")
    then = now(server)
    server.advance(2 * HOUR)
    shop("ALTER PITR p RANGE 1 'd'")
    server.collect_garbage()
    assert rows(shop, then) == [1]
    shop("ALTER PITR p RANGE 0 'd'")
    server.collect_garbage(AT_ONCE)
    assert rows(shop, then) == []


def test_of_several_policies_the_longest_counts(server: Emulator, shop: Client) -> None:
    shop("CREATE PITR a FOR DATABASE shop RANGE 1 'h'")
    shop("CREATE PITR b FOR ACCOUNT RANGE 5 'h'")
    shop("CREATE PITR c FOR TABLE shop t RANGE 1 'd'")
    then = now(server)
    server.advance(3 * HOUR)
    server.collect_garbage()
    assert shop(f"SELECT id FROM t {{MO_TS = {then}}} WHERE g = 5") == ((1,),)
    server.advance(3 * HOUR)
    server.collect_garbage()
    assert shop(f"SELECT id FROM t {{MO_TS = {then}}} WHERE g = 5") == ()
    assert rows(shop, then) == [1]


def test_a_clusters_policy_keeps_every_account(
    server: Emulator, shop: Client, connect: Connect
) -> None:
    shop("CREATE ACCOUNT acme ADMIN_NAME 'admin' IDENTIFIED BY '111'")
    theirs = connect(user="acme:admin")
    theirs("CREATE DATABASE shop")
    theirs("CREATE TABLE shop.t (id INT PRIMARY KEY)")
    theirs("INSERT INTO shop.t VALUES (7)")
    shop("CREATE PITR p FOR CLUSTER RANGE 1 'h'")
    then = now(server)
    server.collect_garbage(AT_ONCE)
    assert (rows(shop, then), rows(theirs, then)) == ([1], [7])
    shop("DROP PITR p")
    shop("CREATE PITR q FOR ACCOUNT acme RANGE 1 'h'")
    server.collect_garbage(AT_ONCE)
    assert (rows(shop, then), rows(theirs, then)) == ([], [7])


def test_every_collection_counts(server: Emulator, shop: Client) -> None:
    shop("CREATE PITR p FOR DATABASE shop RANGE 1 'h'")
    first = now(server)
    server.collect_garbage(AT_ONCE)
    second = now(server)
    shop("DROP PITR p")
    server.collect_garbage(10 * MINUTE)
    assert (rows(shop, first), rows(shop, second)) == ([1], [1])
    server.collect_garbage(AT_ONCE)
    assert (rows(shop, first), rows(shop, second)) == ([], [])
    shop("CREATE PITR p FOR DATABASE shop RANGE 1 'h'")
    third = now(server)
    server.collect_garbage(AT_ONCE)
    assert (rows(shop, second), rows(shop, third)) == ([], [1])


def test_a_collection_takes_no_time(server: Emulator, shop: Client) -> None:
    """Tests on random histories collect at every step."""
    shop("CREATE PITR p FOR TABLE shop t RANGE 1 'h'")
    then = now(server)
    start = time.process_time()
    for _ in range(2_000):
        server.collect_garbage(AT_ONCE)
    assert rows(shop, then) == [1]
    assert time.process_time() - start < 2


def test_a_broken_index_stays_broken_in_a_clone_of_the_clone(
    server: Emulator, shop: Client
) -> None:
    shop("CREATE PITR p FOR TABLE shop t RANGE 1 'h'")
    then = now(server)
    server.collect_garbage(AT_ONCE)
    shop(f"CREATE TABLE c CLONE t {{MO_TS = {then}}}")
    shop("INSERT INTO c VALUES (2, 5)")
    shop("CREATE TABLE d CLONE c")
    assert shop("SELECT id FROM d WHERE g = 5") == ((2,),)
    assert rows(shop, now(server), "shop.d") == [1, 2]


def test_the_past_of_a_table_with_a_broken_index(server: Emulator, shop: Client) -> None:
    """The rows that an index lacked then are known, too."""
    shop("CREATE PITR p FOR TABLE shop t RANGE 1 'h'")
    then = now(server)
    server.collect_garbage(AT_ONCE)
    shop(f"CREATE TABLE c CLONE t {{MO_TS = {then}}}")
    lacking = now(server)
    shop("DROP INDEX g ON c")
    shop("CREATE INDEX g ON c (g)")
    whole = now(server)
    shop("UPDATE c SET g = 6")
    find = "SELECT id FROM c {{MO_TS = {}}} WHERE g = 5"
    assert shop(find.format(lacking)) == ()
    assert shop(find.format(whole)) == ((1,),)


def test_a_truncated_table_has_sound_indexes(server: Emulator, shop: Client) -> None:
    shop("CREATE PITR p FOR TABLE shop t RANGE 1 'h'")
    then = now(server)
    server.collect_garbage(AT_ONCE)
    shop(f"CREATE TABLE c CLONE t {{MO_TS = {then}}}")
    shop("TRUNCATE TABLE c")
    shop("INSERT INTO c VALUES (1, 5)")
    assert shop("SELECT id FROM c WHERE g = 5") == ((1,),)


def test_an_index_named_as_a_changed_column_is_filled_anew(server: Emulator, shop: Client) -> None:
    """The server copies the other ones as they are."""
    shop("CREATE TABLE w (id INT PRIMARY KEY, g INT, h INT, KEY (g), KEY (h))")
    shop("INSERT INTO w VALUES (1, 5, 5)")
    shop("CREATE PITR p FOR TABLE shop w RANGE 1 'h'")
    then = now(server)
    server.collect_garbage(AT_ONCE)
    shop(f"CREATE TABLE c CLONE w {{MO_TS = {then}}}")
    shop("ALTER TABLE c MODIFY COLUMN g BIGINT")
    assert shop("SELECT id FROM c WHERE g = 5") == ((1,),)
    assert shop("SELECT id FROM c WHERE h = 5") == ()


def test_a_hidden_table_is_not_read(shop: Client) -> None:
    (name,) = shop("SELECT relname FROM mo_catalog.mo_tables WHERE relkind = 'i'")[0]
    assert shop.refused(f"SELECT * FROM `{name}`")[0] == 1235


def test_a_negative_margin_is_refused(server: Emulator) -> None:
    with pytest.raises(ValueError, match="ttl=-1 day"):
        server.collect_garbage(datetime.timedelta(days=-1))


def test_a_stopped_emulator_collects_nothing() -> None:
    with pytest.raises(RuntimeError, match="not running"):
        Emulator().collect_garbage()


def test_the_examples_run() -> None:
    result = doctest.testmod(documented)
    assert (result.failed, result.attempted > 2) == (0, True)
