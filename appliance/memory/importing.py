"""One document's way into the library: read in its own process, cut into passages, given vectors, kept.

Order, each step resting on the one before: the bytes are copied and digested; a document whose bytes, groups and
vectors are there already is left as it is; the act is entered in the audit log (``enter``), and without a durable entry
nothing is kept; then the document is there with all that belongs to it, in one transaction. One that cannot be read is
noted as refused, with its reason; one whose reading took too much today is tried again, and its version before stays.
"""

from __future__ import annotations

import asyncio
import dataclasses
import hashlib
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import PurePath
from typing import TYPE_CHECKING

from appliance.memory.chunking import chunks, halves
from appliance.memory.documents import Arrival, Document, Passage, Reading
from appliance.memory.errors import PASSING, DocumentRefusedError, TooManyTokensError
from appliance.memory.holding import held
from appliance.memory.language import language
from appliance.memory.parsing import launch
from appliance.memory.parsing.blocks import cleaned, joined
from appliance.memory.parsing.launch import USUAL
from appliance.memory.vectors import AT_ONCE

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence

    from appliance.memory.chunking import Chunk
    from appliance.memory.errors import Reason
    from appliance.memory.holding import Held
    from appliance.memory.parsing.blocks import Parsed, Text
    from appliance.memory.parsing.launch import Bounds
    from appliance.memory.parsing.media import MediaType
    from appliance.memory.store import Library, Outcome
    from appliance.memory.vectors import Embedder

    Enter = Callable[[Arrival, str], Awaitable[None]]

BOUND = 256
"""Tokens of a passage, by estimate: a few paragraphs. The model's own count is asked of the engine."""
_MAX_HEADINGS = 300
_UNKNOWN = "application/octet-stream"


@dataclass(frozen=True)
class Source:
    """A file that somebody brings: open for reading, its name, and what the site is to know of it."""

    descriptor: int
    name: str
    origin: str
    groups: tuple[str, ...]
    imported_by: str
    title: str | None = None
    folder: str | None = None


@dataclass(frozen=True)
class Imported:
    """What became of one file."""

    origin: str
    outcome: Outcome
    document: Document | None
    refusal: DocumentRefusedError | None = None


