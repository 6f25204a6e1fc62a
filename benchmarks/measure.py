"""Timing in rounds, so that what disturbs the machine disturbs all contenders alike."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Spread:
    """The median of some samples, and the quartiles around it."""

    median: float
    low: float
    high: float

    @classmethod
    def of(cls, samples: Sequence[float]) -> Spread:
        if len(samples) < 2:
            return cls(samples[0], samples[0], samples[0])
        low, median, high = statistics.quantiles(samples, n=4, method="inclusive")
        return cls(median, low, high)

    def scaled(self, factor: float) -> Spread:
        return Spread(self.median * factor, self.low * factor, self.high * factor)


def seconds(action: Callable[[], object]) -> float:
    """The seconds that one call takes."""
    begin = time.perf_counter()
    action()
    return time.perf_counter() - begin


def processor_seconds(action: Callable[[], object]) -> float:
    """How long the processor works for one call in this thread, whatever else it does between."""
    begin = time.thread_time()
    action()
    return time.thread_time() - begin


def interleaved(
    contenders: Mapping[str, Callable[[], float]], rounds: int
) -> dict[str, list[float]]:
    """Measurements of each contender, once a round; each round another one goes first.

    A first round, which fills caches and pools, is not counted.
    """
    names = list(contenders)
    samples: dict[str, list[float]] = {name: [] for name in names}
    for number in range(rounds + 1):
        shift = number % len(names)
        for name in names[shift:] + names[:shift]:
            sample = contenders[name]()
            if number:
                samples[name].append(sample)
    return samples


def paired_ratio(samples: Sequence[float], base: Sequence[float]) -> Spread:
    """Each round's sample over the same round's base."""
    return Spread.of([mine / its for mine, its in zip(samples, base, strict=True)])


@dataclass(frozen=True, slots=True)
class Shown:
    """A table that was printed."""

    title: str
    heads: Sequence[str]
    rows: Sequence[Sequence[str]]

    def to_dict(self) -> dict[str, object]:
        """The table for JSON: a row is its cells by their heads; quartiles stand behind theirs."""
        heads = ["what", *self.heads[1:]]
        for number, head in enumerate(heads):
            if head == "quartiles":
                heads[number] = f"quartiles of {heads[number - 1]}"
        rows = [dict(zip(heads, row, strict=True)) for row in self.rows]
        return {"title": self.title, "rows": rows}


TABLES: list[Shown] = []
"""The tables that were printed in this run."""


def ratio_rows(
    samples: Mapping[str, Sequence[float]], base: str, unit: float = 1000
) -> list[tuple[str, ...]]:
    """For each contender its time, and how many times the base's it is, with quartiles."""
    rows: list[tuple[str, ...]] = []
    for name, times in samples.items():
        took = Spread.of(times).scaled(unit)
        ratio = paired_ratio(times, samples[base])
        rows.append(
            (
                name,
                f"{took.median:.2f}",
                f"{took.low:.2f} .. {took.high:.2f}",
                f"{ratio.median:.2f}",
                f"{ratio.low:.2f} .. {ratio.high:.2f}",
            )
        )
    return rows


def print_table(title: str, heads: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """The first column to the left, numbers to the right."""
    TABLES.append(Shown(title, tuple(heads), [tuple(row) for row in rows]))
    print(f"\n{title}")
    widths = [max(map(len, column)) for column in zip(heads, *rows, strict=True)]
    for cells in (heads, *rows):
        first, *others = cells
        columns = (cell.rjust(width) for cell, width in zip(others, widths[1:], strict=True))
        print("  " + "   ".join((first.ljust(widths[0]), *columns)))
