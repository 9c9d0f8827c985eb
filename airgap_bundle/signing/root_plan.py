"""What a root says, without its spelling: who may sign what, how many of them, and which key seals releases.

A plan is what persons agree on; ``build`` spells it as TUF metadata and ``RootPlan.of`` reads it back. ``changes``
says in words what a successor does to its predecessor, so that a signer reads sentences and not key ids.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING

from tuf.api.metadata import Role, Root

from airgap_bundle.errors import RootPolicyError, SigningError
from airgap_bundle.keys import ALGORITHMS, PublicSigner, key_material
from airgap_bundle.metadata import GRANT, MODELS, ROOT, SNAPSHOT, TARGETS, TIMESTAMP, grant, issue, role_in
from airgap_bundle.root_policy import persons

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping
    from datetime import datetime

    from securesystemslib.signer import Key
    from tuf.api.metadata import Metadata

ROOT_LIFE = timedelta(days=5 * 365)
PERSONS_ROLES = (ROOT, TARGETS)
GRANTED_ROLES = (*PERSONS_ROLES, MODELS)  # the last one only where the root grants it
RELEASE_ROLES = (SNAPSHOT, TIMESTAMP)


@dataclass(frozen=True)
class Circle:
    """The persons of one role, by name and in the order of joining, and how many of them must sign."""

    members: Mapping[str, PublicSigner]
    threshold: int

    def check(self, role: str) -> None:
        """Raises ``SigningError`` for a threshold that cannot be met."""
        if not 1 <= self.threshold <= len(self.members):
            raise SigningError(
                f"a threshold of {self.threshold} cannot be met by {len(self.members)} signers of {role}",
                "set the threshold, or add signers",
            )


@dataclass(frozen=True)
class RootPlan:
    """The circles of root and targets, and the signer who seals: snapshot and timestamp are one signer's.

    A circle of models, where there is one, may bring models to sites between releases.
    """

    circles: Mapping[str, Circle]
    release: PublicSigner

    @classmethod
    def of(cls, root: Root) -> RootPlan:
        """The plan that ``root``, whose policy was checked, spells. Raises ``RootPolicyError`` for any other shape."""
        held = ((role, role_in(root, role)) for role in GRANTED_ROLES)
        circles = {
            role: Circle(_members(root, role), entry.threshold // 2) for role, entry in held if entry is not None
        }
        sealing = [_members(root, role) for role in RELEASE_ROLES]
        if sealing[0] != sealing[1] or len(sealing[0]) != 1:
            raise RootPolicyError(
                f"root {root.version}: snapshot and timestamp are not held by one and the same signer"
            )
        return cls(circles, next(iter(sealing[0].values())))

    def everybody(self) -> dict[str, PublicSigner]:
        """All signers by name. Raises ``SigningError`` for one name with two keys, or one key under two names."""
        found: dict[str, PublicSigner] = {}
        for signer in self._all():
            if found.setdefault(signer.name, signer) != signer:
                raise SigningError(f"two signers have the name {signer.name}", "names tell persons apart")
        owners: dict[bytes, str] = {}
        for signer in found.values():
            for key in signer.keys:
                if owners.setdefault(key_material(key), signer.name) != signer.name:
                    raise SigningError(f"{owners[key_material(key)]} and {signer.name} have one key", "make another")
        return found

    def check(self) -> None:
        """Raises ``SigningError`` for a plan that cannot work."""
        for role, circle in self.circles.items():
            circle.check(role)
            if self.release.name in circle.members:
                raise SigningError(
                    f"{self.release.name} cannot be a person of {role} and the release key",
                    "give the release key its own",
                )
        self.everybody()

    def roles_of(self, name: str) -> tuple[str, ...]:
        """The roles that the person ``name`` has."""
        return tuple(role for role, circle in self.circles.items() if name in circle.members)

    def _all(self) -> Iterator[PublicSigner]:
        for circle in self.circles.values():
            yield from circle.members.values()
        yield self.release


def by_name(signers: Iterable[PublicSigner]) -> dict[str, PublicSigner]:
    """``signers`` by name. Raises ``SigningError`` for a name given twice."""
    found: dict[str, PublicSigner] = {}
    for signer in signers:
        if found.setdefault(signer.name, signer) is not signer:
            raise SigningError(
                "two signers have one name", "names tell persons apart; the release key has its own, too"
            )
    return found


def build(plan: RootPlan, version: int, *, now: datetime) -> Metadata[Root]:
    """The unsigned root that ``plan`` means, good for five years from ``now``. Raises ``SigningError``.

    TUF counts key ids and each person has two, hence the doubled thresholds.
    """
    plan.check()
    keys: dict[str, Key] = {key.keyid: key for signer in plan.everybody().values() for key in signer.keys}
    roles = {
        role: Role(_key_ids(plan.circles[role].members.values()), 2 * plan.circles[role].threshold)
        for role in PERSONS_ROLES
    }
    roles |= {role: Role(_key_ids([plan.release]), 2) for role in RELEASE_ROLES}
    root = Root(version, None, now + ROOT_LIFE, keys, roles, consistent_snapshot=False)
    if (models := plan.circles.get(MODELS)) is not None:
        root.unrecognized_fields[GRANT] = grant(_key_ids(models.members.values()), 2 * models.threshold)
    return issue(root, now)


def changes(old: RootPlan | None, new: RootPlan) -> tuple[str, ...]:
    """Sentences about what ``new`` does that ``old`` did not. ``old`` is None for the first root."""
    if old is None:
        return ("this is the first root: it binds whoever types its fingerprint",)
    found = [*_comings_and_goings(old, new), *_thresholds(old, new)]
    if old.release != new.release:
        found.append(
            f"the release key changes from {_short(old.release)} to {_short(new.release)}: "
            "what the old one seals counts no longer"
        )
    reset = resets(old, new)
    if reset:
        found.append(f"version floors of {', '.join(reset)} start anew at every site; the release floor never does")
    if not found:
        found.append("nobody comes or goes: only the expiry is renewed")
    return tuple(found)


def resets(old: RootPlan, new: RootPlan) -> tuple[str, ...]:
    """Roles whose version floor becomes void at a site that goes from ``old`` to ``new`` (FORMAT.md, section 9)."""
    sealing = RELEASE_ROLES if set(_key_ids([old.release])) != set(_key_ids([new.release])) else ()
    changed = (TARGETS,) if _holders(old, TARGETS) != _holders(new, TARGETS) else ()
    return (*changed, *((MODELS,) if _models_replaced(old, new) else ()), *sealing)


def _models_replaced(old: RootPlan, new: RootPlan) -> bool:
    """As ``chain`` asks it of two roots: whether too few stayed who might bring models under ``old``.

    Where ``old`` lets nobody, there may have been others before it.
    """
    before, after = old.circles.get(MODELS), new.circles.get(MODELS)
    if after is None:
        return False
    known = {name: set(_key_ids([signer])) for name, signer in (before.members.items() if before else ())}
    stayed = [name for name, signer in after.members.items() if known.get(name) == set(_key_ids([signer]))]
    return len(stayed) < after.threshold


def check_succession(old: RootPlan, new: RootPlan) -> None:
    """Raises ``SigningError`` when a key of ``old`` stands under another name in ``new``: that hides who signs."""
    owners = {key_material(key): name for name, signer in old.everybody().items() for key in signer.keys}
    for name, signer in new.everybody().items():
        for key in signer.keys:
            owner = owners.get(key_material(key), name)
            if owner != name:
                raise SigningError(
                    f"a key of {owner} would stand under the name {name}", "make new keys for a new name"
                )


def _members(root: Root, role: str) -> dict[str, PublicSigner]:
    """The persons of ``role`` by name, in the order in which the root names them."""
    found: dict[str, PublicSigner] = {}
    for name, halves in persons(root, role).items():
        keys = [root.keys[halves[algorithm]] for algorithm in ALGORITHMS]
        found[name] = PublicSigner(name, *keys)  # type: ignore[arg-type]  # persons has checked that they are SSlibKeys
    return found


def _holders(plan: RootPlan, role: str) -> set[str]:
    circle = plan.circles.get(role)
    return set(_key_ids(circle.members.values())) if circle else set()


def _key_ids(signers: Iterable[PublicSigner]) -> list[str]:
    return [key.keyid for signer in signers for key in signer.keys]


def _comings_and_goings(old: RootPlan, new: RootPlan) -> Iterator[str]:
    before, after = old.everybody(), new.everybody()
    for name in before | after:
        held, holds = set(old.roles_of(name)), set(new.roles_of(name))
        if held - holds:
            yield f"{name} leaves {_listed(held - holds)}: what {name} signs there counts no longer, whatever its date"
        if holds - held:
            yield f"{_short(after[name])} joins {_listed(holds - held)}"
        if held & holds and before[name] != after[name]:
            yield f"{name} has new keys ({name}.pub {after[name].fingerprint}): the old ones count no longer"


def _thresholds(old: RootPlan, new: RootPlan) -> Iterator[str]:
    if MODELS in new.circles and MODELS not in old.circles:
        circle = new.circles[MODELS]
        yield f"{circle.threshold} of {len(circle.members)} persons may bring models to sites between releases"
    if MODELS in old.circles and MODELS not in new.circles:
        yield "nobody may bring models to sites between releases any more"
    for role in GRANTED_ROLES:
        if role not in old.circles or role not in new.circles:
            continue
        before, after = old.circles[role], new.circles[role]
        if (before.threshold, len(before.members)) != (after.threshold, len(after.members)):
            yield (
                f"{role} needs {after.threshold} of {len(after.members)} persons, "
                f"where it needed {before.threshold} of {len(before.members)}"
            )


def _short(signer: PublicSigner) -> str:
    return f"{signer.name} ({signer.name}.pub {signer.fingerprint})"


def _listed(roles: set[str]) -> str:
    return " and ".join(role for role in GRANTED_ROLES if role in roles)
