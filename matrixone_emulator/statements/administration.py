"""CREATE/DROP/ALTER ACCOUNT, USER and ROLE, SET ROLE, SHOW ACCOUNTS: parsed and executed."""

from __future__ import annotations

from collections.abc import Callable

from ..clock import utc
from ..errors import SqlError
from ..names import fold
from ..parsing.redact import unsupported
from ..parsing.scanner import Kind, Source, Token
from ..parsing.unimplemented import source_parse_error
from ..system.accounts import Account, Accounts, Identity, no_privilege
from ..types.columns import Column, ColumnType
from ..versions.rules import Rules
from .storage import Result, Storage

_FIRST = {
    (verb, noun) for verb in ("create", "drop", "alter") for noun in ("account", "user", "role")
} | {("set", "role"), ("set", "default"), ("set", "password"), ("show", "accounts")}
_ALONE = {"grant", "revoke"}
_PRIVILEGES = frozenset(
    [
        "all",
        "all privileges",
        "alter account",
        "alter table",
        "alter user",
        "alter view",
        "connect",
        "create account",
        "create database",
        "create role",
        "create table",
        "create user",
        "create view",
        "delete",
        "drop account",
        "drop database",
        "drop role",
        "drop table",
        "drop user",
        "drop view",
        "execute",
        "index",
        "insert",
        "manage grants",
        "ownership",
        "reference",
        "select",
        "show databases",
        "show tables",
        "truncate",
        "update",
    ]
)


def is_administrative(source: Source) -> bool:
    """Whether the server takes it for administrative: not allowed inside a transaction."""
    words = source.words(2)
    return words != ("show", "accounts") and (words in _FIRST or words[0] in _ALONE)


class Administration:
    """The statements about accounts, for one server."""

    def __init__(
        self, accounts: Accounts, storage: Storage, on_drop: Callable[[int, str], None]
    ) -> None:
        """*on_drop* gets the id and the name of an account that has been dropped."""
        self._accounts = accounts
        self._on_drop = on_drop
        self._storage = storage

    def execute(
        self, source: Source, who: Identity, become: Callable[[Identity], None]
    ) -> Result | None:
        """The result; None where *source* is another kind of statement."""
        words = source.words(2)
        if words not in _FIRST and words[0] not in _ALONE:
            return None
        reader = _Reader(source, self._storage.rules)
        if words == ("show", "accounts"):
            return self._show(who)
        if words == ("set", "role"):
            become(self._accounts.set_role(who, reader.skip(2).name()))
            return Result([], [])
        if not who.is_admin or (words[1] == "account" and not who.is_sys):
            raise no_privilege()
        self._change(reader, words, who)
        return Result([], [])

    def _change(self, reader: _Reader, words: tuple[str, ...], who: Identity) -> None:
        match words:
            case ("create", "account"):
                self._create_account(reader.skip(2))
            case ("drop", "account"):
                quiet = reader.skip(2).accept("if", "exists")
                dropped = self._accounts.drop(reader.name(), if_exists=quiet)
                if dropped is not None:
                    self._storage.drop_account(dropped.id)
                    self._on_drop(dropped.id, dropped.name)
            case ("alter", "account"):
                self._alter_account(reader.skip(2))
            case ("create", "user"):
                self._create_user(reader.skip(2), who)
            case ("alter", "user"):
                quiet = reader.skip(2).accept("if", "exists")
                name = reader.user()
                reader.expect("identified", "by")
                self._accounts.set_password(who, name, reader.string(), if_exists=quiet)
            case ("drop", "user"):
                quiet = reader.skip(2).accept("if", "exists")
                for name in reader.several(reader.user):
                    self._accounts.drop_user(who, name, if_exists=quiet)
            case ("create", "role"):
                quiet = reader.skip(2).accept("if", "not", "exists")
                for name in reader.several(reader.name):
                    self._accounts.create_role(who, name, if_not_exists=quiet)
            case ("drop", "role"):
                quiet = reader.skip(2).accept("if", "exists")
                for name in reader.several(reader.name):
                    self._accounts.drop_role(who, name, if_exists=quiet)
            case ("set", "default"):
                reader.skip(2).expect("role")
                role = reader.name()
                reader.expect("to")
                self._accounts.set_default_role(who, role, reader.user())
            case ("set", "password"):
                user = reader.skip(2).user() if reader.accept("for") else who.user
                reader.expect("=")
                self._accounts.set_password(who, user, reader.string(), if_exists=False)
            case ("grant", _):
                self._grant(reader.skip(1), who, granting=True)
            case ("revoke", _):
                reader.skip(1).accept("if", "exists")
                self._grant(reader, who, granting=False)
            case _:
                raise reader.unsupported()
        reader.end()

    def _grant(self, reader: _Reader, who: Identity, *, granting: bool) -> None:
        """GRANT and REVOKE of a role, or of privileges."""
        towards = "to" if granting else "from"
        privileges = reader.privileges(towards)
        if privileges is None:
            role = reader.name()
            reader.expect(towards)
            change = self._accounts.grant_role if granting else self._accounts.revoke_role
            for user in reader.several(reader.user):
                change(who, role, user)
            return
        on_account = reader.object_of_grant()
        reader.expect(towards)
        for role in reader.several(reader.name):
            matters = on_account and "all" in privileges
            self._accounts.grant_all(who, role, allowed=granting, matters=matters)
        if granting:
            reader.accept("with", "grant", "option")

    def _create_account(self, reader: _Reader) -> None:
        quiet = reader.accept("if", "not", "exists")
        name = reader.name()
        reader.expect("admin_name")
        reader.accept("=")
        admin = reader.string_or_name()
        reader.expect("identified", "by")
        password = reader.string()
        status = next((s for s in ("open", "suspend", "restricted") if reader.accept(s)), "open")
        comment = reader.string() if reader.accept("comment") else ""
        reader.end()
        account = self._accounts.create(name, admin, password, if_not_exists=quiet, comment=comment)
        if account is not None:
            account.status = status
            self._storage.create_account(account.name, account.id)

    def _alter_account(self, reader: _Reader) -> None:
        quiet = reader.accept("if", "exists")
        name = reader.name()
        for status in ("open", "suspend", "restricted"):
            if reader.accept(status):
                self._accounts.set_status(name, status, if_exists=quiet)
                return
        raise reader.unsupported()

    def _create_user(self, reader: _Reader, who: Identity) -> None:
        quiet = reader.accept("if", "not", "exists")
        users: list[tuple[str, str]] = []
        while True:
            name = reader.user()
            reader.expect("identified", "by")
            users.append((name, reader.string()))
            if not reader.accept(","):
                break
        role = reader.name() if reader.accept("default", "role") else ""
        for name, password in users:
            self._accounts.create_user(who, name, password, role, if_not_exists=quiet)

    def _show(self, who: Identity) -> Result:
        text, stamp, number, real = (
            ColumnType.VAR_STRING,
            ColumnType.TIMESTAMP,
            ColumnType.LONGLONG,
            ColumnType.DOUBLE,
        )
        names = {
            "account_name": text,
            "admin_name": text,
            "created_time": stamp,
            "status": text,
            "suspended_time": stamp,
            "db_count": number,
            "tbl_count": number,
            "size": real,
            "snapshot_size": real,
            "comments": text,
        }
        shown = [a for a in self._accounts.all() if who.is_sys or a.id == who.account_id]
        return Result(
            [Column(name, kind) for name, kind in names.items()],
            [self._row(account) for account in shown],
        )

    @staticmethod
    def _row(account: Account) -> tuple[object, ...]:
        return (
            account.name,
            account.admin,
            utc(account.created),
            account.status,
            None,
            0,
            0,
            0.0,
            0.0,
            account.comment,
        )


