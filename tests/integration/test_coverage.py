"""Answers of coverage() after each event in a policy's life, and restores that bear them out."""

from __future__ import annotations

import asyncio
import contextlib
import datetime as dt
import warnings
from collections.abc import Callable, Iterator

import pytest
from sqlalchemy import Column, Engine, Integer, MetaData, Table, create_engine, event, text
from sqlalchemy.exc import SAWarning
from sqlalchemy.ext.asyncio import AsyncEngine
from sqlalchemy.orm import Session

from sqlalchemy_matrixone_pitr import (
    CoverageReport,
    DatabasePitr,
    Kept,
    Moment,
    Pitr,
    PitrLevel,
    PitrManager,
    PitrPermissionError,
    PitrRange,
    PitrValidationError,
    RecoveryWindow,
    RiskKind,
    TableCoverage,
    TablePitr,
    Unprotected,
    WindowKind,
    check_kept,
    coverage,
    coverage_async,
    declare_pitrs,
    hold,
    release,
    renew_pitr,
)
from sqlalchemy_matrixone_pitr.connections import Bind
from sqlalchemy_matrixone_pitr.coverage.differences import differences
from sqlalchemy_matrixone_pitr.emulator import Emulator
from sqlalchemy_matrixone_pitr.server import Rules, rules_of
from tests.clock import wait
from tests.conftest import Server
from tests.past.conftest import take_moment
from tests.policies import create

ROWS = [(1, 10), (2, 20), (3, 30)]


def say(engine: Engine, *statements: str) -> None:
    with engine.begin() as connection:
        for statement in statements:
            connection.execute(text(statement))


def say_alone(engine: Engine, statement: str) -> None:
    """Send a PITR statement as text."""
    with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        connection.exec_driver_sql(statement)


def rows(engine: Engine, table: str = "crates") -> list[tuple[int, ...]]:
    with engine.connect() as connection:
        found = connection.execute(text(f"SELECT id, v FROM {table}")).all()
    return sorted(tuple(row) for row in found)


@pytest.fixture
def shop(matrixone_engine: Engine) -> Engine:
    say(
        matrixone_engine,
        "CREATE TABLE crates (id INT PRIMARY KEY, v INT)",
        "INSERT INTO crates VALUES (1, 10), (2, 20), (3, 30)",
        "CREATE VIEW seen AS SELECT * FROM crates",
    )
    return matrixone_engine


def rules(server: Server) -> Rules:
    major, minor, patch = (*server.version, 0, 0)[:3]
    return rules_of((major, minor, patch))


def covered(engine: Bind, database: str, table: str = "crates") -> TableCoverage:
    return coverage(engine, databases=[database]).table(database, table)


# ---------------------------------------------------------------------------------- event by event

EVENTS = {
    "DROP TABLE": ("DROP TABLE crates",),
    "rebuild": ("ALTER TABLE crates ADD COLUMN w INT",),
    "TRUNCATE": ("TRUNCATE TABLE crates",),
    "DELETE without WHERE": ("DELETE FROM crates",),
    "made again": ("DROP TABLE crates", "CREATE TABLE crates (id INT PRIMARY KEY, v INT)"),
}
HARMLESS = {
    "DELETE": ("DELETE FROM crates WHERE id > 1",),
    "in place": ("ALTER TABLE crates COMMENT 'all of them'",),
    "INSERT": ("INSERT INTO crates VALUES (4, 40)",),
}


@pytest.mark.parametrize("what", EVENTS)
def test_what_detaches_a_tables_policy(
    shop: Engine, server: Server, database: str, prefix: str, what: str
) -> None:
    create(shop, Pitr.table(f"{prefix}_t", "crates", "7d"))
    before = take_moment(shop)
    say(shop, *EVENTS[what])
    after = take_moment(shop)
    found = covered(shop, database)
    assert found.state.value == ("gone" if what == "DROP TABLE" else "detached")
    [window] = found.windows
    noticed = (
        what not in ("TRUNCATE", "DELETE without WHERE") or not rules(server).truncated_stays_active
    )
    assert (window.by, window.kind) == (f"{prefix}_t", WindowKind.DETACHED)
    assert (window.kept is Kept.KEPT) is noticed
    assert (found.restorable_at(before), found.restorable_at(after)) == (noticed, False)
    assert before in window
    assert len(found.gaps) == (0 if what == "DROP TABLE" else 1)
    kinds = [risk.kind for risk in coverage(shop, databases=[database]).at_risk()]
    assert kinds == [RiskKind.TARGET_GONE if what == "DROP TABLE" else RiskKind.DETACHED]
    restore(shop, window.by, before, database)
    assert rows(shop) == ROWS
    assert covered(shop, database).state.value == "detached"  # RESTORE made a new object


