"""Tokens of ordinary SQL, composed of the scanner's words, and errors at them."""

from __future__ import annotations

import re
from typing import NamedTuple

from ..errors import SqlError
from .scanner import ESCAPES, Kind, Source, Token as Word, as_bytes, as_text, scan

_OPERATORS = ("<=>", "->>", "<>", "!=", ">=", "<=", ":=", "||", "&&", "<<", ">>", "->")
_FIRST_OF_OPERATORS = frozenset("<>!:|&-")
_SINGLE = frozenset("(),;*+/%")
"""Marks that are a token by themselves wherever they stand"""
_HEX_LETTERS = frozenset("xXbB")
_DIGITS_OF = {"x": re.compile(r"[0-9a-fA-F]*"), "b": re.compile(r"[01]*")}


TIME_MARK = "\x01"
"""Between a table's name and the text of its brace part, inside one identifier."""


class Token(NamedTuple):
    kind: str
    text: str
    start: int
    end: int

    @property
    def upper(self) -> str:
        """The keyword that this could be; '' for anything quoted."""
        return self.text.upper() if self.kind in ("word", "operator") else ""

    @property
    def name(self) -> str:
        """The identifier that this is, without its quotes."""
        return self.text[1:-1].replace("``", "`") if self.kind == "quoted" else self.text


def tokens(statement: str) -> list[Token]:
    """All tokens of a text but blanks and comments."""
    raw = as_bytes(statement)
    return _placed(statement, raw, 0, _composed(raw, list(scan(raw))))


def tokens_of(source: Source) -> list[Token]:
    """The tokens of a statement that was scanned before, placed in its own text."""
    if source.composed is None:
        start, found = source.tokens[0].start, _composed(source.raw, source.tokens)
        source.composed = _placed(source.statement, source.raw, start, found)
    return source.composed


def _placed(statement: str, raw: str, start: int, found: list[Token]) -> list[Token]:
    """The tokens with their places in *statement*, which begins at *start* of *raw*."""
    if raw.isascii():
        if not start:
            return found
        return [
            Token(token.kind, token.text, token.start - start, token.end - start) for token in found
        ]
    placed = []
    done = place = 0
    for token in found:
        place += len(as_text(raw[start + done : token.start]))
        end = place + max(1, len(as_text(raw[token.start : token.end])))
        placed.append(Token(token.kind, statement[place:end], place, end))
        done, place = token.end - start, end
    return placed


def _composed(raw: str, words: list[Word]) -> list[Token]:
    """The scanner's words as tokens: operators, variables, braces and hex literals in one."""
    found: list[Token] = []
    done, make = 0, tuple.__new__
    for at, (kind, value, _, start, end) in enumerate(words):
        if start < done:
            continue  # a part of the token before
        if value in _SINGLE and kind is Kind.OTHER:
            found.append(make(Token, ("operator", value, start, end)))
            continue
        if kind is Kind.WORD:
            name = "word"
            if value in _HEX_LETTERS and (close := _end_of_hex(raw, words, at)):
                name, end = "hex", close
        elif kind is Kind.OTHER:
            name = "operator"
            if value in _FIRST_OF_OPERATORS:
                operator = next((o for o in _OPERATORS if raw.startswith(o, start)), value)
                end = start + len(operator)
            elif value == "@":
                name, end = "variable", _end_of_variable(words, at)
            elif value == "{" and (close := raw.find("}", end, words[-1].start)) >= 0:
                name, end = "brace", close + 1
            elif len(value) > 1 or value.isdigit():
                name = {"0x": "hex", "0b": "word"}.get(value[:2].lower(), "number")
        elif kind is Kind.STRING:
            name = "string"
        elif kind is Kind.INTEGER:
            name = "number"
        elif kind is Kind.QUOTED:
            name = "quoted"
        elif kind is Kind.END:
            break
        else:
            name = "operator"
        found.append(make(Token, (name, raw[start:end], start, end)))
        done = end
    return found


def _end_of_hex(raw: str, words: list[Word], at: int) -> int:
    """The end of `x'6d6f'` or `b'101'`; 0 for another word."""
    word, behind = words[at], words[at + 1]
    if behind.kind is not Kind.STRING or not raw.startswith("'", word.end):
        return 0
    digits = _DIGITS_OF[word.value.lower()]
    return behind.end if digits.fullmatch(raw[word.end + 1 : behind.end - 1]) else 0


def _end_of_variable(words: list[Word], at: int) -> int:
    """The end of `@name`, `@@name`, `@@scope.name` or @`name`."""
    end = words[at].end
    at += 1
    if words[at].value == "@" and words[at].start == end:
        end = words[at].end
        at += 1
    if words[at].kind is Kind.QUOTED and words[at].start == end:
        return words[at].end
    while words[at].start == end and (
        words[at].kind in (Kind.WORD, Kind.INTEGER)
        or words[at].value == "."
        or (words[at].kind is Kind.OTHER and words[at].value[:1].isdigit())
    ):
        end = words[at].end
        at += 1
    return end


