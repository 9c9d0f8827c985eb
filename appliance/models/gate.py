"""The gate: from a model's name in a verified release to the descriptor that the engine maps.

The weights are hashed through one open descriptor, and that descriptor is what ``VerifiedModel`` carries. Nothing is
written and nothing is remembered: every start goes through every check again (``appliance.models.passage``).
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from appliance.models.passage import Passage
from appliance.models.policy import load_policy

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from datetime import datetime
    from pathlib import Path

    from airgap_bundle.keys import PublicSigner
    from airgap_bundle.store import VerifiedRelease
    from appliance.models.verdict import Verdict


@dataclass(frozen=True)
class VerifiedModel:
    """A model that passed; ``fd_weights`` is the descriptor whose bytes were hashed. Close it, or hand it on."""

    fd_weights: int
    template: str
    record: dict[str, Any]
    verdict: Verdict
    receipt: dict[str, Any]

    def close(self) -> None:
        """Close the descriptor."""
        os.close(self.fd_weights)


def open_verified(  # noqa: PLR0913 - everything that the verdict rests on, named at the call
    release: VerifiedRelease,
    name: str,
    *,
    policy_path: Path,
    waivers: Sequence[Path],
    officers: Sequence[PublicSigner],
    now: datetime,
    statements: Sequence[Path] = (),
    progress: Callable[[int, int], None] | None = None,
) -> VerifiedModel:
    """The model ``name`` of ``release``, if every check passes.

    Raises the first refusal, one of ``appliance.models.errors``, with the whole ``verdict`` on it; nothing stays open
    then. ``waivers`` and ``statements`` are signed files, ``officers`` the enrolled keys, ``progress`` hears of bytes
    hashed.
    """
    policy = load_policy(policy_path)
    passage = Passage(release, name, progress)
    try:
        passage.pass_through(policy, waivers, officers, now, statements)
        passage.findings.raise_first()
    except BaseException:
        passage.close()
        raise
    assert passage.fd is not None
    return VerifiedModel(
        fd_weights=passage.fd,
        template=passage.template,
        record=dict(passage.config),
        verdict=passage.findings.verdict,
        receipt=passage.receipt(),
    )


def assess(  # noqa: PLR0913 - as open_verified
    release: VerifiedRelease,
    name: str,
    *,
    policy_path: Path,
    waivers: Sequence[Path],
    officers: Sequence[PublicSigner],
    now: datetime,
    statements: Sequence[Path] = (),
) -> Verdict:
    """The checks on the model's papers alone, for a list: no byte of weights or template is read. As ``examine``."""
    passage = Passage(release, name, None)
    passage.show_papers(load_policy(policy_path), waivers, officers, now, statements)
    return passage.findings.verdict


def examine(  # noqa: PLR0913 - as open_verified
    release: VerifiedRelease,
    name: str,
    *,
    policy_path: Path,
    waivers: Sequence[Path],
    officers: Sequence[PublicSigner],
    now: datetime,
    statements: Sequence[Path] = (),
    progress: Callable[[int, int], None] | None = None,
) -> Verdict:
    """Every check on the model, without keeping it open. A refusal is in the verdict, not raised.

    What is raised: ``PolicyError``, ``ArtifactError`` and ``RecordError``, without which there is nothing to check.
    """
    policy = load_policy(policy_path)
    passage = Passage(release, name, progress)
    try:
        passage.pass_through(policy, waivers, officers, now, statements)
        return passage.findings.verdict
    finally:
        passage.close()
