"""System variables of a session and of the server, and session time zones."""

from __future__ import annotations

import datetime
import re
import threading
import zoneinfo

from ..errors import SqlError
from ..versions.rules import Rules

_SQL_MODE = (
    "ERROR_FOR_DIVISION_BY_ZERO,NO_ENGINE_SUBSTITUTION,NO_ZERO_DATE,NO_ZERO_IN_DATE,"
    "ONLY_FULL_GROUP_BY,STRICT_TRANS_TABLES"
)

_DEFAULTS: dict[str, str | int | bool] = {
    "auto_increment_increment": 1,
    "auto_increment_offset": 1,
    "autocommit": True,
    "big_tables": False,
    "character_set_client": "utf8mb4",
    "character_set_connection": "utf8mb4",
    "character_set_database": "utf8mb4",
    "character_set_filesystem": "binary",
    "character_set_results": "utf8mb4",
    "character_set_server": "utf8mb4",
    "character_set_system": "utf8mb3",
    "collation_connection": "default",
    "collation_database": "utf8mb4_0900_ai_ci",
    "collation_server": "utf8mb4_bin",
    "completion_type": "NO_CHAIN",
    "connect_timeout": 10,
    "default_authentication_plugin": "caching_sha2_password",
    "default_collation_for_utf8mb4": "utf8mb4_0900_ai_ci",
    "default_storage_engine": "InnoDB",
    "default_week_format": 0,
    "explicit_defaults_for_timestamp": True,
    "foreign_key_checks": True,
    "group_concat_max_len": 4,
    "have_ssl": "YES",
    "host": "0.0.0.0",
    "hostname": "",
    "information_schema_stats_expiry": 86400,
    "init_connect": "",
    "interactive_timeout": 28800,
    "license": "APACHE",
    "local_infile": False,
    "lock_wait_timeout": 31536000,
    "lower_case_table_names": 1,
    "max_allowed_packet": 67108864,
    "max_connections": 151,
    "max_execution_time": 0,
    "max_user_connections": 0,
    "net_buffer_length": 16384,
    "net_read_timeout": 30,
    "net_write_timeout": 60,
    "performance_schema": 0,
    "profiling": 0,
    "protocol_version": 10,
    "read_only": False,
    "save_query_result": False,
    "secure_file_priv": "",
    "sql_auto_is_null": True,
    "sql_big_selects": False,
    "sql_log_bin": False,
    "sql_mode": _SQL_MODE,
    "sql_notes": True,
    "sql_quote_show_create": True,
    "sql_safe_updates": 0,
    "sql_select_limit": 18446744073709551615,
    "sql_warnings": False,
    "time_zone": "SYSTEM",
    "transaction_read_only": 0,
    "tx_read_only": 0,
    "unique_checks": True,
    "version_comment": "MatrixOne",
    "wait_timeout": 28800,
}
# What clients set for kinds of indexes that the emulator has not; their values do nothing here.
_INDEX_DEFAULTS: dict[str, str | int | bool] = {
    "experimental_fulltext_index": True,
    "experimental_hnsw_index": False,
    "experimental_ivf_index": False,
    "ft_boolean_syntax": '+ -><()~*:""&|',
    "ft_max_word_len": 84,
    "ft_min_word_len": 4,
    "ft_query_expansion_limit": 20,
    "ft_relevancy_algorithm": "TF-IDF",
    "hnsw_max_index_capacity": 1000000,
    "hnsw_threads_build": 0,
    "hnsw_threads_search": 0,
    "ivf_threads_build": 0,
    "ivf_threads_search": 0,
    "kmeans_max_iteration": 20,
    "kmeans_train_percent": 10,
    "probe_limit": 5,
}
_VECTOR_INDEX_DEFAULTS: dict[str, str | int | bool] = {
    "experimental_cagra_index": False,
    "experimental_fulltext_index": False,
    "experimental_ivfpq_index": False,
}
# Of the server alone: SET without GLOBAL is refused.
_GLOBAL_ONLY = frozenset(
    (
        "character_set_system",
        "default_authentication_plugin",
        "have_ssl",
        "host",
        "hostname",
        "init_connect",
        "license",
        "lower_case_table_names",
        "max_connections",
        "performance_schema",
        "port",
        "protocol_version",
        "read_only",
        "secure_file_priv",
        "system_time_zone",
        "version",
        "version_comment",
    )
)
_OFFSET = re.compile(r"([+-])(\d{1,2}):(\d{2})")


def unknown_variable() -> SqlError:
    return SqlError.internal("the system variable does not exist")


