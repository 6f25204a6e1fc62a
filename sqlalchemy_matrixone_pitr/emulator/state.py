"""What the sessions of one emulator share."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass

from .accounts import Accounts
from .administration import Administration
from .catalog import Catalog
from .clock import Clock
from .rules import Rules
from .storage import Storage
from .variables import GlobalVariables


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
