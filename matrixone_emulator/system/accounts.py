"""Accounts, users and roles: who may log in, and whether as an administrator.

docs/server.md, Accounts and rights. Of privileges ALL ON ACCOUNT alone is kept: PITR statements ask
for it or for the administrator's role, and ordinary statements ask for nothing.
"""

from __future__ import annotations

import threading
from dataclasses import dataclass, field

from ..clock import Clock
from ..errors import SqlError
from ..names import fold
from ..wire.passwords import password_hash, password_matches

SYS = "sys"
SYS_ID = 0
_FIRST_ACCOUNT_ID = 10001
_PREDEFINED = ("moadmin", "accountadmin", "public")


def no_privilege() -> SqlError:
    return SqlError.internal("do not have privilege to execute the statement")


def _not_granted(role: str, user: str) -> SqlError:
    return SqlError.internal(f"the role {role} has not been granted to the user {user}")


@dataclass
class User:
    id: int
    name: str
    password: bytes
    default_role: str
    roles: set[str]


@dataclass
class Account:
    id: int
    name: str
    admin: str
    admin_role: str
    created: int
    comment: str = ""
    status: str = "open"
    users: dict[str, User] = field(default_factory=dict)
    roles: dict[str, int] = field(default_factory=dict)
    may_all: set[str] = field(default_factory=set)
    """Roles with ALL ON ACCOUNT"""

    def add_user(self, name: str, password: str, role: str) -> User:
        number = max((user.id for user in self.users.values()), default=-1) + 1
        user = User(number, name, password_hash(password), role, {role, "public"})
        self.users[name] = user
        return user


@dataclass(frozen=True)
class Identity:
    """Account, user and role of a session."""

    account: str
    account_id: int
    user: str
    role: str

    @property
    def is_sys(self) -> bool:
        return self.account_id == SYS_ID

    @property
    def is_admin(self) -> bool:
        return self.role == ("moadmin" if self.is_sys else "accountadmin")


def _login_parts(login: str) -> tuple[str, str, str]:
    """account, user and role of `account:user:role`, `account#user#role` or `user`."""
    login = login.split("?", 1)[0].replace("%3A", ":")
    delimiter = ":" if ":" in login else "#"
    if delimiter not in login:
        return SYS, login, ""
    account, _, rest = login.partition(delimiter)
    user, role_given, role = rest.partition(delimiter)
    if not account:
        raise SqlError.internal(f"invalid tenant name '{account}'")
    if not user:
        raise SqlError.internal(f"invalid user name '{user}'")
    if role_given and not role:
        raise SqlError.internal(f"invalid role name '{role}'")
    return account, user, role


def _name(name: str) -> str:
    """Check a name of an account, user or role: neither `:` nor `#` is allowed."""
    stripped = name.strip()
    if not stripped or ":" in stripped or "#" in stripped:
        raise SqlError.internal(f'the name "{stripped}" is invalid')
    return stripped


