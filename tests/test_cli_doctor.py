"""``mo-pitr doctor``: what it looks at, what it says of it, and its exit code."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from sqlalchemy import Engine

from sqlalchemy_matrixone_pitr import PitrManager
from sqlalchemy_matrixone_pitr.emulator import Emulator
from tests.cli import Call, call, emulator, engine, environment

__all__ = ["call", "emulator", "engine", "environment"]


def change(engine: Engine, *statements: str) -> None:
    with engine.begin() as conn:
        for statement in statements:
            conn.exec_driver_sql(statement)


def test_all_is_well(call: Call, engine: Engine, emulator: Emulator) -> None:
    PitrManager(engine).create_database_pitr("days", "shop", 7)
    found = call("doctor")
    assert (found.code, found.err) == (0, "")
    lines = [line.split(None, 1) for line in found.out.splitlines()]
    assert [line[0] for line in lines] == [
        *("connection", "version", "rights", "database", "policies", "unprotected"),
        "All",
    ]
    assert f"127.0.0.1:{emulator.port} by matrixone+pymysql" in found.out
    assert "MatrixOne 4.2.0, measured with this package" in found.out
    assert "dump of account sys, role moadmin: may change policies" in found.out
    assert "shop, the URL's" in found.out
    assert "1 of this account, 0 of them detached" in found.out


def test_unprotected_tables(call: Call, engine: Engine, tmp_path: Path) -> None:
    PitrManager(engine).create_table_pitr("week", "shop", "t0", 7)
    change(engine, "CREATE TABLE shop.alembic_version (version_num VARCHAR(32) PRIMARY KEY)")
    found = call("doctor")
    assert found.code == 1
    assert "2 tables without an active policy: shop.t1, shop.t2" in found.out
    assert found.out.endswith("1 of these need attention.\n")
    (tmp_path / "accepted.py").write_text(
        "from sqlalchemy import Column, Integer, MetaData, Table\n"
        "from sqlalchemy_matrixone_pitr import Unprotected\n"
        "metadata = MetaData()\n"
        "for name in ('t1', 't2'):\n"
        "    Table(name, metadata, Column('id', Integer), Unprotected('gone in a minute'))\n"
    )
    assert call("doctor", "accepted:metadata").code == 0


def test_detached_policies_tell_the_next_step(call: Call, engine: Engine) -> None:
    manager = PitrManager(engine)
    manager.create_account_pitr("nightly", range_value=7)
    for number in range(2):
        manager.create_table_pitr(f"week_{number}", "shop", f"t{number}", 7)
    change(engine, "ALTER TABLE shop.t0 ADD COLUMN c INT", "DROP TABLE shop.t1")
    found = call("doctor")
    assert found.code == 1
    assert "week_0 protects nothing new: `mo-pitr renew week_0` protects it again." in found.out
    assert "week_1 protects nothing new: table shop.t1 is gone." in found.out
    assert "DROP PITR `week_1`" in found.out


def test_json(call: Call) -> None:
    found = call("doctor", "--json")
    told = json.loads(found.out)
    assert (found.code, told["format_version"], told["ok"]) == (1, 1, False)
    assert {finding["verdict"] for finding in told["findings"]} == {"ok", "problem"}


def test_another_database(call: Call, engine: Engine) -> None:
    change(engine, "CREATE DATABASE other", "CREATE TABLE other.bare (id INT)")
    found = call("doctor", "--database", "other")
    assert "other, by --database" in found.out
    assert "1 table without an active policy: other.bare" in found.out
    missing = call("doctor", "--database", "nosuch")
    assert (missing.code, "nosuch does not exist" in missing.out) == (1, True)


def test_a_url_without_a_database(call: Call, emulator: Emulator) -> None:
    found = call("doctor", "--url", emulator.url())
    assert found.code == 0
    assert "the URL names none" in found.out


def test_a_user_without_the_role(call: Call, engine: Engine, emulator: Emulator) -> None:
    with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as conn:
        conn.exec_driver_sql("CREATE USER reader IDENTIFIED BY 'r'")
    found = call("doctor", "--url", emulator.url(user="reader", password="r"))
    assert found.code == 1
    assert "may not change policies" in found.out
    assert "moadmin or accountadmin must be the active role" in " ".join(found.out.split())


def test_a_server_that_is_not_there(call: Call) -> None:
    found = call("doctor", "--url", "matrixone://dump:111@127.0.0.1:1/shop")
    assert (found.code, found.out) == (2, "")
    assert found.err == "Error: cannot connect to 127.0.0.1:1: Connection refused\n"


@pytest.mark.parametrize(
    ("emulator", "statements", "said"),
    [
        (
            "3.0.9",
            ("CREATE TABLE shop.order_1 (id INT)", "CREATE TABLE shop.orderx1 (id INT)"),
            "RESTORE of shop.order_1 is refused while shop.orderx1 exists",
        ),
        ("3.0.9", (), "programs that create one policy at the same time damage the catalogue"),
        ("2.2.2", (), "a rebuilt table's policy goes on blocking another one"),
        (
            "4.2.0",
            ("ALTER TABLE shop.t2 ADD COLUMN c INT",),
            "1 table rebuilt since made (shop.t2)",
        ),
        (
            "4.2.0",
            ("CREATE UNIQUE INDEX u ON shop.t0 (id)",),
            "rows only: shop.t0 (u): a table-level policy keeps no indexes",
        ),
        (
            "4.2.0",
            ("CREATE TABLE shop.child (id INT, p INT, FOREIGN KEY (p) REFERENCES shop.t0 (id))",),
            "RESTORE of shop.t0 alone restores nothing and says OK",
        ),
    ],
    indirect=["emulator"],
)
def test_quirks_that_concern(
    call: Call, engine: Engine, statements: tuple[str, ...], said: str
) -> None:
    PitrManager(engine).create_table_pitr("week", "shop", "t0", 7)
    before = call("doctor").out
    change(engine, *statements)
    after = call("doctor").out
    assert said in after
    assert (said in before) is (not statements)
