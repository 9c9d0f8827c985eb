"""An evaluation asks as people of a group do, goes on where it was, and what it finds the gate judges."""

from __future__ import annotations

import time
import uuid
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import pytest

from appliance.cli.learn_ask import SiteAsker
from appliance.errors import NotAllowedError
from appliance.gateway.evaluation import HEADER
from appliance.identity.oidc import Tokens
from appliance.identity.tokens import Principal
from appliance.learning.cases import Case, Content, digest_of
from appliance.learning.gate import decide
from appliance.learning.results import Row, Run, read_results, written
from appliance.learning.running import Budget, questions, run
from tests.gateway.doubles import ObedientEngine, site
from tests.integration.gateway.conftest import ORIGIN
from tests.memory.library import House as Importing

if TYPE_CHECKING:
    import httpx

    from appliance.engine.protocol import Request
    from appliance.learning.results import Results

pytestmark = pytest.mark.anyio
OFTEN = {"requests_per_minute": 10_000}
"""No test waits for a minute to end."""
GROUPS = [
    {"name": "analysts", "models": ["small"], "instructions": "You are brief.", "per_user": OFTEN},
    {"name": "clerks", "models": ["small"], "per_user": OFTEN},
]
CLIENTS = [{"id": "evaluator", "groups": ["analysts", "clerks"], "evaluates": True}]
FRENCH = "Il ne faut pas le dire, et les règles sont dans le livre qui est sur la table."


@dataclass
class Pupil(ObedientEngine):
    """Knows that the answer to "How much is N?" is N; what it is told decides whether it says so."""

    async def _words(self, request: Request) -> tuple[str, ...]:
        told = [message.content for message in request.messages or () if message.role == "system"]
        asked = (request.messages or ())[-1].content
        number = asked.rstrip("?").rpartition(" ")[2]
        if any("French" in one for one in told):
            return (FRENCH,)
        if any("guess" in one for one in told) and int(number) % 2:
            return ("a few",)
        return (f"It is {number}.",)


@dataclass
class Parrot(ObedientEngine):
    """Says what the first quotation says, with its number."""

    async def _words(self, request: Request) -> tuple[str, ...]:
        quoted = [line for line in (request.messages or ())[-1].content.split("\n") if line.startswith("> ")]
        return (f"{quoted[-1].removeprefix('> ').rstrip('.')} [1].",) if quoted else ("It is so.",)


@dataclass
class Badge:
    """A sign-in of the evaluating client that asks nobody; ``given`` counts its tokens."""

    lifetime: int = 300
    given: list[float] = field(default_factory=list)

    async def client_credentials(self) -> Tokens:
        self.given.append(time.monotonic())
        return Tokens("evaluator", None, None, self.lifetime)


@pytest.fixture
def school(house: Any) -> Any:
    house.engine = Pupil()
    house.door.people["evaluator"] = Principal(
        sub="sub-evaluator",
        username="service-account-evaluator",
        groups=("analysts", "clerks"),
        roles=(),
        session_id=None,
        client_id="evaluator",
        expires_at=int(time.time()) + 300,
    )
    return house


def cases(count: int = 30) -> list[Case]:
    made = []
    for number in range(count):
        groups = ["analysts"] if number % 3 else ["analysts", "clerks"]
        said = {"question": f"How much is {number}?", "kind": "contains", "expected": [str(number)]}
        content = Content.model_validate({**said, "groups": groups, "language": "en"})
        made.append(Case(uuid.UUID(int=number + 1), 1, content))
    return made


def run_of(found: list[Case]) -> Run:
    groups = ("analysts", "clerks")
    drawn = [one.drawn for one in questions(found, groups, 7)]
    about = {"site": "test", "model": "small", "groups": groups, "cases": digest_of(found), "drawn": drawn}
    return Run.model_validate({**about, "seed": 7, "max_tokens": 64, "temperature": 0.3, "top_p": 0.95})


async def evaluated(
    house: Any, found: list[Case], kept: list[Row], budget: Budget | None = None, **changes: Any
) -> tuple[bool, Results]:
    """What an evaluation of the site as it is, or with changes, finds; it goes on where ``kept`` is."""
    asked = questions(found, ("analysts", "clerks"), 7)
    settings = run_of(found)
    left = [one for one in asked if one.key not in {row.key for row in kept}]
    async with house.open(site(service_clients=CLIENTS, **{"groups": GROUPS, **changes})) as http:
        asker = SiteAsker(http, Badge(), settings, ORIGIN)  # type: ignore[arg-type]  # a double
        whole = await run(left, asker, kept.append, budget or Budget(), lambda _done, _all: None)
    return whole, read_results(written(settings, kept), "results")


