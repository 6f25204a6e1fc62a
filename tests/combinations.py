"""Chooses which combinations of server version, dialect and driver a test runs on.

A test that takes an engine would run on each version of the server with each dialect (ours and
SQLAlchemy's own) and each driver: four times, and eight times where it is asynchronous. Two of
these runs meet every version, every dialect and every driver. Which two differs from test to test,
so that all tests together meet every combination.

Migrations take longest, and most of what they do is the same on each version: a test of theirs runs
on one of these combinations, and on the next one with the oldest releases (``--turn 1``). So do the
tests marked ``one_version``: examples, and what depends on no version of the server. The jobs of
``.github/workflows/ci.yml`` take turns.

``pytest --all-combinations`` runs them all, and so do the tests marked ``all_combinations``: those
of what depends on dialect, driver and version together. ``pytest --once`` runs each test function
once, with one of its parameters.
"""

from __future__ import annotations

import zlib
from collections.abc import Hashable, Iterable, Sequence

import pytest

SYNC_SCHEMES = ("matrixone+pymysql", "mysql+pymysql")
ASYNC_SCHEMES = (
    "matrixone+aiomysql",
    "matrixone+asyncmy",
    "mysql+aiomysql",
    "mysql+asyncmy",
)
_SCHEMES = {*SYNC_SCHEMES, *ASYNC_SCHEMES}

Combination = tuple[Hashable, ...]


def covering(combinations: Sequence[Combination], name: str) -> set[Combination]:
    """Return few combinations that have every value of each factor between them.

    The first has the first value of each factor, the second the second, and so on, with each factor
    rotated by *name*. What is no full product is somebody's choice already, and stays whole.
    """
    factors = [list(dict.fromkeys(values)) for values in zip(*combinations, strict=True)]
    rotation = zlib.crc32(name.encode())
    chosen = {
        tuple(
            values[(run + (rotation >> number)) % len(values)]
            for number, values in enumerate(factors)
        )
        for run in range(max(map(len, factors), default=0))
    }
    return chosen if chosen.issubset(combinations) else set(combinations)


def superfluous(items: Iterable[pytest.Item], turn: int = 0) -> list[pytest.Item]:
    """Return the items of tests that run on enough combinations without them.

    :param turn: which of its combinations a test runs on that needs one.
    """
    tests: dict[str, list[tuple[pytest.Item, Combination]]] = {}
    for item in items:
        callspec = getattr(item, "callspec", None)
        if callspec is None or item.get_closest_marker("all_combinations"):
            continue
        schemes = [value for value in callspec.params.values() if _is_scheme(value)]
        version = callspec.params.get("server")
        if version is None or len(schemes) != 1 - (not schemes and _needs_one(item)):
            continue
        # Of the parametrized arguments alone: their indices count the combinations too.
        arguments = callspec.id.replace(version, "", 1)
        for scheme in schemes:
            arguments = arguments.replace(scheme, "", 1)
        test = f"{item.nodeid.partition('[')[0]} {arguments}"
        combination = (version, *(part for scheme in schemes for part in scheme.split("+")))
        tests.setdefault(test, []).append((item, combination))
    left_out = []
    for test, runs in tests.items():
        kept = covering([combination for _, combination in runs], test)
        if _needs_one(runs[0][0]):
            ordered = sorted(kept, key=str)
            kept = {ordered[(zlib.crc32(test.encode()) + turn) % len(ordered)]}
        left_out += [item for item, combination in runs if combination not in kept]
    return left_out


def _needs_one(item: pytest.Item) -> bool:
    return "tests/alembic/" in item.nodeid or item.get_closest_marker("one_version") is not None


def more_than_once(items: Iterable[pytest.Item], turn: int = 0) -> list[pytest.Item]:
    """Return all but one run of each test function; which one, differs from test to test.

    :param turn: another number means another run.
    """
    tests: dict[str, list[pytest.Item]] = {}
    for item in items:
        tests.setdefault(item.nodeid.partition("[")[0], []).append(item)
    return [
        item
        for name, runs in tests.items()
        for number, item in enumerate(runs)
        if number != (zlib.crc32(name.encode()) + turn) % len(runs)
    ]


def _is_scheme(value: object) -> bool:
    return isinstance(value, str) and value in _SCHEMES
