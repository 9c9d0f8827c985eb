"""After a document is replaced or deleted: what is left of it in the database, conversations, the log and prompts."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from tests.integration.gateway.conftest import Page, events_of
from tests.integration.gateway.test_answers_from_documents import QUESTION, housed
from tests.memory.library import House as Importing
from tests.memory.library import remains

if TYPE_CHECKING:
    import httpx

    from tests.gateway import postgres
    from tests.integration.gateway.conftest import House

pytestmark = pytest.mark.anyio
BODY = "Visitors may park in bay seven. The xylographer keeps the quagga."
SECRETS = {"body": b"xylographer", "title": b"zymurgy", "next to it": b"quagga"}


async def answered(
    client: httpx.AsyncClient, page: Page, conversation: str, question: str = QUESTION
) -> dict[str, Any]:
    said = {"content": question, "documents": True}
    sent = await client.post(f"/api/conversations/{conversation}/messages", json=said, headers=page.headers)
    return dict(events_of(sent.text))


@pytest.mark.parametrize("way", ["deleted", "replaced"])
async def test_nothing_of_its_words_is_left_where_an_answer_rested_on_it(
    way: str, house: House, cluster: postgres.Cluster
) -> None:
    library = Importing(house.pool, house.embedding)
    taken = await library.take("a.txt", BODY, "analysts", title="Zymurgy")
    assert taken.document is not None
    await library.take("b.txt", "Opening hours are on the door.", "analysts", title="Hours")
    house.engine.words = ("Visitors may park in bay seven [1].",)
    async with house.open(housed()) as client:
        page = await Page(client).sign_in()
        conversation = await page.conversation()
        before = await answered(client, page, conversation)
        assert "xylographer" in json.dumps(before["citations"])
        if way == "deleted":
            await library.library.delete(taken.document.id)
        else:
            await library.take("a.txt", "Visitors go home.", "analysts", title="Rules")
        assert await library.library.sweep()
        kept = json.dumps(await page.read(conversation)).lower()
        place = {n: before["receipt"]["documents"]["passages"][0][n] for n in ("document", "version", "first", "last")}
        shown = await client.post("/api/passages", json={"places": [place]}, headers=page.headers)
        after = await answered(client, page, conversation, "And what does the xylographer keep there?")
    assert shown.json() == {"passages": [None]}
    assert not [word for word in SECRETS.values() if word.decode() in kept]
    assert remains(cluster, SECRETS) == set()
    assert not [word for word in SECRETS.values() if word in json.dumps(house.log.entries).lower().encode()]
    if way == "deleted":
        assert "xylographer" not in json.dumps(after)


async def test_no_prompt_with_a_passage_may_stay_in_the_engine_and_no_later_prompt_repeats_one(house: House) -> None:
    library = Importing(house.pool, house.embedding)
    await library.take("a.txt", BODY, "analysts", title="Zymurgy")
    async with house.open(housed()) as client:
        page = await Page(client).sign_in()
        conversation = await page.conversation()
        await answered(client, page, conversation)
        await page.ask(conversation, "Thank you.")
    first, later = house.engine.requests
    assert (first.kept, later.kept) == (False, True)
    assert {m.scope for m in first.messages or () if "quagga" in m.content} == {"user"}
    assert not any("quagga" in m.content for m in later.messages or ())
