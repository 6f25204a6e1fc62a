"""pytest-alembic's built-in tests pass on ``examples/shop``, with its env.py as it is.

Its plugin is off (``-p no:pytest_alembic`` in pyproject.toml): pytest-alembic 0.13.1 cannot collect
with pytest 9.2. Its tests and its fixture need no plugin.
"""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from alembic.config import Config
from sqlalchemy import Engine, create_engine

from tests.alembic.test_example import EXAMPLE, database
from tests.conftest import Server

built_in = pytest.importorskip("pytest_alembic.tests", reason="of the dependency group dev")
fixtures = pytest.importorskip("pytest_alembic.plugin.fixtures")

pytestmark = pytest.mark.slow

alembic_runner = fixtures.alembic_runner
test_single_head_revision = built_in.test_single_head_revision
test_upgrade = built_in.test_upgrade
test_model_definitions_match_ddl = built_in.test_model_definitions_match_ddl
test_up_down_consistency = built_in.test_up_down_consistency

__all__ = ["database"]


@pytest.fixture
def alembic_config(server: Server, database: str) -> Config:
    config = Config(EXAMPLE / "alembic.ini")
    url = server.url("matrixone+pymysql", database).render_as_string(hide_password=False)
    config.set_main_option("sqlalchemy.url", url)
    return config


@pytest.fixture
def alembic_engine(server: Server, database: str) -> Iterator[Engine]:
    engine = create_engine(server.url("matrixone+pymysql", database))
    yield engine
    engine.dispose()
