"""SHOW and DESCRIBE of tables, columns, keys, databases and variables (section 9)."""

from __future__ import annotations

from collections.abc import Callable

from .catalogrows import index_parts, stamp
from .collations import COLLATIONS
from .columns import SqlType, varchar
from .definition import ColumnDef
from .errors import SqlError
from .functions import like
from .labels import default_label, extra, key_label, type_label
from .lexer import Token, syntax_error, tokens, unquote
from .query import Compiler, result_columns
from .records import Result
from .redact import unsupported
from .rules import Rules
from .showcreate import (
    create_table_text,
    printed_default,
    stumble_over_default,
    stumble_over_rules,
)
from .workspace import Workspace

_NAME = varchar(5000)
_CHAR = SqlType("char", 255)
_I64 = SqlType("bigint")
_U32 = SqlType("int", unsigned=True)


_OTHERS = frozenset(
    [
        "ACCOUNTS",
        "BACKEND",
        "CDC",
        "COLUMN_NUMBER",
        "CONFIG",
        "CONNECTORS",
        "EVENTS",
        "FUNCTION",
        "GRANTS",
        "LOCKS",
        "LOGSERVICE",
        "NODE",
        "OPEN",
        "PRIVILEGES",
        "PROCEDURE",
        "PROCESSLIST",
        "PROFILES",
        "PUBLICATION",
        "PUBLICATIONS",
        "ROLES",
        "RULES",
        "SEQUENCES",
        "SNAPSHOT",
        "SNAPSHOTS",
        "STAGE",
        "STAGES",
        "SUBSCRIPTIONS",
        "TABLE_NUMBER",
        "TABLE_SIZE",
        "TABLE_VALUES",
        "UPGRADE",
    ]
)
"""What the server can show besides"""


class _Words:
    """The tokens of a SHOW, read from left to right."""

    def __init__(self, statement: str, found: list[Token]) -> None:
        self.statement, self.tokens, self.at = statement, found, 1

    def accept(self, *words: str) -> bool:
        for offset, word in enumerate(words):
            index = self.at + offset
            if index >= len(self.tokens) or self.tokens[index].upper != word:
                return False
        self.at += len(words)
        return True

    def any_of(self, *words: str) -> bool:
        return any(self.accept(word) for word in words)

    def fail(self) -> SqlError:
        start = self.tokens[self.at].start if self.at < len(self.tokens) else len(self.statement)
        return syntax_error(self.statement, self.tokens, start)

    def unknown(self) -> SqlError:
        """A SHOW that the server knows and the emulator does not, or that neither does."""
        word = self.tokens[self.at].upper if self.at < len(self.tokens) else ""
        return unsupported(self.statement) if word in _OTHERS else self.fail()

    def identifier(self) -> str:
        if self.at >= len(self.tokens) or self.tokens[self.at].kind not in ("word", "quoted"):
            raise self.fail()
        self.at += 1
        return self.tokens[self.at - 1].name.lower()

    def named(self) -> tuple[str, str]:
        first = self.identifier()
        if self.accept("."):
            return first, self.identifier()
        return "", first

    def brace(self) -> str:
        if self.at < len(self.tokens) and self.tokens[self.at].kind == "brace":
            self.at += 1
            return self.tokens[self.at - 1].text[1:-1]
        return ""


class _Shown:
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
    words = _Words(statement, found)
    if found[0].upper in ("DESC", "DESCRIBE", "EXPLAIN"):
        if words.at < len(found) and found[1].upper in ("SELECT", "ANALYZE", "VERBOSE", "("):
            raise unsupported(statement)
        database, name = words.named()
        return _result(session, words, _columns(session, database, name, full=False), end=True)
    words.any_of("SESSION", "GLOBAL") if _next_is(words, "VARIABLES", 1) else None
    full = words.accept("FULL")
    if words.accept("CREATE"):
        return _create(session, words)
    handler: Callable[[Workspace, _Words, bool], _Shown] | None = None
    for names, candidate in _HANDLERS:
        if words.accept(*names):
            handler = candidate
            break
    if handler is None:
        raise words.unknown()
    return _result(session, words, handler(session, words, full))


def _next_is(words: _Words, word: str, ahead: int) -> bool:
    index = words.at + ahead
    return index < len(words.tokens) and words.tokens[index].upper == word


