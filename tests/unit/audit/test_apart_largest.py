"""A text of exactly the most bytes is kept apart whole and committed to; one byte more is refused, changing nothing."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import pytest

from appliance.audit.apart import items_of
from appliance.audit.apart_check import ApartCheck
from appliance.audit.client import AuditClient, SyncAuditClient
from appliance.audit.commitment import opens
from appliance.audit.entry import decode_entry
from appliance.audit.errors import EntryTooLargeError
from appliance.audit.events import refusal
from appliance.audit.ocsf import ELLIPSIS, MAX_LONG, short
from appliance.audit.roles import GATEWAY
from appliance.audit.tiles import MAX_ENTRY_BYTES

if TYPE_CHECKING:
    from tests.audit.bench import Bench
    from tests.audit.running import Running

CHARACTERS = ("x", '"', "\x1b", "é", "\N{SNOWMAN}", "\N{PILE OF POO}")
"""Of one to four bytes in UTF-8, and of up to twelve in JSON."""
MOST = MAX_LONG + len(ELLIPSIS.encode())
"""What an event's builder cuts has its ellipsis besides."""


def filled(character: str, size: int) -> str:
    """Text of ``size`` bytes of UTF-8: of ``character``, with what is missing in front."""
    count, rest = divmod(size, len(character.encode()))
    return "a" * rest + character * count


def event(detail: str) -> dict[str, Any]:
    """An event with ``detail`` as it is, whatever its length: no builder has cut it."""
    made = refusal(request_id="r", reason_code="x", status=400, subject="ab" * 16, detail="short")
    return made | {"status_detail": detail}


@pytest.mark.parametrize("size", [MAX_LONG, MOST])
@pytest.mark.parametrize("character", CHARACTERS)
def test_a_text_of_the_most_bytes_is_kept_whole_and_committed_to(bench: Bench, character: str, size: int) -> None:
    text = filled(character, size)
    log = bench.open()
    record = log.keep("gateway/a", event(text), 0)
    log.append([record])
    made = decode_entry(record[1])[1]
    (item,) = items_of(made)
    ((found, salt, whole),) = log.read_apart(record[1])
    assert found == item
    assert whole == text
    assert (item.at, item.size) == ("/status_detail", size)
    assert opens(str(item.commitment), text.encode(), salt)
    assert not opens(str(item.commitment), text.encode()[:-1], salt)
    assert made["status_detail"] == short(text)
    assert len(record[1]) <= MAX_ENTRY_BYTES
    check = ApartCheck(bench.directory)
    check.finish(bench.verify(visit=check.visit))
    assert check.texts == 1


@pytest.mark.parametrize("character", CHARACTERS)
def test_one_byte_more_is_refused_and_nothing_has_changed(bench: Bench, character: str) -> None:
    log = bench.open()
    log.append([log.keep("gateway/before", event(filled(character, MAX_LONG)), 0)])
    before = bench.snapshot()
    with pytest.raises(EntryTooLargeError, match=f"more than {MAX_LONG} bytes"):
        log.keep("gateway/a", event(filled(character, MOST + 1)), 0)
    assert bench.snapshot() == before
    log.append([log.keep("gateway/a", event(filled(character, MAX_LONG)), 0)])
    assert bench.verify().head.size == 2


@pytest.mark.parametrize("character", CHARACTERS)
def test_a_builder_cuts_what_is_longer_at_a_whole_character_and_says_so(bench: Bench, character: str) -> None:
    text = filled(character, MAX_LONG + 1)
    log = bench.open()
    cut = refusal(request_id="r", reason_code="x", status=400, subject="ab" * 16, detail=text)
    ((item, salt, kept),) = log.read_apart(log.keep("gateway/a", cut, 0)[1])
    assert kept.endswith(ELLIPSIS)
    assert text.startswith(kept.removesuffix(ELLIPSIS))
    assert MOST - len(character.encode()) < item.size <= MOST
    assert opens(str(item.commitment), kept.encode(), salt)


def test_the_service_takes_the_most_bytes_in_ascii_or_not_and_refuses_more(bench: Bench, service: Running) -> None:
    characters = ("x", "\N{PILE OF POO}")
    texts = [filled(character, MAX_LONG) for character in characters]

    async def gateway() -> list[int]:
        async with AuditClient(service.socket) as audit:
            own = [(await audit.append(event(one), id=GATEWAY.id(str(n)))).index for n, one in enumerate(texts)]
            before = bench.snapshot()
            for number, character in enumerate(characters):
                with pytest.raises(EntryTooLargeError):
                    await audit.append(event(filled(character, MOST + 1)), id=GATEWAY.id("more", str(number)))
            after = bench.snapshot()
            assert [name for name in {*before} ^ {*after} if name.startswith("apart/")] == []
            assert (await audit.append(event("short"), id=GATEWAY.id("next"))).index == len(texts)
            return own

    places = asyncio.run(gateway())
    with SyncAuditClient(service.socket) as audit:
        for index, text in zip(places, texts, strict=True):
            (found,) = audit.apart(index)
            assert found.text == text
            assert opens(found.commitment, text.encode(), found.salt)
