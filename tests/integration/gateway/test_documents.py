"""Documents in the real database: who may see which, what is found, and what is left of one that is gone."""

from __future__ import annotations

import json
import os
import random
import struct
import tempfile
from typing import TYPE_CHECKING, Any

import pytest
from sqlalchemy import text

from appliance.memory import sweeping, word_search
from appliance.memory.access import keeping, reading
from appliance.memory.errors import DocumentRefusedError, NoDocumentError
from appliance.memory.parsing import launch
from appliance.memory.parsing.blocks import Block, Parsed
from appliance.memory.parsing.outcome import judged
from tests.memory import papers
from tests.memory.library import House, remains

if TYPE_CHECKING:
    import psycopg
    from sqlalchemy.ext.asyncio import AsyncEngine

    from appliance.memory.documents import Document
    from tests.gateway import postgres

pytestmark = pytest.mark.anyio
GROUPS = ("analysts", "clerks", "surgeons", "drivers", "guests")
TABLES = ("document", "passage", "passage_vector", "word_count")


@pytest.fixture
def house(pool: AsyncEngine) -> House:
    return House(pool)


async def counts(pool: AsyncEngine) -> dict[str, int]:
    """Rows of each table; the database shows documents to whoever asks for all groups only."""
    async with reading(pool, GROUPS) as connection:
        return {t: (await connection.execute(text(f"SELECT count(*) FROM {t}"))).scalar_one() for t in TABLES}


async def test_nobody_finds_a_passage_of_a_document_that_none_of_their_groups_may_see(house: House) -> None:
    draw = random.Random(8)
    allowed: dict[str, set[str]] = {}
    for number in range(12):
        groups = draw.sample(GROUPS, draw.randint(1, 3))
        await house.take(f"{number}.txt", f"The rota number {number} is about ward{number} and nights.", *groups)
        allowed[str(number)] = set(groups)
    for _ in range(40):
        mine = set(draw.sample((*GROUPS, "strangers", "*", "a,b", ""), draw.randint(1, 4)))
        seen = {number for number, groups in allowed.items() if groups & mine}
        found = await house.ask("Which rota is about nights?", *mine, limit=50)
        assert {one.title for one in found} == seen
        assert {one.title for one in await house.library.listed(mine)} == seen
        hidden = next((n for n in allowed if n not in seen), None)
        if hidden is not None:
            assert hidden not in {one.title for one in await house.ask(f"ward{hidden}", *mine, limit=50)}


async def test_a_statement_that_forgets_to_ask_for_groups_is_shown_nothing(house: House, pool: AsyncEngine) -> None:
    await house.take("a.txt", "The safe opens at nine.", "clerks")
    async with pool.begin() as connection:
        assert (await connection.execute(text("SELECT count(*) FROM document"))).scalar_one() == 0
    async with reading(pool, ["analysts"]) as connection:
        assert (await connection.execute(text("SELECT count(*) FROM document"))).scalar_one() == 0
    async with reading(pool, ["clerks"]) as connection:
        assert (await connection.execute(text("SELECT count(*) FROM document"))).scalar_one() == 1


async def test_other_groups_see_a_document_from_the_next_question_on(house: House) -> None:
    taken = await house.take("a.txt", "The safe opens at nine.", "clerks")
    assert taken.document is not None
    assert await house.ask("safe", "analysts") == ()
    await house.library.regroup(taken.document.id, ["analysts"])
    assert [one.body for one in await house.ask("safe", "analysts")] == ["The safe opens at nine."]
    assert await house.ask("safe", "clerks") == ()


async def test_every_passage_lies_verbatim_where_it_says_in_the_version_it_names(house: House) -> None:
    paragraphs = "\n\n".join(f"## Part {n}\n\n" + f"Sentence about subject{n} and more of it. " * 60 for n in range(6))
    taken = await house.take("book.md", f"# Book\n\n{paragraphs}", "clerks")
    assert taken.document is not None
    document, whole = await house.library.shown(taken.document.id, ["clerks"])
    assert document.characters == len(whole)
    for number in range(6):
        found = await house.ask(f"What is said of subject{number}?", "clerks", limit=3)
        assert found[0].headings == ("Book", f"Part {number}")
        assert all(whole[one.first : one.last] == one.body for one in found)
        assert {(one.digest, one.text_digest) for one in found} == {(document.digest, document.text_digest)}


