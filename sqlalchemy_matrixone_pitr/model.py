"""PITR policies as values: levels, units, ranges; and every rule that a value must keep.

All validation of this package is here, runs before anything is sent, and says the value, the limit
and the remedy. Nothing here does I/O.

Source: docs/server.md, Grammar; Checks of CREATE; What detaches a policy; SHOW RECOVERY_WINDOW.
"""

from __future__ import annotations

import calendar
import contextlib
import datetime as dt
import enum
import functools
import re
from dataclasses import dataclass, field
from typing import Final, TypeAlias, TypeVar

from .errors import PitrValidationError
from .names import check_database_name, check_pitr_name, check_target_name, plain, shorten

MIN_RANGE: Final = 1
MAX_RANGE: Final = 100


class PitrLevel(enum.StrEnum):
    """The kind of object that a PITR protects; the value is the server's own word.

    >>> Pitr.account("nightly", "7d").level
    <PitrLevel.ACCOUNT: 'account'>
    """

    CLUSTER = "cluster"
    ACCOUNT = "account"
    DATABASE = "database"
    TABLE = "table"


class PitrUnit(enum.StrEnum):
    """The unit of a range, as the server calls it. Months and years are calendar ones.

    >>> PitrRange.parse("3mo").unit is PitrUnit.MONTH
    True
    """

    HOUR = "h"
    DAY = "d"
    MONTH = "mo"
    YEAR = "y"


class PitrStatus(enum.StrEnum):
    """Whether a PITR still protects its object (docs/server.md, What detaches a policy).

    ``DETACHED``: the object was dropped, rebuilt, truncated or restored since; the PITR is listed
    but protects nothing new. ``UNKNOWN``: this account cannot tell.

    >>> from sqlalchemy import create_engine
    >>> engine = create_engine(url)
    >>> _ = PitrManager(engine).create_account_pitr("weekly", range_value="7d")
    >>> found = get_pitrs(engine, level="account", with_status=True)
    >>> [pitr.status.value for pitr in found if pitr.name == "weekly"]
    ['active']
    >>> PitrManager(engine).delete("weekly")
    True
    """

    ACTIVE = "active"
    DETACHED = "detached"
    UNKNOWN = "unknown"


_E = TypeVar("_E", PitrLevel, PitrUnit, PitrStatus)


def _member(kind: type[_E], value: object, what: str) -> _E:
    """The member of an enumeration, from itself or from its value in any letter case."""
    if isinstance(value, kind):
        return value
    if isinstance(value, str):
        with contextlib.suppress(ValueError):
            return kind(plain(value).lower())
    allowed = ", ".join(repr(member.value) for member in kind)
    raise PitrValidationError(f"{what} {value!r} is not known: use one of {allowed}")


def check_flag(what: str, value: object) -> None:
    """Check that an argument is a bool: a text such as ``"no"``, from the environment, is true.

    :raises PitrValidationError: it is not.
    """
    if not isinstance(value, bool):
        raise PitrValidationError(f"{what} must be True or False, not {shorten(value)}")


def to_level(value: PitrLevel | str) -> PitrLevel:
    """
    >>> to_level("TABLE")
    <PitrLevel.TABLE: 'table'>
    """
    return _member(PitrLevel, value, "PITR level")


def to_unit(value: PitrUnit | str) -> PitrUnit:
    """
    >>> to_unit("MO")
    <PitrUnit.MONTH: 'mo'>
    """
    return _member(PitrUnit, value, "PITR range unit")


# ---------------------------------------------------------------------------------------- ranges


