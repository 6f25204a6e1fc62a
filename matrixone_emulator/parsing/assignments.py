"""SET statements parsed into assignments (the values stay text until they are evaluated)."""

from __future__ import annotations

from dataclasses import dataclass

from ..versions.rules import Rules
from .scanner import Kind, Source, Token
from .unimplemented import source_parse_error


@dataclass(frozen=True)
class Assignment:
    """`name = value`; *scope* is 'session', 'global', 'persist' or 'user' (an @variable).

    *bare* is a single word such as ON or utf8, which the server does not evaluate.
    """

    name: str
    scope: str
    value: str
    bare: bool


_SCOPES = {"session": "session", "local": "session", "global": "global", "persist": "persist"}


class Reader:
    """The words behind SET."""

    def __init__(self, source: Source, rules: Rules) -> None:
        self._source, self._rules = source, rules
        self._tokens = source.tokens
        self._at = 1

    def _is(self, text: str, ahead: int = 0) -> bool:
        at = self._at + ahead
        if at >= len(self._tokens):
            return False
        token = self._tokens[at]
        return token.word == text or (token.kind is Kind.OTHER and token.value == text)

    @property
    def _here(self) -> Token:
        return self._tokens[self._at]

    def assignments(self) -> list[Assignment]:
        found = []
        while True:
            found.extend(self._names_or_assignment())
            if self._here.kind is Kind.END:
                return found
            self._at += 1

    def _names_or_assignment(self) -> list[Assignment]:
        if self._is("names"):
            self._at += 1
            return self._character_set()
        if self._is("charset"):
            self._at += 1
            return self._character_set()
        if self._is("character") and self._is("set", 1):
            self._at += 2
            return self._character_set()
        return [self._assignment()]

    def _character_set(self) -> list[Assignment]:
        if self._is("="):
            self._at += 1
        token = self._here
        if token.kind not in (Kind.WORD, Kind.STRING):
            raise self._source.error(token)
        self._at += 1
        if self._is("collate"):
            self._at += 2
        names = ("character_set_client", "character_set_connection", "character_set_results")
        value = self._source.text(token.start, token.end)
        # Of a bare word and of a string alike the server makes a value to evaluate.
        literal = value if token.kind is Kind.STRING else f"'{value}'"
        return [Assignment(name, "session", literal, False) for name in names]

    def _assignment(self) -> Assignment:
        scope = "session"
        if self._is("@") and not self._is("@", 1):
            scope = "user"
            self._at += 1
        elif self._is("@"):
            self._at += 2
            if self._here.word in _SCOPES and self._is(".", 1):
                scope = _SCOPES[self._here.word]
                self._at += 2
        elif self._here.word in _SCOPES:
            scope = _SCOPES[self._here.word]
            self._at += 1
        token = self._here
        if token.kind not in (Kind.WORD, Kind.QUOTED, Kind.STRING):
            raise source_parse_error(self._source, self._at, self._rules)
        self._at += 1
        if self._is(":") and self._is("=", 1):
            self._at += 2
        elif self._is("="):
            self._at += 1
        else:
            raise source_parse_error(self._source, self._at, self._rules)
        value, bare = self._value()
        return Assignment(token.value, scope, value, bare)

    def _value(self) -> tuple[str, bool]:
        first = last = self._here
        depth = count = 0
        while self._here.kind is not Kind.END and not (depth == 0 and self._is(",")):
            depth += self._is("(") - self._is(")")
            last = self._here
            self._at += 1
            count += 1
        if not count or last.kind is Kind.ERROR:
            raise self._source.error(self._here if not count else last)
        bare = count == 1 and first.kind in (Kind.WORD, Kind.QUOTED)
        bare = bare and first.word not in ("true", "false", "null")
        return self._source.text(first.start, last.end), bare
