"""A day and a night of the house: questions are asked, corrected and ruled on, and a brief is compiled and judged.

Of the learning half alone. People mark what does not name what it should, with a correction, and send it to experts;
these make cases of all questions. Then `memory compile`'s own night: it chooses, the gate judges, the engine computes.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from appliance.cli.memory_judge import CaseJudge
from appliance.cli.memory_night import Energy, Night
from appliance.cli.memory_warm import Warm
from appliance.gateway.pseudonyms import subject_of
from appliance.gateway.sampling import DEFAULT_TEMPERATURE, DEFAULT_TOP_P
from appliance.learning.briefs import held_out
from appliance.learning.pairing import ENOUGH
from appliance.learning.running import Answered
from appliance.learning.scoring import score
from tests.bench.claims import tell
from tests.bench.learning import house, ids
from tests.bench.learning.answers import Told, content
from tests.bench.learning.library import readers
from tests.integration.gateway.conftest import KEYS, Page

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from appliance.gateway.brief_values import Run
    from appliance.site.groups import Group
    from tests.bench.learning.facts import Fact
    from tests.bench.learning.house import Stand

ASKED = 20
"""Questions of a day in a group: as many as one person may have waiting at experts."""


async def day(stand: Stand, language: str, facts: Sequence[Fact], note: Callable[[Told], None]) -> int:
    """Ask, mark and correct, and have the experts make cases; how many answers were sent to them."""
    group = readers(language)
    who = stand.person(f"reader-{language}", group)
    stand.house.door.guest = who
    page = await Page(stand.http).sign_in()
    sent = 0
    for number, one in enumerate(facts[:ASKED]):
        answered = await _answer(stand, who, one, house.SEED + number)
        note(Told(group, answered))
        if score(content(one, "contains", one.names), answered.text) < 1:
            await _corrected(stand, page, who, one, answered)
            sent += 1
    for one in facts:
        with ids.seeded(), ids.named(f"case {one.name}"):
            case = content(one, "contains", one.names, documents=True)
            await stand.desk.cases.add(case, "uid 0", decided=True)
    return sent


async def judging(stand: Stand, group: str) -> int:
    """How many of the group's cases judge its briefs."""
    return sum(held_out(one.case) for one in await stand.desk.cases.current([group], ("active",)))


async def night(stand: Stand, group: Group) -> tuple[Run, str]:
    """`memory compile` for the group, and what came of it in words.

    With too few cases for the gate, the brief is accepted by name, as `memory brief accept` does.
    """
    desk, energy = stand.desk, Energy(1e9)
    judge, warm = CaseJudge(desk, energy, stand.asking), Warm(desk, energy)  # type: ignore[arg-type]  # a Noting asks
    found = await Night(desk, energy, judge, stand.enter, warm).of(group)
    if found.state == "compiled" and await judging(stand, group.name) < ENOUGH:
        return await accepted(stand, group, found), f"accepted by name: {found.cause}"
    return found, f"{found.state}{f': {found.cause}' if found.cause else ''}"


async def accepted(stand: Stand, group: Group, run: Run) -> Run:
    """Put it in force by somebody's word, and have the engine compute it."""
    told = {"group": group.name, "accepted": True, "was": run.state}
    await stand.enter("update", str(run.id), told)
    brief = await stand.desk.store.put_in_force(run, accepted=True)
    await Warm(stand.desk, Energy(1e9))(group, brief.text)
    return brief.run


async def _answer(stand: Stand, who: str, fact: Fact, seed: int) -> Answered:
    body = {
        "model": house.MODEL,
        "messages": [{"role": "user", "content": fact.question}],
        "max_tokens": house.ANSWER,
        "temperature": DEFAULT_TEMPERATURE,  # as on the page
        "top_p": DEFAULT_TOP_P,
        "seed": seed,
        "documents": {},
    }
    headers = {"Authorization": f"Bearer {who}"}
    answer = (await stand.http.post("/v1/chat/completions", json=body, headers=headers)).raise_for_status().json()
    return Answered(answer["choices"][0]["message"]["content"] or "", answer["sovereign"]["receipt"])


async def _corrected(stand: Stand, page: Page, who: str, fact: Fact, answered: Answered) -> None:
    """As on the page: the answer in a conversation, a thumb down, what it should have named, and to the experts."""
    subject = subject_of(f"sub-{who}", KEYS.pseudonym)
    gateway = stand.gateway
    conversation = await gateway.conversations.create(subject, house.MODEL)
    turn = await gateway.turns.open(subject, conversation.id, fact.question)
    await gateway.turns.start(turn)
    await gateway.turns.finish(turn, answered.text, "stop", answered.receipt)
    await gateway.turns.close(turn)
    said: dict[str, Any] = {
        "verdict": "down",
        "reasons": ["incomplete"],
        "correction": " ".join(fact.names),
        "send": True,
    }
    kept = await stand.http.put(f"/api/messages/{turn.message_id}/feedback", json=said, headers=page.headers)
    if not kept.is_success:
        tell(f"  a correction was not taken: {kept.text}")
        kept.raise_for_status()
