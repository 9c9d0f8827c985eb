"""A release in the middle of its ceremony: who may sign next, over which bytes. Pure: values in, metadata files out.

A draft is what a signer's machine knows: the roots, ``index.json``, ``release.json``, the manifests and configs, and
the targets as far as they are signed. ``sign`` reads it from a bundle, having hashed every blob; ``request`` carries
it to a machine that has no blobs. The rules are the same for both:

1. the first draft fixes the targets; everybody signs these very bytes;
2. persons sign, in any order, until the bundle is sealed;
3. the release key seals, once enough persons have signed.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from airgap_bundle import ceremony, metadata
from airgap_bundle.errors import SigningError
from airgap_bundle.first_contact import ceremony as first_contact
from airgap_bundle.first_contact import record, signatures
from airgap_bundle.metadata import SNAPSHOT, TARGETS, TIMESTAMP
from airgap_bundle.root_policy import tally
from airgap_bundle.signing.described import Described, check_payload, names_in, read_described

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from datetime import datetime

    from tuf.api.metadata import Metadata, Targets

    from airgap_bundle.descriptor import Descriptor
    from airgap_bundle.keys import PublicSigner, Signer
    from airgap_bundle.root_policy import Tally

_AGAIN = "remove metadata/, FIRST-CONTACT and FIRST-CONTACT.sig/ and sign again"


@dataclass(frozen=True)
class ReleaseDraft(Described):
    """A release as far as it is signed: ``targets`` with the signatures that they have, or None.

    ``seal`` holds snapshot and timestamp of a sealed bundle, and is empty before; ``contact`` the signatures on
    FIRST-CONTACT, by person, and ``contact_found`` that text as it lies in the bundle.
    """

    targets: bytes | None
    seal: Mapping[str, bytes] = field(default_factory=dict)
    contact: Mapping[str, bytes] = field(default_factory=dict)
    contact_found: bytes | None = None

    @property
    def sealed(self) -> bool:
        """Whether the release key has ended the ceremony."""
        return bool(self.seal)

    @property
    def contact_text(self) -> bytes | None:
        """FIRST-CONTACT, as it follows from the release and its last root; None when the release needs none.

        Raises ``FormatError`` for a release that a new site could not check.
        """
        last = max(self.roots)
        return record.write(record.Release(self.index, self.release_data, self.contents), last, self.roots[last])

    def begun(self, now: datetime) -> Metadata[Targets]:
        """The targets to sign, with the signatures that they have, all of them valid.

        Raises ``SigningError`` when what lies there is not what this release's persons should sign, and a
        ``SignatureError`` for a signature that is not valid.
        """
        expected = ceremony.build_targets(self.index, self.release_data, self.contents.release, now=now)
        if self.targets is None:
            self._check_contact()
            return expected
        found = metadata.parse_targets(self.targets)
        check_payload(found.signed, expected.signed, now, name="targets.json", again=_AGAIN)
        tally(self.root, TARGETS, found)
        self._check_contact()
        return found

    def _check_contact(self) -> None:
        text = self.contact_text
        first_contact.check_found(text, self.contact_found, self.contact.keys(), begun=self.targets is not None)
        signatures.check(self.root, text or b"", self.contact)

    def counted(self) -> Tally:
        """Who has signed the targets so far."""
        if self.targets is None:
            raise SigningError("no person has signed yet", "the release key seals, last, what persons have signed")
        return tally(self.root, TARGETS, metadata.parse_targets(self.targets))


def read_draft(  # noqa: PLR0913 - the files that a draft consists of
    roots: Mapping[int, bytes],
    index: bytes,
    release: bytes,
    fetch: Callable[[Descriptor], bytes],
    *,
    targets: bytes | None,
    seal: Mapping[str, bytes] | None = None,
    contact: Mapping[str, bytes] | None = None,
) -> ReleaseDraft:
    """The draft in these files; ``fetch`` gives the bytes of one manifest or config, which are checked.

    Raises as ``read_described``.
    """
    found = read_described(roots, index, release, fetch)
    return ReleaseDraft(**vars(found), targets=targets, seal=seal or {}, contact=contact or {})


def role_of(draft: ReleaseDraft, signer: PublicSigner) -> str:
    """``targets`` for a person, ``snapshot`` for the release key. Raises ``SigningError`` for anybody else."""
    for role in (TARGETS, SNAPSHOT):
        if signer.name in names_in(draft.root, role, signer):
            return role
    raise SigningError(
        f"the root does not know the keys of {signer.name}", "the root names who signs: `sovereign trust show`"
    )


def sign_draft(draft: ReleaseDraft, signer: Signer, now: datetime) -> dict[str, bytes]:
    """The metadata files, by role, after ``signer`` signed: the targets of a person, the seal of the release key.

    Beside a person's targets, ``signatures.ROLE`` is that person's signature on FIRST-CONTACT, where there is one.
    Raises ``SigningError`` when it is not this signer's turn, and as ``ReleaseDraft.begun``.
    """
    if role_of(draft, signer.public) == TARGETS:
        if draft.sealed:
            raise SigningError(
                "the bundle is sealed by the release key", "enough persons have signed; nothing is missing"
            )
        files = {TARGETS: ceremony.add_signatures(draft.begun(now), signer).to_bytes()}
        if (text := draft.contact_text) is not None:
            files[signatures.ROLE] = signatures.sign(signer, text)
        return files
    if draft.sealed:
        raise SigningError("the bundle is sealed already", "`sovereign bundle verify` checks it")
    snapshot = ceremony.add_signatures(
        ceremony.build_snapshot(to_seal(draft, now), draft.contents.release, now=now), signer
    )
    data = snapshot.to_bytes()
    timestamp = ceremony.add_signatures(ceremony.build_timestamp(data, draft.contents.release, now=now), signer)
    return {SNAPSHOT: data, TIMESTAMP: timestamp.to_bytes()}


def to_seal(draft: ReleaseDraft, now: datetime) -> bytes:
    """The targets file, when it is this release's and enough persons signed it. Raises ``SigningError``."""
    counted = draft.counted()
    draft.begun(now)
    if len(counted.signed) < counted.threshold:
        raise SigningError(f"targets are signed by {counted}", "the release key seals once enough persons have signed")
    if draft.contact_text is not None:
        first_contact.require(draft.contact, counted.signed)
    assert draft.targets is not None
    return draft.targets
