"""Accounts of a test's own."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from sqlalchemy import Engine, create_engine

from tests.conftest import Server
from tests.past.tables import say


@pytest.fixture
def tenant(server: Server, prefix: str) -> Iterator[Engine]:
    """A shop in an account of the test's own."""
    account = f"{prefix}_acc"
    server.query(f"CREATE ACCOUNT {account} ADMIN_NAME 'root' IDENTIFIED BY 'pw111'")

    def connect(database: str | None) -> Engine:
        return create_engine(
            server.url(database=database, user=f"{account}:root", password="pw111")
        )

    first = connect(None)
    say(first, "CREATE DATABASE shop")
    first.dispose()
    engine = connect("shop")
    say(
        engine,
        "CREATE TABLE crates (id INT PRIMARY KEY, v INT)",
        "INSERT INTO crates VALUES (1, 10), (2, 20), (3, 30)",
    )
    yield engine
    engine.dispose()
    server.query(f"DROP ACCOUNT IF EXISTS {account}")
