"""A document's way into the library: read in its own process, cut into passages, kept; vectors follow (``vectoring``).

Order, each step resting on the one before: the bytes are copied and digested; a document whose bytes and groups are
there already is left as it is; the act is entered in the audit log (``enter``), and without a durable entry
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

from appliance.memory.chunking import chunks
from appliance.memory.documents import Arrival, Document, Passage, Reading
from appliance.memory.errors import PASSING, DocumentRefusedError
from appliance.memory.holding import held
from appliance.memory.language import language
from appliance.memory.parsing import launch
from appliance.memory.parsing.blocks import cleaned, joined
from appliance.memory.parsing.launch import USUAL

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from appliance.memory.errors import Reason
    from appliance.memory.holding import Held
    from appliance.memory.parsing.blocks import Parsed
    from appliance.memory.parsing.launch import Bounds
    from appliance.memory.parsing.media import MediaType
    from appliance.memory.store import Library, Outcome

    Enter = Callable[[Arrival, str], Awaitable[None]]

BOUND = 256
"""Tokens of a passage, by estimate: a few paragraphs."""
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
    """Takes documents in. A refusal for a reason of ``passing`` leaves the version before."""

    def __init__(
        self,
        library: Library,
        enter: Enter,
        bounds: Bounds = USUAL,
        passing: frozenset[Reason | None] = PASSING,
    ) -> None:
        self._library = library
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
        known = await self._library.known(source.origin)
        if known is not None and unchanged(known, arrival, source.title):
            return Imported(source.origin, "refused" if known.state == "refused" else "unchanged", known)
        try:
            kind, parsed = await asyncio.to_thread(parsed_copy, source.name, copy, self._bounds)
            arrival = dataclasses.replace(arrival, title=title_of(source, parsed), media_type=kind)
            read = await _reading(parsed)
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


async def _reading(parsed: Parsed) -> Reading:
    text = await asyncio.to_thread(joined, parsed.blocks)
    if not text.text:
        raise DocumentRefusedError("no_text", "the document holds no text")
    found = await asyncio.to_thread(chunks, text, BOUND)
    return Reading(
        text_digest="sha256:" + hashlib.sha256(text.text.encode()).hexdigest(),
        language=language(text.text, parsed.language),
        pages=parsed.pages,
        characters=len(text.text),
        passages=tuple(Passage(chunk, text.text[chunk.start : chunk.end]) for chunk in found),
    )


def unchanged(known: Document, arrival: Arrival, title: str | None) -> bool:
    """Whether the library holds these bytes for these groups already."""
    same = (known.digest, tuple(sorted(known.groups))) == (arrival.digest, arrival.groups)
    named = title is None or cleaned(title) == known.title
    placed = arrival.folder is None or known.folder == arrival.folder
    final = known.state != "refused" or known.reason not in PASSING
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