@pytest.mark.parametrize("what", HARMLESS)
def test_what_does_not(shop: Engine, database: str, prefix: str, what: str) -> None:
    create(shop, Pitr.table(f"{prefix}_t", "crates", "7d"))
    before = take_moment(shop)
    say(shop, *HARMLESS[what])
    after = take_moment(shop)
    there = rows(shop)
    found = covered(shop, database)
    assert (found.state.value, found.gaps) == ("covered", ())
    assert found.restorable_at(before)
    assert found.restorable_at(after)
    restore(shop, f"{prefix}_t", after, database)
    assert rows(shop) == there


def restore(engine: Engine, by: str, at: Moment, database: str, table: str = "crates") -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", SAWarning)  # what it detaches is known
        PitrManager(engine).restore(by, at, database=database, table=table)


def test_a_rebuild_that_is_rolled_back(shop: Engine, database: str, prefix: str) -> None:
    create(shop, Pitr.table(f"{prefix}_t", "crates", "7d"))
    with shop.connect() as connection:
        connection.execute(text("ALTER TABLE crates ADD COLUMN w INT"))
        assert covered(shop, database).state.value == "covered"
        connection.rollback()
    assert covered(shop, database).state.value == "covered"


def test_generations_with_a_gap(shop: Engine, database: str, prefix: str) -> None:
    name = f"{prefix}_t"
    create(shop, Pitr.table(name, "crates", "7d"))
    first = take_moment(shop)
    say(shop, "ALTER TABLE crates ADD COLUMN w INT", "DELETE FROM crates WHERE id = 1")
    between = take_moment(shop)
    renew_pitr(shop, name)
    say(shop, "DELETE FROM crates WHERE id = 2")
    last = take_moment(shop)
    found = covered(shop, database)
    assert found.state.value == "covered"
    assert [one.by for one in found.windows] == [name, f"{name}__g2"]
    assert [found.restorable_at(moment) for moment in (first, between, last)] == [True, False, True]
    [gap] = found.gaps
    assert between in gap
    assert [pitr.name for pitr in found.policies] == [name, f"{name}__g2"]
    for moment, there in ((last, ROWS[2:]), (first, ROWS)):
        restore(shop, found.windows_at(moment)[0].by, moment, database)
        assert rows(shop) == there


def test_a_databases_policy_survives_it_all(shop: Engine, database: str, prefix: str) -> None:
    create(shop, Pitr.database(f"{prefix}_d", "7d"))
    before = take_moment(shop)
    for what in ("rebuild", "TRUNCATE", "made again"):
        say(shop, *EVENTS[what])
        found = covered(shop, database)
        assert (found.state.value, found.gaps) == ("covered", ())
        assert found.restorable_at(before)
    restore(shop, f"{prefix}_d", before, database)
    assert rows(shop) == ROWS
    found = covered(shop, database)
    assert (found.state.value, found.extent.name) == ("covered", "ALL")


def test_a_dropped_database(shop: Engine, server: Server, database: str, prefix: str) -> None:
    create(shop, Pitr.database(f"{prefix}_d", "7d"), Pitr.table(f"{prefix}_t", "crates", "7d"))
    before = take_moment(shop)
    outside = create_engine(server.url())
    say(outside, f"DROP DATABASE {database}")
    report = coverage(outside, databases=[database])
    [found] = report.tables
    assert (found.key, found.state.value) == ((database, "crates"), "gone")
    assert {(one.by, one.kind) for one in found.windows} >= {
        (f"{prefix}_d", WindowKind.DETACHED),
        (f"{prefix}_t", WindowKind.DETACHED),
    }
    assert found.restorable_at(before)
    assert {risk.policy for risk in report.at_risk() if risk.kind is RiskKind.TARGET_GONE} == {
        f"{prefix}_d",
        f"{prefix}_t",
    }
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", SAWarning)
        PitrManager(outside).restore(f"{prefix}_d", before, database=database)
    assert rows(outside, f"{database}.crates") == ROWS
    outside.dispose()