async def test_it_is_answered_as_the_group_is_and_the_log_says_that_it_was_an_evaluation(school: Any) -> None:
    whole, found = await evaluated(school, cases(3), [])
    assert whole
    told = {(r.group, r.messages[0].content if r.messages[0].role == "system" else "") for r in school.engine.requests}
    assert told == {("analysts", "You are brief."), ("clerks", "")}
    assert {request.priority for request in school.engine.requests} == {-1}
    entries = school.log.of_kind("request") + school.log.of_kind("answer")
    assert {entry["unmapped"]["sovereign"]["purpose"] for entry in entries} == {"evaluation"}
    assert [row.score for row in found.rows] == [1.0] * 4
    assert {row.group: bool(row.instructions) for row in found.rows} == {"analysts": True, "clerks": False}
    answers = {school.log.entries[row.entry][1]["unmapped"]["sovereign"]["kind"] for row in found.rows}
    assert answers == {"answer"}


async def test_a_case_about_documents_is_asked_for_an_answer_from_them_and_scored_by_its_receipt(school: Any) -> None:
    """What is cited is a document's digest; what nothing in the documents answers is declined by the site itself."""
    library = Importing(school.pool, school.embedding)
    await library.take("parking.txt", "Visitors may park in bay seven.", "analysts", title="Parking")
    await library.take("safe.txt", "The safe opens at nine.", "clerks", title="Safe")
    digests = {name: (await library.library.known(f"test:{name}.txt")).digest for name in ("parking", "safe")}
    said = [
        {"question": "Where may visitors park?", "kind": "cited", "expected": [digests["parking"]]},
        {"question": "Where may visitors park in the bay?", "kind": "cited", "expected": [digests["safe"]]},
        {"question": "Which code opens the strong room?", "kind": "refusal", "documents": True},
        {"question": "Which code opens the strong room 7?", "kind": "refusal"},
    ]
    contents = [Content.model_validate({**one, "groups": ["analysts"], "language": "en"}) for one in said]
    made = [Case(uuid.UUID(int=at + 1), 1, content) for at, content in enumerate(contents)]
    school.engine = Parrot()
    models = [{"name": "small"}, {"name": "minilm"}]
    whole, found = await evaluated(school, made, [], models=models, documents={"model": "minilm"})
    assert whole
    told = {row.case[-1]: (row.score, row.declined) for row in found.rows}
    assert told == {"1": (1.0, False), "2": (0.0, False), "3": (1.0, True), "4": (0.0, False)}
    assert len(school.engine.requests) == 3  # where nothing fits, no model is asked


async def test_a_case_that_the_site_refuses_is_worth_nothing_and_ends_nothing(school: Any) -> None:
    content = {**cases(1)[0].content.model_dump(), "question": "How much is 99?", "documents": True}
    odd = Case(uuid.UUID(int=99), 1, Content.model_validate(content))
    whole, found = await evaluated(school, [*cases(6), odd], [])  # a site that has no documents
    assert whole
    refused = [row for row in found.rows if row.refused is not None]
    assert {(row.case, row.group) for row in refused} == {(str(odd.id), "analysts"), (str(odd.id), "clerks")}
    assert {(row.score, row.refused, row.model) for row in refused} == {(0.0, "no_documents", None)}
    assert {row.score for row in found.rows if row.refused is None} == {1.0}
    assert len(found.rows) == len(school.engine.requests) + 2


async def test_a_model_that_does_not_answer_questions_ends_the_run_at_once(school: Any) -> None:
    settings = run_of(cases(6)).model_copy(update={"model": "minilm"})
    groups = [{**group, "models": ["small", "minilm"]} for group in GROUPS]
    models = [{"name": "small"}, {"name": "minilm"}]
    kept: list[Row] = []
    async with school.open(site(service_clients=CLIENTS, groups=groups, models=models)) as http:
        asker = SiteAsker(http, Badge(), settings, ORIGIN)  # type: ignore[arg-type]  # a double
        with pytest.raises(NotAllowedError):
            await run(questions(cases(6), ("analysts",), 7), asker, kept.append, Budget(), lambda _done, _all: None)
    assert kept == []


async def test_seeds_do_not_depend_on_what_was_asked_before(school: Any) -> None:
    _, one = await evaluated(school, cases(6), [])
    _, other = await evaluated(school, cases(6)[3:], [])
    seeds = {row.key: row.seed for row in one.rows}
    assert {row.key: row.seed for row in other.rows}.items() <= seeds.items()
    assert len(set(seeds.values())) == len(seeds)


