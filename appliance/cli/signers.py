"""How a command gets at a signer: secrets by prompt or file descriptor, and consent to what will be signed.

Neither a passphrase nor a PIN comes from an argument or the environment, and none is written anywhere. A descriptor
gives one secret: where two are needed, two descriptors are.
"""

from __future__ import annotations

import sys
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated

import typer

from airgap_bundle.signing.backend import open_signer
from appliance.cli.terminal import read_passphrase, say
from appliance.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

    from airgap_bundle.keys import Signer

MIN_PASSPHRASE_BYTES = 12
PinFdOption = Annotated[
    int | None,
    typer.Option("--pin-fd", metavar="FD", help="Read a token's PIN from this file descriptor (no prompt)."),
]
YesOption = Annotated[
    bool,
    typer.Option(
        "--yes", help="Where there is no terminal: sign without being asked. At a terminal it asks all the same."
    ),
]


@dataclass(frozen=True)
class Person:
    """Asks the person at the terminal, or reads the descriptors that were given instead (``backend.Ask``)."""

    passphrase_fd: int | None = None
    pin_fd: int | None = None

    def __post_init__(self) -> None:
        if self.passphrase_fd is not None and self.passphrase_fd == self.pin_fd:
            raise UsageError("one file descriptor cannot give passphrase and PIN", "give each its own")

    def passphrase(self, what: str) -> bytes:
        """The passphrase ``what``."""
        return read_passphrase(what, self.passphrase_fd)

    def pin(self, what: str) -> str:
        """The PIN ``what``. Raises ``UsageError`` when it is no UTF-8."""
        if self.pin_fd is None and not sys.stdin.isatty():
            raise UsageError("a PIN is needed and there is no terminal", "give it with --pin-fd FD")
        try:
            return read_passphrase(what, self.pin_fd).decode()
        except UnicodeDecodeError as error:
            raise UsageError("the PIN is no text") from error


class NewPassphrase(Person):
    """As ``Person``, for a file that is being made: typed twice, and not shorter than a guess."""

    def passphrase(self, what: str) -> bytes:
        """The new passphrase ``what``. Raises ``UsageError`` for one that is short, or typed in two ways."""
        phrase = super().passphrase(what)
        if len(phrase) < MIN_PASSPHRASE_BYTES:
            raise UsageError(
                f"a passphrase of fewer than {MIN_PASSPHRASE_BYTES} characters is guessed", "take several words"
            )
        if self.passphrase_fd is None and super().passphrase(f"once more, {what}") != phrase:
            raise UsageError("the passphrases differ", "begin again")
        return phrase


@contextmanager
def opened(key: Path, passphrase_fd: int | None, pin_fd: int | None = None) -> Iterator[Signer]:
    """The signer whose key file or key description is ``key``."""
    with open_signer(key, Person(passphrase_fd, pin_fd)) as found:
        yield found


def consent(lines: Iterable[str], question: str, *, yes: bool) -> None:
    """Show what will be signed and ask. Raises ``UsageError`` when the person, or ``--yes`` in their place, does not.

    At a terminal a person is asked whatever the options say: ``--yes`` is for where nobody can be asked.
    """
    for line in lines:
        say(line)
    if sys.stdin.isatty():
        if not typer.confirm(question, err=True):
            raise UsageError("not signed", "nothing was changed")
    elif not yes:
        raise UsageError("nobody can be asked: this is no terminal", "read what is signed, above, and give --yes")
