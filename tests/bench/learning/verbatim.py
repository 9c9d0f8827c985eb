"""Whether what answers cite stands word for word in the versions that they name, read afresh from the files.

The library is not believed: the document's file is parsed again, its text must have the digest that the receipt names,
a cited passage must be what the text says at its place, and a claim that is ``quoted`` must stand at its span.
"""

from __future__ import annotations

import hashlib
import uuid
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from appliance.memory.claims import unmarked
from appliance.memory.documents import Place
from appliance.memory.parsing import launch
from appliance.memory.parsing.blocks import joined
from appliance.memory.support import bare

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping
    from pathlib import Path

    from tests.bench.learning.answers import Told
    from tests.bench.learning.house import Stand


@dataclass
class Checked:
    """How many citations were looked at, and what is wrong with those that do not hold."""

    answers: int = 0
    citations: int = 0
    wrong: list[str] = field(default_factory=list)

    @property
    def share(self) -> float:
        """Of citations that hold; 0 where nothing was cited, since nothing was shown then."""
        return (self.citations - len(self.wrong)) / self.citations if self.citations else 0.0


def text_of(path: Path) -> str:
    """The file's text as the site reads it, by a parser of its own process."""
    with path.open("rb") as file:
        kind = launch.kind_of(path.name, file.fileno())
        return joined(launch.parse(file.fileno(), kind).blocks).text


async def checked(stand: Stand, told: Iterable[Told], paths: Mapping[uuid.UUID, Path]) -> Checked:
    """Every citation of every answer; ``paths`` are the documents' files."""
    found, texts = Checked(), dict[uuid.UUID, str]()

    def text(number: uuid.UUID) -> str:
        if number not in texts:
            texts[number] = text_of(paths[number])
        return texts[number]

    for one in told:
        documents = one.answered.receipt.get("documents")
        if documents is None:
            continue
        found.answers += 1
        cited = [passage for passage in documents["passages"] if passage["cited"]]
        places = [Place(uuid.UUID(p["document"]), p["version"], p["first"], p["last"]) for p in cited]
        bodies = await stand.gateway.documents.still(places, (one.group,)) or ()
        shown = {p["number"]: now.body if now is not None else None for p, now in zip(cited, bodies, strict=True)}
        judge(found, one.answered.text, documents, shown, text)
    return found


def judge(
    found: Checked,
    answer: str,
    documents: Mapping[str, Any],
    shown: Mapping[int, str | None],
    text: Callable[[uuid.UUID], str],
) -> None:
    """Hold one answer's citations against the texts. ``shown``: each cited passage as the library says it. Pure."""
    passages = {one["number"]: one for one in documents["passages"]}
    for claim in documents["claims"]:
        for citation in claim["citations"]:
            found.citations += 1
            place = passages[citation["passage"]]
            whole = text(uuid.UUID(place["document"]))
            if (cause := _wrong(answer[claim["first"] : claim["last"]], citation, place, shown, whole)) is not None:
                found.wrong.append(f"{place['document']} {citation['first']}-{citation['last']}: {cause}")


def _wrong(
    said: str, citation: Mapping[str, Any], place: Mapping[str, Any], shown: Mapping[int, str | None], whole: str
) -> str | None:
    if "sha256:" + hashlib.sha256(whole.encode()).hexdigest() != place["version"]:
        return "the text has another digest than the version cited"
    if shown.get(place["number"]) != whole[place["first"] : place["last"]]:
        return "the passage is not what the text says at its place"
    if not place["first"] <= citation["first"] < citation["last"] <= place["last"]:
        return "the span is not in the passage"
    span = whole[citation["first"] : citation["last"]]
    if citation["how"] == "quoted" and _flat(bare(unmarked(said))) != _flat(span):
        return "the claim does not stand there"
    return None


def _flat(text: str) -> str:
    return " ".join(text.split())
