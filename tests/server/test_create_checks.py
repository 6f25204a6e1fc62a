"""Checks of CREATE, ALTER and DROP PITR, their order, and concurrent creators.

docs/server.md, Checks of CREATE; ALTER PITR; DROP PITR; Races.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator

import pymysql
import pytest

from tests.clock import until, wait
from tests.conftest import Server
from tests.server.conftest import (
    NO_PRIVILEGE,
    PASSWORD,
    Client,
    Connect,
    Tenant,
    connected,
    internal,
)

SYSTEM_DATABASES = [
    "mo_catalog",
    "mysql",
    "system",
    "system_metrics",
    "information_schema",
    "mo_task",
    "mo_debug",
]

# -- the answer ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "statement",
    [
        "CREATE PITR ~_q FOR TABLE ~ t RANGE 1 'd'",
        "CREATE PITR IF NOT EXISTS ~_p FOR DATABASE ~ RANGE 1 'd'",
        "ALTER PITR ~_p RANGE 1 'd'",
        "ALTER PITR IF EXISTS ~_nope RANGE 1 'd'",
        "DROP PITR ~_p",
        "DROP PITR IF EXISTS ~_nope",
    ],
)
def test_ok_says_no_rows_affected_and_no_warnings(shop: Client, statement: str) -> None:
    """Nor whether anything was done at all."""
    shop.ok("CREATE PITR ~_p FOR DATABASE ~ RANGE 1 'd'")
    answer = shop.ok(statement)
    assert (answer.affected, answer.warnings, answer.labels) == (0, 0, [])


@pytest.mark.parametrize(
    ("statement", "code", "kind"),
    [
        ("CREATE PITR p RANGE x", 1064, pymysql.ProgrammingError),
        ("DROP PITR ~_nope", 20101, pymysql.OperationalError),
        ("RESTORE FROM PITR ~_nope 'x'", 1105, pymysql.OperationalError),
    ],
)
def test_codes_and_pymysql_classes(
    say: Client, statement: str, code: int, kind: type[pymysql.Error]
) -> None:
    answer = say(statement)
    assert type(answer.raised) is kind
    assert answer.error is not None
    assert answer.error[0] == code


# -- the checks, and their order: the name is bad too, so that the earlier one shows ---------------

CHECKS = [
    # value, unit
    ("CREATE PITR `a b` RANGE 0 'd'", "invalid pitr value 0"),
    ("CREATE PITR `a b` RANGE 101 'd'", "invalid pitr value 101"),
    (
        "CREATE PITR `a b` RANGE 9223372036854775807 'd'",
        "invalid pitr value 9223372036854775807",
    ),
    ("CREATE PITR `a b` RANGE 101 'week'", "invalid pitr value 101"),
    ("CREATE PITR `a b` RANGE 1 'week'", "invalid pitr unit week"),
    ("CREATE PITR `a b` RANGE 1 'Week'", "invalid pitr unit week"),
    ("CREATE PITR `a b` RANGE 1 ''", "invalid pitr unit "),
    ("CREATE PITR `a b` RANGE 1 ' d'", "invalid pitr unit  d"),
    ("CREATE PITR `a b` RANGE 1 'm'", "invalid pitr unit m"),
    ("CREATE PITR `a b` RANGE 1 's'", "invalid pitr unit s"),
    ("CREATE PITR sys_mo_catalog_pitr RANGE 1 'week'", "invalid pitr unit week"),
    # the name
    ("CREATE PITR sys_mo_catalog_pitr RANGE 1 'd'", "pitr name is reserved"),
    ("CREATE PITR Sys_Mo_Catalog_Pitr RANGE 1 'd'", "pitr name is reserved"),
    ("CREATE PITR IF NOT EXISTS sys_mo_catalog_pitr RANGE 1 'd'", "pitr name is reserved"),
    ("CREATE PITR `~_a b` FOR DATABASE nope RANGE 1 'd'", "invalid input"),
    ("CREATE PITR `~_a\tb` FOR DATABASE nope RANGE 1 'd'", "invalid input"),
    ("CREATE PITR `~_a``b` FOR DATABASE nope RANGE 1 'd'", "invalid input"),
    ("CREATE PITR `~_a\"b` FOR DATABASE nope RANGE 1 'd'", "invalid input"),
    ("CREATE PITR `~_a'b` FOR DATABASE nope RANGE 1 'd'", "invalid input"),
    ("CREATE PITR ` ~_a` FOR DATABASE nope RANGE 1 'd'", "invalid input"),
    # the name taken, before the target is looked at
    ("CREATE PITR ~_taken FOR DATABASE nope RANGE 1 'd'", "pitr ~_taken already exists"),
    ("CREATE PITR ~_TAKEN FOR DATABASE mysql RANGE 1 'd'", "pitr ~_taken already exists"),
    # the target
    ("CREATE PITR ~_p FOR ACCOUNT ~_nope RANGE 1 'd'", "account ~_nope does not exist"),
    ("CREATE PITR ~_p FOR DATABASE ~_nope RANGE 1 'd'", "database ~_nope does not exist"),
    ("CREATE PITR ~_p FOR DATABASE ~_NOPE RANGE 1 'd'", "database ~_nope does not exist"),
    ("CREATE PITR ~_p FOR TABLE ~ nope RANGE 1 'd'", "table ~.nope does not exist"),
    ("CREATE PITR ~_p FOR TABLE ~_nope t RANGE 1 'd'", "table ~_nope.t does not exist"),
    ("CREATE PITR ~_p FOR DATABASE ~ TABLE NOPE RANGE 1 'd'", "table ~.nope does not exist"),
    ("CREATE PITR IF NOT EXISTS ~_p FOR TABLE ~ nope RANGE 1 'd'", "table ~.nope does not exist"),
]


@pytest.mark.parametrize(("statement", "text"), CHECKS, ids=[c[0] for c in CHECKS])
def test_create_is_refused(shop: Client, statement: str, text: str) -> None:
    if "taken" in text:
        shop.ok("CREATE PITR ~_taken FOR DATABASE ~ RANGE 1 'd'")
    assert shop.error(statement) == internal(text)


@pytest.mark.parametrize("length", [1, 2, 99, 100])
def test_values_from_1_to_100(shop: Client, length: int) -> None:
    shop.ok(f"CREATE PITR ~_p FOR DATABASE ~ RANGE {length} 'y'")


@pytest.mark.parametrize("database", SYSTEM_DATABASES)
def test_system_databases_are_no_targets(say: Client, database: str) -> None:
    assert say.error(f"CREATE PITR ~_p FOR DATABASE {database} RANGE 1 'd'") == internal(
        f"can not create pitr for current database {database}"
    )
    assert say.error(f"CREATE PITR ~_p FOR TABLE {database} any RANGE 1 'd'") == internal(
        f"can not create pitr for current table {database}.any"
    )


@pytest.mark.parametrize("name", ["a b", 'a"b', "a'b", "a``b"])
def test_odd_names_of_targets(say: Client, server: Server, name: str) -> None:
    """Refused as names on 3.x; 4.x looks for them, quotes among them."""
    plain = name.replace("``", "`")
    refused = server.version < (4,)
    assert say.error(f"CREATE PITR ~_p FOR DATABASE `~_{name}` RANGE 1 'd'") == internal(
        "invalid input" if refused else f"database ~_{plain} does not exist"
    )
    assert say.error(f"CREATE PITR ~_p FOR TABLE `~_x` `{name}` RANGE 1 'd'") == internal(
        "invalid input" if refused else f"table ~_x.{plain} does not exist"
    )


@pytest.mark.parametrize("name", ["a b", 'a"b', "a``b"])
def test_tables_with_odd_names(shop: Client, server: Server, name: str) -> None:
    plain = name.replace("``", "`")
    shop.ok(f"CREATE TABLE ~.`{name}` (id INT)")
    error = shop.error(f"CREATE PITR ~_p FOR TABLE ~ `{name}` RANGE 1 'd'")
    if server.version < (4,):
        assert error == internal("invalid input")
    else:
        assert error is None
        assert shop.rows("SHOW PITR WHERE pitr_name = '~_p'")[0][6] == plain


def test_a_back_quote_in_a_table_name_keeps_the_database_before_4(
    shop: Client, server: Server
) -> None:
    shop.ok("CREATE TABLE ~.`a``b` (id INT)")
    error = shop.error("DROP DATABASE ~")
    if server.version >= (4,):
        assert error is None
        return
    assert error is not None
    assert error[0] == 1105
    assert error[1].endswith('near "b`;";')
    shop.ok("DROP TABLE ~.`a``b`", "DROP DATABASE ~")


@pytest.mark.parametrize("name", ["~_ a", '~_"a', "~_``a", "~_'a"])
def test_databases_do_not_have_such_names(say: Client, name: str) -> None:
    assert say.error(f"CREATE DATABASE `{name}`") == internal("invalid input")


def test_odd_account_names(say: Client) -> None:
    assert say.error("CREATE PITR ~_p FOR ACCOUNT `~ a` RANGE 1 'd'") == internal("invalid input")


def test_a_view_has_a_pitr_like_a_table(shop: Client) -> None:
    shop.ok("CREATE VIEW ~.w AS SELECT 1", "CREATE PITR ~_p FOR TABLE ~ w RANGE 1 'd'")


def test_names_end_at_5000_characters(shop: Client, server: Server) -> None:
    """4.2.0 cuts the name without a word."""
    name = "~_".replace("~", shop.own).ljust(5001, "x")
    answer = shop(f"CREATE PITR {name} FOR DATABASE ~ RANGE 1 'd'")
    if server.version < (4,):
        assert answer.error is not None
        assert "Src length 5001 is larger than Dest length 5000" in answer.error[1]
        return
    assert answer.error is None
    found = [n for n in shop.ok("SHOW PITR").column if n.startswith("~_")]
    assert [len(n.replace("~", shop.own)) for n in found] == [5000]


def test_a_name_of_5000_characters(shop: Client) -> None:
    name = "~_".replace("~", shop.own).ljust(5000, "x")
    shop.ok(f"CREATE PITR {name} FOR DATABASE ~ RANGE 1 'd'", f"DROP PITR {name}")


# -- privilege and levels --------------------------------------------------------------------------


@pytest.mark.parametrize(
    "statement",
    [
        "CREATE PITR ~_p FOR CLUSTER RANGE 101 'week'",
        "CREATE PITR ~_p RANGE 101 'week'",
        "ALTER PITR ~_p RANGE 101 'week'",
        "DROP PITR ~_p",
        "DROP PITR IF EXISTS ~_p",
        "SHOW PITR",
        "RESTORE FROM PITR ~_p 'x'",
    ],
)
def test_the_active_role_must_be_the_administrators(connect: Connect, statement: str) -> None:
    """Before everything else, an open transaction included."""
    public = connect(user="sys:dump:public")
    assert public.error(statement) == NO_PRIVILEGE
    public.ok("BEGIN")
    assert public.error(statement) == NO_PRIVILEGE


def test_recovery_windows_need_no_role(say: Client, connect: Connect) -> None:
    say.ok("CREATE DATABASE ~")
    public = connect(user="sys:dump:public")
    assert public.error("SHOW RECOVERY_WINDOW FOR DATABASE ~") is None


def test_set_role_changes_what_may_be_done(say: Client) -> None:
    say.ok("SET ROLE public")
    assert say.error("SHOW PITR") == NO_PRIVILEGE
    say.ok("SET ROLE moadmin", "SHOW PITR")


@pytest.mark.parametrize(
    ("statement", "text"),
    [
        (
            "CREATE PITR ~_p FOR CLUSTER RANGE 101 'week'",
            "only sys tenant can create cluster level pitr",
        ),
        (
            "CREATE PITR ~_p FOR ACCOUNT nope RANGE 101 'week'",
            "only sys tenant can create tenant level pitr for other tenant",
        ),
        ("CREATE PITR `a b` RANGE 101 'week'", "invalid pitr value 101"),
    ],
)
def test_levels_of_other_accounts(admin: Client, statement: str, text: str) -> None:
    assert admin.error(statement) == internal(text)


def test_an_account_may_not_name_itself(admin: Client, tenant: Tenant) -> None:
    assert admin.error(f"CREATE PITR ~_p FOR ACCOUNT {tenant.name} RANGE 1 'd'") == internal(
        "only sys tenant can create tenant level pitr for other tenant"
    )
    admin.ok("CREATE PITR ~_p FOR ACCOUNT RANGE 1 'd'")


# -- names and objects that are taken --------------------------------------------------------------


def test_names_are_per_account_not_per_database(shop: Client) -> None:
    shop.ok("CREATE DATABASE ~_b", "CREATE PITR ~_week FOR DATABASE ~ RANGE 1 'd'")
    assert shop.error("CREATE PITR ~_week FOR DATABASE ~_b RANGE 1 'd'") == internal(
        "pitr ~_week already exists"
    )


@pytest.mark.parametrize(
    "rest",
    [
        "FOR DATABASE ~_b RANGE 1 'd'",
        "FOR DATABASE ~_nope RANGE 1 'd'",
        "FOR DATABASE mysql RANGE 1 'd'",
        "FOR TABLE ~ t RANGE 1 'd'",
        "FOR DATABASE ~ RANGE 9 'y'",
    ],
)
def test_if_not_exists_compares_the_name_only(shop: Client, rest: str) -> None:
    shop.ok("CREATE DATABASE ~_b", "CREATE PITR ~_week FOR DATABASE ~ RANGE 1 'd'")
    shop.ok(f"CREATE PITR IF NOT EXISTS ~_week {rest}")
    rows = shop.rows("SHOW PITR WHERE pitr_name = '~_week'")
    assert [row[3:] for row in rows] == [("database", "sys", "~", "*", 1, "d")]


def test_a_detached_pitr_keeps_its_name(shop: Client) -> None:
    shop.ok("CREATE PITR ~_p FOR TABLE ~ t RANGE 1 'd'", "DROP TABLE ~.t")
    assert shop.error("CREATE PITR ~_p FOR DATABASE ~ RANGE 1 'd'") == internal(
        "pitr ~_p already exists"
    )
    shop.ok("CREATE PITR IF NOT EXISTS ~_p FOR DATABASE ~ RANGE 1 'd'")
    assert [row[3] for row in shop.rows("SHOW PITR WHERE pitr_name = '~_p'")] == ["table"]


@pytest.mark.parametrize("quiet", ["", "IF NOT EXISTS"])
@pytest.mark.parametrize(
    ("target", "text"),
    [
        ("FOR DATABASE ~", "database `~` already has a pitr"),
        ("FOR TABLE ~ t", "database `~` table `t` already has a pitr"),
    ],
)
def test_one_active_pitr_an_object(shop: Client, target: str, text: str, quiet: str) -> None:
    """IF NOT EXISTS does not suppress it."""
    shop.ok(f"CREATE PITR ~_p {target} RANGE 1 'd'")
    assert shop.error(f"CREATE PITR {quiet} ~_q {target} RANGE 2 'd'") == internal(text)


def test_one_active_pitr_an_account(admin: Client, tenant: Tenant) -> None:
    admin.ok("CREATE PITR ~_p RANGE 1 'd'")
    text = f"account `{tenant.name}` already has a pitr"
    assert admin.error("CREATE PITR ~_q RANGE 1 'd'") == internal(text)
    assert admin.error("CREATE PITR IF NOT EXISTS ~_q FOR ACCOUNT RANGE 1 'd'") == internal(text)


def test_the_target_is_looked_for_before_it_is_found_taken(shop: Client) -> None:
    shop.ok("CREATE PITR ~_p FOR TABLE ~ t RANGE 1 'd'", "DROP TABLE ~.t")
    assert shop.error("CREATE PITR ~_q FOR TABLE ~ t RANGE 1 'd'") == internal(
        "table ~.t does not exist"
    )


def test_levels_live_side_by_side(their_shop: Client) -> None:
    their_shop.ok(
        "CREATE PITR ~_a RANGE 1 'd'",
        "CREATE PITR ~_d FOR DATABASE ~ RANGE 1 'd'",
        "CREATE PITR ~_t FOR TABLE ~ t RANGE 1 'd'",
    )
    assert {row[3] for row in their_shop.rows("SHOW PITR")} == {"account", "database", "table"}


def test_pitrs_of_sys_and_of_the_account_itself_do_not_clash(
    say: Client, admin: Client, tenant: Tenant
) -> None:
    admin.ok("CREATE PITR ~_same RANGE 1 'd'")
    say.ok(f"CREATE PITR ~_same FOR ACCOUNT {tenant.name} RANGE 2 'd'")
    assert say.error(f"CREATE PITR ~_q FOR ACCOUNT {tenant.name} RANGE 2 'd'") == internal(
        f"account `{tenant.name}` already has a pitr"
    )
    say.ok("DROP PITR ~_same")
    assert admin.ok("SHOW PITR").column == ["~_same"]


# -- ALTER -----------------------------------------------------------------------------------------

ALTER_CHECKS = [
    ("ALTER PITR `a b` RANGE 101 'week'", "invalid pitr value 101"),
    ("ALTER PITR `a b` RANGE 0 'week'", "invalid pitr unit week"),
    ("ALTER PITR `a b` RANGE 1 'd'", "invalid input"),
    ("ALTER PITR ~_nope RANGE 1 'd'", "pitr ~_nope does not exist"),
    ("ALTER PITR ~_NOPE RANGE 1 'd'", "pitr ~_nope does not exist"),
    ("ALTER PITR IF EXISTS ~_nope RANGE 101 'd'", "invalid pitr value 101"),
    ("ALTER PITR IF EXISTS ~_nope RANGE 1 'week'", "invalid pitr unit week"),
]


@pytest.mark.parametrize(("statement", "text"), ALTER_CHECKS, ids=[c[0] for c in ALTER_CHECKS])
def test_alter_is_refused(say: Client, statement: str, text: str) -> None:
    assert say.error(statement) == internal(text)


@pytest.mark.parametrize(("length", "unit"), [(0, "h"), (1, "h"), (100, "Y"), (7, "MO")])
def test_alter_changes_the_range_only(shop: Client, length: int, unit: str) -> None:
    """To 0 as well, which leaves no protection."""
    shop.ok("CREATE PITR ~_p FOR DATABASE ~ RANGE 1 'd'")
    before = shop.rows("SHOW PITR WHERE pitr_name = '~_p'")[0]
    shop.ok(f"ALTER PITR ~_p RANGE {length} '{unit}'")
    after = shop.rows("SHOW PITR WHERE pitr_name = '~_p'")[0]
    assert after[:2] + after[3:7] == before[:2] + before[3:7]
    assert after[7:] == (length, unit.lower())


def test_every_alter_moves_the_modified_time(shop: Client) -> None:
    """To the same range too, and the window shown begins there."""
    shop.ok("CREATE PITR ~_p FOR TABLE ~ t RANGE 1 'd'")
    created, modified = shop.rows("SHOW PITR WHERE pitr_name = '~_p'")[0][1:3]
    assert created == modified
    first = shop.rows("SHOW RECOVERY_WINDOW FOR TABLE ~ t")[0][4]
    wait(shop.connection, 1.1)
    shop.ok("ALTER PITR ~_p RANGE 1 'd'")
    again, modified = shop.rows("SHOW PITR WHERE pitr_name = '~_p'")[0][1:3]
    assert again == created
    assert modified > created
    second = shop.rows("SHOW RECOVERY_WINDOW FOR TABLE ~ t")[0][4]
    start = "start_time"
    assert second.split(start)[1][:25] > first.split(start)[1][:25]


def test_alter_of_a_detached_pitr(shop: Client) -> None:
    shop.ok("CREATE PITR ~_p FOR TABLE ~ t RANGE 1 'd'", "DROP TABLE ~.t")
    shop.ok("ALTER PITR ~_p RANGE 2 'd'")
    assert shop.rows("SHOW PITR WHERE pitr_name = '~_p'")[0][7] == 2


# -- DROP ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("statement", "text"),
    [
        ("DROP PITR ~_nope", "pitr ~_nope does not exist"),
        ("DROP PITR ~_NOPE", "pitr ~_nope does not exist"),
        ("DROP PITR `a b`", "invalid input"),
    ],
)
def test_drop_is_refused(say: Client, statement: str, text: str) -> None:
    assert say.error(statement) == internal(text)


def test_names_are_looked_up_by_the_creating_account(
    say: Client, admin: Client, tenant: Tenant
) -> None:
    say.ok(f"CREATE PITR ~_p FOR ACCOUNT {tenant.name} RANGE 1 'd'")
    assert admin.ok("SHOW PITR").rows == []
    for statement in ("DROP PITR ~_p", "ALTER PITR ~_p RANGE 1 'd'"):
        assert admin.error(statement) == internal("pitr ~_p does not exist")
    admin.ok("CREATE PITR ~_p RANGE 1 'd'", "DROP PITR ~_p")
    assert len(say.rows("SHOW PITR WHERE pitr_name = '~_p'")) == 1


def test_a_dropped_pitr_leaves_name_and_object_free(shop: Client) -> None:
    for _ in range(3):
        shop.ok("CREATE PITR ~_p FOR TABLE ~ t RANGE 1 'd'", "DROP PITR ~_p")


# -- races -----------------------------------------------------------------------------------------

LOCK = (
    "SELECT role_id FROM mo_catalog.mo_role "
    "WHERE role_name IN ('moadmin', 'accountadmin') FOR UPDATE"
)


def together(works: list[Callable[[], object]]) -> list[object]:
    """Does all at once, and gives back what each returned."""
    results: list[object] = [None] * len(works)

    def run(number: int, work: Callable[[], object]) -> None:
        results[number] = work()

    threads = [threading.Thread(target=run, args=pair) for pair in enumerate(works)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    return results


def test_concurrent_creators_from_4_2(their_shop: Client, connect: Connect, server: Server) -> None:
    """Exactly one wins. (On 3.0.9 this would ruin the catalogue: it is never tried there.)"""
    if server.version < (4, 2):
        pytest.skip("corrupts mo_pitr before 4.2")
    user = f"{their_shop.value('SELECT current_account_name()')}:admin"
    clients = [connect(user=user, password=PASSWORD) for _ in range(4)]

    def create(client: Client) -> Callable[[], object]:
        return lambda: client.error("CREATE PITR ~_p FOR DATABASE ~ RANGE 1 'd'")

    answers = together([create(client) for client in clients])
    assert answers.count(None) == 1
    assert answers.count(internal("pitr ~_p already exists")) == 3
    assert their_shop.ok("SHOW PITR").column == ["~_p"]


def test_different_objects_from_four_connections(shop: Client, connect: Connect) -> None:
    for number in range(4):
        shop.ok(f"CREATE TABLE ~.t{number} (id INT)")
    clients = [connect() for _ in range(4)]

    def create(number: int) -> Callable[[], object]:
        return lambda: clients[number].error(
            f"CREATE PITR ~_p{number} FOR TABLE ~ t{number} RANGE 1 'd'"
        )

    assert together([create(number) for number in range(4)]) == [None] * 4


@pytest.fixture
def holder(tenant: Tenant, connect: Connect) -> Iterator[Client]:
    """A session of the tenant in a transaction with the lock."""
    client = connect(user=tenant.user, password=PASSWORD)
    client.ok("BEGIN", LOCK)
    yield client
    client.close()


def test_the_lock_makes_a_second_one_wait(holder: Client, tenant: Tenant, connect: Connect) -> None:
    second = connect(user=tenant.user, password=PASSWORD)
    second.ok("BEGIN")
    done = threading.Event()
    answers: list[object] = []

    def lock() -> None:
        answers.append(second.error(LOCK))
        done.set()

    thread = threading.Thread(target=lock)
    thread.start()
    assert not done.wait(0.5)
    holder.ok("COMMIT")
    thread.join(30)
    assert answers == [None]


def test_pitr_statements_do_not_wait_for_the_lock(holder: Client, their_shop: Client) -> None:
    """Create on another connection, then commit the one with the lock."""
    their_shop.ok("CREATE PITR ~_p FOR DATABASE ~ RANGE 1 'd'", "SHOW PITR", "DROP PITR ~_p")
    assert holder.error("SHOW PITR") is not None
    holder.ok("COMMIT")


def test_the_lock_is_per_account(holder: Client, say: Client) -> None:
    say.ok("BEGIN", LOCK, "ROLLBACK")
    holder.ok("COMMIT")


def test_readers_do_not_wait_for_the_lock(holder: Client, admin: Client) -> None:
    assert admin.value(LOCK.removesuffix(" FOR UPDATE")) is not None
    holder.ok("ROLLBACK")


def test_a_client_that_gives_up_does_not_stop_its_statement_on_4_2(
    shop: Client, connect: Connect, server: Server, prefix: str
) -> None:
    if server.version < (4, 2):
        pytest.skip("CREATE PITR does not wait before 4.2")
    writer = connect(autocommit=False)
    writer.ok("ALTER TABLE ~.t ADD COLUMN c INT")
    impatient = connected(server, prefix, read_timeout=1)
    answer = impatient("CREATE PITR ~_p FOR TABLE ~ t RANGE 1 'd'")
    assert answer.error is not None
    assert answer.error[0] == 2013
    assert shop.rows("SHOW PITR WHERE pitr_name = '~_p'") == []
    writer.ok("ROLLBACK")
    until(lambda: shop.rows("SHOW PITR WHERE pitr_name = '~_p'"))


@pytest.mark.emulator_only
def test_the_race_of_3_0_9() -> None:
    """On the emulator's switch only: all creators pass their checks before any of them writes."""
    from sqlalchemy_matrixone_pitr.emulator import Emulator

    with Emulator(version="3.0.9") as emulator:
        there = Server(emulator.host, emulator.port, "dump", "111", (3, 0, 9), False)
        clients = [connected(there, "racer") for _ in range(8)]

        def create(client: Client) -> Callable[[], object]:
            return lambda: client.error("CREATE PITR IF NOT EXISTS ~ RANGE 1 'd'")

        with emulator.race(8):
            assert together([create(client) for client in clients]) == [None] * 8
        first = clients[0]
        assert first.ok("SHOW PITR").column == ["~"] * 8
        first.ok("DROP PITR ~")
        assert 0 < len(first.ok("SHOW PITR").rows) < 8
        assert first.error("DROP PITR ~") == internal("pitr ~ does not exist")
        assert first.error("CREATE PITR ~_q RANGE 1 'd'") == internal(
            "account `sys` already has a pitr"
        )
        for client in clients:
            client.close()
