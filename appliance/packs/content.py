"""What a pack says, as the one file that it is. Pure: bytes in, bytes out.

A pack is canonical JSON (sorted keys, no white space, UTF-8): no archive, no names of files, nothing that runs. A
reader takes the one spelling alone, so equal packs have equal digests, and a duplicate key, a byte order mark or a
field that nobody declared is refused. A LoRA adapter is named by its digest, never inside: weights come in as models
do, through the models' gate (ADR 161).
"""

from __future__ import annotations

import hashlib
from collections import Counter
from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, ValidationError, model_validator

from airgap_bundle import strict_json
from airgap_bundle.errors import BundleError
from appliance.learning.cases import Content
from appliance.packs.errors import PackRefusedError
from appliance.packs.text import Line, Words

MAX_BYTES = 1 << 20
MAX_CASES = 500
Name = Annotated[str, StringConstraints(pattern=r"^[a-z0-9][a-z0-9._-]{0,62}$")]
_Hex = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{64}$")]
_Version = Annotated[str, StringConstraints(pattern=r"^\d{1,6}(\.\d{1,6}){0,3}$")]
_NO_PACK = "none"
_ANY = "group"
"""Stands for the group in a case that is read before anybody says for which group."""


class Strict(BaseModel):
    """What nobody declared is refused."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)


class Term(Strict):
    """``use`` is the word to use where others say ``term``; ``note`` says what it means, or when."""

    term: Line
    use: Line
    note: Line | None = None


class Boundary(Strict):
    """A rule about what is not answered, and what is said instead."""

    id: Name
    rule: Words


class Example(Strict):
    """A question and the answer that this organisation would give."""

    question: Words
    answer: Words


class Adapter(Strict):
    """A LoRA adapter of the site's models, by name and by the digests of its weights and of those it was made for."""

    name: Name
    sha256: _Hex
    base_sha256: _Hex


class PackCase(Strict):
    """A gold case whose group is whichever uses the pack. ``about``: the term or the boundary that it is for."""

    id: Name
    question: Words
    kind: Literal["exact", "contains", "refusal", "language"]
    expected: Annotated[tuple[Line, ...], Field(max_length=10, strict=False)] = ()
    language: Literal["en", "fr", "de", "other"]
    vital: bool = False
    about: Line | None = None

    @model_validator(mode="after")
    def _is_a_case(self) -> Self:
        self.content(_ANY)
        if self.kind == "refusal" and not self.vital:
            raise ValueError("a refusal is vital: what a pack does not answer is not weighed against anything")
        return self

    def content(self, group: str) -> Content:
        """The case as it is asked in the name of ``group``. Raises ``ValueError`` for one that checks nothing."""
        said = self.model_dump(exclude={"id", "about"})
        return Content.model_validate(said | {"groups": (group,)})


class Pack(Strict):
    """A whole pack."""

    schema_version: Annotated[Literal[1], Field(alias="schema")] = 1
    kind: Literal["pack"] = "pack"
    name: Name
    version: _Version
    number: Annotated[int, Field(ge=1, le=2**53)] = Field(description="Rises with every pack of this name.")
    language: Literal["en", "fr", "de"]
    title: Line
    producer: Line
    licence: Line
    sources: Annotated[tuple[Line, ...], Field(min_length=1, max_length=40, strict=False)]
    persona: Words
    tone: Words
    boundaries: Annotated[tuple[Boundary, ...], Field(max_length=40, strict=False)] = ()
    glossary: Annotated[tuple[Term, ...], Field(max_length=200, strict=False)] = ()
    examples: Annotated[tuple[Example, ...], Field(max_length=20, strict=False)] = ()
    cases: Annotated[tuple[PackCase, ...], Field(min_length=1, max_length=MAX_CASES, strict=False)]
    adapter: Adapter | None = None

    @model_validator(mode="after")
    def _agrees_with_itself(self) -> Self:
        if self.name == _NO_PACK:
            raise ValueError(f"name: {_NO_PACK} stands for no pack")
        for what, names in (
            ("case", [one.id for one in self.cases]),
            ("question", [one.question for one in self.cases]),
            ("boundary", [one.id for one in self.boundaries]),
            ("term", [one.term.casefold() for one in self.glossary]),
        ):
            if twice := [name for name, count in Counter(names).items() if count > 1]:
                raise ValueError(f"{what} {twice[0]!a:.80} is there twice")
        known = {one.id for one in self.boundaries} | {one.term for one in self.glossary}
        if lost := [one for one in self.cases if one.about is not None and one.about not in known]:
            raise ValueError(f"case {lost[0].id} is about {lost[0].about!a:.80}, which is no term and no boundary here")
        return self

    def to_bytes(self) -> bytes:
        """The file."""
        return strict_json.dumps(self.model_dump(mode="json", by_alias=True, exclude_none=True))

    @property
    def digest(self) -> str:
        """``sha256:`` of the file."""
        return digest_of(self.to_bytes())


def digest_of(data: bytes) -> str:
    """``sha256:`` of a pack's bytes."""
    return "sha256:" + hashlib.sha256(data).hexdigest()


def read_pack(data: bytes, source: str) -> Pack:
    """The pack in ``data``. Raises ``PackRefusedError`` for anything but the one spelling of a whole pack."""
    try:
        value = strict_json.load_object(data, max_bytes=MAX_BYTES)
        found = Pack.model_validate(value)
    except BundleError as error:
        raise PackRefusedError(f"{source} is no pack: {error.cause}", "`sovereign pack build` makes one") from error
    except ValidationError as error:
        raise PackRefusedError(f"{source} is no pack: {first_of(error)}", "`sovereign pack build` makes one") from error
    if found.to_bytes() != data:
        raise PackRefusedError(f"{source} is not in the one spelling of a pack", "`sovereign pack build` makes it")
    return found


def first_of(error: ValidationError) -> str:
    """The first thing that is wrong, with its place."""
    first: Any = error.errors(include_url=False, include_input=False)[0]
    where = ".".join(map(str, first["loc"])) or "pack"
    said = str(first["msg"]).removeprefix("Value error, ")
    return f"{where}: {said[:1].lower()}{said[1:]}"
