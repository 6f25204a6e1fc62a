"""State shared by the sessions of one emulator."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass

from ..clock import Clock
from ..pitr.catalog import Catalog
from ..statements.administration import Administration
from ..statements.storage import Storage
from ..system.accounts import Accounts
from ..system.variables import GlobalVariables
from ..versions.rules import Rules


@dataclass
class Server:
    """One running server."""

    rules: Rules
    clock: Clock
    storage: Storage
    accounts: Accounts
    catalog: Catalog
    administration: Administration
    variables: GlobalVariables
    lock_timeout: float
    order: random.Random
    kill: Callable[[int, int], bool]
