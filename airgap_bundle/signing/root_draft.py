"""A root in the middle of its ceremony: drafted, signed by person after person, complete. Pure: bytes in, bytes out.

The rules, each checked by everybody who signs, on their own machine:

1. the roots before the draft are whole, and the draft's version is the next one;
2. the draft is, byte for byte but for the instant, what this program would make of what it shows: no field, key or
   promise besides;
3. a signature that is on it already is valid and by somebody of the old or the new root;
4. it is complete when k of the old and k of the new root's persons signed, each with both halves;
5. a complete root takes no further signature: its fingerprint is over the file, and sites compare that.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Self

from airgap_bundle import ceremony, metadata
from airgap_bundle.errors import FormatError, MalformedError, SigningError
from airgap_bundle.keys import key_material
from airgap_bundle.metadata import ROOT
from airgap_bundle.root_policy import check_root, persons, tally
from airgap_bundle.signing.described import CLOCK_TOLERANCE, follow_roots, is_as_made
from airgap_bundle.signing.root_plan import RootPlan, build, changes, check_succession

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

    from tuf.api.metadata import Metadata, Root

    from airgap_bundle.keys import PublicSigner, Signer
    from airgap_bundle.root_policy import Tally

_AGAIN = "ask who drafted it; `sovereign trust rotate` makes a new draft"


@dataclass(frozen=True)
class RootProgress:
    """Where a root's ceremony stands. ``old`` is None for the first root, and where its predecessor is not at hand."""

    old: Tally | None
    new: Tally

    @property
    def complete(self) -> bool:
        """Whether enough persons of both roots have signed."""
        return all(len(found.signed) >= found.threshold for found in self._tallies())

    @property
    def waiting(self) -> tuple[str, ...]:
        """Who may still sign, for whichever root still lacks signatures; each name once."""
        short = [found for found in self._tallies() if len(found.signed) < found.threshold]
        return tuple(sorted({name for found in short for name in found.waiting}))

    def __str__(self) -> str:
        text = f"{len(self.new.signed)} of {self.new.threshold}"
        if self.old is not None:
            text = f"{len(self.old.signed)} of {self.old.threshold} old, {text} new"
        return f"{text}, waiting for {', '.join(self.waiting)}" if self.waiting else text

    def _tallies(self) -> list[Tally]:
        return [self.new] if self.old is None else [self.old, self.new]


@dataclass(frozen=True)
class RootDraft:
    """``data`` is the draft's file, ``history`` the complete roots before it by version, none for the first root."""

    history: Mapping[int, bytes]
    data: bytes

    @classmethod
    def successor(cls, history: Mapping[int, bytes], plan: RootPlan, *, now: datetime) -> Self:
        """An unsigned draft that spells ``plan`` after ``history``. Raises ``SigningError`` and as ``check``."""
        version = max(history) + 1 if history else 1
        draft = cls(history, build(plan, version, now=now).to_bytes())
        draft.check(now)
        return draft

    @cached_property
    def metadata(self) -> Metadata[Root]:
        """The draft, parsed. Raises ``FormatError``."""
        return metadata.parse_root(self.data)

    @cached_property
    def previous(self) -> Root | None:
        """The root in force before it; every link of the history is verified."""
        return follow_roots(self.history) if self.history else None

    @property
    def plan(self) -> RootPlan:
        """What the draft says. Raises ``RootPolicyError``."""
        check_root(self.metadata.signed)
        return RootPlan.of(self.metadata.signed)

    @property
    def old_plan(self) -> RootPlan | None:
        """What the root before it says."""
        return None if self.previous is None else RootPlan.of(self.previous)

    def changes(self) -> tuple[str, ...]:
        """What it changes, in sentences."""
        return changes(self.old_plan, self.plan)

    def check(self, now: datetime) -> RootProgress:
        """Rules 1 to 3, and where the ceremony stands. Raises ``SigningError`` or a ``VerificationError``."""
        try:
            self._check_sequence()
            self._check_payload(now)
            return self.progress()
        except FormatError as error:
            raise MalformedError(f"root draft: {error.cause}") from error

    def progress(self) -> RootProgress:
        """Where the ceremony stands. Raises ``SignatureError`` for a signature that nobody explains."""
        root = self.metadata.signed
        if self.previous is None:
            return RootProgress(None, tally(root, ROOT, self.metadata))
        old, new = (frozenset(found.roles[ROOT].keyids) for found in (self.previous, root))
        return RootProgress(
            tally(self.previous, ROOT, self.metadata, others=new), tally(root, ROOT, self.metadata, others=old)
        )

    def signed_by(self, signer: Signer, now: datetime) -> Self:
        """The draft with both signatures of ``signer``. Raises ``SigningError`` when it is not theirs to sign."""
        if self.check(now).complete:
            raise self.completed()
        if not self.is_for(signer.public):
            raise SigningError(
                f"neither the old nor the new root names {signer.name} with these keys",
                "persons of either root sign it: `sovereign trust show`",
            )
        added = metadata.parse_root(self.data)
        return type(self)(self.history, ceremony.add_signatures(added, signer).to_bytes())

    def is_for(self, signer: PublicSigner) -> bool:
        """Whether ``signer`` is a person of the old or the new root."""
        roots = [root for root in (self.previous, self.metadata.signed) if root is not None]
        held = {key.keyid for key in signer.keys}
        return any(held == set(halves.values()) for root in roots for halves in persons(root, ROOT).values())

    def completed(self) -> SigningError:
        """Why nothing is added any more."""
        return SigningError(
            f"root {self.metadata.signed.version} is complete: a further signature would change its fingerprint",
            "carry it in the next bundle: `sovereign bundle sign --root FOLDER`",
        )

    def _check_sequence(self) -> None:
        version, expected = self.metadata.signed.version, max(self.history, default=0) + 1
        if version != expected:
            raise SigningError(
                f"the draft is root {version}, and {expected} is the next one",
                f"lay the complete {version - 1}.root.json beside it" if version > expected else _AGAIN,
            )

    def _check_payload(self, now: datetime) -> None:
        root, plan, old = self.metadata.signed, self.plan, self.old_plan
        made = metadata.issued(root)
        if not is_as_made(root, build(plan, root.version, now=made).signed):
            raise SigningError("the draft says something that this program would neither write nor show", _AGAIN)
        if made > now + CLOCK_TOLERANCE:
            raise SigningError(f"the draft says it was made at {made}, which lies ahead", _AGAIN)
        if old is not None:
            check_succession(old, plan)
        self._check_no_return(plan)

    def _check_no_return(self, plan: RootPlan) -> None:
        """A key that an earlier root removed may be in the hands of whoever it was removed for."""
        roots = [metadata.parse_root(self.history[version]).signed for version in sorted(self.history)]
        held = [_material(RootPlan.of(root)) for root in roots]
        removed = set().union(*held) - held[-1].keys() if held else set()
        for material, name in _material(plan).items():
            if material in removed:
                raise SigningError(f"a key of {name} was removed by an earlier root and cannot return", "make new keys")


def _material(plan: RootPlan) -> dict[bytes, str]:
    return {key_material(key): name for name, signer in plan.everybody().items() for key in signer.keys}