class GlobalVariables:
    """Values set by SET GLOBAL, shared by all sessions of a server."""

    def __init__(self, rules: Rules, port: int, zone: datetime.tzinfo) -> None:
        self._lock = threading.Lock()
        name = datetime.datetime.now(zone).tzname() or "UTC"
        self._values = {
            **_DEFAULTS,
            **_INDEX_DEFAULTS,
            **(_VECTOR_INDEX_DEFAULTS if rules.vector_index_variables else {}),
            "port": port,
            "system_time_zone": name,
            "version": rules.version_text,
            "transaction_isolation": rules.isolation,
            "tx_isolation": rules.isolation,
        }

    def copy(self) -> dict[str, str | int | bool]:
        with self._lock:
            return dict(self._values)

    def get(self, name: str) -> str | int | bool | None:
        with self._lock:
            return self._values.get(name)

    def set(self, name: str, value: str | int | bool) -> None:
        with self._lock:
            self._values[name] = value


class Variables:
    """One session's view; new values hold for this session, SET GLOBAL for later ones."""

    def __init__(
        self,
        shared: GlobalVariables,
        server_zone: datetime.tzinfo,
        rules: Rules,
    ) -> None:
        self._shared = shared
        self._server_zone = server_zone
        self._rules = rules
        self._own = shared.copy()
        self.zone = self._zone(str(self._own["time_zone"]))

    def get(self, name: str, scope: str) -> str:
        """The text that SELECT @@name gives."""
        value = self._raw(name.lower(), scope)
        return str(int(value)) if isinstance(value, bool) else str(value)

    def shown(self, scope: str) -> dict[str, object]:
        """All, as SHOW VARIABLES gives them."""
        values = self._shared.copy() if scope == "global" else self._own
        return {
            name: ("on" if value else "off") if isinstance(value, bool) else str(value)
            for name, value in sorted(values.items())
        }

    def _raw(self, name: str, scope: str) -> str | int | bool:
        value = self._shared.get(name) if scope == "global" else self._own.get(name)
        if value is None:
            raise unknown_variable()
        return value

    def set(self, name: str, value: object, scope: str) -> None:
        """SET [GLOBAL | PERSIST | SESSION] name = value; `None` means DEFAULT."""
        name = name.lower()
        old = self._shared.get(name)
        if old is None:
            raise unknown_variable()
        wide = scope in ("global", "persist")
        if name in _GLOBAL_ONLY and not wide:
            raise SqlError.internal("the system variable is global")
        new = old if value is None else self._converted(name, old, value)
        if name == "time_zone":
            new = "SYSTEM" if str(new).upper() == "SYSTEM" else str(new)
            zone = self._zone(new)
            if not wide:
                self.zone = zone
        if wide:
            self._shared.set(name, new)
        else:
            self._own[name] = new

    def _converted(self, name: str, old: str | int | bool, value: object) -> str | int | bool:
        if isinstance(old, bool):
            return as_bool(value)
        if isinstance(old, int):
            try:
                return int(str(value))
            except ValueError:
                raise SqlError.internal("convert to the system variable int type failed") from None
        return str(value)

    def _zone(self, text: str) -> datetime.tzinfo:
        if text.upper() == "SYSTEM":
            return self._server_zone
        if found := _OFFSET.fullmatch(text):
            sign, hours, minutes = found.groups()
            offset = datetime.timedelta(hours=int(hours), minutes=int(minutes))
            within = offset <= datetime.timedelta(hours=14) and int(minutes) < 60
            if not within or (sign == "-" and offset >= datetime.timedelta(hours=14)):
                raise SqlError(10109, f"wrong date/time format specifier: {text}")
            return datetime.timezone(-offset if sign == "-" else offset)
        # Up to 3.x the name is looked up in lower case, so that no city is ever found.
        name = text if self._rules.zone_names else text.lower()
        if name.upper() == "UTC" and self._rules.zone_names:
            return datetime.UTC
        try:
            if name != text:
                raise zoneinfo.ZoneInfoNotFoundError(name)
            return zoneinfo.ZoneInfo(name)
        except (zoneinfo.ZoneInfoNotFoundError, ValueError, OSError):
            raise SqlError(1105, f"unknown time zone {name}") from None


def as_bool(value: object) -> bool:
    word = str(value).strip().lower()
    if word in ("on", "1", "true"):
        return True
    if word in ("off", "0", "false"):
        return False
    raise SqlError.internal("convert to the system variable bool type failed")