def _result(session: Workspace, words: _Words, shown: _Shown, *, end: bool = False) -> Result:
    labels = [label for label, _ in shown.columns]
    types = [kind for _, kind in shown.columns]
    if words.accept("LIKE"):
        if words.at >= len(words.tokens) or words.tokens[words.at].kind != "string":
            raise words.fail()
        pattern = unquote(words.tokens[words.at].text)
        shown.rows = [row for row in shown.rows if like(str(row[0]), pattern, "\\", 0)]
        words.at += 1
    elif words.accept("WHERE"):
        return _where(session, words, shown)
    if words.at < len(words.tokens) and not end:
        raise words.fail()
    compiled = [tuple(row) for row in shown.rows]
    if any(kind.kind in ("timestamp",) for kind in types):
        loaders = [session._loader(kind) for kind in types]
        compiled = [
            tuple(
                cell if cell is None or loader is None else loader(cell)  # type: ignore[arg-type]
                for cell, loader in zip(row, loaders, strict=True)
            )
            for row in shown.rows
        ]
    return Result(result_columns(labels, types), compiled)


def _where(session: Workspace, words: _Words, shown: _Shown) -> Result:
    """SHOW ... WHERE: any expression over the columns; 3.x gives many of them small labels."""
    labels = [label for label, _ in shown.columns]
    small = session.rules.labels_of_filtered_are_small and not shown.keeps_labels
    known = {label.lower() for label in labels}
    condition = " ".join(
        f"`{token.text}`" if token.kind == "word" and token.text.lower() in known else token.text
        for token in words.tokens[words.at - 1 :]
    )
    text = f"SELECT * FROM shown {condition}"
    compiler = _ShowCompiler(text, session, shown)
    query = compiler.query(session.parse(text, tokens(text)))
    if small:
        labels = [label.lower() for label in labels]
    return session.fetch(query.sql, compiler.parameters, labels, query.types)


class _ShowCompiler(Compiler):
    def __init__(self, text: str, session: Workspace, shown: _Shown) -> None:
        super().__init__(text, _ShowSession(session, shown), "")


class _ShowSession:
    """A session in which `shown` is the rows of the SHOW."""

    def __init__(self, session: Workspace, shown: _Shown) -> None:
        self._session, self._shown = session, shown
        self.constant, self.variable = session.constant, session.variable
        self.user_variable = session.user_variable
        self.rules = session.rules

    def resolve(self, database: str, name: str, moment: str):  # type: ignore[no-untyped-def]
        if (database, name) == ("", "shown"):
            return self._session.rows_source("", "shown", self._shown.columns, self._shown.rows)
        return self._session.resolve(database, name, moment)


# SHOW CREATE


def _create(session: Workspace, words: _Words) -> Result:
    if words.accept("DATABASE"):
        words.accept("IF", "NOT", "EXISTS")
        name = session.need_database(words.identifier()).name
        text = f"CREATE DATABASE `{name}`"
        shown = _Shown([("Database", _NAME), ("Create Database", _NAME)], [(name, text)])
        return _result(session, words, shown)
    view = words.accept("VIEW")
    if not view and not words.accept("TABLE"):
        raise words.unknown()
    database, name = words.named()
    version = session.need_table(session.database_name(database), name)
    source = session.store.sources.get(version.version, "")
    if version.definition.view is not None:
        row = (version.name, source, "utf8mb4", "utf8mb4_general_ci")
        labels = ("View", "Create View", "character_set_client", "collation_connection")
        return _result(session, words, _Shown([(label, _NAME) for label in labels], [row]))
    if view:
        raise SqlError(20301, f"invalid input: show view '{version.name}' is not a valid view")
    text = create_table_text(version, session.rules)
    if session.rules.rules_with_underscores:
        stumble_over_rules(version, text)
    if session.rules.quotes_doubled_in_expressions:
        stumble_over_default(version, text)
    return _result(
        session,
        words,
        _Shown([("Table", _NAME), ("Create Table", _NAME)], [(version.name, text)]),
    )


def _default_label(column: ColumnDef, rules: Rules) -> str | None:
    text = default_label(column)
    return printed_default(text, rules) if text and text.startswith("(") else text


# Lists


def _databases(session: Workspace, words: _Words, full: bool) -> _Shown:
    moment = words.brace()
    at = session.moment(moment) if moment else None
    names = {database.name for database in session.databases(at)} | {"mo_catalog"}
    return _Shown([("Database", _NAME)], [(name,) for name in sorted(names)])


def _from(session: Workspace, words: _Words) -> str:
    if words.any_of("FROM", "IN"):
        return session.need_database(words.identifier()).name
    return session.need_database("").name


def _tables(session: Workspace, words: _Words, full: bool) -> _Shown:
    database = words.identifier() if words.any_of("FROM", "IN") else ""
    moment = words.brace()
    number = session.catalogue.number_at(session.moment(moment) if moment else None)
    home = session.need_database(database, number)
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
    if full:
        return _Shown([*columns, ("Table_type", _NAME)], [*sorted(found)])
    return _Shown(columns, [(name,) for name, _ in sorted(found)])


