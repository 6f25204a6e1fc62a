"""Names of databases and tables, of now or of a moment, as FROM reads them.

docs/server.md, Time travel.
"""

from __future__ import annotations

import datetime
import functools
import json
from collections.abc import Iterable

from sqlglot import exp

from ..errors import SqlError
from ..names import fold
from ..parsing import dialect
from ..parsing.lexer import TIME_MARK, fold_time_parts, tokens
from ..parsing.redact import unsupported
from ..parsing.times import parse_read_time
from ..storage.records import SYSTEM_DATABASES, SessionContext
from ..storage.shared import Shared
from ..storage.snapshots import Snapshot, refuse_other_snapshot
from ..storage.store import Store
from ..storage.tables import Tables
from ..storage.virtual import VirtualTable
from ..types.columns import SqlType
from ..types.definition import DatabaseVersion, Named, Version
from ..types.values import moment_text
from ..versions.rules import Rules
from .from_clause import ResolvedTable
from .scope import Lookup

_UPPER = frozenset(
    [
        "columns",
        "partitions",
        "referential_constraints",
        "schemata",
        "statistics",
        "table_constraints",
        "tables",
        "views",
    ]
)
"""The views of information_schema whose labels are in capitals from 4.0"""


_READABLE_NS = 3600 * 1_000_000_000
"""Limit of reads by `{TIMESTAMP = 't'}` without a snapshot"""


_FIRST_TABLES = ("mo_columns", "mo_database", "mo_tables")
"""Tables of mo_catalog before the server made anything"""


