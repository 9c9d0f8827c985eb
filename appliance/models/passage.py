"""One model's passage through the gate: every check, in order, each with a name.

Order: the record, and that it belongs where it lies; the waivers' signatures; the policy's verdict; the files that the
record names; the template's bytes; the weights' bytes; the weights' header. A refused check does not stop the others,
except that a header is not read from weights that were refused.
"""

from __future__ import annotations

import os
import unicodedata
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from appliance.models.errors import (
    ArtifactError,
    FileDigestError,
    GgufMismatchError,
    ModelGateError,
    ModelRefusedError,
    RecordRollbackError,
    RecordSlotError,
    TemplateError,
    WaiverError,
    WaiverKindError,
    WaiverScopeError,
)
from appliance.models.files import checked, open_checked
from appliance.models.gguf_tensors import read_header
from appliance.models.judge import VERSION_CHECK, judge
from appliance.models.policy import WAIVABLE
from appliance.models.record import ModelRecord, parse_record
from appliance.models.verdict import Check, Verdict
from appliance.models.waiver import Waiver, load_waiver, refusal

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from datetime import datetime
    from pathlib import Path

    from airgap_bundle.keys import PublicSigner
    from airgap_bundle.store import Artifact, StoredFile, VerifiedRelease
    from appliance.models.policy import ModelPolicy

MODEL_KIND = "model"
TEMPLATE_MAX_BYTES = 65_536


@dataclass
class Findings:
    """Checks as they are made; the first refusal is the one that is raised."""

    checks: list[Check] = field(default_factory=list)
    refusals: list[ModelGateError] = field(default_factory=list)
    used: tuple[Waiver, ...] = ()

    def ask(self, name: str, question: Callable[[], str]) -> None:
        """Record the answer of ``question``: its text, or the refusal that it raises."""
        try:
            detail = question()
        except ModelGateError as error:
            self.checks.append(Check(name, "fail", error.cause))
            self.refusals.append(error)
        else:
            self.checks.append(Check(name, "pass", detail))

    def raise_first(self) -> None:
        """Raise the first refusal, if there is one, with the whole verdict on it."""
        if self.refusals:
            first = self.refusals[0]
            first.verdict = self.verdict
            raise first

    @property
    def verdict(self) -> Verdict:
        """All checks so far."""
        return Verdict(tuple(self.checks), self.used)


