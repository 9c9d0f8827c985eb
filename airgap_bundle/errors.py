"""The bundle library's errors: each names its cause in one lower-case line and, where there is one, a next step.

    BundleError
    ├── FormatError                 bytes are not what FORMAT.md says (outside of verification)
    ├── LockError                   release.yaml and release.lock disagree, or cannot be resolved
    ├── BuildError                  a bundle could not be built
    │   ├── ProgramError            a program that the build started failed (``build.process``)
    │   ├── VanishedError           debian's archive has dropped a package (``build.debian.apt``)
    │   └── RegistryError           an image registry did not give what it was asked for
    │       ├── MissingImageError   … because it has no such thing (``build.registry``)
    │       ├── WrongAnswerError    … because it answers with something else (``build.registry``)
    │       └── InterruptedTransferError    … because it broke off in the middle (``build.registry``)
    ├── KeyFileError                a key file cannot be read, or its passphrase is wrong
    ├── SigningError                the signing ceremony cannot go on from here
    ├── StoreError                  the medium or the store cannot be read or written (disk full, I/O error)
    └── VerificationError           a bundle or statement is refused; nothing was changed
        ├── MalformedError          a file breaks FORMAT.md: JSON, schema, size cap
        ├── UnsafeNameError         a name that is a path, or collides with another on some file system
        ├── SpecialFileError        a symbolic link, device, FIFO or socket where a regular file belongs
        ├── UnlistedFileError       a file that no signed metadata names
        ├── MissingFileError        a file that signed metadata names is not there
        ├── DigestMismatchError     bytes are not those that were signed
        ├── UnpinnedRootError       no root is pinned and no fingerprint was given
        ├── TrustStateLostError     a store without trust state: this is not a first use
        ├── ForeignRootError        the bundle's root is not the pinned one
        ├── RootPolicyError         a root breaks the hybrid k-of-n policy
        │   └── DuplicateKeyError   one key under two ids or two names
        ├── NotGrantedError         signed by somebody to whom the root does not grant this
        ├── SignatureError          a signature is invalid, or by somebody whom the role does not name
        │   ├── UnsignedError       a role has no signature, or its metadata is not there
        │   ├── NotEnoughSignersError   fewer persons than the threshold ("1 of 2, waiting for …")
        │   ├── HalfSignatureError  a person signed with one of the two algorithms only
        │   ├── UnknownSignerError  a statement by nobody whose keys are known here
        │   └── PayloadTypeError    a statement of another type than the one asked for
        ├── RollbackError           a version or release number below the site's floor
        ├── MixedMetadataError      metadata of two releases in one bundle
        ├── ReleaseConflictError    another release with a number or version that this site already holds
        └── ExpiredError            support ended; authenticity is another question

The command line maps ``VerificationError`` to exit code 3.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from airgap_bundle.report import Report


MAX_CAUSE = 1000


class BundleError(Exception):
    """A failure with a cause for the reader and, where there is one, a next step.

    A cause may quote what an attacker wrote, so that what does not print is spelled out and its length is bounded
    here, once: no text from a medium moves a cursor, hides a line or fills a screen.
    """

    def __init__(self, cause: str, hint: str | None = None) -> None:
        cause = _printable(cause)
        super().__init__(cause)
        self.cause = cause
        self.hint = None if hint is None else _printable(hint)


def _printable(text: str) -> str:
    kept = text if len(text) <= MAX_CAUSE else text[: MAX_CAUSE - 1] + "…"
    if kept.isprintable():
        return kept
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in kept)


class FormatError(BundleError):
    """Bytes are not what FORMAT.md says; raised by parsers, which do not know whose bytes they read."""


class LockError(BundleError):
    """A release description cannot be locked, or its lock does not match it."""


class BuildError(BundleError):
    """A bundle could not be built."""


class RegistryError(BuildError):
    """An image registry cannot be reached, refuses, or answers with something else than it was asked for."""


class KeyFileError(BundleError):
    """A key file cannot be read or written, or the passphrase is wrong."""


class SigningError(BundleError):
    """The signing ceremony cannot go on from here; the bundle was not changed."""


class StoreError(BundleError):
    """The medium or the store cannot be read or written; nothing was changed."""


class VerificationError(BundleError):
    """A bundle or statement is refused. ``report`` holds every check where a whole bundle was looked at."""

    def __init__(self, cause: str, hint: str | None = None, *, report: Report | None = None) -> None:
        super().__init__(cause, hint)
        self.report = report


class MalformedError(VerificationError):
    """A file breaks FORMAT.md."""


class UnsafeNameError(VerificationError):
    """A name that is a path, cannot exist everywhere, or collides with another."""


class SpecialFileError(VerificationError):
    """Something other than a regular file or directory."""


class UnlistedFileError(VerificationError):
    """A file that no signed metadata names."""


class MissingFileError(VerificationError):
    """A file that signed metadata names is not there."""


class DigestMismatchError(VerificationError):
    """Bytes are not those that were signed."""


class UnpinnedRootError(VerificationError):
    """No root is pinned and no fingerprint was given: nothing says whom to trust."""


class TrustStateLostError(VerificationError):
    """The store holds releases but the trust state is gone: this is not a first use."""


class ForeignRootError(VerificationError):
    """The bundle's root is not the pinned one."""


class RootPolicyError(VerificationError):
    """A root breaks the hybrid k-of-n policy."""


class DuplicateKeyError(RootPolicyError):
    """One key under two ids or two names."""


class NotGrantedError(VerificationError):
    """The root grants nobody this, or not for such content."""


class SignatureError(VerificationError):
    """A signature is invalid, or by a key that the role does not name."""


class UnsignedError(SignatureError):
    """A role has no signature at all, or its metadata is not there."""


class NotEnoughSignersError(SignatureError):
    """Fewer persons than the threshold signed."""


class HalfSignatureError(SignatureError):
    """A person signed with one of the two algorithms only."""


class UnknownSignerError(SignatureError):
    """A statement that nobody signed whose keys are known here: it says nothing."""


class PayloadTypeError(SignatureError):
    """A statement of another type than the one asked for."""


class RollbackError(VerificationError):
    """A version or release number is below the site's floor."""


class MixedMetadataError(VerificationError):
    """Metadata of two releases in one bundle."""


class ReleaseConflictError(VerificationError):
    """Another release with a number or version that this site already holds."""


class ExpiredError(VerificationError):
    """Support ended before now; authenticity is another question."""