class Resolver:
    """Find the databases and tables that a session's statements name."""

    storage: Shared
    store: Store
    context: SessionContext
    catalogue: Tables
    moment_read: int | None = None
    account_read: int | None = None
    """The account whose past is read by an account's snapshot that sys made, if another one"""
    statement_text = ""

    @property
    def rules(self) -> Rules:
        return self.storage.rules

    @property
    def virtual(self) -> dict[tuple[str, str], VirtualTable]:
        return self.storage.virtual

    # -- names -------------------------------------------------------------------------

    def database_name(self, name: str) -> str:
        if name:
            return name
        if self.context.database:
            return fold(self.context.database)
        raise SqlError(1046, "No database selected")

    def need_database(
        self, name: str, number: int | None = None, account_id: int | None = None
    ) -> DatabaseVersion:
        wanted = self.database_name(name)
        account = self.past_account(number) if account_id is None else account_id
        found = self.catalogue.database(account, wanted, number)
        if found is None and wanted == "mo_catalog":
            found = self.catalogue.database(0, wanted, number)
        if found is None:
            if not name and (number is not None or self.rules.missing_database_is_unselected):
                raise SqlError(1046, "No database selected")
            raise SqlError(1049, f"Unknown database {wanted}")
        return found

    def past_account(self, number: int | None) -> int:
        """The account whose databases are meant, at transaction *number* or now."""
        if number is None or self.account_read is None:
            return self.context.account_id
        return self.account_read

    def new_home(self, name: str) -> DatabaseVersion:
        """The database in which a statement creates something; a missing one counts as none."""
        self.refuse_system(name)
        wanted = self.database_name(name)
        found = self.catalogue.database(self.context.account_id, wanted)
        if found is None and not self.rules.missing_database_is_unselected:
            raise SqlError(1049, f"Unknown database {wanted}")
        if found is None:
            raise SqlError(1046, "No database selected")
        return found

    def need_table(self, database: str, name: str) -> Version:
        """The table that a statement changes; of a missing database it is missing too."""
        wanted = database or fold(self.context.database)
        if (wanted, name) in self.virtual:
            self.refuse_system(wanted)
        home = self.catalogue.database(self.context.account_id, wanted)
        if home is None:
            raise SqlError(1146, f"no such table {wanted}.{name}")
        return self.table_of(home, name)

    def table_of(self, home: DatabaseVersion, name: str, number: int | None = None) -> Version:
        found = self.catalogue.table(home, name, number)
        if found is None:
            raise SqlError(1146, f"no such table {home.name}.{name}")
        return found

    def refuse_system(self, database: str, name: str = "") -> None:
        """Refuse to create, alter or drop anything in the server's own databases.

        In mo_catalog what is missing is missing first.
        """
        home = database or fold(self.context.database)
        missing = home == "mo_catalog" and name and (home, name) not in self.virtual
        if home in SYSTEM_DATABASES and not missing:
            raise SqlError.internal("do not have privilege to execute the statement")

    def moment(self, text: str) -> int:
        """Nanoseconds of a brace part: `MO_TS = n`, `AS OF TIMESTAMP 't'`, `TIMESTAMP = 't'`."""
        word = text.strip()
        upper = " ".join(word.upper().split())
        if upper.startswith("SNAPSHOT"):
            return self.snapshot(word).at
        try:
            if upper.startswith("MO_TS"):
                number = word.partition("=")[2].strip()
                if number.startswith("'"):
                    number = number.strip("'")
                    raise SqlError(
                        20301, f"invalid input: invalid debug timestamp string: {number}"
                    )
                if not number.lstrip("+-").isdigit():
                    raise _no_number(number)
                if int(number) > 9223372036854775807:
                    raise SqlError(
                        20203, f"invalid argument invalid input expr , bad value {number}"
                    )
                return int(number)
            if upper.startswith("TIMESTAMP") and "'" in word:
                return parse_read_time(word.split("'")[1], self.store.clock)
            if upper.startswith("TIMESTAMP"):
                return int(word.partition("=")[2])
            if upper.startswith("AS OF TIMESTAMP"):
                quoted = word[word.index("'") : word.rindex("'") + 1]
                return self.store.clock.parse_local(quoted[1:-1])
        except ValueError:
            text = word.partition("'")[2].rpartition("'")[0]
            raise SqlError(20301, f"invalid input: invalid timestamp format: {text}") from None
        raise unsupported("{" + text + "}")

    def snapshot(self, text: str) -> Snapshot:
        """The snapshot of a brace part `SNAPSHOT = name`: a text is not folded, a name is."""
        name = text.partition("=")[2].strip()
        if name[:1] in ("'", '"'):
            name = name[1:-1]
        elif name[:1] == "`" or (name.isidentifier() and name.lower() not in self.rules.reserved):
            name = fold(name.strip("`"))
        else:
            raise unsupported("{" + text + "}")
        found = self.storage.snapshots.need(self.context.account_id, name)
        of_other = found.level == "account" and found.object_id != self.context.account_id
        self.account_read = found.object_id if of_other else None
        return found

    def _one_moment(self, text: str) -> int:
        """The one moment of this statement: the first one named counts for all."""
        at = self.moment(text)
        shown = text.partition("=")[2].strip()
        if at <= 0 and shown:
            shown = shown.strip("'")
            raise SqlError(20203, f"invalid argument invalid timestamp value, bad value {shown}")
        age = self.store.clock.now() - at
        if text.strip().upper().startswith("TIMESTAMP") and not 0 <= age <= _READABLE_NS:
            shown = shown.strip("'")
            raise SqlError(
                20203,
                "invalid argument invalid timestamp value, no corresponding snapshot , bad value "
                + shown,
            )
        if self.moment_read is None:
            self.moment_read = at
        return self.moment_read

    def resolve(self, database: str, name: str, moment: str) -> ResolvedTable:
        """Resolve a name in FROM to a table, a view or a virtual table."""
        at = self._one_moment(moment) if moment else None
        number = self.catalogue.number_at(at)
        home = self.need_database(database, number)
        virtual = self.storage.virtual.get((home.name, name))
        if number == 0 and name not in _FIRST_TABLES:
            virtual = None
        if virtual is not None and not (virtual.sys_only and self.context.account_id != 0):
            self.refuse_other_snapshot(moment, Named(home.name, name), home.id, 0)
            if virtual.unimplemented:
                raise unsupported(self.statement_text)
            return self.virtual_source(home.name, name, virtual, at)
        version = self.catalogue.table(home, name, number)
        if version is None and self.catalogue.hidden(home, name, number) is not None:
            raise unsupported(self.statement_text)
        if version is None:
            code = self.rules.missing_table_code
            raise SqlError(code, f'SQL parser error: table "{name}" does not exist')
        named = Named(home.name, name)
        inner = self.refuse_other_snapshot(moment, named, home.id, version.logical_id)
        definition = version.definition
        if definition.view is not None:
            return self._view(version, inner)
        columns = [(column.name, column.key, column.type) for column in definition.columns]
        rows = self.catalogue.rows_sql(version, at)
        return ResolvedTable(home.name, name, rows, columns, lookups=self._lookups(version, at))

    def refuse_other_snapshot(
        self, moment: str, read: Named, database_id: int, table_id: int
    ) -> str:
        """Refuse to read by a snapshot what it is not of; what a view of it reads may be anything.

        :param moment: the brace part of a statement.
        :return: the brace part for the tables of a view.
        """
        snapshot = self.snapshot_of_object(moment)
        if snapshot is None:
            return moment
        refuse_other_snapshot(snapshot, read, database_id, table_id)
        return f"MO_TS = {snapshot.at}"

    def refuse_other_list(self, moment: str, home: DatabaseVersion) -> None:
        """Refuse to list what is in a database by the snapshot of a table, or of another one."""
        snapshot = self.snapshot_of_object(moment)
        if snapshot is None:
            return
        if snapshot.level == "table":
            raise SqlError.internal(
                f"table-level snapshot({snapshot.name}) cannot read database-wide metadata for "
                f"database({home.name})"
            )
        refuse_other_snapshot(snapshot, Named(home.name, ""), home.id, 0)

    def snapshot_of_object(self, moment: str) -> Snapshot | None:
        """The snapshot that a brace part names, where it is of a database or table, and reads no
        other."""
        is_named = moment.strip().upper().startswith("SNAPSHOT")
        if not is_named or not self.rules.snapshots_are_of_their_object:
            return None
        snapshot = self.snapshot(moment)
        return snapshot if snapshot.level in ("database", "table") else None

    def _lookups(self, version: Version, at: int | None) -> tuple[Lookup, ...]:
        """The indexes of a table, where one of them lacks rows: of then, or for good."""
        definition = version.definition
        found = [
            index.found if self.store.collector.keeps(version.index_objects(index), at) else "0"
            for index in definition.indexes
        ]
        if not any(found):
            return ()
        primary = definition.primary[0] if definition.primary else ""
        return tuple(
            Lookup(index.columns, index.unique, condition or "1", primary)
            for index, condition in zip(definition.indexes, found, strict=True)
            if index.algorithm != "fulltext"
        )

    def _view(self, version: Version, moment: str) -> ResolvedTable:
        """Resolve a view, which has no past of its own: *moment* is that of its tables."""
        definition = version.definition
        text = definition.view or ""
        found = tokens(text)
        tree = dialect.parse(fold_time_parts(text, found), found, self.rules).copy()
        for table in tree.find_all(exp.Table):
            if not table.db and isinstance(table.this, exp.Identifier):
                table.set("db", exp.to_identifier(definition.view_database))
        for cte in tree.find_all(exp.CTE):
            for table in tree.find_all(exp.Table):
                if fold(table.name) == fold(cte.alias):
                    table.set("db", None)
        for table in tree.find_all(exp.Table):
            if moment and table.db and TIME_MARK not in table.name:
                table.this.set("this", f"{table.name}{TIME_MARK}{moment}")
        labels = [column.name for column in definition.columns]
        return ResolvedTable(version.database, version.name, "", [], tree, labels)

    def virtual_source(
        self, database: str, name: str, table: VirtualTable, at: int | None
    ) -> ResolvedTable:
        columns = table.columns
        capitals = self.rules.information_schema_labels_upper_case and name in _UPPER
        if capitals and database == "information_schema":
            columns = [(label.upper(), kind) for label, kind in columns]
        return self.rows_source(database, name, columns, table.rows(self, at))

    def rows_source(
        self,
        database: str,
        name: str,
        columns: list[tuple[str, SqlType]],
        rows: Iterable[tuple[object, ...]],
    ) -> ResolvedTable:
        """Turn rows made in Python into something that FROM can read."""
        parameter = f"v_{database}_{name}"
        data = f"[{','.join([_json_row(*row) for row in rows])}]"
        named = [(label, f"k{index}", kind) for index, (label, kind) in enumerate(columns)]
        return ResolvedTable(
            database, name, "", named, parameters={parameter: data}, computed=parameter
        )


@functools.lru_cache(maxsize=4096, typed=True)
def _json_row(*row: object) -> str:
    """A row of a virtual table as JSON; most of them are the same each time they are asked for."""
    return json.dumps([_json_cell(cell) for cell in row])


def _json_cell(value: object) -> object:
    if value is None or type(value) is str:
        return value
    if isinstance(value, (datetime.datetime, datetime.date)):
        return moment_text(value) if isinstance(value, datetime.datetime) else value.isoformat()
    if isinstance(value, bytes):
        return value.decode("utf-8", "replace")
    if isinstance(value, bool):
        return int(value)
    if isinstance(value, int) and value > 9223372036854775807:
        return str(value)
    if isinstance(value, (int, float, str)):
        return value
    return str(value)


def _no_number(text: str) -> SqlError:
    """Error of a MO_TS that is no whole number."""
    if text.upper() == "NULL":
        return SqlError(20203, "invalid argument invalid input expr , bad value null")
    if text.isidentifier():
        return SqlError(20301, f"invalid input: ambiguous column reference '{text}'")
    if text.endswith(")") or text.replace(".", "", 1).isdigit():
        return SqlError(1064, "SQL parser error: invalid timestamp hint")
    return unsupported("{MO_TS = " + text + "}")
