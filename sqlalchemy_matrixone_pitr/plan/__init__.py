"""The difference between declared policies and a server's, as a Plan of actions.

One comparison serves ``plan_pitrs``, ``mo-pitr plan/apply/check``, Alembic's autogenerate and
``alembic check``. :func:`compare` is pure; :func:`plan_pitrs` reads and compares.

=======================================  ====================================================
declared, against the server             action
=======================================  ====================================================
no policy of that name                   Create
the same target and range                none
the same target, another range           Alter; destructive where it may be shorter
the same target, detached                Renew: the next generation
another target, in a database of ours    Drop and Create; destructive
another target, of somebody else         Conflict, which names both
its object has another policy            Conflict; or Drop and Create, with ``drop_undeclared``
not declared, in a database of ours      ``undeclared``; Drop with ``drop_undeclared``
=======================================  ====================================================

IF NOT EXISTS is never used to reach a state: the server compares names only.
Source: docs/server.md, Names; ALTER PITR; What detaches a policy.
"""

from .actions import Action, Alter, Conflict, Create, Drop, Plan, Renew
from .compare import compare
from .reading import plan_pitrs

__all__ = [
    "Action",
    "Alter",
    "Conflict",
    "Create",
    "Drop",
    "Plan",
    "Renew",
    "compare",
    "plan_pitrs",
]