@dataclass(frozen=True, slots=True)
class PitrRange:
    """The reach of a PITR into the past: 1 to 100 hours, days, calendar months or calendar years.

    Ranges have no ``<``: whether 30 days or one month is longer depends on the day. ``24h`` and
    ``1d`` are different values, as they are to the server.

    >>> PitrRange(7, PitrUnit.DAY) == PitrRange.parse("7d")
    True
    >>> str(PitrRange.parse("12MO"))
    '12mo'
    """

    value: int
    unit: PitrUnit

    def __post_init__(self) -> None:
        if type(self.value) is not int:
            raise PitrValidationError(
                f"PITR range value must be an int, not {type(self.value).__name__}: "
                f"{shorten(self.value)}; use a whole number from {MIN_RANGE} to {MAX_RANGE}"
            )
        if not MIN_RANGE <= self.value <= MAX_RANGE:
            remedy = (
                "0 would leave no protection at all; drop the PITR if that is meant"
                if self.value == 0
                else f"use a whole number from {MIN_RANGE} to {MAX_RANGE}, or another unit"
            )
            shown = self.value if abs(self.value) < 10**12 else "of many digits"
            raise PitrValidationError(
                f"PITR range value {shown} is outside {MIN_RANGE} to {MAX_RANGE}: {remedy}"
            )
        object.__setattr__(self, "unit", to_unit(self.unit))

    @classmethod
    def parse(cls, text: str) -> PitrRange:
        """A range from its text, a whole number and a unit.

        :raises PitrValidationError: anything else.

        >>> PitrRange.parse("12mo")
        PitrRange(value=12, unit=<PitrUnit.MONTH: 'mo'>)
        """
        match = (
            re.fullmatch(r"([0-9]{1,9})\s?([A-Za-z]+)", plain(text))
            if isinstance(text, str)
            else None
        )
        if match is None:
            raise PitrValidationError(
                f"PITR range {shorten(text)} is not understood: write a whole number from "
                f"{MIN_RANGE} to {MAX_RANGE} and a unit h, d, mo or y, such as '7d' or '12mo'"
            )
        return _shared_range(int(match[1]), to_unit(match[2]))

    @classmethod
    def of(cls, value: RangeLike) -> PitrRange:
        """A range from any of its spellings: ``"7d"``, ``(7, "d")``, a PitrRange, a timedelta.

        A timedelta must be whole hours; whole days become days, anything else hours.

        >>> str(PitrRange.of((7, "d"))), str(PitrRange.of(dt.timedelta(hours=36)))
        ('7d', '36h')
        """
        if isinstance(value, PitrRange):
            return _shared_range(value.value, value.unit)  # one read from a server may be 0
        if isinstance(value, dt.timedelta):
            hours, rest = divmod(value, dt.timedelta(hours=1))
            if rest:
                raise PitrValidationError(
                    f"PITR range {value!r} is not a whole number of hours: round it"
                )
            if hours % 24 == 0 and hours:
                return cls(hours // 24, PitrUnit.DAY)
            return cls(hours, PitrUnit.HOUR)
        if isinstance(value, tuple) and len(value) == 2:
            return cls(value[0], to_unit(value[1]))
        if isinstance(value, str):
            return cls.parse(value)
        raise PitrValidationError(
            f"PITR range {shorten(value)} is not understood: use '7d', (7, 'd'), "
            "PitrRange(7, PitrUnit.DAY) or a timedelta of whole hours"
        )

    def start(self, now: dt.datetime) -> dt.datetime:
        """The earliest moment that a PITR of this range reaches at ``now``.

        Months and years go back on the calendar; a day that the earlier month lacks runs over into
        the next one, as on the server (the 31st of March less one month is the 3rd of March).

        :raises PitrValidationError: before the year 1.

        >>> PitrRange.parse("1mo").start(dt.datetime(2026, 3, 31))
        datetime.datetime(2026, 3, 3, 0, 0)
        """
        try:
            if self.unit is PitrUnit.HOUR:
                return now - dt.timedelta(hours=self.value)
            if self.unit is PitrUnit.DAY:
                return now - dt.timedelta(days=self.value)
            months = self.value * (12 if self.unit is PitrUnit.YEAR else 1)
            year, month = divmod(now.year * 12 + now.month - 1 - months, 12)
            last_day = calendar.monthrange(year, month + 1)[1]
            overflow = dt.timedelta(days=max(0, now.day - last_day))
            return now.replace(year=year, month=month + 1, day=min(now.day, last_day)) + overflow
        except (OverflowError, ValueError, calendar.IllegalMonthError) as error:
            raise PitrValidationError(
                f"PITR range {self} before {now!r} is outside the calendar: choose a later moment"
            ) from error

    @classmethod
    def from_server(cls, value: int, unit: str) -> PitrRange:
        """A range as the server holds it, 0 included: its rules are for what is sent."""
        if MIN_RANGE <= value <= MAX_RANGE:
            return _shared_range(value, to_unit(unit))
        read = object.__new__(cls)
        object.__setattr__(read, "value", value)
        object.__setattr__(read, "unit", to_unit(unit))
        return read

    def __str__(self) -> str:
        return f"{self.value}{self.unit.value}"


@functools.lru_cache(maxsize=512)
def _shared_range(value: int, unit: PitrUnit) -> PitrRange:
    """One object for all that are equal: there are four hundred, and many policies."""
    return PitrRange(value, unit)


RangeLike: TypeAlias = PitrRange | str | tuple[int, PitrUnit | str] | dt.timedelta
"""Everything that :meth:`PitrRange.of` understands."""


def range_of_arguments(
    value: int | RangeLike, unit: PitrUnit | str | None, default: PitrUnit | None = None
) -> PitrRange:
    """The range of a manager's call: a number and its unit, or a range in place of both.

    :param default: the unit of a number that is given none; None wants one.
    :raises PitrValidationError: a number without a unit, or a range with one more.

    >>> str(range_of_arguments(7, "d")), str(range_of_arguments("12mo", None))
    ('7d', '12mo')
    """
    if not isinstance(value, PitrRange | str | tuple | dt.timedelta):
        unit = default if unit is None else unit
        if unit is None:
            raise PitrValidationError(
                f"PITR range {shorten(value)} has no unit: give one of h, d, mo, y after it, or a "
                "range such as '7d'"
            )
        return PitrRange(value, to_unit(unit))
    found = PitrRange.of(value)
    if unit is not None:
        raise PitrValidationError(
            f"PITR range {found} has its unit already: leave range_unit={shorten(unit)} out"
        )
    return found


# ----------------------------------------------------------------------------------------- policy


def check_target(
    level: PitrLevel,
    account_name: str | None,
    database_name: str | None,
    table_name: str | None,
    *,
    subject: str,
) -> tuple[str | None, str | None, str | None]:
    """The three target names of a level, each checked and folded; what does not fit is refused.

    A database name may be left out (None) at database and table level: it is then the
    connection's, resolved when the statement is executed.
    """

    def refuse(what: str, value: str | None) -> None:
        if value is not None:
            raise PitrValidationError(
                f"{subject}: {what} {shorten(value)} does not fit level '{level}': leave it out, "
                "or choose the level that it names"
            )

    if level is not PitrLevel.ACCOUNT:
        refuse("account_name", account_name)
    if level not in (PitrLevel.DATABASE, PitrLevel.TABLE):
        refuse("database_name", database_name)
    if level is not PitrLevel.TABLE:
        refuse("table_name", table_name)
    elif table_name is None:
        raise PitrValidationError(f"{subject}: level 'table' needs a table_name")
    return (
        None if account_name is None else check_target_name(account_name, "account name"),
        None if database_name is None else check_database_name(database_name),
        None if table_name is None else check_target_name(table_name, "table name"),
    )


@dataclass(frozen=True, slots=True, init=False)
class Pitr:
    """One PITR policy, declared by a program or read from a server.

    Names are folded as the server folds them, so that a declared policy equals the one read back.
    ``created_time``, ``modified_time`` (aware, UTC) and ``status`` are known only when read, and
    take no part in ``==``.

    :param name: unique in the account that makes it, whatever the level (not per database).
    :param level: see :class:`PitrLevel`.
    :param range: ``"7d"``, ``(7, "d")``, a :class:`PitrRange`, or a timedelta of whole hours.
    :param account_name: only at account level, and only for another account; None is the own one.
    :param database_name: at database and table level; None is the connection's default database.
    :param table_name: at table level.
    :raises PitrValidationError: a value breaks a rule.

    >>> Pitr.table("orders_week", "orders", "7d", database_name="shop")
    Pitr('orders_week', 'table', '7d', database_name='shop', table_name='orders')
    """

    name: str
    level: PitrLevel
    range: PitrRange
    account_name: str | None = None
    database_name: str | None = None
    table_name: str | None = None
    created_time: dt.datetime | None = field(default=None, compare=False)
    modified_time: dt.datetime | None = field(default=None, compare=False)
    status: PitrStatus | None = field(default=None, compare=False)
    declared_database: str | None = field(default=None, init=False, compare=False, repr=False)
    """The database as it was written, not folded: ``schema_translate_map`` knows it by that."""

    def __init__(
        self,
        name: str,
        level: PitrLevel | str,
        range: RangeLike,
        *,
        account_name: str | None = None,
        database_name: str | None = None,
        table_name: str | None = None,
        created_time: dt.datetime | None = None,
        modified_time: dt.datetime | None = None,
        status: PitrStatus | str | None = None,
    ) -> None:
        level = to_level(level)
        folded = check_pitr_name(name)
        account, database, table = check_target(
            level, account_name, database_name, table_name, subject=f"PITR {shorten(folded)}"
        )
        for attribute, value in (
            ("name", folded),
            ("level", level),
            ("range", PitrRange.of(range)),
            ("account_name", account),
            ("database_name", database),
            ("table_name", table),
            ("created_time", created_time),
            ("modified_time", modified_time),
            ("status", None if status is None else _member(PitrStatus, status, "PITR status")),
            ("declared_database", None if database_name is None else plain(database_name)),
        ):
            object.__setattr__(self, attribute, value)

    @classmethod
    def from_server(
        cls,
        name: str,
        level: str,
        range: PitrRange,
        *,
        account_name: str | None,
        database_name: str | None,
        table_name: str | None,
        created_time: dt.datetime | None,
        modified_time: dt.datetime | None,
    ) -> Pitr:
        """A policy as the server holds it, whatever its name: the rules are for what is sent."""
        read = object.__new__(cls)
        for attribute, value in (
            ("name", name),
            ("level", level if type(level) is PitrLevel else to_level(level)),
            ("range", range),
            ("account_name", account_name),
            ("database_name", database_name),
            ("table_name", table_name),
            ("created_time", created_time),
            ("modified_time", modified_time),
            ("status", None),
            ("declared_database", database_name),
        ):
            object.__setattr__(read, attribute, value)
        return read

    def checked(self) -> Pitr:
        """The same policy, by the rules for what is sent: one read from a server may break them.

        :raises PitrValidationError: it does.
        """
        return Pitr(
            self.name,
            self.level,
            self.range,
            account_name=self.account_name,
            database_name=self.declared_database,
            table_name=self.table_name,
            created_time=self.created_time,
            modified_time=self.modified_time,
            status=self.status,
        )

    def with_status(self, status: PitrStatus) -> Pitr:
        """The same policy with a status."""
        return self._with(status=status)

    def without_times(self) -> Pitr:
        """The same policy as it is declared: when it was made and changed left out."""
        return self._with(created_time=None, modified_time=None)

    def with_name(self, name: str) -> Pitr:
        """The same policy under another name."""
        return self._with(name=check_pitr_name(name))

    def of_policy(self, name: str) -> Pitr:
        """The same under its policy's name, which is its own less the number of the generation."""
        return self._with(name=name)

    def with_range(self, range: RangeLike) -> Pitr:
        """The same policy with another range; its ``modified_time`` is not known then."""
        return self._with(range=PitrRange.of(range), modified_time=None)

    def with_database(self, name: str) -> Pitr:
        """The same policy for a database of the server, whatever it was declared for."""
        real = check_database_name(name)
        return self._with(database_name=real, declared_database=real)

    def _with(self, **changed: object) -> Pitr:
        copied = object.__new__(type(self))
        for attribute in self.__slots__:
            value = changed[attribute] if attribute in changed else getattr(self, attribute)
            object.__setattr__(copied, attribute, value)
        return copied

    @classmethod
    def cluster(cls, name: str, range: RangeLike) -> Pitr:
        """A policy for the whole cluster (sys only)."""
        return cls(name, PitrLevel.CLUSTER, range)

    @classmethod
    def account(cls, name: str, range: RangeLike, *, account_name: str | None = None) -> Pitr:
        """A policy for the current account, or, made by sys, for ``account_name``."""
        return cls(name, PitrLevel.ACCOUNT, range, account_name=account_name)

    @classmethod
    def database(cls, name: str, range: RangeLike, *, database_name: str | None = None) -> Pitr:
        """A policy for one database; None is the connection's default database."""
        return cls(name, PitrLevel.DATABASE, range, database_name=database_name)

    @classmethod
    def table(
        cls, name: str, table_name: str, range: RangeLike, *, database_name: str | None = None
    ) -> Pitr:
        """A policy for one table; without a database it is looked for in the connection's."""
        return cls(name, PitrLevel.TABLE, range, database_name=database_name, table_name=table_name)

    @property
    def range_value(self) -> int:
        """The number of the range, 1 to 100."""
        return self.range.value

    @property
    def range_unit(self) -> PitrUnit:
        """The unit of the range."""
        return self.range.unit

    def __repr__(self) -> str:
        shown = [repr(self.name), repr(self.level.value), repr(str(self.range))]
        shown.extend(
            f"{attribute}={value!r}"
            for attribute in ("account_name", "database_name", "table_name")
            if (value := getattr(self, attribute)) is not None
        )
        if self.status is not None:
            shown.append(f"status={self.status.value!r}")
        return f"Pitr({', '.join(shown)})"


@dataclass(frozen=True, slots=True)
class RecoveryWindow:
    """One span of time that the server says it can restore an object to.

    Shown beside coverage, never a source of it: the server leaves out tables that are protected
    (docs/server.md, SHOW RECOVERY_WINDOW). Times are aware, UTC, cut to microseconds. A snapshot
    is a single moment: its start equals its end.

    >>> from sqlalchemy import create_engine
    >>> engine = create_engine(url)
    >>> get_recovery_windows(engine, database_name=engine.url.database)
    []
    """

    level: PitrLevel
    account_name: str | None
    database_name: str | None
    table_name: str | None
    start: dt.datetime
    end: dt.datetime
    source: str
    source_name: str