def test_a_renamed_table(shop: Engine, database: str, prefix: str) -> None:
    create(shop, Pitr.table(f"{prefix}_t", "crates", "7d"))
    say(shop, "RENAME TABLE crates TO boxes")
    report = coverage(shop, databases=[database])
    old, new = report.table(database, "crates"), report.table(database, "boxes")
    assert (old.state.value, new.state.value) == ("gone", "not covered")
    assert [one.kept for one in (*old.windows, *new.windows)] == [Kept.PROBABLE] * 2
    assert "was made for another name" in new.windows[0].reason


def test_a_plain_policy_of_a_rebuilt_table(
    shop: Engine, server: Server, database: str, prefix: str
) -> None:
    """4.x records another id than the one that garbage collection asks for."""
    say(shop, "ALTER TABLE crates ADD COLUMN w INT")
    server.query(f"CREATE PITR {prefix}_t FOR TABLE {database} crates RANGE 7 'd'")
    found = covered(shop, database)
    if rules(server).logical_ids:
        assert (found.state.value, found.windows) == ("detached", ())
    else:
        assert (found.state.value, len(found.windows)) == ("covered", 1)


def test_a_tables_policy_keeps_no_index(shop: Engine, database: str, prefix: str) -> None:
    create(shop, Pitr.table(f"{prefix}_t", "crates", "7d"))
    say(shop, "ALTER TABLE crates ADD UNIQUE KEY uv (v)")
    found = covered(shop, database)
    assert (found.state.value, found.parts.indexes) == ("rows only", ("uv",))
    assert [one.indexes for one in found.windows] == [False]
    [risk] = coverage(shop, databases=[database]).at_risk()
    assert risk.kind is RiskKind.ROWS_ONLY
    assert "not uv: after a restore" in risk.message
    create(shop, Pitr.database(f"{prefix}_d", "7d"))
    assert covered(shop, database).state.value == "covered"


def test_a_policy_of_a_hidden_index_table(
    shop: Engine, server: Server, database: str, prefix: str
) -> None:
    """It is of a part: no table of its own, and its target is not gone."""
    say(shop, "ALTER TABLE crates ADD UNIQUE KEY uv (v)")
    create(shop, Pitr.table(f"{prefix}_t", "crates", "7d"))
    [[hidden]] = server.query(
        f"SELECT relname FROM mo_catalog.mo_tables WHERE reldatabase = '{database}' "
        "AND relkind = 'i'"
    )
    create(shop, Pitr.table(f"{prefix}_i", str(hidden), "7d"))
    report = coverage(shop, databases=[database])
    assert [one.table_name for one in report.tables] == ["crates"]
    assert report.gone == ()


def test_a_partitioned_table(shop: Engine, server: Server, database: str, prefix: str) -> None:
    say(shop, "CREATE TABLE parts (id INT PRIMARY KEY) PARTITION BY KEY(id) PARTITIONS 2")
    create(shop, Pitr.table(f"{prefix}_t", "parts", "7d"))
    found = covered(shop, database, "parts")
    if rules(server).table_policies_keep_partitions:
        assert found.state.value == "covered"
    else:
        assert (found.state.value, found.windows) == ("not covered", ())
        [risk] = [
            one
            for one in coverage(shop, databases=[database]).at_risk()
            if one.table_name == "parts"
        ]
        assert f"{prefix}_t keeps nothing of it, since it is partitioned" in risk.message


def test_a_snapshot_is_one_moment(shop: Engine, database: str, prefix: str) -> None:
    say_alone(shop, f"CREATE SNAPSHOT {prefix}_s FOR DATABASE {database}")
    try:
        [window] = covered(shop, database).windows
        assert (window.by, window.kind) == (f"{prefix}_s", WindowKind.SNAPSHOT)
        assert window.begin == window.end
        assert window.level.value == "database"
        found = covered(shop, database)
        assert (found.state.value, found.gaps) == ("not covered", ())
        say(shop, "DELETE FROM crates WHERE id > 1")
        [verdict] = check_kept(shop, "crates", window.begin)
        assert (verdict.kept, verdict.by) == (Kept.KEPT, (f"{prefix}_s",))
    finally:
        say_alone(shop, f"DROP SNAPSHOT {prefix}_s")
    assert covered(shop, database).windows == ()


