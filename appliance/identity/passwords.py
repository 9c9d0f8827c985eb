"""Passwords of people: made once to be changed at first sign-in, or given by the operator of a demonstration.

Given passwords come from a file that only its owner can read, or from a pipe; never from argv or the environment.
"""

from __future__ import annotations

import csv
import io
import os
import secrets
import stat
from typing import TYPE_CHECKING

from appliance.errors import UsageError

if TYPE_CHECKING:
    from pathlib import Path

_ALPHABET = "23456789abcdefghjkmnpqrstuvwxyz"  # nothing that is mistaken for something else on paper
_GROUPS, _GROUP_LENGTH = 4, 5
_MAX_BYTES = 1024 * 1024
MINIMUM_LENGTH = 12


def one_time_password() -> str:
    """Twenty characters in groups of five: 99 bits, easy to type from paper."""
    return "-".join("".join(secrets.choice(_ALPHABET) for _ in range(_GROUP_LENGTH)) for _ in range(_GROUPS))


def read_passwords(path: Path) -> dict[str, str]:
    """``{username: password}`` from lines ``username,password``.

    A regular file must be readable by its owner only (0600). Raises ``UsageError``.
    """
    try:
        with path.open("rb") as file:
            status = os.fstat(file.fileno())
            if stat.S_ISREG(status.st_mode) and status.st_mode & 0o077:
                raise UsageError(f"{path}: others can read it", f"chmod 600 {path}")
            data = file.read(_MAX_BYTES + 1)
    except OSError as error:
        raise UsageError(f"{path}: {(error.strerror or 'cannot be read').lower()}") from error
    if len(data) > _MAX_BYTES:
        raise UsageError(f"{path}: larger than {_MAX_BYTES // 1024} KiB")
    passwords: dict[str, str] = {}
    try:
        for row in csv.reader(io.StringIO(data.decode("utf-8"), newline=""), strict=True):
            _take(passwords, row, path)
    except (csv.Error, UnicodeDecodeError) as error:
        raise UsageError(f"{path}: no lines of username,password") from error
    return passwords


def _take(passwords: dict[str, str], row: list[str], path: Path) -> None:
    if not row:
        return
    match row:
        case [username, password] if username not in passwords and len(password) >= MINIMUM_LENGTH:
            passwords[username] = password
        case _:
            raise UsageError(
                f"{path}: line {len(passwords) + 1} is not `username,password`",
                f"name each person once; a password has {MINIMUM_LENGTH} characters or more",
            )
