"""Container images of a registry in `release.yaml`, and who must have signed them upstream."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, Field, StringConstraints

from airgap_bundle.release_fields import STRICT, ImageText, Name, PlatformText, SignedName


class _Strict(BaseModel):
    model_config = STRICT


class KeySignature(_Strict):
    """The image is signed by the holder of a key: ECDSA on P-256, Ed25519, or RSA with PKCS #1 v1.5."""

    key: str = Field(description="file with the public key, PEM")
    signed_as: SignedName | None = Field(default=None, description="HOST/REPOSITORY that signatures name")


class IdentitySignature(_Strict):
    """The image is signed by an identity that a sigstore certificate names, and a transparency log recorded it."""

    identity: Annotated[str, StringConstraints(min_length=1)]
    issuer: Annotated[str, StringConstraints(min_length=1)]
    trusted_root: str = Field(description="sigstore's trusted root as a file: authorities and logs")
    signed_as: SignedName | None = Field(default=None, description="HOST/REPOSITORY that signatures name")


class ImageArtifact(_Strict):
    """A container image of a registry, kept byte for byte; the lock names its manifest by digest."""

    kind: Literal["image"]
    name: Name
    image: ImageText
    platform: PlatformText
    signatures: KeySignature | IdentitySignature | None = Field(
        default=None, description="who must have signed it upstream; checked when it is locked"
    )