# ------------------------------------------------------------------------------ tables and demands


def test_views_are_left_out(shop: Engine, database: str) -> None:
    report = coverage(shop, databases=[database])
    assert [table.key for table in report.tables] == [(database, "crates")]
    everything = coverage(shop)
    assert (database, "crates") in [table.key for table in everything.tables]
    assert "mo_catalog" not in everything.by_database()
    found = covered(shop, database)
    assert (found.state.value, found.windows, found.gaps) == ("not covered", (), ())
    assert not everything.ok
    assert everything.exit_code == 1


def test_the_tables_of_metadata(shop: Engine, database: str, prefix: str) -> None:
    metadata = MetaData()
    Table("crates", metadata, Column("id", Integer), TablePitr("7d", f"{prefix}_c"))
    Table("planned", metadata, Column("id", Integer))
    Table("seen", metadata, Column("id", Integer))
    Table("cache", metadata, Column("id", Integer), Unprotected("filled again in a minute"))
    declare_pitrs(metadata, DatabasePitr("2d", f"{prefix}_db"))
    say(shop, "CREATE TABLE cache (id INT)", "CREATE TABLE others (id INT)")
    create(shop, Pitr.table(f"{prefix}_c", "crates", "1d"))
    report = coverage(shop, metadata, require="1h")
    assert [(one.table_name, one.state.value) for one in report.tables] == [
        ("cache", "unprotected"),
        ("crates", "covered"),
        ("planned", "gone"),
    ]
    cache, crates, planned = report.tables
    assert (str(crates.requirement), crates.meets_requirement) == ("7d", False)
    assert (str(planned.requirement), planned.meets_requirement) == ("2d", None)
    assert (cache.requirement, cache.unprotected) == (None, "filled again in a minute")
    assert [risk.kind for risk in report.at_risk()] == [RiskKind.TOO_SHORT]
    say_alone(shop, f"ALTER PITR {prefix}_c RANGE 1 'mo'")
    report = coverage(shop, metadata)
    assert (report.table(database, "crates").meets_requirement, report.at_risk()) == (True, ())


def test_a_translated_schema(shop: Engine, database: str) -> None:
    metadata = MetaData(schema="main")
    Table("crates", metadata, Column("id", Integer))
    translated = shop.execution_options(schema_translate_map={"main": database})
    [found] = coverage(translated, metadata).tables
    assert (found.key, found.exists) == ((database, "crates"), True)


def test_arguments(shop: Engine, server: Server, database: str) -> None:
    with pytest.raises(PitrValidationError, match="lies in the future"):
        coverage(shop, at=Moment(Moment.now(shop).nanoseconds + 60 * 10**9))
    with pytest.raises(PitrValidationError, match=r"write \['shop'\]"):
        coverage(shop, databases="shop")
    with pytest.raises(PitrValidationError, match="range"):
        coverage(shop, require="often")
    nowhere = create_engine(server.url())
    metadata = MetaData()
    Table("crates", metadata, Column("id", Integer))
    with pytest.raises(PitrValidationError, match="'crates' has no database"):
        coverage(nowhere, metadata)
    nowhere.dispose()
    report = coverage(shop, databases=[database.upper()])
    assert report.table(database.upper(), "CRATES").table_name == "crates"
    with pytest.raises(KeyError, match=r"\.nothing"):
        report.table(database, "nothing")


def test_a_database_that_is_not_there_is_not_all_well(shop: Engine, database: str) -> None:
    for databases in (["nowhere"], [database, "no_where"]):
        with pytest.raises(PitrValidationError, match="there is no database no"):
            coverage(shop, databases=databases)
    metadata = MetaData()
    Table("crates", metadata, Column("id", Integer))
    with pytest.raises(PitrValidationError, match="have no table or policy in database nowhere"):
        coverage(shop, metadata, databases=["nowhere"])
    assert coverage(shop, metadata, databases=[database]).tables


def test_a_database_that_a_policy_names_is_reported(
    shop: Engine, server: Server, database: str, prefix: str
) -> None:
    gone = f"{database}_gone"
    say(shop, f"CREATE DATABASE {gone}")
    create(shop, Pitr.database(f"{prefix}_d", "7d", database_name=gone))
    say(shop, f"DROP DATABASE {gone}")
    [risk] = coverage(shop, databases=[gone]).at_risk()
    assert (risk.kind, risk.subject) == (RiskKind.TARGET_GONE, f"{prefix}_d")


