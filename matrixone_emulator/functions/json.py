"""Functions of JSON documents for sqlite."""

from __future__ import annotations

import json
import re

from ..errors import SqlError
from ..types.values import Stored, json_text, normal_json, value_text


def to_json(value: Stored) -> str | None:
    if value is None:
        return None
    document = normal_json(value_text(value))
    if document is None:
        raise SqlError(20301, f"invalid input: json text {value_text(value)}")
    return document


_STEP = re.compile(r'\.(?:"((?:[^"\\]|\\.)*)"|([\w$]+|\*))|\[(\d+|\*)\]|(\*\*)')


def json_extract(document: Stored, *paths: Stored) -> str | None:
    if document is None or any(path is None for path in paths):
        return None
    found: list[object] = []
    many = len(paths) > 1
    for path in paths:
        text = value_text(path)
        many = many or "*" in text
        found += _follow(json.loads(value_text(document)), text)
    if not found:
        return None
    return json_text(found if many else found[0])


def _follow(value: object, path: str) -> list[object]:
    if not path.startswith("$"):
        raise SqlError(20301, f"invalid input: invalid json path '{path}'")
    values = [value]
    for match in _STEP.finditer(path, 1):
        quoted, word, index, deep = match.groups()
        key = quoted if quoted is not None else word
        if deep:
            values = [inner for v in values for inner in _descend(v)]
        elif key == "*":
            values = [inner for v in values if isinstance(v, dict) for inner in v.values()]
        elif key is not None:
            values = [v[key] for v in values if isinstance(v, dict) and key in v]
        elif index == "*":
            values = [inner for v in values if isinstance(v, list) for inner in v]
        else:
            at = int(index)
            values = [v[at] for v in values if isinstance(v, list) and at < len(v)]
    return values


def _descend(value: object) -> list[object]:
    found = [value]
    children = (
        value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    )
    for child in children:
        found += _descend(child)
    return found


def json_unquote(value: Stored) -> str | None:
    if value is None:
        return None
    text = value_text(value)
    if text.startswith('"') and text.endswith('"'):
        try:
            return str(json.loads(text))
        except ValueError:
            return text
    return text
