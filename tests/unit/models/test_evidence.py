"""What travels with a model passes the checks that the policy asks evidence for; what is missing does not."""

from __future__ import annotations

from typing import TYPE_CHECKING

import model_signing
import pytest
import yaml

from airgap_bundle.digest import sha256
from airgap_bundle.provenance.origin import sign_origin
from appliance.models.errors import ModelRefusedError, PolicyError, PublisherSignatureError
from tests.unit.models.provenance_bench import HALF_WAY, PUBLISHED, publish, state, state_chain, write_policy
from tests.unit.models.small_release import Site, signer, waiver
from tests.unit.provenance.publisher_bench import private_pem, write_folder

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def site(tmp_path: Path) -> Site:
    """The demo model under a policy that wants evidence, without a waiver that counts."""
    return Site(tmp_path, policy=write_policy(tmp_path))


def _statuses(site: Site) -> dict[str, str]:
    return {check.name: check.status for check in site.examine().checks}


def _details(site: Site) -> dict[str, str]:
    return {check.name: check.detail for check in site.examine().checks}


def test_without_evidence_the_records_own_word_is_not_enough(site: Site) -> None:
    site.config["producer"]["verified"] = True
    site.config["conversion"] |= {"tool": "t", "version": "1", "input": "sha256:x", "closed": True}
    statuses = _statuses(site)
    assert (statuses["producer-verified"], statuses["conversion-closed"]) == ("fail", "fail")
    assert "the record says so and no evidence does" in _details(site)["conversion-closed"]


def test_the_records_word_counts_where_the_policy_asks_for_no_evidence(tmp_path: Path) -> None:
    site = Site(tmp_path, policy=write_policy(tmp_path, attested=[]))
    site.config["producer"]["verified"] = True
    assert _statuses(site)["producer-verified"] == "pass"


def test_a_closed_chain_of_statements_opens_the_gate(site: Site) -> None:
    state_chain(site)
    site.open().close()
    details = _details(site)
    assert details["producer-verified"] == "Google, says custodian"
    assert details["conversion-closed"] == (
        "published; converted with convert_hf_to_gguf b6000 (says custodian); "
        "quantised to Q4_K_M with llama-quantize b6000 (says custodian)"
    )
    assert details["statements-unbroken"] == "3 of 3 by somebody who is named"


def test_the_publishers_signature_over_the_served_file_opens_the_gate(site: Site) -> None:
    publish(site)
    site.open().close()
    assert _details(site)["producer-verified"] == "signed by its publisher architect"
    assert _statuses(site)["publisher-signed"] == "pass"


def test_a_signature_of_the_reference_implementation_opens_the_gate_under_the_name_it_gives(
    site: Site, tmp_path: Path
) -> None:
    folder = write_folder(tmp_path / "gemma-3-270m-it", site.contents())
    config = model_signing.signing.Config()
    config.use_elliptic_key_signer(private_key=private_pem("architect", tmp_path)).sign(folder, tmp_path / "model.sig")
    site.add("model.sig", (tmp_path / "model.sig").read_bytes())
    site.config["signature"] = {"file": "model.sig", "subject": "gemma-3-270m-it"}
    site.open().close()
    site.config["signature"] = {"file": "model.sig"}
    with pytest.raises(PublisherSignatureError, match="signed the name 'gemma-3-270m-it'"):
        site.open()


def test_a_statement_that_was_made_after_the_publisher_signed_does_not_break_the_signature(site: Site) -> None:
    publish(site)
    state(site, "licence", sha256(site.weights).hex, spdx="LicenseRef-Gemma-Terms")
    site.open().close()


def test_a_missing_signature_fails_the_check_that_wants_it_and_a_waiver_covers_it(tmp_path: Path) -> None:
    wants = {"require": ["weights-signed", "publisher-signed"], "attested": []}
    site = Site(tmp_path, policy=write_policy(tmp_path, **wants))
    site.waivers = []
    with pytest.raises(ModelRefusedError, match="publisher-signed"):
        site.open()
    site.policy = write_policy(tmp_path, **wants, waivable=["publisher-signed"])
    site.waivers = [waiver(sha256(site.weights).hex, waives=["publisher-signed"])]
    site.open().close()


@pytest.mark.parametrize("left_out", [0, 1, 2])
def test_a_chain_with_a_gap_is_open_and_says_where(site: Site, left_out: int) -> None:
    state_chain(site)
    del site.config["attestations"][left_out]
    statuses = _statuses(site)
    assert (statuses["producer-verified"], statuses["conversion-closed"]) == ("fail", "fail")
    site.config["conversion"] |= {"tool": "t", "version": "1", "input": "x", "closed": True}
    assert "nothing is said of where" in _details(site)["conversion-closed"]


