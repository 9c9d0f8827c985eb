"""Images in `release.lock`: which manifest a reference meant when it was locked, and who had signed it.

Standard library only, as the lock is (see `airgap_bundle.lock`).
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Any, Literal

from airgap_bundle.digest import Digest
from airgap_bundle.errors import FormatError

Form = Literal["simple-signing", "bundle"]
FORMS: tuple[Form, ...] = ("simple-signing", "bundle")


@dataclass(frozen=True, order=True)
class LockedSignature:
    """One signature that was verified when the image was locked.

    ``digest`` is what was signed: the image's manifest, or the index it was chosen from. Signed by the key whose
    SubjectPublicKeyInfo has the sha256 ``key``; or by ``identity``, as ``issuer`` attested in ``certificate`` (its
    sha256), recorded in a transparency log at ``log_index``. ``logged`` is the log's time, where the log promised one.
    """

    form: Form
    digest: str
    key: str = ""
    identity: str = ""
    issuer: str = ""
    certificate: str = ""
    log_index: int | None = None
    logged: str = ""


@dataclass(frozen=True)
class LockedImage:
    """One image. ``index`` is the digest of the index that the manifest was chosen from, empty where there was none.

    ``media_type``, ``digest`` and ``size`` are the manifest's; everything else hangs on it. ``policy`` is a digest over
    what release.yaml asked of signatures, files included; empty when it asked for none.
    """

    artifact: str
    image: str
    platform: str
    index: str
    media_type: str
    digest: str
    size: int
    policy: str = ""
    signatures: tuple[LockedSignature, ...] = ()

    @property
    def asked(self) -> tuple[str, str, str, str]:
        """What release.yaml asks for: artifact, reference, platform, policy."""
        return self.artifact, self.image, self.platform, self.policy


def parse_images(value: list[object]) -> tuple[LockedImage, ...]:
    """The lock's images. Raises ``FormatError``, also when an artifact has two."""
    found = tuple(parse_image(item) for item in value)
    if len({item.artifact for item in found}) != len(found):
        raise FormatError("an image is locked twice")
    return found


def parse_image(value: object) -> LockedImage:
    """One entry of the lock. Raises ``FormatError``."""
    entry = _fields(value, LockedImage)
    for name in ("artifact", "image", "platform", "media_type"):
        _text(entry, name)
    Digest.parse(entry["digest"])
    if entry["index"] != "":
        Digest.parse(entry["index"])
    if entry["policy"] != "":
        Digest.parse(entry["policy"])
    if type(entry["size"]) is not int or entry["size"] < 1 or not isinstance(entry["signatures"], list):
        raise FormatError(f"locked image {entry['artifact']} has no size or no list of signatures")
    if bool(entry["policy"]) != bool(entry["signatures"]):
        raise FormatError(f"locked image {entry['artifact']} has a policy without signatures, or the reverse")
    return LockedImage(**entry | {"signatures": tuple(_signature(item) for item in entry["signatures"])})


def _signature(value: object) -> LockedSignature:
    entry = _fields(value, LockedSignature)
    for name in ("key", "identity", "issuer", "certificate", "logged"):
        if not isinstance(entry[name], str):
            raise FormatError(f"{name} of a locked signature is no text")
    Digest.parse(entry["digest"])
    if entry["form"] not in FORMS or not (entry["log_index"] is None or type(entry["log_index"]) is int):
        raise FormatError("a locked signature is of no known form")
    if bool(entry["key"]) == bool(entry["identity"] and entry["issuer"] and entry["certificate"]):
        raise FormatError("a locked signature names neither a key nor an identity, or both")
    return LockedSignature(**entry)


def _fields(value: object, cls: type[LockedImage | LockedSignature]) -> dict[str, Any]:
    names = sorted(item.name for item in fields(cls))
    if not isinstance(value, dict) or sorted(value) != names:
        raise FormatError(f"an image in the lock has other fields than {', '.join(names)}")
    return value


def _text(entry: dict[str, Any], name: str) -> None:
    if not isinstance(entry[name], str) or not entry[name]:
        raise FormatError(f"{name} of a locked image is no text")
