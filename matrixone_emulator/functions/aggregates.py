"""Aggregates that sqlite gets from Python: exact sums, GROUP_CONCAT, VARIANCE."""

from __future__ import annotations

import decimal
import math

from ..types.values import Stored, decimal_text, value_text

_CONTEXT = decimal.Context(prec=65, rounding=decimal.ROUND_HALF_UP)


def _plain(number: decimal.Decimal) -> str:
    return format(number, "f")


class DecimalSum:
    """SUM of decimals, as an aggregate and over a window."""

    def __init__(self) -> None:
        self.total = decimal.Decimal(0)
        self.count = 0

    def step(self, value: Stored) -> None:
        if value is not None:
            self.total = _CONTEXT.add(self.total, decimal.Decimal(str(value)))
            self.count += 1

    def inverse(self, value: Stored) -> None:
        if value is not None:
            self.total = _CONTEXT.subtract(self.total, decimal.Decimal(str(value)))
            self.count -= 1

    def value(self) -> str | None:
        return _plain(self.total) if self.count else None

    finalize = value


class DecimalAverage(DecimalSum):
    """AVG of decimals: six digits more than the argument has, twelve at least."""

    scale = 0

    def step(self, value: Stored, scale: int = 6) -> None:
        self.scale = scale
        super().step(value)

    def inverse(self, value: Stored, scale: int = 6) -> None:
        super().inverse(value)

    def value(self) -> str | None:
        if not self.count:
            return None
        return decimal_text(_CONTEXT.divide(self.total, decimal.Decimal(self.count)), self.scale)

    finalize = value


class GroupConcat:
    """GROUP_CONCAT(text, separator, flags, *keys); flags: d for DISTINCT, then a or z a key."""

    def __init__(self) -> None:
        self.rows: list[tuple[str, tuple[Stored, ...]]] = []
        self.separator, self.flags = ",", ""

    def step(self, value: Stored, separator: str, flags: str, *keys: Stored) -> None:
        self.separator, self.flags = separator, flags
        if value is not None:
            self.rows.append((value_text(value), keys))

    def finalize(self) -> str | None:
        rows = self.rows
        directions = self.flags.lstrip("d")
        for index in reversed(range(len(directions))):
            rows.sort(
                key=lambda row: (row[1][index] is not None, row[1][index]),
                reverse=directions[index] == "z",
            )
        texts = [row[0] for row in rows]
        if self.flags.startswith("d"):
            texts = list(dict.fromkeys(texts))
        return self.separator.join(texts) if texts else None


class Variance:
    """VARIANCE of a population."""

    def __init__(self) -> None:
        self.values: list[float] = []

    def step(self, value: Stored) -> None:
        if value is not None:
            self.values.append(float(str(value)))

    def finalize(self) -> float | None:
        if not self.values:
            return None
        mean = math.fsum(self.values) / len(self.values)
        return math.fsum((v - mean) ** 2 for v in self.values) / len(self.values)