async def test_a_rare_word_counts_more_than_common_ones_in_each_language(house: House) -> None:
    house.embedding = None  # by words alone
    said = {
        "en": "The house rules say that the {} of the building is for all of us and not to be used at night.",
        "de": "Die Hausordnung sagt, dass die {} des Gebäudes für alle da ist und nachts nicht genutzt werden darf.",
        "fr": "Le règlement de la maison dit que la {} du bâtiment est pour tous et ne sert pas pendant la nuit.",
    }
    rare = {"en": ("sauna", "library"), "de": ("Änderung", "Bücherei"), "fr": ("fenêtre", "bibliothèque")}
    for language, sentence in said.items():
        for number, word in enumerate((*rare[language], "x", "y", "z")):
            await house.take(f"{language}-{number}.txt", sentence.format(word), "clerks")
    questions = {"en": "May I use the saunas?", "de": "Welche ÄNDERUNGEN gibt es?", "fr": "Où est la fenêtre ?"}
    for language, question in questions.items():
        found = await house.ask(question, "clerks")
        assert found[0].title == f"{language}-0"
        assert found[0].language == language


async def test_words_that_a_question_cannot_do_without_decide_in_no_other_languages_passages(house: House) -> None:
    house.embedding = None  # by words alone
    german = "Der Zettel an der Tür ist nicht von den Gästen und sagt: {} Das ist die Frage des Tages."
    english = "The sauna of the house is for all of us, and it is to be left at ten."
    await house.take("sauna.txt", english, "clerks")
    await house.take("quoted.txt", german.format("how do I do what?"), "clerks")
    for number in range(4):
        await house.take(
            f"en-{number}.txt", f"The stairs of house {number} are for all of us and are not a store.", "clerks"
        )
        await house.take(f"de-{number}.txt", german.format(f"Haus {number}."), "clerks")
    for question in ("How do I use the sauna, and at what time?", "What do I do, sauna?"):
        found = await house.ask(question, "clerks")
        assert found[0].title == "sauna"
        assert "quoted" not in {one.title for one in found}
    assert {one.title for one in await house.ask("How do I?", "clerks")} >= {"quoted"}, "where nothing else is asked"


async def test_an_import_that_the_log_does_not_take_keeps_nothing(house: House, pool: AsyncEngine) -> None:
    await house.take("a.txt", "Kept before.", "clerks")
    before = await counts(pool)
    house.down = True
    for name, data in (("a.txt", "Another version."), ("b.txt", "New."), ("c.pdf", papers.encrypted_pdf())):
        with pytest.raises(ConnectionError):
            await house.take(name, data, "clerks")
    assert await counts(pool) == before
    assert [one.body for one in await house.ask("kept", "clerks")] == ["Kept before."]


async def test_a_title_with_signs_that_nobody_sees_is_the_same_title_next_time(house: House) -> None:
    assert (await house.take("a.txt", "Words.", "clerks", title="Hand\u200ebook\x1b[2J")).outcome == "new"
    again = await house.take("a.txt", "Words.", "clerks", title="Hand\u200ebook\x1b[2J")
    assert again.document is not None
    assert (again.outcome, again.document.title) == ("unchanged", "Handbook[2J")


async def test_the_same_bytes_are_not_taken_twice_and_others_take_their_place(house: House, pool: AsyncEngine) -> None:
    assert (await house.take("a.txt", "First words of it.", "clerks")).outcome == "new"
    before = await counts(pool)
    assert (await house.take("a.txt", "First words of it.", "clerks")).outcome == "unchanged"
    assert len(house.entered) == 1
    assert (await house.take("a.txt", "Second words of it.", "clerks")).outcome == "replaced"
    assert await counts(pool) == before
    assert {one.body for word in ("first", "second") for one in await house.ask(word, "clerks")} == {
        "Second words of it."
    }


