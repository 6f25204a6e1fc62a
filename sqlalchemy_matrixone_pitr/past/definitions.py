"""The text of SHOW CREATE TABLE: under another name, with parents' databases, without foreign keys.

Source: docs/server.md, Dropped objects.
"""

from __future__ import annotations

import re
from typing import Final

from ..catalog import Key
from ..errors import PitrRestoreError
from ..names import back_quoted, fold

_NAME: Final = "`(?:[^`]|``)*`"
_HEAD: Final = re.compile(f"CREATE TABLE {_NAME}")
_REFERENCE: Final = re.compile(
    rf"^(  CONSTRAINT {_NAME} FOREIGN KEY \([^)]*\) REFERENCES )({_NAME})(?= \()", re.MULTILINE
)
_COLUMN: Final = re.compile(
    rf"^  ({_NAME}) ([a-z]\w*(?: unsigned)?(?:\((?:'(?:[^']|'')*'|[^')])*\))?(?: unsigned)?)",
    re.MULTILINE,
)
_DEFAULT: Final = re.compile(rf"^  ({_NAME}) .* DEFAULT '((?:[^']|'')*)'", re.MULTILINE)
_FOREIGN_KEY: Final = re.compile(rf",\n  CONSTRAINT {_NAME} FOREIGN KEY \([^\n]*?(?=,\n|\n\))")


def qualified(definition: str, database: str) -> str:
    """A definition whose foreign keys name their parents' database, which SHOW CREATE TABLE leaves
    out where it is the table's own.

    >>> line = "  CONSTRAINT `f` FOREIGN KEY (`p`) REFERENCES `parent` (`id`)"
    >>> qualified(line, "shop")
    '  CONSTRAINT `f` FOREIGN KEY (`p`) REFERENCES `shop`.`parent` (`id`)'
    """
    return _REFERENCE.sub(lambda found: f"{found[1]}{back_quoted(database)}.{found[2]}", definition)


def renamed(definition: str, table: Key) -> str:
    """A definition that makes another table.

    :raises PitrRestoreError: it is not understood.

    >>> renamed("CREATE TABLE `t` (\\n  `id` int\\n)", ("shop", "copy"))
    'CREATE TABLE `shop`.`copy` (\\n  `id` int\\n)'
    """
    text, found = _HEAD.subn(lambda _: f"CREATE TABLE {back_quoted(*table)}", definition, 1)
    if not found:
        raise PitrRestoreError(f"the definition of {'.'.join(table)} is not understood: {text}")
    return text


def without_name(definition: str) -> str:
    """A definition to be compared with that of a table of another name."""
    return _HEAD.sub("", definition, count=1)


def without_foreign_keys(definition: str) -> str:
    """A definition without its foreign keys, which are added when all tables are there.

    >>> text = "CREATE TABLE `c` (\\n  `p` int,\\n  CONSTRAINT `f` FOREIGN KEY (`p`) REFERENCES "
    >>> without_foreign_keys(text + "`parent` (`id`) ON DELETE RESTRICT\\n)")
    'CREATE TABLE `c` (\\n  `p` int\\n)'
    """
    return _FOREIGN_KEY.sub("", definition)


def column_types(definition: str) -> dict[str, str]:
    """The types of the columns of a definition, by folded name.

    >>> column_types("CREATE TABLE `t` (\\n  `id` bigint unsigned NOT NULL,\\n  `c` char(2)\\n)")
    {'id': 'bigint unsigned', 'c': 'char(2)'}
    """
    return {
        fold(name[1:-1].replace("``", "`")): type_ for name, type_ in _COLUMN.findall(definition)
    }


def quoted_defaults(definition: str) -> list[str]:
    r"""The columns of a definition whose default has a quote in it.

    >>> quoted_defaults("CREATE TABLE `t` (\n  `a` char(9) DEFAULT 'it''s',\n  `b` int DEFAULT '')")
    ['a']
    """
    found = [(name, text) for name, text in _DEFAULT.findall(definition) if "'" in text]
    return [name[1:-1].replace("``", "`") for name, _ in found]
