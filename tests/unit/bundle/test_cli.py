from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from airgap_bundle import keys
from airgap_bundle.errors import FormatError, KeyFileError, NotEnoughSignersError, VerificationError
from airgap_bundle.statement import WAIVER_TYPE, verify_statement
from airgap_bundle.trust_state import fingerprint
from appliance.errors import UsageError
from tests.bundles import Draft, Site, make, root_bytes
from tests.commands import PHRASE, run, run_json

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.usefixtures("cheap_keys")


@pytest.fixture
def made(tmp_path: Path) -> Path:
    run(
        "trust",
        "init",
        "--signers",
        "architect,builder,custodian",
        "--threshold",
        2,
        "--out",
        tmp_path / "keys",
        phrase=PHRASE,
    )
    return tmp_path / "keys"


def test_init_makes_a_root_and_one_key_file_for_everybody(made: Path) -> None:
    names = ["architect", "builder", "custodian", "release"]
    assert sorted(path.name for path in made.iterdir()) == sorted(
        ["1.root.json", *(f"{name}.key" for name in names), *(f"{name}.pub" for name in names)]
    )
    shown = run_json("trust", "show", made / "1.root.json")
    assert shown["fingerprint"] == fingerprint((made / "1.root.json").read_bytes())
    assert shown["roles"]["targets"] == {"threshold": 2, "persons": ["architect", "builder", "custodian"]}
    assert shown["roles"]["timestamp"] == {"threshold": 1, "persons": ["release"]}


def test_the_whole_ceremony_from_the_command_line(made: Path, tmp_path: Path) -> None:
    bundle = Draft().write(tmp_path / "bundle")
    root = made / "1.root.json"
    typed = fingerprint(root.read_bytes())

    def sign(name: str, *more: object) -> Any:
        return run_json("bundle", "sign", bundle, "--key", made / f"{name}.key", *more, phrase=PHRASE)

    assert sign("architect", "--root", root)["targets"] == "1 of 2 (architect), waiting for builder, custodian"
    with pytest.raises(
        VerificationError, match=r"targets signatures, ed25519: .* waiting for builder, custodian"
    ) as refused:
        run("bundle", "verify", bundle, "--root-fingerprint", typed)
    assert refused.value.report is not None
    assert isinstance(refused.value.report.failure and refused.value.report.failure.error, NotEnoughSignersError)
    assert not sign("custodian")["sealed"]
    assert sign("release")["sealed"]
    report = run_json("bundle", "verify", bundle, "--root-fingerprint", typed)
    assert report["ok"]
    assert report["signers"] == ["architect", "custodian"]


def test_verify_uses_the_sites_pinned_root(tmp_path: Path) -> None:
    site = Site(tmp_path / "site")
    bundle = make(tmp_path / "bundle")
    site.install(bundle, pin=root_bytes())
    assert run_json("bundle", "verify", bundle, site=site.root)["release"]["version"] == "1.0.0"
    assert run_json("trust", "show", site=site.root)["site"]["release_floor"] == 1


def test_verify_prints_every_check_and_the_next_step(tmp_path: Path) -> None:
    bundle = make(tmp_path / "bundle")
    shown = run("bundle", "verify", bundle, "--root-fingerprint", fingerprint(root_bytes())).stdout
    assert "metadata agrees" in shown
    assert "signed by architect, builder" in shown
    with pytest.raises(VerificationError, match="no root is pinned") as refused:
        run("bundle", "verify", bundle)
    assert "--root-fingerprint" in str(refused.value.hint)


def test_verify_judges_freshness_at_the_instant_that_is_asked_for(tmp_path: Path) -> None:
    bundle = make(tmp_path / "bundle")
    pin = ["--root-fingerprint", fingerprint(root_bytes()), "--output", "json"]
    for instant, status in (("2026-06-01T12:00:00Z", "pass"), ("2030-01-01T00:00:00Z", "fail")):
        result = run("bundle", "verify", bundle, *pin, "--at", instant)
        assert json.loads(result.stdout)["checks"][-1]["status"] == status
    with pytest.raises(FormatError, match="not an instant"):
        run("bundle", "verify", bundle, *pin, "--at", "tomorrow")


def test_inspect_says_that_nothing_has_been_verified(tmp_path: Path) -> None:
    shown = run("bundle", "inspect", make(tmp_path / "bundle")).stdout
    assert "nothing has been verified" in shown
    assert "model tiny-model 1.0.0" in shown
    assert run_json("bundle", "inspect", tmp_path / "bundle")["verified"] is False


def test_a_wrong_passphrase_signs_nothing(made: Path, tmp_path: Path) -> None:
    bundle = Draft().write(tmp_path / "bundle")
    with pytest.raises(KeyFileError, match="wrong passphrase"):
        run(
            "bundle", "sign", bundle, "--key", made / "architect.key", "--root", made / "1.root.json", phrase=b"guess\n"
        )
    assert not (bundle / "metadata").exists()


def waive(folder: Path, **changes: object) -> Path:
    fields = {
        "model": "gemma3-270m",
        "digest": "ab" * 32,
        "waives": "producer-verified",
        "reason": "known and looked at",
        **changes,
    }
    options = [part for name, value in fields.items() for part in (f"--{name}", value)]
    out = folder / "waiver.json"
    run("trust", "waive", "--key", folder / "officer.key", *options, "--out", out, phrase=PHRASE)
    return out


def test_a_waiver_is_signed_by_an_officer_and_ends(tmp_path: Path) -> None:
    run("trust", "keygen", "officer", "--out", tmp_path, phrase=PHRASE)
    data = waive(tmp_path).read_bytes()
    payload, name = verify_statement(data, WAIVER_TYPE, [keys.load_public(tmp_path / "officer.pub")])
    assert name == payload["officer"] == "officer"
    assert payload["subject"] == {"name": "gemma3-270m", "sha256": "ab" * 32}
    assert payload["waives"] == ["producer-verified"]
    assert payload["issued"] < payload["expires"]


@pytest.mark.parametrize(("field", "value"), [("digest", "short"), ("reason", "  "), ("reason", "known")])
def test_a_waiver_without_digest_or_reason_is_not_signed(tmp_path: Path, field: str, value: str) -> None:
    with pytest.raises(UsageError):
        waive(tmp_path, **{field: value})


def test_names_that_are_no_signers_are_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="not a signer's name"):
        run("trust", "keygen", "Ada Lovelace", "--out", tmp_path, phrase=PHRASE)