def test_the_callers_work_is_not_disturbed(shop: Engine, database: str) -> None:
    with Session(shop) as session:
        session.execute(text("INSERT INTO crates VALUES (9, 90)"))
        assert covered(session, database).exists
        session.commit()
    assert (9, 90) in rows(shop)


def test_async(make_async_engine: Callable[..., AsyncEngine], shop: Engine, database: str) -> None:
    async def ask() -> CoverageReport:
        made = make_async_engine()
        report = await coverage_async(made, databases=[database], require="1d")
        await made.dispose()
        return report

    [found] = asyncio.run(ask()).tables
    assert (found.key, found.meets_requirement) == ((database, "crates"), False)


# ----------------------------------------------------------------------------------- what it reads


@contextlib.contextmanager
def reads_of(engine: Engine) -> Iterator[list[str]]:
    """The statements that read, as coverage sends them."""
    sent: list[str] = []

    def note(*arguments: object) -> None:
        statement = str(arguments[2])
        if statement.startswith(("SELECT", "SHOW")):
            sent.append(statement)

    event.listen(engine, "before_cursor_execute", note)
    yield sent
    event.remove(engine, "before_cursor_execute", note)


@pytest.mark.parametrize("held", [False, True])
@pytest.mark.parametrize("many", [1, 12])
def test_four_statements(shop: Engine, database: str, prefix: str, many: int, held: bool) -> None:
    create(shop, Pitr.database(f"{prefix}_d", "7d"))
    names = [f"t{number}" for number in range(many)]
    say(shop, *(f"CREATE TABLE {name} (id INT, UNIQUE KEY u (id))" for name in names))
    create(shop, *(Pitr.table(f"{prefix}_{name}", name, "7d") for name in names))
    say(shop, *(f"ALTER TABLE {name} ADD COLUMN w INT" for name in names))
    made = hold(shop, database, "an incident") if held else None
    at = Moment.now(shop)
    for metadata in (None, MetaData()):
        within = [database] if metadata is None else None
        with reads_of(shop) as reads:
            report = coverage(shop, metadata, databases=within, at=at)
        assert len(reads) <= 4, reads
        assert not held or any("`holds`" in one for one in reads)
    found = coverage(shop, databases=[database])
    assert len(found.tables) == many + 1
    assert report.tables == ()
    assert set(found.held) == ({policy.name for policy in made.policies} if made else set())
    if made:
        release(shop, made.id)


def test_snapshots_and_holds_in_one_statement(
    shop: Engine, server: Server, database: str, prefix: str
) -> None:
    """A policy that was held is as sure as before, and a snapshot is there as well."""
    create(shop, Pitr.database(f"{prefix}_d", "7d"))
    say_alone(shop, f"CREATE SNAPSHOT {prefix}_s FOR DATABASE {database}")
    before = covered(shop, database)
    made = hold(shop, database, "an `incident`'s \u00e4")
    while_held = covered(shop, database)
    assert [one.kept for one in while_held.windows] == [one.kept for one in before.windows]
    assert [one.by for one in while_held.windows] == [one.by for one in before.windows]
    assert f"{prefix}_s" in [one.by for one in while_held.windows]
    assert release(shop, made.id).reason == "an `incident`'s \u00e4"
    say_alone(shop, f"DROP SNAPSHOT {prefix}_s")


def test_a_table_that_is_younger_than_its_databases_policy(
    shop: Engine, database: str, prefix: str
) -> None:
    create(shop, Pitr.database(f"{prefix}_d", "7d"))
    before = take_moment(shop)
    wait(shop, 1.1)
    say(shop, "CREATE TABLE young (id INT)")
    say(shop, "ALTER TABLE crates ADD COLUMN w INT")
    wait(shop, 1.1)
    [young] = covered(shop, database, "young").windows
    [old] = covered(shop, database).windows
    assert young.since is not None
    assert young.since <= before < young.begin
    assert old.begin <= before  # altered, not made
    assert not covered(shop, database, "young").restorable_at(before)