class _Reader:
    """The words of one administrative statement."""

    def __init__(self, source: Source, rules: Rules) -> None:
        self._source, self._rules = source, rules
        self._at = 0

    @property
    def _here(self) -> Token:
        return self._source.tokens[self._at]

    def _is(self, text: str) -> bool:
        token = self._here
        return token.word == text or (token.kind is Kind.OTHER and token.value == text)

    def error(self) -> SqlError:
        """Return 1064, or 1235 for what the server may parse: lists, columns, names in quotes."""
        here = self._here
        after = self._source.tokens[self._at + 1 : self._at + 2]
        quoted = any(token.kind is Kind.STRING for token in (here, *after))
        if quoted or here.value in ("(", ",", "?"):
            return self.unsupported()
        return source_parse_error(self._source, self._at, self._rules)

    def unsupported(self) -> SqlError:
        return unsupported(self._source.statement)

    def skip(self, count: int) -> _Reader:
        self._at += count
        return self

    def accept(self, *words: str) -> bool:
        if not self._is(words[0]):
            return False
        self.expect(*words)
        return True

    def expect(self, *words: str) -> None:
        for word in words:
            if not self._is(word):
                raise self.error()
            self._at += 1

    def name(self) -> str:
        if self._here.kind not in (Kind.WORD, Kind.QUOTED):
            raise self.error()
        self._at += 1
        return fold(self._source.tokens[self._at - 1].value)

    def privileges(self, towards: str) -> list[str] | None:
        """Read the privileges and ON; None, with nothing read, where a role is granted."""
        words = [token.word for token in self._source.tokens[self._at :]]
        if "on" not in words or (towards in words and words.index(towards) < words.index("on")):
            return None
        found = []
        while not self.accept("on"):
            parts = []
            while self._here.kind is Kind.WORD and not self._is("on"):
                parts.append(self.name())
            found.append(" ".join(parts))
            if found[-1] not in _PRIVILEGES:
                raise self.error()
            if not self._is("on"):
                self.expect(",")
        return found

    def object_of_grant(self) -> bool:
        """ACCOUNT *, DATABASE d, TABLE d.t: whether it is the account."""
        on_account = self._is("account")
        if not on_account and not self._is("database") and not self._is("table"):
            raise self.error()
        self.skip(1)
        while True:
            if not self.accept("*"):
                self.name()
            if not self.accept("."):
                return on_account

    def string(self) -> str:
        if self._here.kind is not Kind.STRING:
            raise self.error()
        self._at += 1
        return self._source.tokens[self._at - 1].value

    def string_or_name(self) -> str:
        return self.string() if self._here.kind is Kind.STRING else self.name()

    def user(self) -> str:
        """A user with an optional host, which the server does not look at here."""
        name = self.string_or_name()
        if self.accept("@"):
            self.string_or_name()
        return name

    def several(self, read: Callable[[], str]) -> list[str]:
        found = [read()]
        while self.accept(","):
            found.append(read())
        return found

    def end(self) -> None:
        if self._here.kind is not Kind.END:
            raise self.error()
