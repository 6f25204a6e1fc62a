"""The words of a DDL statement, read from left to right."""

from __future__ import annotations

from ..errors import SqlError
from ..names import fold
from ..types.definition import Named
from ..versions.rules import Rules
from .lexer import Token, syntax_error, unquote
from .redact import unsupported
from .unimplemented import parse_error


class Reader:
    """Take words, names and numbers; what is not expected is 1064 there."""

    def __init__(self, statement: str, found: list[Token], rules: Rules) -> None:
        self.source = statement
        self.rules = rules
        self.all = found
        self.at = 0

    def peek(self, ahead: int = 0) -> Token:
        index = self.at + ahead
        end = len(self.source)
        return self.all[index] if index < len(self.all) else Token("end", "", end, end)

    def wrong(self) -> SqlError:
        """Return the 1064 of what the server does not parse either."""
        return syntax_error(self.source, self.all, self.peek().start)

    def fail(self) -> SqlError:
        """Return 1064, or 1235 for what the server may parse."""
        return parse_error(self.source, self.all, self.peek().start, self.rules)

    def unsupported(self) -> SqlError:
        return unsupported(self.source)

    def accept(self, *words: str) -> bool:
        """Take these words, all or none."""
        for offset, word in enumerate(words):
            if self.peek(offset).upper != word:
                return False
        self.at += len(words)
        return True

    def expect(self, *words: str) -> None:
        for word in words:
            if not self.accept(word):
                raise self.fail()

    def identifier(self) -> str:
        token = self.peek()
        if token.kind not in ("word", "quoted") or self.is_reserved(token):
            raise self.fail()
        self.at += 1
        return token.name

    def is_reserved(self, token: Token) -> bool:
        """A keyword that is no name without back-quotes."""
        if token.kind != "word":
            return False
        word = token.text.lower()
        # A PITR cannot be called id, a column can.
        return word in self.rules.reserved and word != "id"

    def named(self) -> Named:
        first = self.identifier()
        if self.accept("."):
            return Named(fold(first), fold(self.identifier()))
        return Named("", fold(first))

    def string(self) -> str:
        token = self.peek()
        if token.kind != "string":
            raise self.fail()
        self.at += 1
        return unquote(token.text)

    def number(self) -> int:
        token = self.peek()
        if token.kind != "number" or not token.text.isdigit():
            raise self.fail()
        self.at += 1
        return int(token.text)

    def names(self) -> list[str]:
        """A list of columns in brackets; lengths and orders are read and forgotten."""
        self.expect("(")
        found = []
        while True:
            if self.peek().text == "(":
                raise self.unsupported()
            found.append(self.identifier())
            if self.accept("("):
                self.number()
                self.expect(")")
            if not self.accept("ASC"):
                self.accept("DESC")
            if not self.accept(","):
                break
        self.expect(")")
        return found

    def finish(self) -> None:
        self.accept(";")
        if self.peek().kind != "end":
            raise self.fail()

    def rest(self) -> str:
        text = self.source[self.peek().start :].rstrip().rstrip(";")
        self.at = len(self.all)
        return text

    def if_not_exists(self) -> bool:
        return self.accept("IF", "NOT", "EXISTS")

    def if_exists(self) -> bool:
        return self.accept("IF", "EXISTS")

    def moment(self) -> str:
        token = self.peek()
        if token.kind != "brace":
            return ""
        self.at += 1
        return token.text[1:-1].strip()

    def balanced(self) -> str:
        """The text of a bracketed part, brackets included."""
        start = self.peek().start
        self.expect("(")
        depth = 1
        while depth:
            token = self.peek()
            if token.kind == "end":
                raise self.fail()
            depth += {"(": 1, ")": -1}.get(token.upper, 0)
            self.at += 1
        return self.source[start : self.peek(-1).end]

    def expression(self) -> str:
        """The text of a default: a literal, a signed number, a call or a bracketed part."""
        start = self.peek().start
        if self.peek().upper == "(":
            return self.balanced()
        if self.peek().upper in ("-", "+"):
            self.at += 1
        token = self.peek()
        if token.kind not in ("word", "string", "number", "hex"):
            raise self.fail()
        self.at += 1
        if token.kind == "word" and self.peek().upper == "(":
            self.balanced()
        return self.source[start : self.peek(-1).end]