async def test_a_document_that_cannot_be_read_is_noted_with_its_reason_and_others_go_on(house: House) -> None:
    taken = await house.take("a.pdf", papers.encrypted_pdf(), "clerks")
    assert taken.outcome == "refused"
    assert taken.document is not None
    assert (taken.document.state, taken.document.reason) == ("refused", "encrypted")
    assert (await house.take("b.txt", "Readable words.", "clerks")).outcome == "new"
    assert [one.title for one in await house.ask("readable", "clerks")] == ["b"]
    assert [detail for _, detail in house.entered] == ["refused: encrypted", "1 passages for clerks"]


async def test_a_version_that_cannot_be_read_leaves_nothing_of_the_one_before(house: House) -> None:
    await house.take("a.md", "Old words.", "clerks")
    await house.take("a.md", b"\xff\xfe\x00\xd8" * 99, "clerks")
    assert await house.ask("old words", "clerks") == ()


async def test_nothing_of_a_deleted_document_is_left_in_the_database_once_nobody_could_ask_for_it(
    house: House, pool: AsyncEngine, cluster: postgres.Cluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sweeping, "_ATTEMPTS", 1)
    secret = {"title": "Zyxwvutitle", "heading": "Qwertheading", "body": "Plughxyzzybody", "former": "Formerwordfoo"}
    await house.take("kept.txt", "The house stays.", "clerks")
    before = await counts(pool)
    await house.take("gone.md", f"# {secret['heading']}\n\n{secret['former']} said.", "clerks", title=secret["title"])
    markdown = f"# {secret['heading']}\n\n{secret['body']} said. " + "More words follow here. " * 400
    taken = await house.take("gone.md", markdown, "clerks", title=secret["title"])
    assert taken.document is not None
    wanted = {name: word.lower().encode() for name, word in secret.items()}
    wanted["digest"] = taken.document.digest.encode()
    await analyzed(pool)
    with cluster.admin("sovereign") as admin:
        wanted["vector"] = _vector_bytes(admin, taken.document)
        admin.execute("CHECKPOINT")
        assert remains(cluster, wanted) >= set(wanted) - {"former"}  # the search finds what there is
        with cluster.admin("sovereign") as older:
            older.execute("BEGIN ISOLATION LEVEL REPEATABLE READ")
            older.execute("SELECT count(*) FROM feedback")  # a snapshot that could still ask for all that was there
            gone = await house.library.delete(taken.document.id)
            assert not await house.library.sweep()
            assert await house.library.due() is not None
            kept = older.execute("SELECT count(*) FROM passage WHERE document_id = %s", (taken.document.id,)).fetchone()
            assert kept == (taken.document.passages,)  # a backup that began before loses nothing
        assert await house.library.sweep()
        admin.execute("CHECKPOINT")
        assert remains(cluster, wanted) == set()
    assert await house.library.due() is None
    assert gone.title == secret["title"]
    assert await counts(pool) == before
    with pytest.raises(NoDocumentError):
        await house.library.delete(taken.document.id)
    assert [one.body for one in await house.ask("house", "clerks")] == ["The house stays."]


async def test_no_sample_of_any_document_is_kept_where_the_database_keeps_its_statistics(
    house: House, pool: AsyncEngine, cluster: postgres.Cluster
) -> None:
    for number in range(30):
        await house.take(f"{number}.txt", f"Secret number{number} word{number * 7} here.", "clerks")
    await analyzed(pool)
    with cluster.admin("sovereign") as admin:
        asked = "SELECT tablename, attname FROM pg_stats WHERE tablename = ANY(%s)"
        assert admin.execute(asked, ([*TABLES],)).fetchall() == []


