"""A case as it travels between sites: without groups, whose names are a site's own. Pure.

Its digest is over what it asks and expects and nothing else, so that two sites that learnt the same have one case.
``cited`` cases and those asked of documents stay where they are: they are about a site's documents.
"""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Annotated, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from airgap_bundle import strict_json
from appliance.learning.cases import Content, Language
from appliance.learning.exchange.redactor import hides

if TYPE_CHECKING:
    from collections.abc import Sequence

Digest = Annotated[str, Field(pattern=r"^sha256:[0-9a-f]{64}$")]
Role = Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9-]{0,31}$")]
MAX_ROLES = 8
_ANY = "any"


class Shared(BaseModel):
    """What a case asks and expects, as in ``Content``."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)

    question: Annotated[str, Field(min_length=1, max_length=4000)]
    kind: Literal["exact", "contains", "refusal", "language"]
    expected: Annotated[
        tuple[Annotated[str, Field(min_length=1, max_length=1000)], ...], Field(max_length=10, strict=False)
    ] = ()
    language: Language
    vital: bool = False

    @model_validator(mode="after")
    def _says_something(self) -> Self:
        if any(hides(text) for text in self.texts):
            raise ValueError("a text holds what is not shown")
        try:
            said = self.content((_ANY,))
        except ValidationError as error:
            first = error.errors(include_url=False, include_input=False, include_context=False)[0]
            raise ValueError(first["msg"].removeprefix("Value error, ")) from None
        if (said.question, said.expected) != (self.question, self.expected):
            raise ValueError("a text begins or ends with blanks")
        return self

    @property
    def texts(self) -> tuple[str, ...]:
        """Everything in it that somebody wrote."""
        return (self.question, *self.expected)

    @property
    def digest(self) -> str:
        """``sha256:`` over the canonical JSON of the case."""
        return "sha256:" + hashlib.sha256(strict_json.dumps(self.model_dump(mode="json"))).hexdigest()

    def content(self, groups: Sequence[str]) -> Content:
        """The case for ``groups`` of a site. Raises ``ValueError``, of which ``ValidationError`` is one."""
        said = self.model_dump()
        return Content.model_validate({**said, "groups": tuple(groups)})

    @classmethod
    def of(cls, content: Content) -> Shared | None:
        """The case of ``content`` as it travels; None for one that is about a site's documents."""
        if content.from_documents:
            return None
        said = content.model_dump(include={"question", "kind", "expected", "language", "vital"})
        return cls.model_validate(said)
