"""mysql_native_password: the salt, what a server stores, and the proof of a client."""

from __future__ import annotations

import hashlib
import secrets

NATIVE_PASSWORD = "mysql_native_password"


def new_salt() -> bytes:
    """20 bytes without NUL and `$`, which some clients take for an end."""
    alphabet = bytes(set(range(1, 128)) - {ord("$")})
    return bytes(secrets.choice(alphabet) for _ in range(20))


def password_hash(password: str) -> bytes:
    """SHA1(SHA1(password)), what a server stores; empty for no password."""
    if not password:
        return b""
    return hashlib.sha1(hashlib.sha1(password.encode()).digest()).digest()


def password_matches(stored: bytes, salt: bytes, answer: bytes) -> bool:
    """Whether *answer* is mysql_native_password's proof of the stored password."""
    if not stored:
        return not answer
    if len(answer) != 20:
        return False
    mask = hashlib.sha1(salt + stored).digest()
    first = bytes(a ^ b for a, b in zip(answer, mask, strict=True))
    return secrets.compare_digest(hashlib.sha1(first).digest(), stored)
