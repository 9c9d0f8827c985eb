"""Why a publisher's signature or a statement of origin is refused, below ``airgap_bundle.errors.SignatureError``.

    SignatureError
    ├── UnknownPublisherError         signed with a key, or under a root, that nobody who is trusted here has
    ├── CertificateError              the certificate does not carry the signature
    │   ├── CertificateExpiredError   outside of its validity, or its issuer's
    │   ├── CertificateRevokedError   the site revoked it, or a certificate above it
    │   └── CertificateUsageError     not for signing
    └── OtherModelError               a signature about another name, version or role

Files that are not as they were signed raise what a bundle raises for the same: ``DigestMismatchError``,
``UnlistedFileError``, ``MissingFileError``, ``SpecialFileError``, ``UnsafeNameError``, ``MalformedError``.
"""

from __future__ import annotations

from airgap_bundle.errors import SignatureError


class UnknownPublisherError(SignatureError):
    """The signature is by nobody who is trusted here; it says nothing."""


class CertificateError(SignatureError):
    """The certificate does not carry the signature."""


class CertificateExpiredError(CertificateError):
    """A certificate of the chain is not valid now."""


class CertificateRevokedError(CertificateError):
    """A certificate of the chain was revoked."""


class CertificateUsageError(CertificateError):
    """The leaf certificate is not for signing."""


class OtherModelError(SignatureError):
    """The signature is about another model, version or role."""
