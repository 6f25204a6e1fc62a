"""Policies that tests make."""

from __future__ import annotations

from sqlalchemy import Engine

from sqlalchemy_matrixone_pitr import CreatePitr, Pitr
from tests.clock import wait


def create(engine: Engine, *pitrs: Pitr) -> None:
    """Create policies in one transaction."""
    with engine.begin() as connection:
        for pitr in pitrs:
            connection.execute(CreatePitr(pitr))


def protect(engine: Engine, *pitrs: Pitr) -> None:
    """Create policies, and wait until the next second: they know whole ones."""
    create(engine, *pitrs)
    wait(engine, 1.1)
