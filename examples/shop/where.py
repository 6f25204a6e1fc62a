"""The address of the server of the example, and its own database there."""

from __future__ import annotations

import os

from alembic.config import Config
from sqlalchemy import URL, make_url


def server_url(config: Config) -> URL:
    """The section's ``sqlalchemy.url``, on the server that MATRIXONE_URL names, where it does."""
    url = make_url(config.get_section_option(config.config_ini_section, "sqlalchemy.url") or "")
    server = os.environ.get("MATRIXONE_URL")
    if not server:
        return url
    other = make_url(server)
    return other.set(drivername=url.drivername, database=url.database)
