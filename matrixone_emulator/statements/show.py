"""SHOW and DESCRIBE of tables, columns, keys, databases and variables.

docs/server.md, information_schema and keys.
"""

from __future__ import annotations

from collections.abc import Callable

from ..compiler.query import Compiler, result_columns
from ..errors import SqlError
from ..functions.registry import like
from ..names import fold
from ..parsing.lexer import Token, tokens
from ..parsing.redact import unsupported
from ..parsing.show import Shown, read_describe, read_show
from ..storage.records import Result
from ..system.catalog_rows import index_parts, stamp
from ..system.labels import default_label, extra, key_label, type_label
from ..types.columns import SqlType, varchar
from ..types.definition import ColumnDef, Named
from ..versions.rules import Rules
from .show_create import (
    create_table_text,
    fail_on_default,
    fail_on_rules,
    view_text_with_security,
)
from .workspace import Workspace

_NAME = varchar(5000)
_CHAR = SqlType("char", 255)
_I64 = SqlType("bigint")
_U32 = SqlType("int", unsigned=True)
_EXPLAINED = frozenset(
    [
        "SELECT",
        "INSERT",
        "REPLACE",
        "UPDATE",
        "DELETE",
        "LOAD",
        "WITH",
        "VALUES",
        "TABLE",
        "(",
        "ANALYZE",
        "VERBOSE",
        "PHYPLAN",
        "FORCE",
        "FOR",
        "FORMAT",
    ]
)
"""First words of a statement, or the form of its plan, after EXPLAIN"""


_Handler = Callable[[Workspace, Shown], "_Rows"]


class _Rows:
    """Rows of a SHOW with their columns, to be narrowed by LIKE or WHERE."""

    def __init__(
        self,
        columns: list[tuple[str, SqlType]],
        rows: list[tuple[object, ...]],
        *,
        keeps_labels: bool = False,
    ) -> None:
        self.columns, self.rows = columns, rows
        self.keeps_labels = keeps_labels
        """Whether they are spelled the same with WHERE in 3.x too"""


def show(session: Workspace, statement: str, found: list[Token]) -> Result:
    if found[0].upper in ("DESC", "DESCRIBE", "EXPLAIN"):
        if len(found) > 1 and found[1].upper in _EXPLAINED:
            raise unsupported(statement)
        shown = read_describe(statement, found, session.rules)
        rows = _columns(session, shown)
        return _result(session, shown, rows)
    shown = read_show(statement, found, session.rules)
    handler = _HANDLERS.get(shown.form)
    if handler is None or shown.options & {"LIMIT", "EXTENDED"}:
        raise unsupported(statement)
    return _result(session, shown, handler(session, shown))


def _result(session: Workspace, shown: Shown, rows: _Rows) -> Result:
    labels = [label for label, _ in rows.columns]
    types = [kind for _, kind in rows.columns]
    if shown.pattern is not None:
        rows.rows = [row for row in rows.rows if like(str(row[0]), shown.pattern, "\\", 0)]
    if shown.condition:
        return _where(session, shown, rows)
    compiled = [tuple(row) for row in rows.rows]
    if any(kind.kind == "timestamp" for kind in types):
        loaders = [session._loader(kind) for kind in types]
        compiled = [
            tuple(
                cell if cell is None or loader is None else loader(cell)  # type: ignore[arg-type]
                for cell, loader in zip(row, loaders, strict=True)
            )
            for row in rows.rows
        ]
    return Result(result_columns(labels, types), compiled)


def _where(session: Workspace, shown: Shown, rows: _Rows) -> Result:
    """SHOW ... WHERE: any expression over the columns; 3.x gives many of them small labels."""
    labels = [label for label, _ in rows.columns]
    small = session.rules.filtered_labels_are_lower_case and not rows.keeps_labels
    known = {fold(label) for label in labels}
    condition = " ".join(
        f"`{token.text}`" if token.kind == "word" and token.text.lower() in known else token.text
        for token in shown.condition
    )
    text = f"SELECT * FROM shown WHERE {condition}"
    compiler = _ShowCompiler(text, session, rows)
    try:
        query = compiler.query(session.parse(text, tokens(text)))
    except SqlError as error:
        if error.misses_column and shown.form == "VARIABLES":
            name = error.message.split()[-4]
            text = f"invalid input: column '{name}' does not exist"
            raise SqlError(20301, text) from None  # by code of its own, on main too
        raise
    if small:
        labels = [fold(label) for label in labels]
    return session.fetch(query.sql, compiler.parameters, labels, query.types)


