"""One model's passage through the gate: every check, in order, each with a name.

Order: the record, and that it belongs where it lies; the publisher's signature and statements of origin; the waivers'
signatures; the policy's verdict on all of that; the base that a part belongs to; the files that the record names; the
template's bytes and what it does; the weights' bytes; the weights' header. A refused check does not stop the others,
except that a header is not read from weights that were refused, nor a template that is no text.
"""

from __future__ import annotations

import os
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from appliance.models.errors import (
    ArtifactError,
    BaseError,
    ContradictionError,
    FileDigestError,
    GgufMismatchError,
    RecordSlotError,
    TemplateError,
)
from appliance.models.evidence import publisher_evidence, stated_evidence, voices
from appliance.models.files import checked, open_checked
from appliance.models.findings import Findings
from appliance.models.gguf_roles import check_role
from appliance.models.gguf_tensors import read_header
from appliance.models.judge import judge, policy_refusal
from appliance.models.origin import Evidence, trace
from appliance.models.record import PARTS, ModelRecord, parse_record
from appliance.models.template_analysis import analyse, read_text
from appliance.models.verdict import Check
from appliance.models.waiver import read_waivers, refusal

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from datetime import datetime
    from pathlib import Path

    from airgap_bundle.keys import PublicSigner
    from airgap_bundle.store import Artifact, StoredFile, VerifiedRelease
    from appliance.models.evidence import Voice
    from appliance.models.policy import ModelPolicy

MODEL_KIND = "model"
TEMPLATE_MAX_BYTES = 65_536


class Passage:
    """One passage of one model."""

    def __init__(self, release: VerifiedRelease, name: str, progress: Callable[[int, int], None] | None) -> None:
        self._release = release
        self._artifact = _artifact(release, name)
        self.record: ModelRecord = parse_record(self._artifact.config)
        self._progress = progress
        self.findings = Findings()
        self._evidence = Evidence()
        self._template_text: str | None = None
        self.fd: int | None = None

    @property
    def config(self) -> Mapping[str, Any]:
        """The record as it was signed."""
        return self._artifact.config

    @property
    def template(self) -> str:
        """The chat template's text; nothing for a model without one."""
        return self._template_text or ""

    def pass_through(
        self,
        policy: ModelPolicy,
        waiver_files: Sequence[Path],
        officers: Sequence[PublicSigner],
        now: datetime,
        statement_files: Sequence[Path] = (),
    ) -> None:
        """Make every check, in order. Refusals are kept in ``findings``; ``fd`` is open when the weights passed."""
        ask = self.findings.ask
        self.show_papers(policy, waiver_files, officers, now, statement_files)
        if self.record.base is not None:
            ask("base-bound", self._base)
        ask("licence-texts", self._licence_texts)
        if self.record.template is not None:
            ask("template-digest", self._template)
            if self._template_text is None:
                self.findings.checks.append(Check("template-analysis", "not established", "the template was refused"))
            else:
                ask("template-analysis", self._analysis)
        ask("weights-digest", self._weights)
        if self.fd is None:
            self.findings.checks.append(Check("weights-header", "not established", "the weights were refused"))
        else:
            ask("weights-header", self._header)

    def show_papers(
        self,
        policy: ModelPolicy,
        waiver_files: Sequence[Path],
        officers: Sequence[PublicSigner],
        now: datetime,
        statement_files: Sequence[Path] = (),
    ) -> None:
        """The checks for which no byte of the model is read: the record, who speaks for it, and the policy."""
        ask = self.findings.ask
        ask("record-in-its-place", self._in_its_place)
        ask("signature-unbroken", lambda: self._publisher(policy, now))
        ask("statements-unbroken", lambda: self._statements(statement_files, voices(policy, officers)))
        self._judge(policy, waiver_files, officers, now)

    def _in_its_place(self) -> str:
        there = (self._artifact.name, self._artifact.version)
        if (self.record.name, self.record.version) != there:
            raise RecordSlotError(
                f"the record of {self.record.name} {self.record.version} lies in the place of {' '.join(there)}",
                "the release was built wrongly",
            )
        return f"{self.record.name} {self.record.version}"

    def _publisher(self, policy: ModelPolicy, now: datetime) -> str:
        found = publisher_evidence(self._artifact, self.record, policy, now)
        self._evidence = replace(self._evidence, publisher=found.publisher, note=found.note)
        return found.note if self.record.signature else "none is there"

    def _statements(self, site_files: Sequence[Path], heard: Sequence[Voice]) -> str:
        found = stated_evidence(self._artifact, self.record, site_files, heard)
        self._evidence = replace(self._evidence, statements=found)
        if said := trace(self.record, self._evidence).contradictions:
            raise ContradictionError(f"{self.record.name}: {said[0]}, and the record says something else")
        there = len(self.record.attestations) + len(site_files)
        return f"{len(found)} of {there} by somebody who is named" if there else "none is there"

    def _base(self) -> str:
        wanted = self.record.base
        assert wanted is not None
        base = parse_record(_artifact(self._release, wanted.name).config)
        if base.weights.sha256 != wanted.sha256 or base.role in PARTS:
            raise BaseError(f"{self.record.name} belongs to {wanted.name} {wanted.sha256[:12]}…, which is not here")
        if self.record.role == "lora" and self.record.weights.architecture != base.weights.architecture:
            raise BaseError(f"{self.record.name} adapts another architecture than that of {wanted.name}")
        return f"{base.name} sha256:{base.weights.sha256}"

    def _judge(
        self, policy: ModelPolicy, files: Sequence[Path], officers: Sequence[PublicSigner], now: datetime
    ) -> None:
        waivers, refused = read_waivers(files, officers)
        verdict = judge(self.record, self._release.signers, policy, waivers, now, self._evidence)
        refused += [
            error
            for waiver in waivers
            if waiver.concerns(self.record) and (error := refusal(waiver, self.record, policy, now)) is not None
        ]
        self.findings.used = verdict.waivers_used
        self.findings.checks += verdict.checks
        if not verdict.ok:
            self.findings.refusals.append(policy_refusal(self.record, verdict, refused))

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
        assert wanted is not None
        stored = self._signed_file(wanted.file, wanted.sha256)
        if stored.size > TEMPLATE_MAX_BYTES:
            raise TemplateError(f"the chat template is larger than {TEMPLATE_MAX_BYTES} bytes")
        with checked(stored.path, size=stored.size, sha256=wanted.sha256) as fd:
            self._template_text = read_text(os.pread(fd, stored.size, 0))
        return f"sha256:{wanted.sha256}"

    def _analysis(self) -> str:
        found = analyse(self.template)
        if found:
            raise TemplateError(
                f"the chat template, {found[0]}" + (f"; and {len(found) - 1} more" if found[1:] else ""),
                "`sovereign model inspect` shows every finding",
            )
        return "no loop without a bound, no hidden attribute, no branch on what people write"

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
        check_role(header, self.record.role)
        return f"GGUF {header.version}, {header.architecture}, {header.tensors} tensors"

    def receipt(self) -> dict[str, Any]:
        """The model's part of every answer's receipt."""
        record = self.record
        return {
            "name": record.name,
            "version": record.version,
            "digest": f"sha256:{record.weights.sha256}",
            "template_digest": f"sha256:{record.template.sha256}" if record.template else "",
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