class Accounts:
    """All accounts of one server; thread-safe."""

    def __init__(self, clock: Clock, *, password: str = "111") -> None:
        self._clock = clock
        self._lock = threading.RLock()
        self._next_id = _FIRST_ACCOUNT_ID
        system = Account(SYS_ID, SYS, "root", "moadmin", clock.now(), "system account")
        system.roles = {"moadmin": 0, "public": 1}
        for user in ("root", "dump"):
            system.add_user(user, password, "moadmin")
        self._by_name = {SYS: system}

    def login(self, login: str, salt: bytes, answer: bytes) -> Identity:
        """The identity of a client that proved its password; raises as the server does."""
        account_name, user_name, role = _login_parts(login)
        with self._lock:
            account = self._by_name.get(fold(account_name))
            if account is None:
                raise SqlError.internal(f"there is no tenant {account_name}")
            if account.status == "suspend":
                raise self._denied(login, f"Account {account.name} is suspended")
            user = account.users.get(user_name)
            if user is None:
                raise SqlError.internal(f"there is no user {user_name}")
            if role and role not in account.roles:
                raise SqlError.internal(f"there is no role {role}")
            if role and role not in user.roles:
                raise _not_granted(role, user_name)
            if not password_matches(user.password, salt, answer):
                raise self._denied(login, "check password failed")
            return Identity(account.name, account.id, user.name, role or user.default_role)

    @staticmethod
    def _denied(login: str, why: str) -> SqlError:
        shown = login.split("?", 1)[0]
        return SqlError(1045, f"Access denied for user {shown}. internal error: {why}", "28000")

    def find(self, name: str) -> Account | None:
        with self._lock:
            return self._by_name.get(name)

    def all(self) -> list[Account]:
        with self._lock:
            return sorted(self._by_name.values(), key=lambda account: account.id)

    def create(
        self, name: str, admin: str, password: str, *, if_not_exists: bool, comment: str = ""
    ) -> Account | None:
        """The new account; None where it exists and IF NOT EXISTS was said."""
        name, admin = _name(name), _name(admin)
        if not password:
            raise SqlError.internal("password is empty string")
        with self._lock:
            if name in self._by_name:
                if if_not_exists:
                    return None
                raise SqlError.internal(f"the tenant {name} exists")
            account = Account(
                self._next_id, name, admin, "accountadmin", self._clock.now(), comment
            )
            self._next_id += 1
            account.roles = {"accountadmin": 2, "public": 1}
            account.add_user(admin, password, "accountadmin")
            self._by_name[name] = account
            return account

    def drop(self, name: str, *, if_exists: bool) -> Account | None:
        name = _name(name)
        if name == SYS:
            raise SqlError.internal(f"can not delete the account {name}")
        with self._lock:
            account = self._by_name.pop(name, None)
        if account is None and not if_exists:
            raise SqlError.internal(f"there is no account {name}")
        return account

    def set_status(self, name: str, status: str, *, if_exists: bool) -> None:
        with self._lock:
            account = self._by_name.get(_name(name))
            if account is not None:
                account.status = status
            elif not if_exists:
                raise SqlError.internal(f"there is no account {name}")

    def create_user(
        self, who: Identity, name: str, password: str, role: str, *, if_not_exists: bool
    ) -> None:
        name = _name(name)
        if not password:
            raise SqlError.internal("password is empty string")
        with self._lock:
            account = self._own(who)
            if name in account.users:
                if not if_not_exists:
                    raise SqlError.internal(f"the user {name} exists")
                return
            self._role(account, role or "public")
            account.add_user(name, password, role or "public")

    def set_password(self, who: Identity, name: str, password: str, *, if_exists: bool) -> None:
        with self._lock:
            user = self._own(who).users.get(name)
            if user is not None:
                user.password = password_hash(password)
            elif not if_exists:
                raise SqlError.internal(f"there is no user {name}")

    def drop_user(self, who: Identity, name: str, *, if_exists: bool) -> None:
        with self._lock:
            account = self._own(who)
            if name in account.users and account.admin_role in account.users[name].roles:
                raise SqlError.internal(f"can not delete the user {name}")
            if account.users.pop(name, None) is None and not if_exists:
                raise SqlError.internal(f"there is no user {name}")

    def create_role(self, who: Identity, name: str, *, if_not_exists: bool) -> None:
        name = _name(name)
        with self._lock:
            roles = self._own(who).roles
            if name in _PREDEFINED and not if_not_exists:
                raise SqlError.internal(
                    f"can not use the name {name}. it is the name of the predefined role"
                )
            if name not in roles:
                roles[name] = max(roles.values(), default=2) + 1
            elif not if_not_exists:
                raise SqlError.internal(f"the role {name} exists")

    def drop_role(self, who: Identity, name: str, *, if_exists: bool) -> None:
        with self._lock:
            account = self._own(who)
            if name in ("public", account.admin_role):
                raise SqlError.internal(f"can not delete the role {name}")
            if account.roles.pop(name, None) is None and not if_exists:
                raise SqlError.internal(f"there is no role {name}")
            account.may_all.discard(name)
            for user in account.users.values():
                user.roles.discard(name)

    def grant_role(self, who: Identity, role: str, user_name: str) -> None:
        with self._lock:
            account = self._own(who)
            self._role(account, role)
            if role == account.admin_role and user_name != account.admin:
                raise SqlError.internal(
                    f"the role {role} can not be granted to non administration user {user_name}"
                )
            self._user(account, user_name).roles.add(role)

    def revoke_role(self, who: Identity, role: str, user_name: str) -> None:
        with self._lock:
            account = self._own(who)
            self._role(account, role)
            self._user(account, user_name).roles.discard(role)

    def grant_all(self, who: Identity, role: str, *, allowed: bool, matters: bool) -> None:
        """Grant or revoke ALL ON ACCOUNT; other privileges (not *matters*) are not stored."""
        with self._lock:
            account = self._own(who)
            self._role(account, role)
            if matters and allowed:
                account.may_all.add(role)
            elif matters:
                account.may_all.discard(role)

    def may_all(self, who: Identity) -> bool:
        """Whether a session may do what needs ALL ON ACCOUNT: SHOW PITR and RESTORE."""
        with self._lock:
            account = self._by_name.get(who.account)
            return who.is_admin or (account is not None and who.role in account.may_all)

    def set_default_role(self, who: Identity, role: str, user_name: str) -> None:
        with self._lock:
            account = self._own(who)
            self._role(account, role)
            self._user(account, user_name).default_role = role

    def set_role(self, who: Identity, role: str) -> Identity:
        with self._lock:
            account = self._own(who)
            self._role(account, role)
            if role not in self._user(account, who.user).roles:
                raise _not_granted(role, who.user)
        return Identity(who.account, who.account_id, who.user, role)

    def _own(self, who: Identity) -> Account:
        account = self._by_name.get(who.account)
        if account is None:
            raise SqlError.internal(f"there is no tenant {who.account}")
        return account

    @staticmethod
    def _role(account: Account, name: str) -> None:
        if name not in account.roles:
            raise SqlError.internal(f"there is no role {name}")

    @staticmethod
    def _user(account: Account, name: str) -> User:
        user = account.users.get(name)
        if user is None:
            raise SqlError.internal(f"there is no user {name}")
        return user
