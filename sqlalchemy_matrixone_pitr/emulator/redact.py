"""Takes passwords out of a statement before it is logged."""

from __future__ import annotations

import re

from .words import Kind, Source, sources

_MARKS = ("identified", "password", "secret", "credentials", "access_key")
_URL = re.compile(r"(\w+://[^\s/:@'\"]*:)[^\s/@'\"]*@")


def redacted(text: str) -> str:
    """*text* without the passwords of URLs and, where one is spoken of, without any string."""
    text = _URL.sub(r"\1***@", text)
    if not _is_marked(text):
        return text
    return "; ".join(_redacted(source) for source in sources(text))


def _is_marked(text: str) -> bool:
    small = text.lower()
    return any(mark in small for mark in _MARKS)


def _redacted(source: Source) -> str:
    if not _is_marked(source.statement):
        return source.statement
    parts: list[str] = []
    at = source.tokens[0].start
    for token in source.tokens:
        if token.kind in (Kind.STRING, Kind.ERROR):
            parts += [source.text(at, token.start), "'***'"]
            at = token.end if token.kind is Kind.STRING else len(source.raw)
    parts.append(source.text(at, max(at, source.tokens[-2].end)))
    return "".join(parts)