def _columns_of(session: Workspace, words: _Words, full: bool) -> _Shown:
    if not words.any_of("FROM", "IN"):
        raise words.fail()
    database, name = words.named()
    if words.any_of("FROM", "IN"):
        database = words.identifier()
    return _columns(session, database, name, full=full)


def _columns(session: Workspace, database: str, name: str, *, full: bool) -> _Shown:
    home = session.need_database(database)
    virtual = session.storage.virtual.get((home.name, name))
    labels = ["Field", "Type", "Null", "Key", "Default", "Extra", "Comment"]
    rows: list[tuple[object, ...]] = []
    if virtual is not None:
        rows = [
            (label, type_label(kind), "YES", "", None, "", "") for label, kind in virtual.columns
        ]
    else:
        version = session.need_table(home.name, name)
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
    if full:
        labels = [*labels[:2], "Collation", *labels[2:6], "Privileges", labels[6]]
        privileges = "select,insert,update,references"
        rows = [(*row[:2], None, *row[2:6], privileges, row[6]) for row in rows]
    return _Shown([(label, _CHAR) for label in labels], rows, keeps_labels=True)


def _indexes(session: Workspace, words: _Words, full: bool) -> _Shown:
    if not words.any_of("FROM", "IN"):
        raise words.fail()
    database, name = words.named()
    if words.any_of("FROM", "IN"):
        database = words.identifier()
    home = session.need_database(database)
    rows: list[tuple[object, ...]] = []
    if (home.name, name) not in session.storage.virtual:
        version = session.need_table(home.name, name)
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
    return _Shown([(label, kinds.get(label, _NAME)) for label in labels], rows)


def _variables(session: Workspace, words: _Words, full: bool) -> _Shown:
    scope = words.tokens[1].upper.lower() if len(words.tokens) > 2 else ""
    scope = scope if scope in ("global", "session") else ""
    found = session.context.variables(scope)
    rows: list[tuple[object, ...]] = []
    for name in sorted(found):
        value = found[name]
        if isinstance(value, bool):
            value = "on" if value else "off"
        rows.append((name, "" if value is None else str(value)))
    kind = SqlType("label")
    return _Shown([("Variable_name", kind), ("Value", kind)], rows)


def _collation(session: Workspace, words: _Words, full: bool) -> _Shown:
    labels = ("Collation", "Charset", "Id", "Default", "Compiled", "Sortlen", "Pad_attribute")
    kinds = {"Id": _I64, "Sortlen": _U32}
    columns = [(label, kinds.get(label, _NAME)) for label in labels]
    return _Shown(columns, list(COLLATIONS), keeps_labels=True)


def _table_status(session: Workspace, words: _Words, full: bool) -> _Shown:
    home = session.need_database(_from(session, words))
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
    return _Shown([(label, kinds.get(label, _NAME)) for label in labels], rows)


def _empty(*labels: str) -> Callable[[Workspace, _Words, bool], _Shown]:
    return lambda session, words, full: _Shown([(label, _NAME) for label in labels], [])


def _one(session: Workspace, words: _Words, full: bool) -> _Shown:
    return _Shown([("1", _I64)], [])


def _warnings(session: Workspace, words: _Words, full: bool) -> _Shown:
    word = SqlType("label")
    columns = [("Level", word), ("Code", SqlType("smallint")), ("Message", word)]
    return _Shown(columns, [("Error", code, text) for code, text in reversed(session.errors)])


_HANDLERS: tuple[tuple[tuple[str, ...], Callable[[Workspace, _Words, bool], _Shown]], ...] = (
    (("TABLES",), _tables),
    (("DATABASES",), _databases),
    (("SCHEMAS",), _databases),
    (("COLUMNS",), _columns_of),
    (("FIELDS",), _columns_of),
    (("INDEX",), _indexes),
    (("INDEXES",), _indexes),
    (("KEYS",), _indexes),
    (("VARIABLES",), _variables),
    (("COLLATION",), _collation),
    (("CHARACTER", "SET"), _empty("Charset", "Description", "Default collation", "Maxlen")),
    (("CHARSET",), _empty("Charset", "Description", "Default collation", "Maxlen")),
    (("TABLE", "STATUS"), _table_status),
    (("STATUS",), _empty("Variable_name", "Value")),
    (("ENGINES",), _one),
    (("PLUGINS",), _one),
    (("WARNINGS",), _warnings),
    (("ERRORS",), _warnings),
    (("TRIGGERS",), _empty("Trigger", "Event", "Table", "Statement", "Timing", "Created")),
)
