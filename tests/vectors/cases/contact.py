"""Section 21: FIRST-CONTACT of a release with a wheelhouse, altered, and signed by others than its targets."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING

from tests.bundles import make
from tests.vectors.cases.desk import case, flip

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

CONTACT = "FIRST-CONTACT"
SIGNATURE = "FIRST-CONTACT.sig/architect.ed25519"


def _whole(folder: Path) -> Path:
    """Release 3 with a wheelhouse, in the place of the bundle."""
    shutil.rmtree(folder / "bundle")
    return make(folder / "bundle", version="3.0.0", number=3)


@case("first-contact", None, "contact", about="a release with a wheelhouse and its FIRST-CONTACT", freshness="pass")
def first_contact(folder: Path) -> None:
    _whole(folder)


def _retyped(bundle: Path) -> None:
    path = bundle / CONTACT
    path.write_bytes(path.read_bytes().replace(b"format 1\n", b"format 2\n"))


CHANGES: dict[str, tuple[str, str, Callable[[Path], object]]] = {
    "first-contact-changed": ("SignatureError", "contact", _retyped),
    "first-contact-with-a-line-more": (
        "SignatureError",
        "contact",
        lambda bundle: (bundle / CONTACT).write_bytes((bundle / CONTACT).read_bytes() + b"run me\n"),
    ),
    "first-contact-signature-flipped": ("SignatureError", "contact-signed", lambda bundle: flip(bundle / SIGNATURE)),
    "first-contact-signature-missing": (
        "MissingFileError",
        "contact-signed",
        lambda bundle: (bundle / SIGNATURE).unlink(),
    ),
}


for _name, (_error, _rule, _change) in CHANGES.items():

    @case(_name, _error, _rule, check="first contact", about=_name.replace("-", " "))
    def changed(folder: Path, change: Callable[[Path], object] = _change) -> None:
        change(_whole(folder))
