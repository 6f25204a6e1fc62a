"""Names of objects, as the server folds them."""

from __future__ import annotations


def fold(name: str) -> str:
    """Lower case as the server folds: character by character, I-with-dot to i.

    Python's `lower()` knows a final sigma and makes two characters of I-with-dot.
    """
    if name.isascii():
        return name.lower()
    return "".join("i" if char == "\u0130" else char.lower() for char in name)