async def test_an_answer_does_not_depend_on_documents_of_other_groups(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    house.embedding = None  # by words alone
    monkeypatch.setattr(word_search, "MAX_CANDIDATES", 20)
    for number in range(30):
        await house.take(f"{number}.txt", f"The house rule {number} is of the house.", "clerks")
    question = "Is falcon a house rule?"
    before = await house.ask(question, "clerks", limit=50)
    secret = await house.take("secret.txt", "The falcon merger is on. No rule of the house.", "board")
    assert len(before) == 20
    assert [(one.title, one.score) for one in await house.ask(question, "clerks", limit=50)] == [
        (one.title, one.score) for one in before
    ]
    assert secret.document is not None
    await house.library.regroup(secret.document.id, ["clerks"])  # and the counts follow
    assert next(one.title for one in await house.ask(question, "clerks", limit=50)) == "secret"
    assert len(await house.ask("falcon", "board")) == 0


async def test_a_file_larger_than_any_document_is_refused_by_its_head(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    read: list[int] = []
    plain = os.pread

    def counting(descriptor: int, size: int, at: int) -> bytes:
        found = plain(descriptor, size, at)
        read.append(len(found))
        return found

    monkeypatch.setattr(os, "pread", counting)
    with tempfile.TemporaryFile() as file:
        file.truncate(2 << 30)
        taken = await house.take_file(file.fileno(), "a.pdf", "clerks")
    assert taken.document is not None
    assert taken.document.reason == "too_large"
    assert sum(read) <= 4096


async def test_a_version_that_took_too_long_today_is_tried_again_and_the_one_before_stays(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    await house.take("a.txt", "First words.", "clerks")
    real = launch.parse

    def slow(*_: object) -> Parsed:
        raise DocumentRefusedError("too_long", "reading it took longer than 120 s")

    monkeypatch.setattr(launch, "parse", slow)
    assert (await house.take("a.txt", "Second words.", "board")).outcome == "refused"
    assert await house.ask("first", "clerks") == ()  # for those who are named now
    assert [one.body for one in await house.ask("first", "board")] == ["First words."]
    assert (await house.take("b.txt", "Third words.", "board")).outcome == "refused"
    monkeypatch.setattr(launch, "parse", real)
    assert (await house.take("a.txt", "Second words.", "board")).outcome == "replaced"
    assert (await house.take("b.txt", "Third words.", "board")).outcome == "replaced"


async def test_a_parser_that_tells_of_impossible_pages_costs_its_document_only(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    told = json.dumps({"parsed": {"blocks": [{"kind": "paragraph", "text": "x y", "page": 2**40}]}}).encode()
    with monkeypatch.context() as patch:
        patch.setattr(launch, "parse", lambda *_: judged(told))
        assert (await house.take("a.txt", "x", "clerks")).outcome == "refused"
        patch.setattr(launch, "parse", lambda *_: Parsed(blocks=[Block("paragraph", "x y", page=2**40)]))
        taken = await house.take("b.txt", "x", "clerks")  # what no check foresaw, and the database refuses
    assert taken.document is not None
    assert (taken.outcome, taken.document.reason) == ("refused", "damaged")
    assert (await house.take("c.txt", "Readable words.", "clerks")).outcome == "new"


async def test_keeping_a_document_has_all_the_time_it_needs(pool: AsyncEngine) -> None:
    async with keeping(pool) as connection:
        assert (await connection.execute(text("SHOW statement_timeout"))).scalar_one() == "0"
    async with reading(pool, ["clerks"]) as connection:
        assert (await connection.execute(text("SHOW statement_timeout"))).scalar_one() != "0"


async def analyzed(pool: AsyncEngine) -> None:
    async with pool.connect() as connection:
        alone = await connection.execution_options(isolation_level="AUTOCOMMIT")
        await alone.execute(text("ANALYZE"))


def _vector_bytes(admin: psycopg.Connection[Any], document: Document) -> bytes:
    """The longest run of one of its vectors that tells it, as the table's file has it."""
    query = "SELECT halfvec_send(embedding) FROM passage_vector WHERE document_id = %s ORDER BY passage_id LIMIT 1"
    row = admin.execute(query, (document.id,)).fetchone()
    assert row is not None
    numbers = struct.unpack(f">{(len(row[0]) - 4) // 2}e", bytes(row[0])[4:])
    return struct.pack(f"<{len(numbers)}e", *numbers)
