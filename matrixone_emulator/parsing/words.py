"""Reading a statement word by word: what the grammars of PITRs and of snapshots share."""

from __future__ import annotations

from ..errors import SqlError
from ..names import fold
from ..versions.rules import Rules
from .scanner import Kind, Source, Token

# What ends an expression, so that nothing but the expression gets into the query it filters.
_AFTER_EXPRESSION = frozenset(
    ("order", "limit", "group", "having", "union", "except", "intersect", "for", "into", "window")
)


class Words:
    """A place in a statement, which moves on with each word taken; a wrong word is 1064."""

    def __init__(self, source: Source, rules: Rules) -> None:
        self.source = source
        self.rules = rules
        self._at = 0

    @property
    def here(self) -> Token:
        return self.source.tokens[self._at]

    def peek(self, word: str, ahead: int = 0) -> bool:
        at = self._at + ahead
        return at < len(self.source.tokens) and self.source.tokens[at].word == word

    def error(self) -> SqlError:
        return self.source.error(self.here)

    def take(self) -> Token:
        token = self.here
        if token.kind is not Kind.END:
            self._at += 1
        return token

    def accept(self, *words: str) -> bool:
        if not self.peek(words[0]):
            return False
        for word in words:
            self.expect(word)
        return True

    def expect(self, word: str) -> None:
        if not self.peek(word):
            raise self.error()
        self.take()

    def name(self) -> str:
        """An identifier, folded: every identifier is lower-cased, back-quoted or not."""
        token = self.here
        reserved = token.word in self.rules.reserved
        if token.kind is Kind.QUOTED or (token.kind is Kind.WORD and not reserved):
            return fold(self.take().value)
        raise self.error()

    def string(self) -> str:
        if self.here.kind is not Kind.STRING:
            raise self.error()
        return self.take().value

    def end(self) -> None:
        if not self.at_end():
            raise self.error()

    def at_end(self) -> bool:
        return self.here.kind is Kind.END

    def filter(self) -> str:
        """[WHERE expression], up to the statement's end: the expression's text."""
        if not self.accept("where"):
            return ""
        expression = self.source.tokens[self._at : -1]
        depth = 0
        for token in expression:
            brackets = token.kind is Kind.OTHER
            depth += {"(": 1, ")": -1}.get(token.value, 0) if brackets else 0
            behind = depth == 0 and token.word in _AFTER_EXPRESSION
            if token.kind is Kind.ERROR or depth < 0 or behind:
                raise self.source.error(token)
        self._at = len(self.source.tokens) - 1
        if not expression or depth:
            raise self.error()
        return self.source.text(expression[0].start, expression[-1].end)
