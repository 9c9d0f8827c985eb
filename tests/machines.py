"""Machines of persons whose keys never meet, driven from the command line."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from airgap_bundle.trust_state import fingerprint
from tests.bundles import Draft
from tests.commands import PHRASE, run, run_json

if TYPE_CHECKING:
    from pathlib import Path


PEOPLE = ("architect", "builder", "custodian")


class Machines:
    """One folder for each person's machine, and one for the keeper of roots and bundles."""

    def __init__(self, root: Path) -> None:
        self.root, self.roots = root, root / "keeper/roots"

    def keygen(self, *names: str) -> None:
        for name in names:
            run("trust", "keygen", name, "--out", self.root / name, phrase=PHRASE)

    def key(self, name: str) -> Path:
        return self.root / name / f"{name}.key"

    def public(self, name: str) -> Path:
        return self.root / name / f"{name}.pub"

    def draft_first(self, threshold: int = 2) -> Any:
        self.keygen(*PEOPLE, "release")
        given = [part for name in PEOPLE for part in ("--public", self.public(name))]
        given += ["--release", self.public("release"), "--threshold", threshold, "--out", self.roots]
        return run_json("trust", "init", *given)

    def sign_root(self, version: int, *names: str) -> Any:
        found = None
        for name in names:
            draft = self.roots / f"{version}.root.json"
            found = run_json("trust", "sign-root", draft, "--key", self.key(name), "--yes", phrase=PHRASE)
        return found

    def fingerprint(self, version: int = 1) -> str:
        return str(fingerprint((self.roots / f"{version}.root.json").read_bytes()))

    def respond(self, request: Path, name: str, known: str | None = None) -> Path:
        """Where no terminal is: a response by whoever knows the root ``known``; else the keeper's first."""
        out = self.root / name / f"response-{len(list((self.root / name).iterdir()))}.json"
        given = ("--key", self.key(name), "--out", out, "--yes", "--root-fingerprint", known or self.fingerprint())
        run("bundle", "respond", request, *given, phrase=PHRASE)
        return out


def release(folder: Path, number: int = 1) -> Path:
    support = datetime.now(UTC).replace(microsecond=0) + timedelta(days=700)
    return Draft(number=number, version=f"{number}.0.0", support_until=support).write(folder)
