"""Alembic's async template, with what PITR policies need: an import, and two calls."""

from __future__ import annotations

import asyncio

from alembic import context
from models import Base
from sqlalchemy import Connection, pool
from sqlalchemy.ext.asyncio import create_async_engine
from where import server_url

from sqlalchemy_matrixone_pitr.alembic import pitr_options, register

register()
config = context.config


def do_run_migrations(connection: Connection) -> None:
    context.configure(
        connection=connection,
        target_metadata=Base.metadata,
        **pitr_options(Base.metadata, drop_undeclared=True),
    )
    with context.begin_transaction():
        context.run_migrations()


async def run_async_migrations() -> None:
    engine = create_async_engine(server_url(config), poolclass=pool.NullPool)
    async with engine.connect() as connection:
        await connection.run_sync(do_run_migrations)
    await engine.dispose()


asyncio.run(run_async_migrations())
