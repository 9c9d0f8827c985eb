"""Waivers for a host: whose word, for which site, about which layers, until when."""

from __future__ import annotations

import json
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest

from airgap_bundle.statement import WAIVER_TYPE, sign_statement
from appliance.models.errors import (
    WaiverExpiredError,
    WaiverFormatError,
    WaiverHalfSignedError,
    WaiverKindError,
    WaiverNotYetValidError,
    WaiverScopeError,
    WaiverSignerError,
    WaiverSubjectError,
)
from appliance.models.host_waiver import HOST_WAIVER_DAYS, read_host_waiver, refusal, waived_layers, waiver_files
from appliance.models.waiver import WAIVER_MAX_BYTES, read_waiver
from tests.unit.models.small_release import NOW, host_waiver, signer, waiver

if TYPE_CHECKING:
    from pathlib import Path

OFFICERS = (signer("officer").public,)
OTHER = sign_statement({"schema": 1}, "application/vnd.sovereign.other.v1+json", signer("officer"))


def _layers(*files: bytes, site: str = "trial") -> set[str]:
    named = {f"{i}.json": data for i, data in enumerate(files)}
    return set(waived_layers(named, OFFICERS, site, NOW))


def test_a_signed_waiver_covers_the_layers_that_it_names_and_no_others() -> None:
    assert _layers(host_waiver()) == {"landlock"}
    assert _layers(host_waiver(waives=("landlock", "seccomp"))) == {"landlock", "seccomp"}
    assert _layers() == set()


def test_each_layer_knows_the_waiver_that_covers_it() -> None:
    found = waived_layers({"w": host_waiver()}, OFFICERS, "trial", NOW)
    assert (found["landlock"].officer, found["landlock"].reason) == ("officer", "kernel of the vendor, replaced in May")


@pytest.mark.parametrize(
    ("change", "error"),
    [
        ({"site": "other"}, WaiverSubjectError),
        ({"issued": NOW + timedelta(days=1)}, WaiverNotYetValidError),
        ({"issued": NOW - timedelta(days=91)}, WaiverExpiredError),
        ({"issued": NOW - timedelta(days=90)}, WaiverExpiredError),
        ({"days": HOST_WAIVER_DAYS + 1}, WaiverScopeError),
        ({"waives": ("landlock", "no_new_privs")}, WaiverScopeError),
        ({"waives": ("unprivileged",)}, WaiverScopeError),
        ({"waives": ("producer-verified",)}, WaiverScopeError),
    ],
)
def test_a_waiver_that_does_not_apply_is_refused_and_waives_nothing(change: dict[str, Any], error: type) -> None:
    data = host_waiver(**change)
    assert type(refusal(read_host_waiver(data, OFFICERS), "trial", NOW)) is error
    assert _layers(data) == set()


@pytest.mark.parametrize(
    ("data", "error"),
    [
        (host_waiver(by="stranger"), WaiverSignerError),
        (host_waiver(officer="stranger"), WaiverSignerError),
        (waiver("a" * 64), WaiverKindError),
        (host_waiver().replace(b'"sig"', b'"gis"'), WaiverFormatError),
        (b"{}", WaiverFormatError),
        (OTHER, WaiverFormatError),
        (sign_statement({"schema": 1, "kind": "host"}, WAIVER_TYPE, signer("officer")), WaiverFormatError),
        (sign_statement({"schema": 1, "kind": ["host"]}, WAIVER_TYPE, signer("officer")), WaiverFormatError),
    ],
    ids=["stranger", "other's name", "for a model", "malformed", "empty", "another statement", "no fields", "no kind"],
)
def test_what_is_no_officers_waiver_for_a_host_is_refused(data: bytes, error: type[Exception]) -> None:
    with pytest.raises(error):
        read_host_waiver(data, OFFICERS)
    assert _layers(data) == set()


@pytest.mark.parametrize("half", [0, 1])
def test_half_a_signature_is_none(half: int) -> None:
    envelope = json.loads(host_waiver())
    del envelope["signatures"][half]
    with pytest.raises(WaiverHalfSignedError):
        read_host_waiver(json.dumps(envelope).encode(), OFFICERS)


def test_a_waiver_for_a_host_says_nothing_about_a_model() -> None:
    with pytest.raises(WaiverKindError):
        read_waiver(host_waiver(), OFFICERS)


def test_a_file_that_cannot_be_a_waiver_waives_nothing(tmp_path: Path) -> None:
    (tmp_path / "sound.json").write_bytes(host_waiver())
    (tmp_path / "large.json").write_bytes(b" " * (WAIVER_MAX_BYTES + 1))
    (tmp_path / "gone.json").symlink_to(tmp_path / "nowhere")
    assert list(waiver_files(tmp_path)) == ["sound.json"]
    assert waiver_files(tmp_path / "none") == {}
