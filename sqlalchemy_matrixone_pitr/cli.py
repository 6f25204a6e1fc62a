"""The console script ``mo-pitr``. Its commands, in ``commands.py``, need the extra ``cli``."""

from __future__ import annotations

import sys

EXTRA = ("click", "rich")
"""What the extra ``cli`` brings."""


def main() -> None:
    """Run a command; without click, say in one line what to install, and exit 2."""
    try:
        from .commands import mo_pitr
    except ModuleNotFoundError as missing:
        if missing.name not in EXTRA:
            raise
        print(
            f"mo-pitr needs {missing.name}: pip install 'sqlalchemy-matrixone-pitr[cli]'",
            file=sys.stderr,
        )
        sys.exit(2)
    mo_pitr(prog_name="mo-pitr")