class _ShowCompiler(Compiler):
    def __init__(self, text: str, session: Workspace, shown: _Rows) -> None:
        super().__init__(text, _ShowSession(session, shown), "")


class _ShowSession:
    """A session in which `shown` is the rows of the SHOW."""

    def __init__(self, session: Workspace, shown: _Rows) -> None:
        self._session, self._shown = session, shown
        self.constant, self.variable = session.constant, session.variable
        self.user_variable = session.user_variable
        self.rules = session.rules

    def resolve(self, database: str, name: str, moment: str):  # type: ignore[no-untyped-def]
        if (database, name) == ("", "shown"):
            return self._session.rows_source("", "shown", self._shown.columns, self._shown.rows)
        return self._session.resolve(database, name, moment)


# SHOW CREATE


def _create_database(session: Workspace, shown: Shown) -> _Rows:
    home = session.need_database(shown.database, _number(session, shown))
    session.refuse_other_list(shown.moment, home)
    name = home.name
    text = f"CREATE DATABASE `{name}`"
    return _Rows([("Database", _NAME), ("Create Database", _NAME)], [(name, text)])


def _no_view(name: str) -> SqlError:
    return SqlError(20301, f"invalid input: show view '{name}' is not a valid view")


def _create_table(session: Workspace, shown: Shown) -> _Rows:
    """SHOW CREATE TABLE and SHOW CREATE VIEW, of now or of a moment."""
    number = _number(session, shown)
    home = session.need_database(shown.database, number)
    if (home.name, shown.table) in session.storage.virtual:
        raise unsupported(session.statement_text)
    if shown.form == "CREATE VIEW" and session.catalogue.table(home, shown.table, number) is None:
        raise _no_view(shown.table)
    version = session.table_of(home, shown.table, number)
    named = Named(home.name, version.name)
    session.refuse_other_snapshot(shown.moment, named, home.id, version.logical_id)
    source = session.store.sources.get(version.version, "")
    if version.definition.view is not None:
        if session.rules.view_security:
            source = view_text_with_security(source)
        row = (version.name, source, "utf8mb4", "utf8mb4_general_ci")
        labels = ("View", "Create View", "character_set_client", "collation_connection")
        return _Rows([(label, _NAME) for label in labels], [row])
    if shown.form == "CREATE VIEW":
        raise _no_view(version.name)
    text = create_table_text(version, session.rules)
    if session.rules.rules_with_underscores:
        fail_on_rules(version, text)
    if session.rules.quotes_doubled_in_expressions:
        fail_on_default(version, text)
    return _Rows([("Table", _NAME), ("Create Table", _NAME)], [(version.name, text)])


def _default_label(column: ColumnDef, rules: Rules) -> str | None:
    text = default_label(column)
    if text is None or text == column.default:
        doubles = rules.columns_double_quotes_in_expressions and (text or "").startswith("(")
    else:
        doubles = rules.columns_double_quotes
    return text.replace("'", "''") if text and doubles else text


# -- lists -----------------------------------------------------------------------------


def _number(session: Workspace, shown: Shown) -> int | None:
    """The transaction as of which a SHOW looks."""
    return session.catalogue.number_at(session.moment(shown.moment) if shown.moment else None)


def _databases(session: Workspace, shown: Shown) -> _Rows:
    at = session.moment(shown.moment) if shown.moment else None
    names = {database.name for database in session.databases(at)} | {"mo_catalog"}
    snapshot = session.snapshot_of_object(shown.moment)
    if snapshot is not None and snapshot.level == "table":
        raise SqlError.internal(f"table-level snapshot({snapshot.name}) cannot list databases")
    if snapshot is not None:
        names = {snapshot.database}
    return _Rows([("Database", _NAME)], [(name,) for name in sorted(names)])


