"""Takes passwords out of a statement before it is logged."""

from __future__ import annotations

from .words import Kind, Source, sources

_MARKS = ("identified", "password", "with", "secret")


def redacted(text: str) -> str:
    """*text* with every string that may be a password replaced by '***'."""
    if not any(mark in text.lower() for mark in _MARKS):
        return text
    return "; ".join(_redacted(source) for source in sources(text))


def _redacted(source: Source) -> str:
    if not any(token.word in _MARKS for token in source.tokens):
        return source.statement
    parts: list[str] = []
    at = source.tokens[0].start
    for token in source.tokens:
        if token.kind in (Kind.STRING, Kind.ERROR):
            parts += [source.text(at, token.start), "'***'"]
            at = token.end if token.kind is Kind.STRING else len(source.raw)
    parts.append(source.text(at, max(at, source.tokens[-2].end)))
    return "".join(parts)
