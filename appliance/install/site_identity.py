"""The site's own signing key, for what it sends back across the gap: Ed25519 and ML-DSA-65, sealed under the site key.

It is made when first needed. It is not the log's key: that one belongs to the audit service alone, signs checkpoints
and nothing else, and stays what auditors pinned. Whoever receives something from this site pins the public half once.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.mldsa import MLDSA65PrivateKey
from securesystemslib.signer import CryptoSigner

from airgap_bundle.keys import PublicSigner, Signer
from appliance.errors import DeploymentError
from appliance.install.lock import site_lock

if TYPE_CHECKING:
    from appliance.install.vault import Vault
    from appliance.site.paths import SitePaths
    from appliance.site.secrets import SecretStore

SECRETS = ("site/identity_ed25519.pem", "site/identity_mldsa65.pem")
EXCHANGE_SECRETS = ("site/exchange_ed25519.pem", "site/exchange_mldsa65.pem")
"""A key of its own for what the site learnt: nothing links the name that it has there to the site's own."""
_PKCS8 = (serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())


def site_signer(paths: SitePaths, vault: Vault, name: str, secrets: tuple[str, str] = SECRETS) -> Signer:
    """The signer of the site ``name``, whose keys ``secrets`` name; they are made and sealed where there are none yet.

    Raises ``DeploymentError`` when a sealed key is not what its name says, and what opening the vault raises.
    """
    store = vault.store()
    if not all(store.has(secret) for secret in secrets):
        with site_lock(paths):
            _make(store, secrets)
    ed25519, ml_dsa = (serialization.load_pem_private_key(store.get(secret), None) for secret in secrets)
    if not isinstance(ed25519, Ed25519PrivateKey) or not isinstance(ml_dsa, MLDSA65PrivateKey):
        raise DeploymentError(
            "the site's identity is no Ed25519 and ML-DSA-65 key", "restore the secrets from a backup"
        )
    public = PublicSigner.of(name, ed25519.public_key(), ml_dsa.public_key())
    return Signer(name, CryptoSigner(ed25519, public.ed25519), CryptoSigner(ml_dsa, public.ml_dsa))


def _make(store: SecretStore, secrets: tuple[str, str]) -> None:
    """Both keys or, after a crash in between, both anew: half a signer has signed nothing."""
    if all(store.has(secret) for secret in secrets):
        return
    ed25519, ml_dsa = Ed25519PrivateKey.generate(), MLDSA65PrivateKey.generate()
    for secret, pem in zip(secrets, (ed25519.private_bytes(*_PKCS8), ml_dsa.private_bytes(*_PKCS8)), strict=True):
        store.put(secret, pem)