def _tables(session: Workspace, shown: Shown) -> _Rows:
    number = _number(session, shown)
    home = session.need_database(shown.database, number)
    session.refuse_other_list(shown.moment, home)
    found = [
        (version.name, "VIEW" if version.definition.view is not None else "BASE TABLE")
        for version in session.catalogue.tables(home, number)
    ]
    found += [
        (name, "VIEW" if table.view else "BASE TABLE")
        for (base, name), table in session.storage.virtual.items()
        if base == home.name
        and not name.startswith("__")
        and not (table.sys_only and session.context.account_id != 0)
    ]
    columns = [(f"Tables_in_{home.name}", _NAME)]
    if "FULL" in shown.options:
        return _Rows([*columns, ("Table_type", _NAME)], [*sorted(found)])
    return _Rows(columns, [(name,) for name, _ in sorted(found)])


def _columns(session: Workspace, shown: Shown) -> _Rows:
    home, name = session.need_database(shown.database), shown.table
    virtual = session.storage.virtual.get((home.name, name))
    labels = ["Field", "Type", "Null", "Key", "Default", "Extra", "Comment"]
    rows: list[tuple[object, ...]] = []
    if virtual is not None and virtual.unimplemented:
        raise unsupported(session.statement_text)
    if virtual is not None:
        rows = [
            (label, type_label(kind), "YES", "", None, "", "") for label, kind in virtual.columns
        ]
    else:
        version = session.table_of(home, name)
        for column in version.definition.columns:
            rows.append(
                (
                    column.name,
                    type_label(column.type),
                    "YES" if column.nullable else "NO",
                    key_label(version, column),
                    _default_label(column, session.rules),
                    extra(column),
                    column.comment.replace("'", "''"),
                )
            )
    if "FULL" in shown.options:
        labels = [*labels[:2], "Collation", *labels[2:6], "Privileges", labels[6]]
        privileges = "select,insert,update,references"
        rows = [(*row[:2], None, *row[2:6], privileges, row[6]) for row in rows]
    return _Rows([(label, _CHAR) for label in labels], rows, keeps_labels=True)


def _indexes(session: Workspace, shown: Shown) -> _Rows:
    home, name = session.need_database(shown.database), shown.table
    rows: list[tuple[object, ...]] = []
    virtual = session.storage.virtual.get((home.name, name))
    if virtual is not None and virtual.unimplemented:
        raise unsupported(session.statement_text)
    if virtual is None:
        version = session.table_of(home, name)
        for index, _, position, column in index_parts(version):
            rows.append(
                (
                    version.name,
                    0 if index.unique else 1,
                    index.name,
                    position,
                    column.name,
                    "A",
                    0,
                    "NULL",
                    "NULL",
                    "YES" if column.nullable else "",
                    index.algorithm,
                    "",
                    index.comment,
                    "",
                    "YES" if index.visible else "NO",
                    column.name,
                )
            )
    labels = [
        "Table",
        "Non_unique",
        "Key_name",
        "Seq_in_index",
        "Column_name",
        "Collation",
        "Cardinality",
        "Sub_part",
        "Packed",
        "Null",
        "Index_type",
        "Comment",
        "Index_comment",
        "Index_params",
        "Visible",
        "Expression",
    ]
    kinds = {"Non_unique": _I64, "Seq_in_index": _U32, "Cardinality": _I64, "Comment": _CHAR}
    return _Rows([(label, kinds.get(label, _NAME)) for label in labels], rows)


def _variables(session: Workspace, shown: Shown) -> _Rows:
    scope = "".join(shown.options).lower()
    found = session.context.variables(scope)
    rows: list[tuple[object, ...]] = []
    for name in sorted(found):
        value = found[name]
        if isinstance(value, bool):
            value = "on" if value else "off"
        rows.append((name, "" if value is None else str(value)))
    kind = SqlType("label")
    return _Rows([("Variable_name", kind), ("Value", kind)], rows)


def _collation(session: Workspace, shown: Shown) -> _Rows:
    labels = ("Collation", "Charset", "Id", "Default", "Compiled", "Sortlen", "Pad_attribute")
    kinds = {"Id": _I64, "Sortlen": _U32}
    columns = [(label, kinds.get(label, _NAME)) for label in labels]
    return _Rows(columns, list(session.rules.collations), keeps_labels=True)