def syntax_error(
    statement: str, found: list[Token], offset: int, what: str = "syntax error"
) -> SqlError:
    """Return the server's 1064, whose text begins at the end of the token before *offset*."""
    before = [token for token in found if token.end <= offset]
    start = before[-1].end if before else 0
    offending = next((token for token in found if token.start >= offset), None)
    end = offending.end if offending else len(statement)
    line = statement.count("\n", 0, end) + 1
    column = end - max(statement.rfind("\n", 0, end), 0)
    error = SqlError.syntax(statement[start:], line, column, what)
    error.place = (start, end if offending else end + 1, what)
    return error


def unquote(text: str) -> str:
    """The value of a string literal."""
    quote, body = text[0], text[1:-1]
    if "\\" not in body and quote not in body:
        return body
    out: list[str] = []
    index = 0
    while index < len(body):
        char = body[index]
        if char == "\\" and index + 1 < len(body):
            follower = body[index + 1]
            out.append(f"\\{follower}" if follower in "%_" else ESCAPES.get(follower, follower))
            index += 2
        elif char == quote:
            out.append(quote)
            index += 2
        else:
            out.append(char)
            index += 1
    return "".join(out)


def names_in_double_quotes(statement: str, found: list[Token]) -> str:
    """The statement with back-quotes for ANSI_QUOTES' double ones."""
    out, done = [], 0
    for token in found:
        if token.kind == "string" and token.text[0] == '"':
            name = unquote(token.text).replace("`", "``")
            out += [statement[done : token.start], f"`{name}`"]
            done = token.end
    return "".join((*out, statement[done:]))


def quote_name(name: str) -> str:
    """*name* as a sqlite identifier."""
    return '"' + name.replace('"', '""') + '"'


def quote_text(text: str) -> str:
    """*text* as a sqlite string literal."""
    if "\0" in text:
        return f"CAST(x'{text.encode('utf-8', 'surrogateescape').hex()}' AS TEXT)"
    return "'" + text.replace("'", "''") + "'"


def _ends_table_name(found: list[Token]) -> bool:
    """Whether the last tokens are a table's name as FROM has it, not its alias."""
    at = len(found) - 1
    if found[at].kind not in ("word", "quoted"):
        return False
    if at > 1 and found[at - 1].text == ".":
        at -= 2
    return at > 0 and found[at - 1].upper in ("FROM", "JOIN", "STRAIGHT_JOIN", ",", "(", "TABLE")


def _brace_error(statement: str, before: Token | None, brace: Token) -> SqlError:
    start = before.end if before else 0
    line_start = statement.rfind("\n", 0, brace.start) + 1
    line = statement.count("\n", 0, brace.start) + 1
    return SqlError.syntax(statement[start:], line, brace.start + 1 - line_start)


def check_brace(statement: str, brace: Token) -> None:
    """`{MO_TS = n}`, `{TIMESTAMP = 't'}`, `{AS OF TIMESTAMP 't'}`, `{SNAPSHOT = 's'}`."""
    inside = [
        Token(kind, text, start + brace.start + 1, end + brace.start + 1)
        for kind, text, start, end in tokens(brace.text[1:-1])
    ]
    inside.append(Token("operator", "}", brace.end - 1, brace.end))
    opening = Token("operator", "{", brace.start, brace.start + 1)
    wrong = next((i for i, token in enumerate(inside) if not _may_follow(inside[:i], token)), None)
    if wrong is not None:
        raise syntax_error(statement, [opening, *inside], inside[wrong].start)


def _may_follow(before: list[Token], token: Token) -> bool:
    words = [one.upper for one in before]
    if not words:
        return token.upper in ("MO_TS", "TIMESTAMP", "SNAPSHOT", "AS")
    if words[0] == "AS":
        wanted = ("AS", "OF", "TIMESTAMP")
        return len(words) >= 3 or token.upper == wanted[len(words)]
    if len(words) == 1:
        return token.upper == "="
    return len(words) > 2 or token.upper != "}"


def fold_time_parts(statement: str, found: list[Token]) -> str:
    """Put `{MO_TS = n}` into the identifier before it, where sqlglot carries it along."""
    if not any(token.kind == "brace" for token in found):
        return statement
    out: list[str] = []
    done = 0
    before: Token | None = None
    for index, token in enumerate(found):
        if token.kind == "brace":
            if before is None or not _ends_table_name(found[:index]):
                raise _brace_error(statement, before, token)
            check_brace(statement, token)
            inside = token.text[1:-1].replace("`", "")
            out.append(statement[done : before.start])
            name = before.name.replace("`", "``")
            out.append(f"`{name}{TIME_MARK}{inside}`")
            done = token.end
        before = token
    out.append(statement[done:])
    return "".join(out)