def test_a_chain_that_leads_in_a_circle_is_open(site: Site) -> None:
    weights = sha256(site.weights).hex
    state(site, "conversion", weights, tool="t", version="1", inputs=[HALF_WAY])
    state(site, "conversion", HALF_WAY, tool="t", version="1", inputs=[weights])
    assert _statuses(site)["conversion-closed"] == "fail"


def test_a_chain_of_endless_steps_is_open_and_ends_nothing_else(site: Site) -> None:
    digests = [sha256(str(n).encode()).hex for n in range(2000)]
    steps = {"tool": "t", "version": "1", "inputs": [digests[0]]}
    state(site, "conversion", sha256(site.weights).hex, **steps)
    many = dict.fromkeys(digests[:1000], "a file")
    title = "many.intoto.json"
    fields = {"tool": "t", "version": "1", "inputs": digests[1:1001]}
    site.add(title, sign_origin("conversion", many, fields, signer("custodian")))
    site.config["attestations"].append(title)
    assert _statuses(site)["conversion-closed"] == "fail"


def test_every_input_of_a_step_must_lead_back(site: Site) -> None:
    state_chain(site)
    second = sha256(b"from somewhere").hex
    state(site, "conversion", HALF_WAY, tool="merge", version="1", inputs=[PUBLISHED, second])
    assert _statuses(site)["conversion-closed"] == "fail"


def test_licence_training_data_and_approval_are_checked_where_the_policy_wants_them(tmp_path: Path) -> None:
    wants = ["weights-signed", "licence-attested", "training-data-stated", "site-approved"]
    site = Site(tmp_path, policy=write_policy(tmp_path, require=wants, attested=["training-data-stated"]))
    assert {name for name, status in _statuses(site).items() if status == "fail"} == set(wants[1:])
    weights = sha256(site.weights).hex
    state(site, "licence", weights, spdx="LicenseRef-Gemma-Terms")
    state(site, "training-data", weights, statement="web text up to 2024, no list published")
    state(site, "approval", weights, reason="approved for trial by the model board")
    site.open().close()
    assert _details(site)["training-data-stated"] == "web text up to 2024, no list published (says custodian)"


def _installed(site: Site, kind: str, by: str, **fields: str) -> None:
    """A statement that the site's operator installed."""
    path = site.folder / f"{len(site.statements)}-{by}.intoto.json"
    path.write_bytes(sign_origin(kind, {sha256(site.weights).hex: "the served file"}, fields, signer(by)))
    site.statements.append(path)


def test_an_officer_of_the_site_approves_and_states_nothing_else(tmp_path: Path) -> None:
    wants = ["weights-signed", "site-approved", "licence-attested"]
    site = Site(tmp_path, policy=write_policy(tmp_path, require=wants, attested=[]))
    _installed(site, "approval", "officer", reason="approved for trial by the model board")
    _installed(site, "licence", "officer", spdx="LicenseRef-Gemma-Terms")
    statuses = _statuses(site)
    assert (statuses["site-approved"], statuses["licence-attested"]) == ("pass", "fail")
    assert _details(site)["statements-unbroken"] == "1 of 2 by somebody who is named"


def test_an_approval_by_a_stranger_or_of_other_bytes_approves_nothing(tmp_path: Path) -> None:
    site = Site(tmp_path, policy=write_policy(tmp_path, require=["weights-signed", "site-approved"], attested=[]))
    _installed(site, "approval", "stranger", reason="approved by nobody in particular")
    other = site.folder / "other.intoto.json"
    other.write_bytes(
        sign_origin("approval", {"f" * 64: "other"}, {"reason": "approved other bytes"}, signer("officer"))
    )
    site.statements.append(other)
    assert _statuses(site)["site-approved"] == "fail"


def test_a_policy_with_two_publishers_of_one_name_is_refused(tmp_path: Path) -> None:
    once, again = (yaml.safe_load(write_policy(tmp_path).read_bytes())["publishers"] for _ in range(2))
    with pytest.raises(PolicyError, match="two publishers"):
        Site(tmp_path, policy=write_policy(tmp_path, publishers=once + again)).open()


@pytest.mark.parametrize(
    "change",
    [
        {"publishers": [{"name": "x", "producers": ["Google"]}]},
        {"publishers": [{"name": "x", "producers": ["Google"], "keys": ["no key"]}]},
        {"publishers": [{"name": "x", "producers": ["Google"], "roots": ["no certificate"]}]},
        {"publishers": [{"name": "x", "producers": [], "keys": ["no key"]}]},
        {"attesters": [{"key": "{}", "attests": ["licence"]}]},
        {"attesters": [{"key": "", "attests": []}]},
        {"attested": ["weights-signed"]},
        {"waivable": ["signature-unbroken"]},
    ],
)
def test_a_policy_that_trusts_nobody_in_particular_is_refused(tmp_path: Path, change: dict[str, object]) -> None:
    with pytest.raises(PolicyError):
        Site(tmp_path, policy=write_policy(tmp_path, **change)).open()
