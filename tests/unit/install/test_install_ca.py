"""The site's certificates: strict, bound to the site's names, renewed in time."""

from __future__ import annotations

import subprocess
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pytest
from cryptography import x509
from cryptography.x509 import verification

from appliance.install import ca

if TYPE_CHECKING:
    from pathlib import Path

NOW = datetime.now(UTC)
NAMES = ("assistant.example", "192.0.2.7")


@pytest.fixture(scope="module")
def authority() -> ca.Authority:
    return ca.create_authority("demo", NAMES, NOW)


def verify(authority: ca.Authority, chain: bytes, name: str) -> None:
    root = x509.load_pem_x509_certificate(authority.certificate)
    leaf = x509.load_pem_x509_certificates(chain)[0]
    builder = verification.PolicyBuilder().store(verification.Store([root])).time(NOW)
    builder.build_server_verifier(x509.DNSName(name)).verify(leaf, [])


@pytest.mark.parametrize("name", ["assistant.example", "localhost"])
def test_a_certificate_verifies_for_the_sites_names_and_loopback(authority: ca.Authority, name: str) -> None:
    verify(authority, ca.issue(authority, NAMES[0], NAMES, NOW).chain, name)


def test_a_certificate_does_not_verify_for_another_name(authority: ca.Authority) -> None:
    with pytest.raises(verification.VerificationError):
        verify(authority, ca.issue(authority, NAMES[0], NAMES, NOW).chain, "elsewhere.example")


def test_the_authority_cannot_vouch_for_names_outside_the_site(authority: ca.Authority, tmp_path: Path) -> None:
    """OpenSSL is the judge: it enforces name constraints, as browsers do."""
    outside = ca.issue(authority, "bank.example", ("bank.example",), NOW)
    assert openssl_accepts(tmp_path, authority, ca.issue(authority, NAMES[0], NAMES, NOW).chain)
    assert not openssl_accepts(tmp_path, authority, outside.chain)


def openssl_accepts(folder: Path, authority: ca.Authority, chain: bytes) -> bool:
    (folder / "ca.pem").write_bytes(authority.certificate)
    (folder / "leaf.pem").write_bytes(chain)
    argv = ["openssl", "verify", "-x509_strict", "-CAfile", str(folder / "ca.pem"), str(folder / "leaf.pem")]
    return subprocess.run(argv, capture_output=True, check=False).returncode == 0


def test_a_certificate_is_due_thirty_days_before_its_end(authority: ca.Authority) -> None:
    chain = ca.issue(authority, NAMES[0], NAMES, NOW).chain
    assert not ca.is_due(chain, NOW + timedelta(days=366))
    assert ca.is_due(chain, NOW + timedelta(days=368))


def test_the_authority_knows_which_names_it_covers(authority: ca.Authority) -> None:
    assert ca.covers(authority, NAMES)
    assert not ca.covers(authority, ("other.example",))


def test_an_address_open_to_all_is_in_no_certificate() -> None:
    assert x509.DNSName("a.example") in ca.general_names(("a.example", "0.0.0.0"))
    assert "0.0.0.0" not in str(ca.general_names(("a.example", "0.0.0.0")))


def test_a_leaf_may_not_sign_and_the_authority_may_not_serve(authority: ca.Authority) -> None:
    leaf, root = x509.load_pem_x509_certificates(ca.issue(authority, NAMES[0], NAMES, NOW).chain)
    assert not leaf.extensions.get_extension_for_class(x509.BasicConstraints).value.ca
    assert root.extensions.get_extension_for_class(x509.BasicConstraints).value.path_length == 0
    assert not root.extensions.get_extension_for_class(x509.KeyUsage).value.digital_signature
