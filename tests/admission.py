"""What may run in the assistant's namespace and what may not: good and bad resources, and what a real API server says.

They lie in `policies/cluster`. In a resource, `{released}` stands for an image of the release by its digest, `{digest}`
for that digest alone, and `{word}` for it as a tag can hold it.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml

if TYPE_CHECKING:
    from collections.abc import Callable

FOLDER = Path(__file__).parents[1] / "policies/cluster"


@dataclass(frozen=True)
class Case:
    """``refused`` is what the API's refusal names; None: the resource is admitted."""

    name: str
    resource: dict[str, Any]
    refused: str | None

    def filled(self, image: str) -> str:
        """The resource as JSON, with this image of the release."""
        digest = image.rpartition("@")[2]
        text = json.dumps(self.resource)
        for word, value in (("released", image), ("digest", digest), ("word", digest.replace(":", "-"))):
            text = text.replace(f"{{{word}}}", value)
        return text


def cases(kind: str) -> list[Case]:
    """Those of `good` or `bad`."""
    found = []
    for path in sorted((FOLDER / kind).glob("*.yaml")):
        told = yaml.safe_load(path.read_text())
        assert set(told) == {"why", "resource"} | ({"refused"} if kind == "bad" else set()), path
        found.append(Case(path.stem, told["resource"], told.get("refused")))
    return found


def verdict(create: Callable[[str], str], case: Case, image: str) -> str:
    """What the API refused the case with, as ``create`` raises it (``AssertionError``); empty where it admitted it."""
    try:
        create(case.filled(image))
    except AssertionError as error:
        return str(error)
    return ""
