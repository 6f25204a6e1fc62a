"""Values that a statement takes from its session: the time, the zone, the user, variables."""

from __future__ import annotations

import datetime
import decimal

from ..parsing.lexer import quote_text
from ..storage.records import SessionContext
from ..types.columns import BIGINT, BOOL, DATE, DATETIME, DOUBLE, TIME, UBIGINT, SqlType
from ..types.values import Stored, moment_text, parse_moment
from .convert import text_value
from .scope import Value


class SessionFunctions:
    """Values and time zone conversions that compiled statements take from their session."""

    context: SessionContext
    statement_ns = 0
    last_insert_id = 0

    # What translation asks

    def constant(self, name: str, digits: int) -> Value:
        """NOW(), DATABASE() and the like, as they are for this statement."""
        context = self.context
        if name == "now":
            scale = 6 if digits < 0 else min(digits, 6)
            moment = moment_text(self._utc_now())[: 20 + scale if scale else 19].ljust(26, "0")
            if not scale:
                moment = moment[:19] + ".000000"
            return Value(quote_text(moment), SqlType("timestamp", 0, scale))
        local = self.local(moment_text(self._utc_now())) or ""
        if name == "curdate":
            return Value(quote_text(local[:10]), DATE)
        if name == "curtime":
            return Value(f"mo_span({quote_text(local[11:19])})", TIME)
        if name in ("utc_timestamp", "utc_date", "utc_time"):
            utc = moment_text(self._utc_now())
            if name == "utc_date":
                return Value(quote_text(utc[:10]), DATE)
            if name == "utc_time":
                return Value(f"mo_span({quote_text(utc[11:19])})", TIME)
            return Value(quote_text(utc[:19] + ".000000"), DATETIME)
        numbers = {
            "connection_id": context.connection_id,
            "last_insert_id": self.last_insert_id,
            "current_account_id": context.reported_account_id,
            "unix_timestamp": self.statement_ns // 1_000_000_000,
        }
        if name in numbers:
            kinds = {"unix_timestamp": BIGINT, "current_account_id": SqlType("int", unsigned=True)}
            return Value(str(numbers[name]), kinds.get(name, UBIGINT))
        texts = {
            "database": context.database,
            "user": f"{context.user}@localhost",
            "current_user": f"{context.user}@localhost",
            "version": context.version_text,
            "current_account_name": context.account,
            "current_role": context.role,
        }
        return text_value(texts[name])

    def variable(self, name: str, scope: str) -> Value:
        return _as_server_text(_value_of(self.context.variable(name.lower(), scope.lower())))

    def user_variable(self, name: str) -> Value:
        return _value_of(self.context.user_variable(name.lower()))

    def _utc_now(self) -> datetime.datetime:
        micros = self.statement_ns // 1000
        return datetime.datetime(1970, 1, 1) + datetime.timedelta(microseconds=micros)

    # -- zones -------------------------------------------------------------------------

    def local(self, value: Stored) -> str | None:
        """A stored TIMESTAMP in the session's time zone."""
        return self._moved(value, datetime.UTC, self.context.time_zone)

    def utc(self, value: Stored) -> str | None:
        """A moment in the session's time zone as a stored TIMESTAMP."""
        return self._moved(value, self.context.time_zone, datetime.UTC)

    @staticmethod
    def _moved(value: Stored, source: datetime.tzinfo, target: datetime.tzinfo) -> str | None:
        """A moment of one zone as the text of another; what is no moment stays as it is."""
        if value is None:
            return None
        text = str(value)
        moment = None if source is target else parse_moment(text)
        if moment is None:
            return text
        try:
            shown = moment.replace(tzinfo=source).astimezone(target).replace(tzinfo=None)
        except (OverflowError, ValueError):
            return text
        return moment_text(shown)

    def _from_unixtime(self, value: Stored) -> str | None:
        if value is None:
            return None
        seconds = decimal.Decimal(str(value))
        if not 0 <= seconds <= 32536771199:
            return None
        micros = int((seconds * 1_000_000).to_integral_value(decimal.ROUND_HALF_UP))
        moment = datetime.datetime(1970, 1, 1) + datetime.timedelta(microseconds=micros)
        return self.local(moment_text(moment))

    def _unix_timestamp(self, value: Stored, scale: int, is_instant: int) -> Stored:
        utc = value if is_instant else self.utc(value)
        moment = None if utc is None else parse_moment(str(utc))
        if moment is None:
            return None
        micros = (moment - datetime.datetime(1970, 1, 1)) // datetime.timedelta(microseconds=1)
        if micros < 0:
            return None
        if not scale:
            return micros // 1_000_000
        return f"{micros // 1_000_000}.{micros % 1_000_000:06d}"[: -(6 - scale) or None]


def _value_of(value: object) -> Value:
    """A variable's value as a constant."""
    if value is None:
        return Value("NULL", SqlType("text"))
    if isinstance(value, bool):
        return Value(str(int(value)), BOOL)
    if isinstance(value, int):
        return Value(str(value), BIGINT)
    if isinstance(value, float):
        return Value(repr(value), DOUBLE)
    if isinstance(value, decimal.Decimal):
        scale = max(0, -int(value.as_tuple().exponent))
        return Value(quote_text(format(value, "f")), SqlType("decimal", 38, scale))
    return text_value(str(value))


def _as_server_text(value: Value) -> Value:
    """Cast a system variable to TEXT, which the server gives for all of them."""
    return Value(f"CAST({value.sql} AS TEXT)", SqlType("text"))
