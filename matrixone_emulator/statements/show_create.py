"""The text of SHOW CREATE TABLE, with the bugs of each version."""

from __future__ import annotations

import re
from itertools import pairwise

from ..compiler.headings import source_text
from ..errors import SqlError
from ..parsing.dialect import parse_expression
from ..parsing.lexer import tokens
from ..types.definition import TableDef, Version
from ..versions.rules import Rules
from . import generated


def fail_on_rules(version: Version, text: str) -> None:
    """Fail as 2.x does, which writes SET_NULL and NO_ACTION and cannot parse them."""
    for key in version.definition.foreign_keys:
        for rule in (key.on_delete, key.on_update):
            if " " in rule:
                text = text.replace(rule, rule.replace(" ", "_"))
                start = text.index(rule.replace(" ", "_"))
                line_start = text.rfind("\n", 0, start)
                message = SqlError.syntax(
                    text[start - 1 :],
                    text.count("\n", 0, start) + 1,
                    start + len(rule) - max(line_start, 0),
                ).message
                raise SqlError(1105, message.removeprefix("SQL parser error: "))


def fail_on_default(version: Version, text: str) -> None:
    """Fail as 3.x does, which doubles the quotes in an expression's default and cannot parse it."""
    for column in version.definition.columns:
        default = column.default or ""
        if default.startswith("(") and "'" in default:
            near = text.index("''") + 2
            word = re.compile(r"\w*").match(text, near)
            stop = word.end() if word and word.end() > near else near + 1
            line = text.count("\n", 0, stop) + 1
            column_number = stop - max(text.rfind("\n", 0, stop), 0)
            error = SqlError.syntax(text[near:], line, column_number)
            raise SqlError(1105, error.message.removeprefix("SQL parser error: "))


def view_text_with_security(text: str) -> str:
    """The text of a view, with the SQL SECURITY clause that the server adds if there is none."""
    found = tokens(text)
    words = [token.upper for token in found]
    if "VIEW" not in words:
        return text
    at = words.index("VIEW")
    if ("SQL", "SECURITY") in pairwise(words[:at]):
        return text
    start = found[at].start
    return f"{text[:start]}SQL SECURITY DEFINER {text[start:]}"


def _quoted(name: str) -> str:
    return "`" + name.replace("`", "``") + "`"


def _list(definition: TableDef, keys: tuple[str, ...]) -> str:
    return ",".join(_quoted(name) for name in definition.names(keys))


def create_table_text(version: Version, rules: Rules) -> str:
    """The text of SHOW CREATE TABLE."""
    definition = version.definition
    lines = []
    for column in definition.columns:
        line = f"  {_quoted(column.name)} {column.type.text}"
        if column.auto_increment:
            line += " NOT NULL AUTO_INCREMENT"
        else:
            if not column.nullable:
                line += " NOT NULL"
            if column.generated is not None:
                line += generated.clause(column)
            elif column.default is not None:
                line += f" DEFAULT {printed_default(column.default, rules)}"
            elif column.nullable:
                line += f"{' NULL' if column.type.kind == 'timestamp' else ''} DEFAULT NULL"
            if column.on_update is not None:
                line += f" ON UPDATE {column.on_update}"
        if column.comment:
            line += " COMMENT '{}'".format(column.comment.replace("'", "''"))
        lines.append(line)
    if definition.primary:
        lines.append(f"  PRIMARY KEY ({_list(definition, definition.primary)})")
    for index in definition.indexes:
        if index.algorithm == "fulltext":
            line = f" FULLTEXT {_quoted(index.name)}({_list(definition, index.columns)})"
            line += f" WITH PARSER {index.parser}" if index.parser else ""
        else:
            word = "UNIQUE KEY" if index.unique else "KEY"
            using = f" USING {index.algorithm}" if index.algorithm else ""
            line = f"  {word} {_quoted(index.name)}{using} ({_list(definition, index.columns)})"
        if index.comment:
            line += " COMMENT '{}'".format(index.comment.replace("'", "\\'"))
        lines.append(line)
    for key in definition.foreign_keys:
        parent = _quoted(key.parent_table)
        if key.parent_database != version.database:
            parent = f"{_quoted(key.parent_database)}.{parent}"
        theirs = ",".join(_quoted(name) for name in key.parent_columns)
        lines.append(
            f"  CONSTRAINT {_quoted(key.name)} FOREIGN KEY ({_list(definition, key.columns)}) "
            f"REFERENCES {parent} ({theirs}) ON DELETE {key.on_delete or 'RESTRICT'} "
            f"ON UPDATE {key.on_update or 'RESTRICT'}"
        )
    for name, text in definition.checks:
        lines.append(f"  CONSTRAINT {_quoted(name)} CHECK ({_check_text(text)})")
    body = ",\n".join(lines)
    shown = definition.comment if definition.first_comment is None else definition.first_comment
    comment = " COMMENT='{}'".format(shown.replace("'", "''")) if shown else ""
    if definition.partitions:
        listed = ", ".join(f"partition {one.name} {one.text}" for one in definition.partitions)
        count = f"partitions {len(definition.partitions)}"
        comment += f" partition by {definition.partition_by} "
        comment += f"({listed})" if definition.partition_key else count
    return f"CREATE TABLE {_quoted(version.name)} (\n{body}\n){comment}"


def _check_text(text: str) -> str:
    """A CHECK with its columns quoted."""
    return source_text(parse_expression(text), _quoted)


def printed_default(text: str, rules: Rules) -> str:
    """A default as SHOW CREATE TABLE prints it, which doubles quotes where it should not."""
    if rules.quotes_doubled_in_defaults and text.startswith("'"):
        return "'" + text[1:-1].replace("'", "''") + "'"
    if rules.quotes_doubled_in_expressions and text.startswith("("):
        return text.replace("'", "''")
    return text
