"""Restores while somebody else writes: what is written is in the table or in the safety copy."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from typing import Any

import pytest
from sqlalchemy import Engine, create_engine, event

from sqlalchemy_matrixone_pitr import Pitr, forget_copies, restore, restore_records
from tests.conftest import Server
from tests.past.tables import rows_of, say, take_moment
from tests.policies import protect


@pytest.fixture
def shop(matrixone_engine: Engine, prefix: str) -> Engine:
    engine = matrixone_engine
    say(
        engine,
        "CREATE TABLE free (id INT PRIMARY KEY, v VARCHAR(9)) COMMENT = 'it''s \"%d\"'",
        "INSERT INTO free VALUES (1, 'x'), (2, 'y')",
    )
    protect(engine, Pitr.database(f"{prefix}_d", "1d"))
    return engine


@pytest.fixture
def beside(server: Server, database: str) -> Iterator[Engine]:
    """Somebody else; what the test has set aside is dropped after it."""
    engine = create_engine(server.url(database=database))
    before = {record.id for record in restore_records(engine)}
    yield engine
    forget_copies(engine, ids=[r.id for r in restore_records(engine) if r.id not in before])
    engine.dispose()


@pytest.mark.parametrize("undo", [False, True])
def test_a_row_between_the_copy_and_the_drop(
    shop: Engine, beside: Engine, database: str, undo: bool
) -> None:
    at = take_moment(shop)
    say(shop, "DELETE FROM free WHERE id = 1")
    comment = "SELECT rel_comment FROM mo_catalog.mo_tables WHERE relname = 'free' AND " + (
        f"reldatabase = '{database}'"
    )
    with beside.connect() as connection:
        commented = connection.exec_driver_sql(comment).scalar()
    report = restore(shop, f"{database}.free", at, by_restore=False) if undo else None
    writers: list[threading.Thread] = []
    sent: list[str] = []

    def write(_: Any, __: Any, statement: str, *___: Any) -> None:
        sent.append(statement)
        if statement.startswith("DROP TABLE") and not writers:
            writers.append(
                threading.Thread(target=say, args=(beside, "INSERT INTO free VALUES (9, 'new')"))
            )
            writers[0].start()
            writers[0].join(0.5)

    event.listen(shop, "before_cursor_execute", write)
    if report is None:
        report = restore(shop, f"{database}.free", at, by_restore=False)
    else:
        report = report.undo()
    event.remove(shop, "before_cursor_execute", write)
    writers[0].join(20)
    assert not writers[0].is_alive()
    found = rows_of(beside, "free") + rows_of(beside, report.copies[0].copy)
    assert (9, "new") in found
    # a writer of the emulator waits for any other, so that only the order shows there
    within = [text.split()[0] for text in sent if text.startswith(("ALTER", "CREATE T", "DROP T"))]
    assert within[-4:] == ["ALTER", "DROP", "CREATE", "CREATE"]
    with beside.connect() as connection:
        assert connection.exec_driver_sql(comment).scalar() == commented