class Importer:
    """Takes documents in. ``embedder`` None: the site has no embedding model, and words alone are searched.

    A refusal for a reason of ``passing`` leaves the version before.
    """

    def __init__(
        self,
        library: Library,
        embedder: Embedder | None,
        enter: Enter,
        bounds: Bounds = USUAL,
        passing: frozenset[Reason | None] = PASSING,
    ) -> None:
        self._library = library
        self._embedder = embedder
        self._enter = enter
        self._bounds = bounds
        self._passing = passing

    async def take(self, source: Source) -> Imported:
        """Take one document in. Raises ``SovereignError`` for the site's own trouble; nothing was changed then."""
        with ExitStack() as stack:
            return await self._taken(
                source, await asyncio.to_thread(stack.enter_context, held(source.descriptor, self._bounds))
            )

    async def _taken(self, source: Source, copy: Held) -> Imported:
        arrival = Arrival(
            source.origin,
            title_of(source, None),
            _UNKNOWN,
            copy.digest,
            tuple(sorted(set(source.groups))),
            source.imported_by,
            source.folder,
        )
        model = await self._embedder.model() if self._embedder is not None else None
        known = await self._library.known(source.origin)
        if known is not None and unchanged(known, arrival, model, source.title):
            return Imported(source.origin, "refused" if known.state == "refused" else "unchanged", known)
        try:
            kind, parsed = await asyncio.to_thread(parsed_copy, source.name, copy, self._bounds)
            arrival = dataclasses.replace(arrival, title=title_of(source, parsed), media_type=kind)
            read = await self._reading(parsed, arrival.title, model)
        except DocumentRefusedError as refusal:
            return await self._refused(arrival, refusal, known)
        await self._enter(arrival, f"{len(read.passages)} passages for {', '.join(arrival.groups)}")
        try:
            document, outcome = await self._library.put(arrival, read)
        except DocumentRefusedError as refusal:
            return await self._refused(arrival, refusal, known)
        return Imported(source.origin, outcome, document)

    async def _refused(self, arrival: Arrival, refusal: DocumentRefusedError, known: Document | None) -> Imported:
        """A refusal that may not come again keeps the earlier version, for the groups that are named now."""
        if known is not None and known.state == "ready" and refusal.reason in self._passing:
            await self._enter(arrival, f"refused: {refusal.reason}; the version before stays")
            if tuple(sorted(known.groups)) != arrival.groups:
                known = await self._library.regroup(known.id, arrival.groups)
            return Imported(arrival.origin, "refused", known, refusal)
        await self._enter(arrival, f"refused: {refusal.reason}")
        document, outcome = await self._library.refuse(arrival, refusal.reason)
        return Imported(arrival.origin, outcome, document, refusal)

    async def _reading(self, parsed: Parsed, title: str, model: str | None) -> Reading:
        text = await asyncio.to_thread(joined, parsed.blocks)
        if not text.text:
            raise DocumentRefusedError("no_text", "the document holds no text")
        found = list(await asyncio.to_thread(chunks, text, BOUND))
        vectors = await self._vectors(text, found, title) if self._embedder is not None else None
        return Reading(
            text_digest="sha256:" + hashlib.sha256(text.text.encode()).hexdigest(),
            language=language(text.text, parsed.language),
            pages=parsed.pages,
            characters=len(text.text),
            passages=tuple(
                Passage(chunk, text.text[chunk.start : chunk.end], vectors[at] if vectors is not None else None)
                for at, chunk in enumerate(found)
            ),
            model=model,
        )

    async def _vectors(self, text: Text, found: list[Chunk], title: str) -> Sequence[str]:
        """A vector for each passage of ``found``, which is changed where the model reads less than was estimated.

        What was computed is not asked again: after a cut, the batch that held the passage is.
        """
        assert self._embedder is not None
        made: list[str] = []
        while len(made) < len(found):
            part = found[len(made) : len(made) + AT_ONCE]
            try:
                made += await self._embedder.vectors(
                    [told(text.text[c.start : c.end], c.headings, title) for c in part], "document"
                )
            except TooManyTokensError as error:
                number = len(made) + error.number
                cut = halves(text.text, found[number])
                if cut is None:
                    raise DocumentRefusedError(
                        "damaged", "the document holds a character that the model cannot read"
                    ) from error
                found[number : number + 1] = cut
        return made


def told(body: str, headings: Sequence[str], title: str) -> str:
    """A passage as the embedding model reads it: what it is about stands in front."""
    about = " / ".join(headings) if headings else title
    return f"{about[:_MAX_HEADINGS]}\n{body}"


def unchanged(known: Document, arrival: Arrival, model: str | None, title: str | None) -> bool:
    """Whether the library holds these bytes for these groups already, with vectors of the same model."""
    same = (known.digest, tuple(sorted(known.groups))) == (arrival.digest, arrival.groups)
    named = title is None or cleaned(title) == known.title
    placed = arrival.folder is None or known.folder == arrival.folder
    final = known.reason not in PASSING if known.state == "refused" else known.model == model
    return same and named and placed and final


def title_of(source: Source, parsed: Parsed | None) -> str:
    """What people know the document by: the name it was given, its own title, or its file's name."""
    own = cleaned(parsed.title) if parsed is not None and parsed.title else ""
    given = cleaned(source.title) if source.title is not None else ""
    return given or own or cleaned(PurePath(source.name).stem) or "-"


def parsed_copy(name: str, copy: Held, bounds: Bounds = USUAL) -> tuple[MediaType, Parsed]:
    """The blocks of a file called ``name``. Raises ``DocumentRefusedError`` or ``ParserError``."""
    if not copy.whole:
        raise DocumentRefusedError("too_large", f"the file is larger than {bounds.file_bytes >> 20} MiB")
    kind = launch.kind_of(name, copy.descriptor, bounds)
    return kind, launch.parse(copy.descriptor, kind, bounds)
