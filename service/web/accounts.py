"""Local accounts of the page: names, hashes of passwords (Argon2id), and who may act."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError

from lnc_dicom.errors import BadAccounts
from lnc_service.spool import write_durably

SHORTEST_PASSWORD = 10
LONGEST_PASSWORD = 256
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
_hasher = PasswordHasher()
_NOBODY = "$argon2id$v=19$m=65536,t=3,p=4$MIIRqgvgQbgj220jfp0MPA$YfwJSVjtjSU0zzV/P3S9nnQ/USre2wvJMjfCIjrTQbg"
"""Hash of a password that nobody has: a name that is not known takes as long as one that is."""


@dataclass(frozen=True, slots=True)
class Account:
    """One account. `operator`: may retry, force and discard."""

    password: str
    operator: bool


class Accounts:
    """Reads the file at every log-in, so that changes count at once."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def names(self) -> list[str]:
        """Everybody who can log in."""
        return sorted(self._read())

    def operator(self, name: str, password: str) -> bool | None:
        """Check a password: whether this is an operator, or None where name or password are wrong."""
        account = self._read().get(name)
        try:
            _hasher.verify(account.password if account else _NOBODY, password[:LONGEST_PASSWORD])
        except (VerificationError, InvalidHashError):
            return None
        return account.operator if account else None

    def put(self, name: str, password: str, *, operator: bool) -> None:
        """Make an account, or change it. Raises BadAccounts."""
        if not _NAME.fullmatch(name):
            raise BadAccounts("a name has letters, digits, dot, hyphen and underscore, 64 at most")
        if not SHORTEST_PASSWORD <= len(password) <= LONGEST_PASSWORD:
            raise BadAccounts(f"a password has {SHORTEST_PASSWORD} to {LONGEST_PASSWORD} characters")
        self._write({**self._read(), name: Account(_hasher.hash(password), operator)})

    def remove(self, name: str) -> None:
        """Take an account away. Raises BadAccounts where there is none."""
        accounts = dict(self._read())
        if accounts.pop(name, None) is None:
            raise BadAccounts("there is no account of this name")
        self._write(accounts)

    def _read(self) -> Mapping[str, Account]:
        try:
            found = tomllib.loads(self.path.read_text(encoding="utf-8"))
            return {n: Account(str(a["password"]), operator=bool(a.get("operator"))) for n, a in found.items()}
        except FileNotFoundError:
            return {}
        except (OSError, tomllib.TOMLDecodeError, KeyError, TypeError, AttributeError) as error:
            raise BadAccounts(f"{self.path} cannot be read: {type(error).__name__}") from error

    def _write(self, accounts: Mapping[str, Account]) -> None:
        """Replace the file, which only its owner reads. Raises BadAccounts."""
        lines = [
            f'["{name}"]\npassword = "{account.password}"\noperator = {str(account.operator).lower()}\n'
            for name, account in sorted(accounts.items())
        ]
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            write_durably(self.path, "\n".join(lines).encode())
        except OSError as error:
            raise BadAccounts(f"{self.path} cannot be written: {type(error).__name__}") from error
