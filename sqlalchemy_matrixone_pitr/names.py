"""Names as the server takes and folds them.

Every name that enters this package comes through here, once: as a plain ``str``, checked, and
folded as the server's parser folds it.

Source: docs/server.md, Names; Checks of CREATE.
"""

from __future__ import annotations

import re
import shlex
from typing import Final

from .errors import PitrValidationError

RESERVED_PITR_NAME: Final = "sys_mo_catalog_pitr"
"""The server's own hidden PITR; sys could alter or drop it, so it is refused everywhere."""

OWN_DATABASE: Final = "matrixone_pitr"
"""The database of this package's own tables: safety copies, and records of restores and holds."""

SYSTEM_DATABASES: Final = frozenset(
    {
        "information_schema",
        "mo_catalog",
        "mo_debug",
        "mo_task",
        "mysql",
        "system",
        "system_metrics",
    }
)
"""Databases that cannot have a PITR of their own (docs/server.md, Checks of CREATE)."""

MAX_NAME_LENGTH: Final = 5000
"""Characters of a PITR name; 3.0.9 refuses more, 4.2.0 would cut it off silently."""


def plain(text: str) -> str:
    """A text as a ``str`` and nothing more: a subclass may override any method.

    SQLAlchemy's ``quoted_name(..., quote=True)``, the name of a ``Table(..., quote=True)``, returns
    itself from ``lower()``.

    >>> from sqlalchemy.sql import quoted_name
    >>> type(plain(quoted_name("Orders", quote=True)))
    <class 'str'>
    """
    return text if type(text) is str else str.__str__(text)


def fold(name: str) -> str:
    """A name as the server's parser folds it: letter by letter, back-quoted or not.

    Not :meth:`str.lower`: that gives a sigma at the end of a word another form, and turns
    ``İ`` into two characters.

    >>> fold("MyPitr"), fold("ΟΔΟΣ"), fold("İ")
    ('mypitr', 'οδοσ', 'i')
    """
    name = plain(name)
    if name.isascii():
        return name.lower()
    return "".join("i" if character == "İ" else character.lower() for character in name)


_UNFIT = r"\x00-\x1f\x7f-\x9f\\\ud800-\udfff"
_UNFIT_IN_NAMES = re.compile(f"[{_UNFIT}]")
_UNFIT_IN_PITR_NAMES = re.compile(f"[ `\"'{_UNFIT}]")
_REFUSED_BY_SERVER = re.compile("[ \\t`\"']")


def _check_text(name: object, what: str) -> str:
    """Check what holds for every identifier: text, not empty, nothing the server would rewrite."""
    if not isinstance(name, str):
        raise PitrValidationError(f"{what} must be a str, not {type(name).__name__}: {name!r}")
    name = plain(name)
    if not name:
        raise PitrValidationError(f"{what} is empty: give at least one character")
    unfit = _UNFIT_IN_NAMES.search(name)
    if unfit is not None:
        character = unfit[0]
        if character == "\\":
            found, reason = (
                "a backslash",
                ", which the server reads as an escape, even in back-quotes",
            )
        elif character >= "\ud800":
            found, reason = "a lone surrogate", ", which is no text"
        else:
            found, reason = f"a control character {character!r}", ""
        raise PitrValidationError(
            f"{what} {shorten(name)} has {found} at position {unfit.start()}{reason}: leave it out"
        )
    if len(name) > MAX_NAME_LENGTH:
        raise PitrValidationError(
            f"{what} has {len(name)} characters, the limit is {MAX_NAME_LENGTH}: shorten it"
        )
    return fold(name)


def shorten(value: object, limit: int = 80) -> str:
    """``repr`` for messages, cut where a value is longer than a person reads."""
    text = repr(value)
    return text if len(text) <= limit else f"{text[: limit - 4]}...{text[-1]}"


def check_pitr_name(name: str) -> str:
    """A PITR's name, checked, and folded as the server stores it.

    :raises PitrValidationError: empty, longer than 5000 characters, reserved, or with a blank, tab,
        quotation mark, back-quote, backslash or control character.

    >>> check_pitr_name("Orders_Week")
    'orders_week'
    """
    folded = _check_text(name, "PITR name")
    unfit = _UNFIT_IN_PITR_NAMES.search(folded)
    if unfit is not None:
        raise PitrValidationError(
            f"PITR name {shorten(name)} has the character {unfit[0]!r} at position "
            f"{unfit.start()}: blanks, quotation marks and back-quotes are not allowed; use "
            "letters, digits and _"
        )
    if folded == RESERVED_PITR_NAME:
        raise PitrValidationError(
            f"PITR name {name!r} is the server's own hidden PITR: choose another name"
        )
    return folded


def check_existing_pitr_name(name: str) -> str:
    """The name of a PITR that is to be dropped, checked and folded.

    Somebody else's may have a backslash or a control character, which :func:`check_pitr_name`
    refuses; what the server takes in no name is refused here too.

    :raises PitrValidationError: no PITR can have it.
    """
    try:
        return check_pitr_name(name)
    except PitrValidationError:
        if not isinstance(name, str) or not _UNFIT_IN_NAMES.search(name):
            raise
        if _REFUSED_BY_SERVER.search(name):
            raise
        return fold(name)


def fit_pitr_name(text: str) -> str:
    """A text with ``_`` for each character that a PITR's name cannot have.

    >>> fit_pitr_name("order items")
    'order_items'
    """
    return _UNFIT_IN_PITR_NAMES.sub("_", text)


def check_target_name(name: str, what: str) -> str:
    """The name of an account, database or table, checked and folded.

    Blanks, ``"`` and back-quotes pass here: 4.2 takes them in targets, 3.x answers
    ``invalid input``.

    >>> check_target_name("Shop", "database name")
    'shop'
    """
    folded = _check_text(name, what)
    if "'" in folded:
        raise PitrValidationError(
            f"{what} {shorten(name)} has a quotation mark ('): no version of the server protects "
            "such an object by name; protect the level above it"
        )
    return folded


def check_database_name(name: str) -> str:
    """A database that may be protected or restored, checked and folded.

    >>> check_database_name("mysql")
    Traceback (most recent call last):
    ...
    sqlalchemy_matrixone_pitr.errors.PitrValidationError: database 'mysql' belongs to the system ...
    """
    folded = check_target_name(name, "database name")
    if folded in SYSTEM_DATABASES:
        raise PitrValidationError(
            f"database {name!r} belongs to the system and cannot be protected or restored by "
            "itself: an account-level PITR covers it"
        )
    return folded


def renew_command(policy: str, *, drop_history: bool = False) -> str:
    """The command that renews a policy, as a shell takes it whatever the name.

    >>> print(renew_command("orders"), renew_command("-a&b", drop_history=True), sep=", ")
    mo-pitr renew orders, mo-pitr renew --drop-history -- '-a&b'
    """
    name = shlex.quote(policy)
    option = "--drop-history" if drop_history else ""
    words = [option, "--", name] if policy.startswith("-") else [name, option]
    return " ".join(["mo-pitr renew", *filter(None, words)])


def back_quoted(*names: str | None) -> str:
    """A database, or a table in it, quoted for an ordinary statement that is sent as text to the
    driver: a backslash is no escape there (docs/server.md, Names).

    >>> back_quoted("shop", "orders")
    '`shop`.`orders`'
    """
    return ".".join(f"`{name.replace('`', '``')}`" for name in names if name is not None)
