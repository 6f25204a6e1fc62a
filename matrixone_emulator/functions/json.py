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


_STEP = re.compile(r'\.(?:"((?:[^"\\]|\\.)*)"|([\w$]+|\*))|\[(\d+|\*)\]')


def json_extract(document: Stored, *paths: Stored) -> str | None:
    if document is None or any(path is None for path in paths):
        return None
    text = to_json(document)
    assert text is not None
    found: list[object] = []
    many = len(paths) > 1
    for path in paths:
        steps = value_text(path)
        many = many or "*" in steps
        found += _follow(json.loads(text), steps)
    if not found:
        return None
    return json_text(found if many else found[0])


def _follow(value: object, path: str) -> list[object]:
    if not path.startswith("$"):
        raise SqlError(20301, f"invalid input: invalid json path '{path}'")
    if "**" in path:
        raise SqlError.not_emulated("** finds more than there is: null, too")
    values = [value]
    for match in _STEP.finditer(path, 1):
        quoted, word, index = match.groups()
        key = quoted if quoted is not None else word
        if key == "*":
            values = [inner for v in values if isinstance(v, dict) for inner in v.values()]
        elif key is not None:
            values = [v[key] for v in values if isinstance(v, dict) and key in v]
        elif index == "*":
            values = [inner for v in values if isinstance(v, list) for inner in v]
        else:
            at = int(index)
            values = [v[at] for v in values if isinstance(v, list) and at < len(v)]
    return values


def json_unquote(value: Stored) -> str | None:
    if value is None:
        return None
    text = to_json(value)
    found = json.loads(text or "")
    return found if isinstance(found, str) else text
