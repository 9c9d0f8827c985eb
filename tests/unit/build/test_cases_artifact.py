"""A release carries the cases that sites learnt: the very file that the merge wrote, and no other in its place."""

from __future__ import annotations

from types import SimpleNamespace
from typing import TYPE_CHECKING

import pytest

from airgap_bundle.build import cases_artifact
from airgap_bundle.build.cache import BuildCache
from airgap_bundle.build.kinds import KINDS
from airgap_bundle.descriptor import KINDS as KNOWN
from airgap_bundle.errors import BuildError
from airgap_bundle.release_file import CasesArtifact
from appliance.learning.exchange import released

if TYPE_CHECKING:
    from pathlib import Path

SPEC = CasesArtifact(kind="cases", name="learnt", folder="learnt")


def built(tmp_path: Path, data: bytes | None) -> object:
    (tmp_path / "learnt").mkdir()
    if data is not None:
        (tmp_path / "learnt" / cases_artifact.FILE).write_bytes(data)
    context = SimpleNamespace(folder=tmp_path, cache=BuildCache(tmp_path / "cache"), version="1.0.0")
    return cases_artifact.build(SPEC, context)  # type: ignore[arg-type]  # what of the context is used


def test_builder_and_site_agree_on_the_file() -> None:
    assert released.Released().to_bytes() == cases_artifact.HEAD
    assert (released.FILE, released.MAX_BYTES) == (cases_artifact.FILE, cases_artifact.MAX_BYTES)
    assert released.KIND in KINDS
    assert released.KIND in KNOWN


def test_the_file_is_carried_as_it_is(tmp_path: Path) -> None:
    data = released.Released(retired=("sha256:" + "0" * 64,)).to_bytes()
    artifact = built(tmp_path, data)
    assert [file.title for file in artifact.files] == ["cases.jsonl"]  # type: ignore[attr-defined]
    assert (artifact.kind, artifact.name, artifact.version) == ("cases", "learnt", "1.0.0")  # type: ignore[attr-defined]


@pytest.mark.parametrize("data", [None, b"", b'{"question":"x"}\n'])
def test_what_is_no_file_of_cases_is_not_carried(tmp_path: Path, data: bytes | None) -> None:
    with pytest.raises(BuildError):
        built(tmp_path, data)
