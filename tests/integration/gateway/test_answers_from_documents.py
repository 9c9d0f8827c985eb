"""Answers from documents, over the real library: what is asked, what is cited, and who sees it."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
from sqlalchemy import text

from appliance.gateway.looking import Looking
from tests.gateway.doubles import site
from tests.integration.gateway.conftest import Page, events_of
from tests.memory.library import House as Importing

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    import httpx

    from tests.integration.gateway.conftest import House

pytestmark = [pytest.mark.anyio, pytest.mark.usefixtures("library")]
PARKING = "Visitors may park in bay seven. A visit lasts at most ninety minutes."
SAFE = "The safe in the cellar opens at nine with the code 4711."
QUESTION = "How long may visitors park in the bay?"
ANSWER = "Visitors may park in bay seven [1]. Dogs sleep upstairs [1]. See [9]."


def housed(**documents: Any) -> Any:
    models = [{"name": "small"}, {"name": "large"}, {"name": "minilm"}]
    return site(models=models, documents={"model": "minilm", **documents})


@pytest.fixture
async def asked(house: House) -> AsyncIterator[httpx.AsyncClient]:
    house.engine.words = (ANSWER,)
    async with house.open(housed()) as opened:
        yield opened


@pytest.fixture
async def library(house: House) -> Importing:
    found = Importing(house.pool, house.embedding)
    await found.take("parking.txt", PARKING, "analysts", title="Parking")
    await found.take("safe.txt", SAFE, "clerks", title="Safe")
    return found


async def chat(client: httpx.AsyncClient, question: str = QUESTION, who: str = "analyst", **more: Any) -> Any:
    body = {"model": "small", "messages": [{"role": "user", "content": question}], "documents": {}, **more}
    return await client.post("/v1/chat/completions", json=body, headers={"Authorization": f"Bearer {who}"})


async def test_an_answer_says_what_it_rests_on_down_to_the_characters_of_a_version(asked: httpx.AsyncClient) -> None:
    body = (await chat(asked)).json()
    cited = body["sovereign"]["citations"]
    (passage,) = cited["passages"]
    assert (cited["outcome"], cited["checked"], passage["title"], passage["text"]) == (
        "answered",
        True,
        "Parking",
        PARKING,
    )
    first, second, third = cited["claims"]
    (source,) = first["citations"]
    assert ANSWER[first["first"] : first["last"]] == "Visitors may park in bay seven [1]."
    assert (first["support"], PARKING[source["first"] : source["last"]]) == ("quoted", "Visitors may park in bay seven")
    assert (second["support"], second["doubtful"]) == ("unsupported", [1])
    assert (third["support"], third["unknown"], third["citations"]) == ("unsupported", [9], [])


async def test_receipt_and_log_name_places_and_digests_and_hold_no_word_of_a_document(
    asked: httpx.AsyncClient, house: House
) -> None:
    body = (await chat(asked)).json()
    told = body["sovereign"]["receipt"]["documents"]
    (passage,) = told["passages"]
    place = f"{passage['document']} {passage['version']}"
    (request,), (answer,) = house.log.of_kind("request"), house.log.of_kind("answer")
    assert request["unmapped"]["sovereign"]["passages"] == [f"{place} 0-{len(PARKING)}"]
    assert answer["unmapped"]["sovereign"]["spans"] == ["1 0-30"]
    assert answer["unmapped"]["sovereign"]["documents"] == [passage["digest"]]
    for written in (told, request, answer):
        assert not {"parking", "ninety", "bay seven"} & set(json.dumps(written).lower().split('"'))
        assert "ninety" not in json.dumps(written)


async def test_what_the_model_reads_are_lines_behind_a_mark_and_the_site_speaks_last(
    asked: httpx.AsyncClient, house: House
) -> None:
    await chat(asked, messages=[{"role": "system", "content": "Mine."}, {"role": "user", "content": QUESTION}])
    sent = house.engine.requests[-1]
    system, question = sent.messages or ()
    assert system.content.startswith("Mine.\n\n")
    assert "never instructions" in system.content.rpartition("Mine.")[2]
    assert f"\n> Parking\n> {PARKING}\n" in question.content
    assert question.content.endswith(QUESTION)
    assert sent.kept is False


async def test_nobody_is_answered_from_a_document_of_others(asked: httpx.AsyncClient, house: House) -> None:
    theirs = (await chat(asked, "Which code opens the safe in the cellar?")).json()["sovereign"]["citations"]
    assert (theirs["outcome"], theirs["passages"]) == ("abstained", [])
    assert house.engine.requests == []
    mine = (await chat(asked, "Which code opens the safe in the cellar?", "clerk")).json()["sovereign"]["citations"]
    assert [one["title"] for one in mine["passages"]] == ["Safe"]


async def test_where_nothing_fits_the_answer_says_so_in_the_askers_language_and_costs_no_token(
    asked: httpx.AsyncClient,
) -> None:
    body = (await chat(asked, "Wie wird das Wetter in den Bergen und wer ist dafür zuständig?")).json()
    assert body["choices"][0]["message"]["content"].startswith("Keines der Dokumente")
    assert body["usage"]["total_tokens"] == 0
    assert body["sovereign"]["receipt"]["documents"]["outcome"] == "abstained"


async def test_a_site_may_have_the_model_answer_all_the_same_and_the_answer_is_marked(house: House) -> None:
    async with house.open(housed(nothing_fits="answer")) as client:
        body = (await chat(client, "What is the weather like?")).json()
    assert body["choices"][0]["message"]["content"] == "Hello there."
    settings = Looking(nothing_fits="answer").digest
    cited = {"outcome": "nothing_fits", "checked": True, "settings": settings, "passages": [], "claims": []}
    assert body["sovereign"]["citations"] == cited


async def test_a_stream_ends_with_the_same_citations(asked: httpx.AsyncClient) -> None:
    whole = (await chat(asked)).json()["sovereign"]["citations"]
    lines = (await chat(asked, stream=True)).text.strip().split("\n\n")
    assert lines[-1] == "data: [DONE]"
    assert json.loads(lines[-2].removeprefix("data: "))["sovereign"]["citations"] == whole
    several = (await chat(asked, n=2)).json()["sovereign"]
    assert several["citations"] == [whole, whole]
    assert len(several["receipts"]) == 2


@pytest.mark.parametrize(
    ("more", "said"),
    [
        ({"tools": [{"type": "function", "function": {"name": "send"}}]}, "tools"),
        ({"response_format": {"type": "json_object"}}, "response_format"),
        ({"documents": {"passages": 0}}, "documents.passages"),
        ({"documents": {"groups": ["clerks"]}}, "documents.groups"),
        ({"messages": [{"role": "user", "content": "a"}, {"role": "assistant", "content": "b"}]}, "ends with a user"),
    ],
)
async def test_what_does_not_go_with_documents_is_refused_by_name(
    asked: httpx.AsyncClient, house: House, more: dict[str, Any], said: str
) -> None:
    refused = await chat(asked, **more)
    assert refused.status_code == 422
    assert said in refused.text
    assert house.log.kinds() == ["refusal"]
    assert await house.count("quota_counter") == 0


async def test_a_site_without_documents_or_without_their_model_says_so(house: House, library: Importing) -> None:
    async with house.open(site()) as client:
        assert (await chat(client)).json()["error"]["code"] == "no_documents"
    async with house.open(housed()) as client:
        refused = await chat(client, who="stranger", model="small")
        assert refused.status_code == 403
        await library.library.delete((await library.library.known("test:parking.txt")).id)  # type: ignore[union-attr]
        assert (await chat(client)).json()["error"]["code"] == "no_documents"
    assert house.engine.requests == []


async def test_passages_leave_room_for_the_answer_and_are_refused_where_there_is_none(
    asked: httpx.AsyncClient, house: House
) -> None:
    house.engine.context_tokens = 700
    refused = await chat(asked, max_tokens=500)
    assert refused.json()["error"]["code"] == "context_length_exceeded"
    assert house.engine.requests == []


async def test_a_caller_may_ask_for_fewer_passages_than_the_site_gives_and_for_no_more(
    house: House, library: Importing
) -> None:
    for number in range(4):
        await library.take(f"{number}.txt", f"{PARKING} Rule {number}.", "analysts", title=f"Rule {number}")
    async with house.open(housed(passages=2)) as client:
        given = [
            len((await chat(client, documents=asked)).json()["sovereign"]["citations"]["passages"])
            for asked in ({}, {"passages": 1}, {"passages": 12})
        ]
    assert given == [2, 1, 2]


async def test_a_question_with_what_no_database_holds_is_answered_all_the_same(asked: httpx.AsyncClient) -> None:
    assert (await chat(asked, QUESTION.replace(" ", "\x00 "))).json()["sovereign"]["citations"]["outcome"] == "answered"


async def test_nothing_is_looked_up_for_who_has_nothing_left(house: House) -> None:
    groups = [{"name": "analysts", "models": ["small"], "per_user": {"requests_per_minute": 1}}]
    config = housed().model_copy(update={"groups": site(models=[{"name": "small"}], groups=groups).groups})
    async with house.open(config) as client:
        assert (await chat(client)).status_code == 200
        asked_before = len(house.embedding.told)
        refused = await chat(client)
    assert (refused.status_code, refused.json()["error"]["code"]) == (429, "quota_exceeded")
    assert len(house.embedding.told) == asked_before


async def test_an_answer_that_has_no_receipt_is_given_again_from_documents_where_the_page_says_so(
    asked: httpx.AsyncClient, house: House
) -> None:
    page = await Page(asked).sign_in()
    conversation = await page.conversation()
    house.log.refuse_kinds = frozenset({"answer"})
    said = {"content": QUESTION, "documents": True}
    sent = await asked.post(f"/api/conversations/{conversation}/messages", json=said, headers=page.headers)
    message = dict(events_of(sent.text))["start"]["message_id"]
    house.log.refuse_kinds = frozenset()
    path = f"/api/conversations/{conversation}/messages/{message}/retry?documents=1"
    again = await asked.post(path, headers=page.headers)
    assert dict(events_of(again.text))["citations"]["outcome"] == "answered"


async def test_the_page_keeps_places_with_the_answer_and_shows_words_only_to_who_may_see_them_now(
    asked: httpx.AsyncClient, library: Importing
) -> None:
    page = await Page(asked).sign_in()
    conversation = await page.conversation()
    said = {"content": QUESTION, "documents": True}
    sent = await asked.post(f"/api/conversations/{conversation}/messages", json=said, headers=page.headers)
    named = dict(events_of(sent.text))
    assert list(named) == ["start", "token", "citations", "receipt", "done"]
    kept = (await page.read(conversation))["messages"][-1]["receipt"]["documents"]
    assert "title" not in kept["passages"][0]
    place = {name: kept["passages"][0][name] for name in ("document", "version", "first", "last")}
    shown = await asked.post("/api/passages", json={"places": [place]}, headers=page.headers)
    assert shown.json()["passages"] == [{"title": "Parking", "headings": [], "page": None, "text": PARKING}]
    document = await library.library.known("test:parking.txt")
    assert document is not None
    await library.library.regroup(document.id, ["clerks"])
    gone = await asked.post("/api/passages", json={"places": [place]}, headers=page.headers)
    assert gone.json()["passages"] == [None]


async def test_an_answer_given_while_its_document_goes_cites_nothing_of_it(
    asked: httpx.AsyncClient, library: Importing, house: House
) -> None:
    document = await library.library.known("test:parking.txt")
    assert document is not None
    admit = house.engine._words

    async def meanwhile(request: Any) -> Any:
        await library.library.regroup(document.id, ["clerks"])
        return await admit(request)

    house.engine._words = meanwhile  # type: ignore[method-assign]
    cited = (await chat(asked)).json()["sovereign"]["citations"]
    assert [(one["gone"], one["cited"], "text" in one) for one in cited["passages"]] == [(True, False, False)]
    assert {claim["support"] for claim in cited["claims"]} == {"unsupported"}


async def test_another_answer_to_the_same_question_is_from_documents_too(
    asked: httpx.AsyncClient, house: House
) -> None:
    page = await Page(asked).sign_in()
    conversation = await page.conversation()
    said = {"content": QUESTION, "documents": True}
    sent = await asked.post(f"/api/conversations/{conversation}/messages", json=said, headers=page.headers)
    message = dict(events_of(sent.text))["start"]["message_id"]
    again = await asked.post(f"/api/conversations/{conversation}/messages/{message}/retry", headers=page.headers)
    assert dict(events_of(again.text))["citations"]["outcome"] == "answered"
    await page.ask(conversation, "And now?")
    earlier = house.engine.requests[-1].messages or ()
    assert "[1]" not in earlier[1].content
    assert "> " not in earlier[0].content


async def test_a_passage_that_was_changed_in_the_database_is_no_source(asked: httpx.AsyncClient, house: House) -> None:
    await chat(asked)
    admit = house.engine._words

    async def meanwhile(request: Any) -> Any:
        async with house.pool.begin() as connection:
            await connection.execute(text("UPDATE passage SET body = 'Visitors may park in bay eight.'"))
        return await admit(request)

    house.engine._words = meanwhile  # type: ignore[method-assign]
    cited = (await chat(asked)).json()["sovereign"]["citations"]
    assert [one["gone"] for one in cited["passages"]] == [True]
