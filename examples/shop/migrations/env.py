"""Alembic's generic template, with what PITR policies need: an import, and two calls."""

from __future__ import annotations

from alembic import context
from models import Base
from sqlalchemy import create_engine, pool
from where import server_url

from sqlalchemy_matrixone_pitr.alembic import pitr_options, register

register()
config = context.config
options = {
    "target_metadata": Base.metadata,
    **pitr_options(Base.metadata, drop_undeclared=True),
}


def run_migrations_offline() -> None:
    context.configure(
        url=server_url(config),
        literal_binds=True,
        dialect_opts={"paramstyle": "named"},
        **options,
    )
    with context.begin_transaction():
        context.run_migrations()


def run_migrations_online() -> None:
    engine = create_engine(server_url(config), poolclass=pool.NullPool)
    with engine.connect() as connection:
        context.configure(connection=connection, **options)
        with context.begin_transaction():
            context.run_migrations()


if context.is_offline_mode():
    run_migrations_offline()
else:
    run_migrations_online()