async def test_a_run_ends_at_its_budget_and_goes_on_without_asking_anything_twice(school: Any) -> None:
    kept: list[Row] = []
    whole, _ = await evaluated(school, cases(12), kept, Budget(tokens=100))
    assert not whole
    first = len(kept)
    assert 0 < first < 16
    whole, found = await evaluated(school, cases(12), kept)
    assert whole
    assert len(found.rows) == len(school.engine.requests) == 16


async def test_a_quota_that_is_used_up_ends_the_run_and_keeps_what_there_is(school: Any) -> None:
    limited = [{**group, "per_user": {"requests_per_minute": 60, "tokens_per_day": 300}} for group in GROUPS]
    kept: list[Row] = []
    whole, _ = await evaluated(school, cases(12), kept, groups=limited)
    assert not whole
    assert 0 < len(kept) < 16


async def test_a_site_that_stops_answering_ends_the_run_with_its_cause_and_keeps_what_there_is(school: Any) -> None:
    kept: list[Row] = []
    asked = questions(cases(12), ("analysts",), 7)
    school.door.people.pop("evaluator")
    async with school.open(site(service_clients=CLIENTS, groups=GROUPS)) as http:
        asker = SiteAsker(http, Badge(), run_of(cases(12)), ORIGIN)  # type: ignore[arg-type]  # a double
        with pytest.raises(Exception, match="the token is not valid here"):
            await run(asked, asker, kept.append, Budget(), lambda _done, _all: None)
    assert kept == []


@pytest.mark.parametrize(
    ("who", "named", "code"),
    [
        ("evaluator", None, "no_group"),
        ("evaluator", "officers", "not_your_group"),
        ("analyst", "analysts", "not_evaluating"),
        ("analyst", "clerks", "not_evaluating"),
    ],
)
async def test_nobody_speaks_for_a_group_who_may_not(school: Any, who: str, named: str | None, code: str) -> None:
    async with school.open(site(service_clients=CLIENTS, groups=GROUPS)) as http:
        headers = {"Authorization": f"Bearer {who}"} | ({HEADER: named} if named else {})
        body = {"model": "small", "messages": [{"role": "user", "content": "How much is 1?"}]}
        answer: httpx.Response = await http.post("/v1/chat/completions", json=body, headers=headers)
        prompt = {"model": "small", "prompt": "How much is 1?"}
        others = [
            await http.post("/v1/completions", json=prompt, headers=headers),
            await http.post("/v1/embeddings", json={"model": "small", "input": "1"}, headers=headers),
        ]
    for one in (answer, *others):
        assert one.status_code in {403, 422}
        assert one.json()["error"]["code"] == code
    assert school.engine.requests == []


async def test_a_client_without_the_right_group_is_told_what_to_change(school: Any) -> None:
    async with school.open(site(service_clients=CLIENTS, groups=GROUPS)) as http:
        asker = SiteAsker(http, Badge(), run_of(cases(1)), ORIGIN)  # type: ignore[arg-type]  # a double
        with pytest.raises(NotAllowedError) as refused:
            await asker.ask("officers", "How much is 1?", 1)
    assert "service_clients" in (refused.value.hint or "")


async def test_a_token_is_used_again_and_renewed_before_it_ends(school: Any) -> None:
    lasting, short = Badge(), Badge(lifetime=10)
    async with school.open(site(service_clients=CLIENTS, groups=GROUPS)) as http:
        for badge in (lasting, short):
            asker = SiteAsker(http, badge, run_of(cases(1)), ORIGIN)  # type: ignore[arg-type]  # a double
            for _ in range(3):
                await asker.ask("analysts", "How much is 1?", 1)
    assert (len(lasting.given), len(short.given)) == (1, 3)


@pytest.mark.parametrize(
    ("before", "after", "refused"),
    [
        ("You are brief.", "Always answer in French.", "all is worse"),
        ("You are brief.", "When unsure, guess.", "group=analysts is worse"),
        ("You are brief.", "You are very brief.", None),
        ("When unsure, guess.", "You are brief.", None),
    ],
)
async def test_the_gate_stops_worse_instructions_of_a_running_site_and_passes_others(
    school: Any, before: str, after: str, refused: str | None
) -> None:
    found = []
    for words in (before, after):
        told = [{**GROUPS[0], "instructions": words}, GROUPS[1]]
        _, results = await evaluated(school, cases(), [], groups=told)
        found.append(results)
    claims = ["group=analysts"] if before == "When unsure, guess." else []
    decision = decide(found[0], found[1], claims, resamples=2_000)
    costs = [one for one in decision.refusals if one.startswith(("seconds", "joules"))]
    assert costs == []
    assert decision.passed is (refused is None)
    assert any((refused or "") in one for one in decision.refusals) is not decision.passed
    assert found[0].answered_by != found[1].answered_by  # the instructions' digests differ