def _table_status(session: Workspace, shown: Shown) -> _Rows:
    home = session.need_database(shown.database)
    labels = [
        "Name",
        "Engine",
        "Row_format",
        "Rows",
        "Avg_row_length",
        "Data_length",
        "Max_data_length",
        "Index_length",
        "Data_free",
        "Auto_increment",
        "Create_time",
        "Update_time",
        "Check_time",
        "Collation",
        "Checksum",
        "Create_options",
        "Comment",
        "Role_id",
        "Role_name",
    ]
    kinds = dict.fromkeys(
        ("Rows", "Avg_row_length", "Data_length", "Max_data_length", "Index_length"), _I64
    )
    kinds |= {"Auto_increment": _I64, "Create_time": SqlType("timestamp"), "Role_id": _U32}
    kinds["Create_options"] = _CHAR
    rows: list[tuple[object, ...]] = []
    for version in session.catalogue.tables(home):
        count = 0
        if version.definition.view is None:
            count = session.run(f"SELECT count(*) FROM {version.table}").fetchone()[0]
        rows.append(
            (
                version.name,
                "Tae",
                "Dynamic",
                count,
                0,
                0,
                0,
                0,
                "NULL",
                0,
                stamp(version.created_ns),
                "NULL",
                "NULL",
                "utf8mb4_bin",
                "NULL",
                "",
                version.definition.comment,
                0,
                session.context.role,
            )
        )
    return _Rows([(label, kinds.get(label, _NAME)) for label in labels], rows)


def _empty(*labels: str) -> _Handler:
    return lambda session, shown: _Rows([(label, _NAME) for label in labels], [])


def _one(session: Workspace, shown: Shown) -> _Rows:
    return _Rows([("1", _I64)], [])


_MADE_IN = ("character_set_client", "collation_connection", "Database Collation")
_routines = _empty(
    *("Db", "Name", "Type", "Definer", "Modified", "Created", "Security_type", "Comment"),
    *_MADE_IN,
)
_no_triggers = _empty(
    *("Trigger", "Event", "Table", "Statement", "Timing", "Created", "sql_mode", "Definer"),
    *_MADE_IN,
)


def _triggers(session: Workspace, shown: Shown) -> _Rows:
    session.need_database(shown.database)
    return _no_triggers(session, shown)


def _sequences(session: Workspace, shown: Shown) -> _Rows:
    """CREATE SEQUENCE is refused by name: there are none."""
    session.need_database(shown.database)
    return _Rows([("Names", _NAME), ("Data Type", _NAME)], [])


def _warnings(session: Workspace, shown: Shown) -> _Rows:
    word = SqlType("label")
    columns = [("Level", word), ("Code", SqlType("smallint")), ("Message", word)]
    return _Rows(columns, [("Error", code, text) for code, text in reversed(session.errors)])


_HANDLERS: dict[str, _Handler] = {
    "TABLES": _tables,
    "DATABASES": _databases,
    "SCHEMAS": _databases,
    "COLUMNS": _columns,
    "FIELDS": _columns,
    "INDEX": _indexes,
    "INDEXES": _indexes,
    "KEYS": _indexes,
    "VARIABLES": _variables,
    "COLLATION": _collation,
    "CHARACTER SET": _empty("Charset", "Description", "Default collation", "Maxlen"),
    "CHAR SET": _empty("Charset", "Description", "Default collation", "Maxlen"),
    "CHARSET": _empty("Charset", "Description", "Default collation", "Maxlen"),
    "TABLE STATUS": _table_status,
    "STATUS": _empty("Variable_name", "Value"),
    "ENGINES": _one,
    "PLUGINS": _one,
    "WARNINGS": _warnings,
    "ERRORS": _warnings,
    "TRIGGERS": _triggers,
    "EVENTS": _one,
    "PRIVILEGES": _one,
    "PROFILES": _one,
    "CONFIG": _one,
    "NODE LIST": _one,
    "LOCKS": _one,
    "FUNCTION STATUS": _routines,
    "PROCEDURE STATUS": _routines,
    "SEQUENCES": _sequences,
    "CREATE DATABASE": _create_database,
    "CREATE TABLE": _create_table,
    "CREATE VIEW": _create_table,
}
