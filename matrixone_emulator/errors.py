"""The one exception that becomes an ERR packet (docs/server.md, Error texts)."""

from __future__ import annotations

_SYNTAX = "SQL parser error: You have an error in your SQL syntax"


class SqlError(Exception):
    """A refusal as the client sees it: code, text and SQLSTATE of the ERR packet.

    MatrixOne sends SQLSTATE HY000 with nearly everything, 1064 included.
    """

    def __init__(self, code: int, message: str, sqlstate: str = "HY000") -> None:
        super().__init__(code, message)
        self.code = code
        self.message = message
        self.sqlstate = sqlstate
        self.misses_column = False
        self.place: tuple[int, int, str] | None = None
        """Place of a 1064 in one statement of a text: start of `near`, end of the word, and what is
        wrong; only the caller knows the text around the statement"""

    @property
    def is_syntax(self) -> bool:
        """Whether the text could not be read at all; 1064 is also used for missing tables."""
        return self.code == 1064 and self.message.startswith(_SYNTAX)

    @classmethod
    def internal(cls, text: str) -> SqlError:
        """20101, the code of all PITR refusals."""
        return cls(20101, f"internal error: {text}")

    @classmethod
    def not_emulated(cls, what: str) -> SqlError:
        """1235: what the emulator does not know it does not answer with anything else."""
        return cls(1235, f"MatrixOne emulator does not support: {what}", "42000")

    @classmethod
    def no_column(cls, what: str, *, internal: bool = False) -> SqlError:
        """Error of an unknown column; versions differ in the code (versions/rules.py).

        :param internal: it was the general error, 20101, not 20301.
        """
        error = cls.internal(what) if internal else cls(20301, f"invalid input: {what}")
        error.misses_column = True
        return error

    @classmethod
    def syntax(
        cls, near: str, line: int = 1, column: int | None = None, what: str = "syntax error"
    ) -> SqlError:
        """1064 in the server's shape; *near* is the text from the offending token on.

        Only 1,024 bytes of it are shown; the server then names a length, which is always 0.
        """
        at = len(near) if column is None else column
        data = near.encode("utf-8", "surrogateescape")
        cut = ""
        if len(data) > 1024:
            near, cut = data[:1024].decode("utf-8", "surrogateescape"), " (total length 0)"
        return cls(
            1064,
            f"{_SYNTAX}; check the manual that "
            "corresponds to your MatrixOne server version for the right syntax to use. "
            f'{what} at line {line} column {at} near "{near}"{cut};',
        )
