"""People bring documents on the page: for whom, how much, what is logged, and what is left of one that was refused."""

from __future__ import annotations

import asyncio
import json
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest
from sqlalchemy import update
from sqlalchemy.exc import ProgrammingError

from appliance.gateway import bringing
from appliance.gateway.conversations import ConversationStore
from appliance.gateway.people import People
from appliance.gateway.pseudonyms import Subject
from appliance.gateway.upkeep import sweep_up, vector_up
from appliance.memory.access import keeping
from appliance.memory.documents import NOBODY
from appliance.memory.schema import document
from tests.gateway.doubles import site
from tests.integration.gateway.conftest import KEYS, Page
from tests.memory import papers
from tests.memory.library import House as Importing

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from appliance.gateway.callers import Caller
    from tests.integration.gateway.conftest import House

pytestmark = pytest.mark.anyio
TEXT = b"Visitors may park in bay seven."


def bringing_site(analysts: dict[str, Any] | None = None, **changes: Any) -> Any:
    groups = [
        {"name": "analysts", "models": ["small", "large"], "brings_documents": True, **(analysts or {})},
        {"name": "clerks", "models": ["small"], "brings_documents": True},
        {"name": "guests"},
    ]
    models = [{"name": "small"}, {"name": "large"}, {"name": "minilm"}]
    return site(models=models, groups=groups, documents={"model": "minilm"}, **changes)


@pytest.fixture
async def page(house: House) -> AsyncIterator[Page]:
    async with house.open(bringing_site()) as client:
        yield await Page(client).sign_in()


async def put(page: Page, name: str, data: bytes = TEXT, group: str = "analysts", **headers: str) -> Any:
    return await page.http.put(f"/api/documents/{group}/{name}", content=data, headers={**page.headers, **headers})


async def test_a_document_is_there_for_its_group_and_the_log_names_digest_and_person_and_no_title(
    page: Page, house: House
) -> None:
    assert (await page.http.get("/api/session")).json()["brings"] == ["analysts"]
    told = (await put(page, "Parking%20rules.txt")).json()
    assert told == {"outcome": "new", "reason": None, "title": "Parking rules", "passages": 1}
    library = Importing(house.pool, house.embedding)
    (document,) = await library.library.listed()
    assert (document.origin, document.groups) == ("page:analysts/Parking rules.txt", ("analysts",))
    (entry,) = house.log.of_kind("document_change")
    assert entry["entity"] == {"name": document.digest, "type": "document"}
    assert entry["actor"]["user"]["uid"] == document.imported_by
    assert "Parking" not in json.dumps(entry)
    assert [one.title for one in await library.ask("Where may visitors park?", "analysts")] == ["Parking rules"]
    assert await library.ask("Where may visitors park?", "clerks") == ()


async def test_the_gateway_gives_what_was_brought_its_vectors_and_goes_on_whatever_the_engine_says(
    page: Page, house: House
) -> None:
    gateway = house.gateways[0]
    library = Importing(house.pool, house.embedding, later=True)
    house.embedding.record = {"prompts": 7}  # no record of a gate's
    upkeep = asyncio.create_task(vector_up(gateway, every=600))
    try:
        await asyncio.sleep(0.2)
        assert not upkeep.done()
        house.embedding.record = {}
        await put(page, "parking.txt")
        async with asyncio.timeout(10):
            while not await library.ask("What is quiet?", "analysts"):  # noqa: ASYNC110 - the library tells nobody
                await asyncio.sleep(0.05)
    finally:
        upkeep.cancel()
        await asyncio.gather(upkeep, return_exceptions=True)  # its connection goes back first


async def test_the_same_name_replaces_and_the_same_bytes_change_nothing(page: Page, house: House) -> None:
    outcomes = [(await put(page, "a.txt", data)).json()["outcome"] for data in (TEXT, TEXT, b"Another rule holds now.")]
    assert outcomes == ["new", "unchanged", "replaced"]
    assert len(house.log.of_kind("document_change")) == 2