class Passage:
    """One passage of one model."""

    def __init__(self, release: VerifiedRelease, name: str, progress: Callable[[int, int], None] | None) -> None:
        self._release = release
        self._artifact = _artifact(release, name)
        self.record: ModelRecord = parse_record(self._artifact.config)
        self._progress = progress
        self.findings = Findings()
        self.template = ""
        self.fd: int | None = None

    @property
    def config(self) -> Mapping[str, Any]:
        """The record as it was signed."""
        return self._artifact.config

    def pass_through(
        self, policy: ModelPolicy, waiver_files: Sequence[Path], officers: Sequence[PublicSigner], now: datetime
    ) -> None:
        """Make every check, in order. Refusals are kept in ``findings``; ``fd`` is open when the weights passed."""
        ask = self.findings.ask
        ask("record-in-its-place", self._in_its_place)
        self._judge(policy, waiver_files, officers, now)
        ask("licence-texts", self._licence_texts)
        ask("template-digest", self._template)
        ask("weights-digest", self._weights)
        if self.fd is None:
            self.findings.checks.append(Check("weights-header", "not established", "the weights were refused"))
        else:
            ask("weights-header", self._header)

    def _in_its_place(self) -> str:
        there = (self._artifact.name, self._artifact.version)
        if (self.record.name, self.record.version) != there:
            raise RecordSlotError(
                f"the record of {self.record.name} {self.record.version} lies in the place of {' '.join(there)}",
                "the release was built wrongly",
            )
        return f"{self.record.name} {self.record.version}"

    def _judge(
        self, policy: ModelPolicy, files: Sequence[Path], officers: Sequence[PublicSigner], now: datetime
    ) -> None:
        waivers, refused = _read_waivers(files, officers)
        verdict = judge(self.record, self._release.signers, policy, waivers, now)
        refused += [
            error
            for waiver in waivers
            if waiver.concerns(self.record) and (error := refusal(waiver, self.record, policy, now)) is not None
        ]
        self.findings.used = verdict.waivers_used
        self.findings.checks += verdict.checks
        if not verdict.ok:
            self.findings.refusals.append(_policy_refusal(self.record, verdict, refused))

    def _file(self, title: str) -> StoredFile:
        try:
            return self._artifact.files[title]
        except KeyError:
            raise ArtifactError(f"{self._artifact.name} has no file {title}", "the release was built wrongly") from None

    def _licence_texts(self) -> str:
        for title in self.record.licence.files:
            self._file(title)
        return ", ".join(self.record.licence.files)

    def _signed_file(self, title: str, sha256: str) -> StoredFile:
        """The file ``title``, named with one digest by record and manifest."""
        stored = self._file(title)
        if stored.digest.hex != sha256:
            raise FileDigestError(f"record and manifest name different digests for {title}")
        return stored

    def _template(self) -> str:
        wanted = self.record.template
        stored = self._signed_file(wanted.file, wanted.sha256)
        if stored.size > TEMPLATE_MAX_BYTES:
            raise TemplateError(f"the chat template is larger than {TEMPLATE_MAX_BYTES} bytes")
        with checked(stored.path, size=stored.size, sha256=wanted.sha256) as fd:
            data = os.pread(fd, stored.size, 0)
        self.template = _readable(data)
        return f"sha256:{wanted.sha256}"

    def _weights(self) -> str:
        wanted = self.record.weights
        stored = self._signed_file(wanted.file, wanted.sha256)
        self.fd = open_checked(stored.path, size=wanted.size, sha256=wanted.sha256, progress=self._progress)
        return f"sha256:{wanted.sha256}"

    def _header(self) -> str:
        assert self.fd is not None
        header = read_header(self.fd, self.record.weights.size)
        said = self.record.weights.architecture
        if header.architecture != said:
            raise GgufMismatchError(f"the weights are {header.architecture!r:.60} and the record says {said}")
        return f"GGUF {header.version}, {header.architecture}, {header.tensors} tensors"

    def receipt(self) -> dict[str, Any]:
        """The model's part of every answer's receipt."""
        record = self.record
        return {
            "name": record.name,
            "version": record.version,
            "digest": f"sha256:{record.weights.sha256}",
            "template_digest": f"sha256:{record.template.sha256}",
            "signers": sorted(self._release.signers),
            "release": self._release.version,
            "licence": record.licence.spdx,
            "producer": record.producer.name,
            "jurisdiction": record.producer.jurisdiction,
            "waivers": [waiver.to_receipt() for waiver in self.findings.used],
        }

    def close(self) -> None:
        """Close the descriptor, if it is open."""
        if self.fd is not None:
            os.close(self.fd)
            self.fd = None


def _artifact(release: VerifiedRelease, name: str) -> Artifact:
    artifact = release.artifacts.get(name)
    if artifact is None or artifact.kind != MODEL_KIND:
        there = sorted(a.name for a in release.artifacts.values() if a.kind == MODEL_KIND)
        raise ArtifactError(
            f"release {release.version} has no model {name}", f"its models: {', '.join(there) or 'none'}"
        )
    return artifact


def _read_waivers(files: Sequence[Path], officers: Sequence[PublicSigner]) -> tuple[list[Waiver], list[WaiverError]]:
    """Waivers for models whose signatures hold, and the refusals of the others."""
    waivers, refused = [], []
    for path in files:
        try:
            waivers.append(load_waiver(path, officers))
        except WaiverKindError:
            continue
        except WaiverError as error:
            refused.append(error)
    return waivers, refused


def _policy_refusal(record: ModelRecord, verdict: Verdict, refused: Sequence[WaiverError]) -> ModelGateError:
    """The reason that helps most: a waiver that was meant to cover this and does not, else the failed checks.

    Where a check failed that no waiver could cover, a refused waiver is not the reason, unless it claimed to.
    """
    names = {check.name for check in verdict.failed}
    if VERSION_CHECK in names:
        return RecordRollbackError(
            f"{record.name} {record.version} is older than the policy accepts", "install a newer release"
        )
    helps = [error for error in refused if names <= WAIVABLE or isinstance(error, WaiverScopeError)]
    if helps:
        return helps[0]
    reasons = "; ".join(f"{check.name} ({check.detail})" for check in verdict.failed)
    return ModelRefusedError(
        f"the site's policy does not accept {record.name}: {reasons}",
        "`sovereign model verify` shows every check; an officer may sign a waiver where the policy allows one",
    )


def _readable(data: bytes) -> str:
    """The template's text. Raises ``TemplateError`` for bytes or characters that a reviewer would not see."""
    try:
        text = data.decode("utf-8")
    except UnicodeDecodeError as error:
        raise TemplateError("the chat template is not UTF-8") from error
    for character in text:
        if unicodedata.category(character) in ("Cf", "Cc", "Co", "Cn") and character not in "\n\t":
            raise TemplateError(f"the chat template holds the invisible character U+{ord(character):04X}")
    return text
