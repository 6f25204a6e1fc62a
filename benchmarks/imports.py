"""The cost of importing the package beside ``import sqlalchemy``, in fresh interpreters."""

from __future__ import annotations

import importlib.util
import subprocess
import sys
from collections.abc import Callable

from benchmarks.measure import Spread, interleaved, paired_ratio, print_table

BASE = "sqlalchemy"
MODULES = (BASE, "sqlalchemy.ext.asyncio", "sqlalchemy_matrixone_pitr", "matrixone")
"""The last is the MatrixOne SDK, which need not be there."""


def run(rounds: int) -> None:
    found = [name for name in MODULES if importlib.util.find_spec(name.partition(".")[0])]
    samples = interleaved({name: import_time(name) for name in found}, rounds)
    rows = []
    for name, times in samples.items():
        took, ratio = Spread.of(times).scaled(1000), paired_ratio(times, samples[BASE])
        rows.append(
            (
                f"import {name}",
                f"{took.median:.0f}",
                f"{took.low:.0f} .. {took.high:.0f}",
                f"{ratio.median:.2f}",
            )
        )
    print_table(
        f"Import ({rounds} rounds of fresh interpreters, interleaved)",
        ("", "ms", "quartiles", f"times {BASE}"),
        rows,
    )


def import_time(module: str) -> Callable[[], float]:
    code = (
        "import time; begin = time.perf_counter(); "
        f"import {module}; print(time.perf_counter() - begin)"
    )
    return lambda: float(
        subprocess.run([sys.executable, "-c", code], check=True, capture_output=True).stdout
    )
