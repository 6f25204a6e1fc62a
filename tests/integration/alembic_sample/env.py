"""Alembic's environment as `alembic init` makes it, online only."""

from __future__ import annotations

from alembic import context
from sqlalchemy import engine_from_config, pool

from tests.integration.alembic_sample.models import metadata

engine = engine_from_config(
    context.config.get_section(context.config.config_ini_section, {}),
    prefix="sqlalchemy.",
    poolclass=pool.NullPool,
)
with engine.connect() as connection:
    context.configure(
        connection=connection,
        target_metadata=metadata,
        compare_server_default=True,
    )
    with context.begin_transaction():
        context.run_migrations()
