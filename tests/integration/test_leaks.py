"""Nothing stays behind: no thread, no socket, no queue."""

from __future__ import annotations

import gc
import os
import threading

from sqlalchemy import Engine

from sqlalchemy_matrixone_pitr import CreatePitr, DropPitr, Pitr, PitrManager
from sqlalchemy_matrixone_pitr.queued import _queues


def descriptors() -> int:
    return len(os.listdir("/proc/self/fd"))


def test_a_thousand_pairs(matrixone_engine: Engine, prefix: str, database: str) -> None:
    pitr = Pitr.database(prefix, "7d", database_name=database)
    manager = PitrManager(matrixone_engine)

    def pairs(count: int) -> None:
        for _ in range(count):
            with matrixone_engine.begin() as conn:
                conn.execute(CreatePitr(pitr))
            with matrixone_engine.begin() as conn:
                conn.execute(DropPitr(prefix))
            manager.create(pitr)
            assert manager.delete(prefix)

    pairs(2)
    gc.collect()
    before = threading.active_count(), descriptors()
    queues = len(_queues)  # of transactions that a test before this one has left
    pairs(500)
    gc.collect()
    # fewer, where a test before this one has left something that ends by itself
    assert threading.active_count() <= before[0]
    assert descriptors() <= before[1]
    assert len(_queues) <= queues