def test_it_agrees_with_check_kept(shop: Engine, database: str, prefix: str) -> None:
    create(shop, Pitr.table(f"{prefix}_t", "crates", "7d"))
    moments = [take_moment(shop)]
    say(shop, "ALTER TABLE crates ADD COLUMN w INT")
    moments.append(take_moment(shop))
    found = covered(shop, database)
    for moment in moments:
        [verdict] = check_kept(shop, "crates", moment, allow_unprotected=True)
        assert (verdict.kept is Kept.KEPT) is found.restorable_at(moment)
        if verdict.kept is Kept.KEPT:
            assert verdict.by == tuple(one.by for one in found.windows_at(moment))


def test_the_servers_windows_and_why_they_differ(shop: Engine, database: str, prefix: str) -> None:
    create(shop, Pitr.table(f"{prefix}_t", "crates", "7d"))
    wait(shop, 2.1)
    say_alone(shop, f"ALTER PITR {prefix}_t RANGE 8 'd'")
    report = coverage(shop, databases=[database], server_windows=True)
    assert [one.source_name for one in report.server_windows or ()] == [f"{prefix}_t"]
    [difference] = report.differences
    assert (difference.table_name, difference.computed) == ("crates", report.tables[0].windows[0])
    assert "begins where the range was last altered" in difference.reason
    assert coverage(shop, databases=[database]).server_windows is None
    create(shop, Pitr.database(f"{prefix}_d", "7d"))
    say(shop, "CREATE TABLE young (id INT)")
    report = coverage(shop, databases=[database], server_windows=True)
    [young] = [one for one in report.differences if one.table_name == "young"]
    assert young.server is None
    assert "was made, rebuilt or renamed after" in young.reason


@pytest.mark.emulator_only  # a server gives tables of several databases each other's windows
def test_windows_of_other_databases_are_left_out(shop: Engine, database: str, prefix: str) -> None:
    create(shop, Pitr.table(f"{prefix}_t", "crates", "7d"))
    say(shop, f"CREATE DATABASE {prefix}o", f"CREATE TABLE {prefix}o.crates (id INT PRIMARY KEY)")
    try:
        create(shop, Pitr.table(f"{prefix}_o", "crates", "7d", database_name=f"{prefix}o"))
        report = coverage(shop, databases=[database], server_windows=True)
    finally:
        say(shop, f"DROP DATABASE {prefix}o")
    assert [one.source_name for one in report.server_windows or ()] == [f"{prefix}_t"]
    assert report.differences == ()


def test_every_difference_has_its_reason(
    shop: Engine, server: Server, database: str, prefix: str
) -> None:
    """The report is read, and what the server may show beside it is made up."""
    say(shop, *(f"CREATE TABLE {name} (id INT PRIMARY KEY)" for name in ("other", "rebuilt")))
    say(shop, "CREATE TABLE parts (id INT PRIMARY KEY) PARTITION BY HASH(id) PARTITIONS 2")
    tables = {"c": "crates", "o": "other", "r": "rebuilt", "p": "parts"}
    create(shop, *(Pitr.table(f"{prefix}_{name}", of, "1h") for name, of in tables.items()))
    wait(shop, 2.1)
    say(shop, "ALTER TABLE rebuilt ADD COLUMN w INT")
    ended = take_moment(shop)
    wait(shop, 3)
    say_alone(shop, f"CREATE SNAPSHOT {prefix}_s FOR DATABASE {database}")
    try:
        report = coverage(shop, databases=[database])
    finally:
        say_alone(shop, f"DROP SNAPSHOT {prefix}_s")
    now, first = report.now.datetime(), ended.datetime() - dt.timedelta(hours=5)
    windows = report.table(database, "crates").windows
    begin = next(w.since or w.begin for w in windows if w.by == f"{prefix}_c").datetime()

    def reasons(table: str, *shown: tuple[str, str, dt.datetime]) -> dict[str, str]:
        """Reasons by the name of the policy or snapshot, of windows that end now."""
        given = [
            RecoveryWindow(PitrLevel.TABLE, None, database, table, start, now, kind, name)
            for kind, name, start in shown
        ]
        found = {}
        for one in differences(report, given):
            by = one.server.source_name if one.server else one.computed and one.computed.by
            if one.table_name == table:
                found[str(by).removeprefix(prefix)] = one.reason
        return found

    found = reasons(
        "crates",
        ("pitr", f"{prefix}_c", begin),
        ("snapshot", "theirs", now),
        ("pitr", "nobody", begin),
        ("pitr", f"{prefix}_o", begin),
    )
    assert found == {
        "theirs": "snapshot theirs is not visible to this account in the catalogue",
        "nobody": "nobody is not a policy of this account, or was dropped just now",
        "_o": f"{prefix}_o is of another table: the server gives tables each other's windows",
        "_s": f"the server does not show snapshot {prefix}_s for this table",
    }
    assert reasons("crates", ("pitr", f"{prefix}_c", first))["_c"].startswith(
        f"{prefix}_c keeps nothing before "
    )
    assert reasons("crates")["_c"] == (
        f"the server does not find the table that {prefix}_c was made for by its name"
    )
    assert reasons("rebuilt", ("pitr", f"{prefix}_r", begin))["_r"].startswith(
        f"{prefix}_r was detached at "
    )
    assert reasons("rebuilt")["_r"] == (
        f"the server shows no window of {prefix}_r, which is detached, and restores from it"
    )
    assert reasons("nothing", ("pitr", f"{prefix}_c", begin)) == {}
    if server.version >= (4,):
        assert reasons("parts", ("pitr", f"{prefix}_p", begin))["_p"] == (
            f"{prefix}_p is of the table alone and keeps nothing of its partitions"
        )


