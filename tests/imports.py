"""Keeps what a test imports from a folder of its own to that test.

Many of these folders have a module ``models``: one that stays in ``sys.modules`` is what a later
test would get for its own.
"""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Collection, Iterator
from pathlib import Path


def modules_from(*folders: Path, but_not: Collection[str] = ()) -> list[str]:
    """Return the names of the imported modules that lie in these folders."""
    places = tuple({f"{path}{os.sep}" for folder in folders for path in (folder, folder.resolve())})
    return [
        name
        for name in set(sys.modules).difference(but_not)
        if str(getattr(sys.modules[name], "__file__", None)).startswith(places)
    ]


def forget_modules(*folders: Path) -> None:
    """Have what was imported from these folders imported anew."""
    for name in modules_from(*folders):
        del sys.modules[name]


@contextlib.contextmanager
def forgetting_imports(*folders: Path) -> Iterator[None]:
    """Put ``sys.path`` back at the end, and forget what came from these folders."""
    path = list(sys.path)
    try:
        yield
    finally:
        sys.path[:] = path
        forget_modules(*folders)