@pytest.mark.parametrize("group", ["clerks", "guests", "nobody", "*"])
async def test_nobody_brings_anything_for_a_group_that_is_not_theirs(page: Page, house: House, group: str) -> None:
    refused = await put(page, "a.txt", group=group)
    assert (refused.status_code, refused.json()["code"]) == (403, "not_for_this_group")
    assert house.log.kinds()[-1] == "refusal"
    assert await Importing(house.pool).library.listed() == ()


async def test_without_the_sessions_token_nothing_is_read(page: Page, house: House) -> None:
    refused = await page.http.put("/api/documents/analysts/a.txt", content=TEXT)
    assert refused.status_code == 403
    assert await Importing(house.pool).library.listed() == ()


@pytest.mark.parametrize(
    "name", [".hidden", "a%2Fb.txt", "..%2F..%2Fetc%2Fpasswd", "a%5Cb.txt", "%00.txt", "x" * 201, "a%E2%80%AEtxt.exe"]
)
async def test_a_name_that_is_more_than_a_name_is_refused(page: Page, house: House, name: str) -> None:
    assert (await put(page, name)).status_code in {404, 422}
    assert await Importing(house.pool).library.listed() == ()


async def test_more_than_the_bound_is_refused_before_anything_is_read_or_logged(
    page: Page, house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("appliance.gateway.bringing_routes.MAX_UPLOAD", 1000)
    before = house.log.kinds()
    assert (await put(page, "a.txt", b"x" * 1001)).status_code == 413
    assert (house.log.kinds(), await Importing(house.pool).library.listed()) == (before, ())


async def test_a_hostile_file_ends_in_a_reason_and_the_next_is_taken(page: Page) -> None:
    locked = (await put(page, "a.pdf", papers.encrypted_pdf())).json()
    assert (locked["outcome"], locked["reason"], locked["title"]) == ("refused", "encrypted", None)
    bomb = (await put(page, "b.docx", papers.archive({"word/document.xml": bytes(200 << 20)}))).json()
    assert (bomb["outcome"], bomb["reason"]) == ("refused", "too_large")
    assert (await put(page, "c.txt")).json()["outcome"] == "new"


async def test_a_file_that_cannot_be_read_replaces_nothing(page: Page, house: House) -> None:
    await put(page, "a.txt")
    damaged = (await put(page, "a.txt", b"\x00\x01\x02" * 50)).json()
    assert damaged["outcome"] == "refused"
    library = Importing(house.pool, house.embedding)
    assert [one.body for one in await library.ask("Where may visitors park?", "analysts")] == [TEXT.decode()]
    assert "the version before stays" in house.log.of_kind("document_change")[-1]["unmapped"]["sovereign"]["detail"]


async def test_a_person_brings_one_document_at_a_time_and_a_slow_one_holds_up_nobody_elses_turn(
    page: Page, house: House
) -> None:
    begun, go = asyncio.Event(), asyncio.Event()

    async def slowly() -> AsyncIterator[bytes]:
        yield TEXT
        begun.set()
        await go.wait()

    slow = asyncio.create_task(
        page.http.put("/api/documents/analysts/slow.txt", content=slowly(), headers=page.headers)
    )
    await begun.wait()
    gateway = house.gateways[0].bringing
    while not gateway._bringing:  # noqa: ASYNC110 - nobody tells when the request has arrived
        await asyncio.sleep(0.01)
    assert not gateway._turn.locked()
    assert (await put(page, "b.txt")).json()["code"] == "importing"
    go.set()
    assert (await slow).json()["outcome"] == "new"
    assert (await put(page, "b.txt")).json()["outcome"] == "new"


async def test_without_a_durable_entry_nothing_is_kept(page: Page, house: House) -> None:
    house.log.refuse_kinds = frozenset({"document_change"})
    refused = await put(page, "a.txt")
    assert (refused.status_code, refused.json()["code"]) == (503, "audit_unavailable")
    assert await Importing(house.pool).library.listed() == ()
    house.log.refuse_kinds = frozenset()
    assert (await put(page, "a.txt")).json()["outcome"] == "new"


async def test_who_waits_too_long_for_their_turn_is_told_when_to_come_back(
    page: Page, house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bringing, "_PATIENCE_S", 0.0)
    monkeypatch.setattr(bringing, "_READ_PATIENCE_S", 0.0)
    await house.gateways[0].bringing._turn.acquire()
    refused = await put(page, "a.txt")
    assert (refused.status_code, refused.json()["code"]) == (429, "importing")


@pytest.mark.parametrize("bound", [{"documents": 2}, {"characters": 2 * len(TEXT)}])
async def test_a_group_brings_as_much_as_the_site_says_and_replaces_what_it_has(
    house: House, bound: dict[str, int]
) -> None:
    async with house.open(bringing_site({"brought": bound})) as client:
        page = await Page(client).sign_in()
        assert [(await put(page, name)).status_code for name in ("a.txt", "b.txt")] == [200, 200]
        entries = house.log.kinds()
        refused = await put(page, "c.txt")
        assert (refused.status_code, refused.json()["code"]) == (422, "documents_full")
        assert house.log.kinds() == [*entries, "refusal"]
        assert (await put(page, "b.txt", b"Another rule.")).json()["outcome"] == "replaced"
    assert {one.origin for one in await Importing(house.pool).library.listed()} == {
        "page:analysts/a.txt",
        "page:analysts/b.txt",
    }


async def test_what_others_brought_while_a_body_arrived_counts_when_it_has_its_turn(house: House) -> None:
    async with house.open(bringing_site({"brought": {"documents": 1}})) as client:
        page = await Page(client).sign_in()
        turn = house.gateways[0].bringing._turn
        await turn.acquire()
        waiting = asyncio.create_task(put(page, "a.txt"))
        while not turn._waiters:  # noqa: ASYNC110 - nobody tells when the request has arrived
            await asyncio.sleep(0.01)
        other = Importing(house.pool, house.embedding)
        await other.take("b.txt", "A rule.", "analysts")
        async with keeping(house.pool) as connection:
            await connection.execute(update(document).values(origin="page:analysts/b.txt"))
        turn.release()
        assert (await waiting).json()["code"] == "documents_full"
        assert [one.origin for one in await other.library.listed()] == ["page:analysts/b.txt"]


async def test_an_upload_is_a_request_of_the_persons_quota_also_one_that_is_refused(house: House) -> None:
    quota = {"requests_per_minute": 2, "tokens_per_day": 1}
    async with house.open(bringing_site({"per_user": quota})) as client:
        page = await Page(client).sign_in()
        told = [await put(page, "a.txt", data) for data in (TEXT, b"\x00\x01\x02" * 50, TEXT)]
        assert [one.status_code for one in told] == [200, 200, 429]
        assert told[-1].json()["code"] == "quota_exceeded"


async def test_a_body_that_only_trickles_is_given_up_long_before_its_time(
    page: Page, house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("appliance.gateway.body.GRACE_SECONDS", 0.05)

    async def trickling() -> AsyncIterator[bytes]:
        while True:
            yield b"x"
            await asyncio.sleep(0.01)

    refused = await page.http.put("/api/documents/analysts/a.txt", content=trickling(), headers=page.headers)
    assert (refused.status_code, refused.json()["code"]) == (400, "body_timeout")
    assert await Importing(house.pool).library.listed() == ()


async def test_what_was_replaced_on_the_page_is_swept_from_the_files_by_the_gateways_upkeep(
    page: Page, house: House
) -> None:
    await put(page, "a.txt")
    await put(page, "a.txt", b"Another rule holds now.")
    gateway = house.gateways[0]
    assert await gateway.bringing.library.due() is not None
    upkeep = asyncio.create_task(sweep_up(gateway, every=0.05))
    async with asyncio.timeout(30):
        while await gateway.bringing.library.due() is not None:  # noqa: ASYNC110 - the database tells nobody
            await asyncio.sleep(0.05)
    upkeep.cancel()
    await asyncio.gather(upkeep, return_exceptions=True)  # its connection goes back first


async def test_a_sweep_that_fails_is_counted_and_ends_neither_upkeep_nor_gateway(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    tries = 0

    async def failing(*_: object) -> bool:
        nonlocal tries
        tries += 1
        raise ProgrammingError("VACUUM", None, RuntimeError("no"))

    monkeypatch.setattr("appliance.memory.sweeping.sweep", failing)
    async with house.open(bringing_site()):
        gateway = house.gateways[0]
        upkeep = asyncio.create_task(sweep_up(gateway, every=0))
        async with asyncio.timeout(30):
            while tries < 2:  # noqa: ASYNC110 - nobody tells of a try
                await asyncio.sleep(0.01)
        assert not upkeep.done()
        upkeep.cancel()
        await asyncio.gather(upkeep, return_exceptions=True)  # its connection goes back first
        assert b'task="documents"' in gateway.metrics.text()


async def test_in_pods_people_bring_documents_for_their_groups_and_no_other(house: House) -> None:
    site = bringing_site()
    in_pods = site.model_copy(update={"profile": "pod"})
    async with house.open(in_pods) as client:
        page = await Page(client).sign_in()
        brings = (await page.http.get("/api/session")).json()["brings"]
        assert brings == ["analysts"]
        assert (await put(page, "a.txt")).status_code == 200
        assert (await put(page, "a.txt", group="clerks")).status_code == 403


@pytest.mark.parametrize(("data", "replaced"), [(TEXT, False), (TEXT, True), (b"\x00\x01\x02" * 50, False)])
async def test_what_is_read_while_its_bringer_is_erased_is_the_groups_and_names_nobody(
    page: Page, house: House, monkeypatch: pytest.MonkeyPatch, data: bytes, *, replaced: bool
) -> None:
    people = People(house.pool, ConversationStore(house.pool, KEYS.content))
    if replaced:
        await put(page, "a.txt", b"Another rule.")
    ledger = house.gateways[0].bringing._ledger
    enter, erased = ledger.document_brought, []

    async def entered(*, caller: Caller, **told: Any) -> None:
        await enter(caller=caller, **told)
        erased.append(caller.subject)
        await people.erase(caller.subject)
        await people.erase(caller.subject)

    monkeypatch.setattr(ledger, "document_brought", entered)
    assert (await put(page, "a.txt", data)).status_code == 200
    (kept,) = await Importing(house.pool).library.listed()
    assert (kept.imported_by, kept.groups) == (NOBODY, ("analysts",))
    assert erased[0] not in await house.everything()


async def test_who_has_only_brought_documents_is_named_by_them(page: Page, house: House) -> None:
    assert await house.count("user_key") == 0
    await put(page, "a.txt")
    (kept,) = await Importing(house.pool).library.listed()
    assert kept.imported_by == house.log.of_kind("document_change")[0]["actor"]["user"]["uid"]
    assert await house.count("user_key") == 1


async def test_who_is_erased_is_told_what_they_brought_and_leaves_it_to_the_group(page: Page, house: House) -> None:
    people = People(house.pool, ConversationStore(house.pool, KEYS.content))
    await put(page, "parking.txt")
    library = Importing(house.pool)
    (kept,) = await library.library.listed()
    by = Subject(kept.imported_by)
    (told,) = (found := await people.export(by))["documents"]
    assert [(one["metric"], one["used"]) for one in found["quotas"]] == [("requests", 1)]
    assert (told["title"], told["digest"], told["groups"]) == ("parking", kept.digest, ["analysts"])
    assert (await people.erase(by)).documents == 1
    assert await library.library.listed() == (replace(kept, imported_by=NOBODY),)
    assert [one.title for one in await library.ask("Where may visitors park?", "analysts")] == ["parking"]
    assert ((await people.export(by))["documents"], (await people.erase(by)).documents) == ([], 0)
