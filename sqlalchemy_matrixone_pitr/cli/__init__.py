"""The console script ``mo-pitr``: one module a group of commands; they need the extra ``cli``.

====================  ==================================================
``app``               the group, its help, exit codes
``arguments``         options that commands share
``connect``           which server, and an engine for it
``metadata``          the user's metadata
``console``           what is printed
``errors``            every error is a sentence
``policies``          show, renew, prune
``declared``          plan, check, apply
``adoption``          import
``doctor``            doctor
``restore_point``     restore-point
``past``              when, diff, undo; how it reads SQL is in ``sqlparts``
``servers``           serve, demo; what the demo does is in ``demo``
====================  ==================================================

==========  ========================================
exit code   meaning
==========  ========================================
0           done, or in sync
1           drift: the server is not as declared; of undo: rows still differ
2           an error, or wrong usage
130         interrupted
==========  ========================================
"""

from __future__ import annotations

import sys

EXTRA = ("click", "rich")
"""The packages of the extra ``cli``."""


def main() -> None:
    """Run a command; without click, say in one line what to install, and exit 2."""
    try:
        from .app import run

        code = run()
    except ImportError as missing:
        hint = f"mo-pitr cannot start: {missing}"
        if missing.name in EXTRA:
            hint = f"mo-pitr needs {missing.name}: pip install 'sqlalchemy-matrixone-pitr[cli]'"
        print(hint, file=sys.stderr)
        code = 2
    except KeyboardInterrupt:
        code = 130
    sys.exit(code)