@pytest.mark.emulator_only
def test_server_windows_that_it_cannot_show() -> None:
    """A detached policy whose range has passed what it kept: the report is there all the same,
    and so is that policy."""
    with Emulator(version="3.0.9") as server:
        engine = create_engine(server.url())
        say(engine, "CREATE DATABASE shop", "CREATE TABLE shop.crates (id INT PRIMARY KEY)")
        create(engine, Pitr.table("hour", "crates", "1h", database_name="shop"))
        server.advance(dt.timedelta(seconds=2))
        say(engine, "DROP TABLE shop.crates", "CREATE TABLE shop.crates (id INT PRIMARY KEY)")
        server.advance(dt.timedelta(hours=2))
        with pytest.warns(SAWarning, match="SHOW RECOVERY_WINDOW failed: "):
            report = coverage(engine, server_windows=True)
        assert (report.server_windows, report.differences) == (None, ())
        assert report.table("shop", "crates").windows == ()
        engine.dispose()


# ---------------------------------------------------------------------------------------- accounts


def test_an_ordinary_account(tenant: Engine) -> None:
    """It reads no recorded ids: it compares those of now with those just after the creation."""
    wait(tenant, 1.1)
    create(tenant, Pitr.table("week", "crates", "7d"))
    wait(tenant, 1.1)  # it knows whole seconds
    report = coverage(tenant, require="7d")
    assert report.account.endswith("_acc")
    [found] = report.tables
    assert (found.state.value, found.meets_requirement) == ("covered", True)
    before = take_moment(tenant)
    wait(tenant, 1.1)
    say(tenant, "ALTER TABLE crates ADD COLUMN w INT")
    [found] = coverage(tenant).tables
    assert found.state.value == "detached"
    [window] = found.windows
    assert (window.kind, window.kept) == (WindowKind.DETACHED, Kept.PROBABLE)
    assert "this account cannot know when week was detached" in window.reason
    assert before in window
    restore(tenant, "week", before, "shop")
    assert rows(tenant) == ROWS


def test_four_statements_of_an_ordinary_account(tenant: Engine) -> None:
    create(tenant, Pitr.table("week", "crates", "7d"))
    say(tenant, "ALTER TABLE crates ADD COLUMN w INT")
    made = hold(tenant, "shop", "an incident")
    with reads_of(tenant) as reads:
        report = coverage(tenant)
    assert len(reads) <= 4, reads
    assert report.held == {"week": PitrRange.parse("7d")}
    release(tenant, made.id)


def test_a_user_who_may_not_read_policies(server: Server, tenant: Engine, prefix: str) -> None:
    say(tenant, "CREATE USER clerk IDENTIFIED BY 'pw111'", "CREATE ROLE clerks")
    say(tenant, "GRANT clerks TO clerk", "GRANT CONNECT ON ACCOUNT * TO clerks")
    url = server.url(user=f"{prefix}_acc:clerk:clerks", password="pw111")
    clerk = create_engine(url)
    with pytest.raises(PitrPermissionError):
        coverage(clerk)
    clerk.dispose()
