"""The model record: what a release says about a model. Signed with the release, as the artifact's config."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from appliance.models.errors import RecordError

if TYPE_CHECKING:
    from collections.abc import Mapping

Hex = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
FileName = Annotated[str, Field(min_length=1, max_length=200, pattern=r"^[^/\\\x00-\x1f]+$")]
Words = Annotated[str, Field(min_length=1, max_length=500)]
Role = Literal["chat", "embedding", "draft", "lora", "projector"]
PARTS: frozenset[str] = frozenset({"draft", "lora", "projector"})  # of another model; none is served by itself


class _Part(BaseModel):
    """Unknown fields are ignored on purpose: a later record may say more, and these fields keep their meaning."""

    model_config = ConfigDict(extra="ignore", frozen=True, strict=True)


class Weights(_Part):
    """The weights' file."""

    file: FileName
    sha256: Hex
    size: Annotated[int, Field(gt=0)]
    format: Words
    architecture: Words
    quantisation: Words


class Template(_Part):
    """The chat template's file, and the strings that end a turn of it."""

    file: FileName
    sha256: Hex
    stop: Annotated[list[Annotated[str, Field(min_length=1, max_length=256)]], Field(max_length=16)] = []


class Prompts(_Part):
    """What an embedding model was trained to read before a text, by what the text is for.

    Names and meaning are those of sentence-transformers' ``prompts``; a space at the end is one of the text's. They are
    short beside what any model reads, so that they leave room for a text.
    """

    query: Annotated[str, Field(max_length=200)] = ""
    document: Annotated[str, Field(max_length=200)] = ""


class Producer(_Part):
    """Who made the model, where, and whether that was verified."""

    name: Words
    jurisdiction: Words
    verified: bool
    note: str = ""


class Licence(_Part):
    """SPDX identifier, and the files of the artifact that hold its text."""

    spdx: Words
    files: Annotated[list[FileName], Field(min_length=1)]


class TrainingData(_Part):
    """What the producer says about training data; ``not published`` is a statement too."""

    statement: Words


class Conversion(_Part):
    """How the served file came from the published one; ``closed`` when the chain of digests has no gap."""

    tool: Words
    version: Words
    input: str | None
    closed: bool
    note: str = ""


class Base(_Part):
    """The model that an adapter, projector or draft model belongs to, by name and by its weights' digest."""

    name: Words
    sha256: Hex


class PublisherSignature(_Part):
    """The file of the artifact with the publisher's OMS signature; ``subject`` is what it calls the model, if else."""

    file: FileName
    subject: Words | None = None


class ModelRecord(_Part):
    """One model of a release, or a part that changes what one does.

    A chat model has a template; an adapter (``lora``) and a projector name the model that they belong to. An embedding
    model may have prompts, and ``unrelated_percent``: the mean cosine, times a hundred, of texts that have nothing to
    do with each other.
    """

    schema_version: Annotated[Literal[1], Field(alias="schema")]
    name: Words
    version: Annotated[str, Field(pattern=r"^\d{1,6}(\.\d{1,6}){0,3}$")]
    role: Role
    weights: Weights
    template: Template | None = None
    prompts: Prompts | None = None
    unrelated_percent: Annotated[int, Field(ge=0, le=99)] | None = None
    base: Base | None = None
    producer: Producer
    licence: Licence
    training_data: TrainingData
    conversion: Conversion
    signature: PublisherSignature | None = None
    attestations: Annotated[list[FileName], Field(max_length=64)] = []

    @model_validator(mode="after")
    def _fits_its_role(self) -> Self:
        if (self.template is not None) != (self.role == "chat"):
            raise ValueError("a chat model has a template, and nothing else has one")
        if self.role != "embedding" and (self.prompts, self.unrelated_percent) != (None, None):
            raise ValueError("an embedding model alone has prompts and an unrelated_percent")
        if (self.base is None) and self.role in PARTS:
            raise ValueError("an adapter, projector or draft model names its base")
        if self.base is not None and self.role not in PARTS:
            raise ValueError("a model of its own has no base")
        return self


def parse_record(config: Mapping[str, Any]) -> ModelRecord:
    """The record in an artifact's config. Raises ``RecordError`` naming the first wrong field."""
    try:
        return ModelRecord.model_validate(dict(config))
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False, include_context=False)[0]
        where = ".".join(str(part) for part in first["loc"])
        raise RecordError(
            f"model record: {where or 'role'}: {first['msg']}", "the release was built wrongly"
        ) from error


def version_key(version: str) -> tuple[int, ...]:
    """Orders versions; trailing zeros do not count (1.0 is 1.0.0)."""
    numbers = [int(part) for part in version.split(".")]
    while numbers and numbers[-1] == 0:
        numbers.pop()
    return tuple(numbers)
