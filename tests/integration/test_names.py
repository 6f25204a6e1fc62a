"""Names and ranges: what the model accepts the server accepts, and returns as folded."""

from __future__ import annotations

import pytest
from hypothesis import HealthCheck, given, settings, strategies as st
from sqlalchemy import Engine, create_engine

from sqlalchemy_matrixone_pitr import Pitr, PitrManager, PitrRange, PitrUnit, PitrValidationError
from sqlalchemy_matrixone_pitr.names import check_pitr_name
from tests.conftest import Server
from tests.proxy import Proxy

wire = settings(
    max_examples=settings().max_examples // 5,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)

# any character that the server keeps; the model refuses the others (see tests/test_model.py)
letters = st.characters(exclude_categories=["Cs", "Cc"], exclude_characters=" `\"'\\")
pitr_names = st.text(letters, min_size=1, max_size=30)
ranges = st.builds(PitrRange, st.integers(1, 100), st.sampled_from(PitrUnit))


@wire
@given(name=pitr_names, range=ranges)
def test_what_the_model_accepts_comes_back_as_folded(
    matrixone_engine: Engine, database: str, prefix: str, name: str, range: PitrRange
) -> None:
    manager = PitrManager(matrixone_engine)
    pitr = Pitr.database(f"{prefix}{name}", range, database_name=database)
    manager.create(pitr)
    try:
        assert manager.list(database_name=database) == [pitr]
        assert manager.get(f"{prefix}{name}") == pitr
        assert manager.exists(pitr.name)
        manager.alter(pitr.name, range.value, range.unit)
    finally:
        assert manager.delete(f"{prefix}{name}")


@wire
@given(name=st.text(max_size=8) | st.text("ab `\"'\\\t\n\0", max_size=8))
def test_what_the_model_refuses_is_never_sent(
    server: Server, database: str, prefix: str, proxy: Proxy, name: str
) -> None:
    engine = create_engine(server.url(database=database, port=proxy.port))
    manager = PitrManager(engine)
    with engine.connect():
        pass
    proxy.clear()
    name = f"{prefix}{name}"
    try:
        check_pitr_name(name)
    except PitrValidationError:
        for call in (
            lambda: manager.create_database_pitr(name, database),
            lambda: manager.get(name),
            lambda: manager.exists(name),
            lambda: manager.alter(name, 1, "d"),
            lambda: manager.restore(name, "2026-01-01 00:00:00", database=database),
        ):
            with pytest.raises(PitrValidationError):
                call()
        assert proxy.statements == []
        with pytest.raises(PitrValidationError):
            manager.delete(name)
        # somebody else's may have a backslash in its name: that is looked for
        assert "\\" in name or proxy.statements == []
        assert proxy.matching("^DROP PITR") == []
    else:
        assert not manager.delete(name)
        assert len(proxy.matching("^SELECT pitr_name")) == 1
        assert proxy.matching("^DROP PITR") == []
    finally:
        engine.dispose()
