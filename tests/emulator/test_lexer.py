"""Tokens of ordinary SQL, composed of the words of the one scanner."""

from __future__ import annotations

import pytest

from matrixone_emulator.parsing.lexer import tokens, tokens_of
from matrixone_emulator.parsing.scanner import sources

TOKENS = [
    ("a<=>b", ["word a", "operator <=>", "word b"]),
    ("a->>'$.b'", ["word a", "operator ->>", "string '$.b'"]),
    ("5--3", ["number 5", "operator -", "operator -", "number 3"]),
    ("1.5e3 .5 0x1F 1a", ["number 1.5e3", "number .5", "hex 0x1F", "word 1a"]),
    ("x'6d6f' b'101' x'6g' x ''", ["hex x'6d6f'", "hex b'101'", "word x", "string '6g'"]),
    ("@a @@global.b @`c d` @", ["variable @a", "variable @@global.b", "variable @`c d`"]),
    ("t {MO_TS = 5} {", ["word t", "brace {MO_TS = 5}", "operator {"]),
    ("'it''s' `a``b` -- no\n/* no */ # no", ["string 'it''s'", "quoted `a``b`"]),
    ("a := b || c && d << e", ["word a", "operator :=", "word b", "operator ||", "word c"]),
    ("a 'open", ["word a", "operator 'open"]),
]


@pytest.mark.parametrize(("text", "wanted"), TOKENS, ids=[text for text, _ in TOKENS])
def test_tokens(text: str, wanted: list[str]) -> None:
    assert [f"{token.kind} {token.text}" for token in tokens(text)][: len(wanted)] == wanted


@pytest.mark.parametrize("before", ["", "SELECT 1; ", "/* é */ ", "SELECT 'é'; # ü\n"])
@pytest.mark.parametrize(
    "text", ["SELECT a AS `é`, 'ü' FROM t", "SELECT a <> b", "SELECT é FROM t"]
)
def test_places_are_those_in_the_statement(before: str, text: str) -> None:
    source = sources(before + text)[-1]
    found = tokens_of(source)
    assert found == tokens(source.statement)
    assert all(source.statement[token.start : token.end] == token.text for token in found)
