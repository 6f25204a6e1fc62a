"""Removal of passwords from a statement before it is logged, or quoted to a client.

Rather too much than too little: wherever a password could be clause_text of, no literal is left.
"""

from __future__ import annotations

import re

from ..errors import SqlError
from .scanner import Kind, Source, sources

_MARK = re.compile(
    # Also in what PREPARE and SET @v hold, whose texts can be put together.
    r"identif|passw|secret|credential|access|token|key|\bprepare\b|(?<![@*])@(?!@)[\w`'\"]|:=",
    re.IGNORECASE,
)
_PLAIN_KEYS = re.compile(
    r"\b(?:primary|foreign|unique|duplicate)\s+key\b|\bforeign_key_checks\b", re.IGNORECASE
)
_COMMENT = re.compile(r"/\*!?\d*|\*/|/\*.*?\*/|(?:--|#|//)[^\n]*", re.DOTALL)
_CLOSED_COMMENT = re.compile(r"/\*.*?\*/|(?:--|#|//)[^\n]*\n", re.DOTALL)
_URL = re.compile(r"(\w+://[^\s/:@'\"]*:)[^\s/@'\"]*@")
_HIDDEN = "'***'"
_AFTER = ("by", "as", "=", ":")
"""Words before a secret, quoted or not."""
_SECRET_WORD = re.compile(r"passw|secret|credential|key|token", re.IGNORECASE)
_NO_SECRETS = frozenset(["by", "with", "for", "as", "expire", "random", "from", "in", "is", "and"])


def redacted(text: str) -> str:
    """Remove passwords of URLs and, if the text mentions a secret, all literals."""
    text = _URL.sub(r"\1***@", text)
    if not _is_marked(text):
        return text
    return "; ".join(_redacted(source) for source in sources(text))


def unsupported(statement: str) -> SqlError:
    """Return 1235; the emulator never answers what it does not know with an empty OK."""
    text = redacted(statement)
    text = text if len(text) <= 200 else text[:200] + "..."
    return SqlError.not_emulated(text)


def _is_marked(text: str) -> bool:
    """Whether a text mentions a secret, also with comments between its letters."""
    return any(
        _MARK.search(_PLAIN_KEYS.sub("", form))
        for form in (text, _COMMENT.sub("", text), _CLOSED_COMMENT.sub("", text))
    )


def _redacted(source: Source) -> str:
    parts: list[str] = []
    before = source.tokens[0]
    for token in source.tokens[:-1]:
        if token.start > before.end:
            gap = source.text(before.end, token.start)
            # A comment may hold what stands nowhere else.
            parts.append(" " if gap.strip() else gap)
        hidden = token.kind in (Kind.STRING, Kind.ERROR) or (
            token is not source.tokens[0] and _is_secret(before.value, token.kind, token.value)
        )
        parts.append(_HIDDEN if hidden else source.text(token.start, token.end))
        before = token
    return "".join(parts)


def _is_secret(before: str, kind: Kind, value: str) -> bool:
    """Whether a name or number stands where a password does."""
    if kind is Kind.OTHER and not value[:1].isdigit():
        return False
    if before.lower() in _AFTER:
        return True
    return bool(_SECRET_WORD.search(before)) and value.lower() not in _NO_SECRETS
