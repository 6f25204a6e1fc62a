"""Kinds of statements, as sessions treat them: ends of transactions, what may not run in one."""

from __future__ import annotations

from ..errors import SqlError
from ..parsing import grammar
from ..parsing.scanner import Kind, Source
from ..statements.administration import is_administrative
from ..versions.rules import Rules


def check_ending(source: Source) -> None:
    """Check the words of COMMIT and ROLLBACK: [WORK] [AND [NO] CHAIN] [[NO] RELEASE]."""
    if source.words(1)[0] not in ("commit", "rollback") or is_to_savepoint(source):
        return
    left = source.tokens[1:]
    if left[0].word == "work":
        left = left[1:]
    if left[0].word == "and":
        left = left[2:] if left[1].word == "no" else left[1:]
        if left[0].word != "chain":
            raise source.error(left[0])
        left = left[1:]
    if left[0].word == "no" and left[1].word == "release":
        left = left[1:]
    if left[0].word == "release":
        left = left[1:]
    if left[0].kind is not Kind.END:
        raise source.error(left[0])


def is_to_savepoint(source: Source) -> bool:
    return any(token.word == "to" for token in source.tokens[1:3])


def check_start(source: Source) -> None:
    """Check the words of START TRANSACTION."""
    if source.tokens[1].word != "transaction":
        raise source.error(source.tokens[1])
    left = source.tokens[2:]
    for words in (("read", "only"), ("read", "write"), ("with", "consistent", "snapshot")):
        if tuple(token.word for token in left[: len(words)]) == words:
            left = left[len(words) :]
            break
    if left[0].kind is not Kind.END:
        raise source.error(left[0])


def answers_late(source: Source) -> bool:
    """Tell the statements that the server answers from memory, after the end of its transaction."""
    words = source.words(3)
    return words[0] == "show" and bool({"recovery_window", "variables"} & set(words[1:]))


def is_not_planned(source: Source) -> bool:
    """Tell the statements that the server runs without its planner."""
    first, second = source.words(2)
    if first == "show":
        return second in ("collation", "tables", "variables", "warnings")
    return first in (
        "begin",
        "commit",
        "do",
        "kill",
        "release",
        "rollback",
        "savepoint",
        "start",
        "use",
    )


def sets_transaction(source: Source) -> bool:
    words = source.words(3)
    return words[0] == "set" and "transaction" in words[1:]


def refuse_in_transaction(source: Source, pitr: grammar.Statement | None, rules: Rules) -> None:
    """Refuse what may not run while a transaction is open; the refusal does not end it."""
    words = source.words(2)
    if words == ("rename", "table"):
        raise SqlError.internal("Only CREATE of DDL is supported in transactions")
    if is_administrative(source):
        raise SqlError.internal("administrative command is unsupported in transactions")
    if (
        pitr is not None
        or words[0] in ("do", "kill", "restore")
        or (words[0] in ("lock", "unlock") and not rules.tables_lock_inside_transactions)
        or words == ("show", "roles")
        or (sets_transaction(source) and (source.words(2)[1] == "transaction" or rules.set_commits))
    ):
        if rules.isolation_inside_code == 1568 and sets_transaction(source):
            raise SqlError(
                1568,
                "Transaction characteristics can't be changed while a transaction is in progress",
                "25001",
            )
        raise SqlError.internal("unclassified statement appears in uncommitted transaction")
