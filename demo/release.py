"""The builder's half of the demonstration: keys, bundle, signatures. The end-to-end journeys use it as well."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING, Any

from airgap_bundle.build.cache import BuildCache
from airgap_bundle.build.description import lock_path
from airgap_bundle.build.native_wheel import not_ours
from airgap_bundle.lock import load_lock
from demo.workspace import REPOSITORY, sovereign, sovereign_json

if TYPE_CHECKING:
    from demo.workspace import Workspace

SIGNERS = ("build-lead", "release-lead", "security-lead")
THRESHOLD = 2
OFFICER = "model-officer"
MODEL = "gemma3-270m"
WAIVER_REASON = (
    "Demonstration only: the weights were republished by an unverified uploader and their conversion is not attested."
)


def make_keys(workspace: Workspace) -> None:
    """A root of trust for three persons of whom two must sign, and a site officer's key."""
    phrase = workspace.passphrase_file("keys")
    people = ("--signers", ",".join(SIGNERS), "--threshold", str(THRESHOLD))
    sovereign("trust", "init", *people, "--out", workspace.keys, passphrase=phrase)
    sovereign("trust", "keygen", OFFICER, "--out", workspace.keys, passphrase=phrase)


def build(workspace: Workspace) -> None:
    """Build the locked release; what the cache holds is not fetched again.

    A machine with another compiler than the lock's cannot make the lock's bytes. It gets a lock of its own, here.
    """
    release = REPOSITORY / "sources" / "release.yaml"
    lock = lock_path(release)
    compiled_elsewhere = not_ours(load_lock(lock), BuildCache.default())
    if compiled_elsewhere:
        print(f"this machine compiles otherwise than {lock.name} says: the demonstration gets a lock of its own")
        own = workspace.root / lock.name
        shutil.copyfile(lock, own)
        again = [option for name in compiled_elsewhere for option in ("--relock", name)]
        sovereign("bundle", "lock", "--release", release, "--lock", own, *again)
        lock = own
    sovereign("bundle", "build", "--release", release, "--lock", lock, "--out", workspace.bundle)


def sign(workspace: Workspace) -> None:
    """Two of three persons sign, one after the other, then the release key seals the bundle."""
    phrase = workspace.passphrase_file("keys")
    root = ("--root", workspace.keys / "1.root.json")
    sovereign(
        "bundle", "sign", workspace.bundle, "--key", workspace.keys / f"{SIGNERS[0]}.key", *root, passphrase=phrase
    )
    sovereign("bundle", "sign", workspace.bundle, "--key", workspace.keys / f"{SIGNERS[2]}.key", passphrase=phrase)
    sovereign("bundle", "sign", workspace.bundle, "--key", workspace.keys / "release.key", passphrase=phrase)


def fingerprint(workspace: Workspace) -> str:
    """Fingerprint of the root: what a builder reads out to a site."""
    shown: dict[str, Any] = sovereign_json("trust", "show", workspace.keys / "1.root.json")
    return str(shown["fingerprint"])


def verify(workspace: Workspace) -> None:
    """Verify as a site does that has never seen this root."""
    sovereign(
        "--site", workspace.site, "bundle", "verify", workspace.bundle, "--root-fingerprint", fingerprint(workspace)
    )
