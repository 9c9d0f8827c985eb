"""`make demo ONCE=1`: two people sign in and ask; the log is verified and reported; everything stops."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from demo.visitor import Visitor
from demo.workspace import sovereign

if TYPE_CHECKING:
    from demo.workspace import Workspace

QUESTIONS = {
    "analyst": "Which city is the capital of France?",
    "officer": "How many days does a week have?",
}


def play(workspace: Workspace) -> None:
    """Let both people ask, then check what the log says about it."""
    facts: dict[str, Any] = json.loads(workspace.facts.read_text())
    for person in facts["users"]:
        question = QUESTIONS[person["name"]]
        with Visitor(facts["url"], person["name"], person["password"]) as visitor:
            answer, receipt = visitor.ask(question)
        _show(person, question, answer, receipt)
    site = ("--site", workspace.site)
    sovereign(*site, "audit", "verify")
    sovereign(*site, "audit", "report")
    sovereign(*site, "audit", "report", "--output", "html", "--out", workspace.root / "report.html")


def _show(person: dict[str, Any], question: str, answer: str, receipt: dict[str, Any]) -> None:
    model, usage, energy, log = (receipt[part] for part in ("model", "usage", "energy", "log"))
    waived = "; ".join(f"waived by {w['officer']} until {w['expires'][:10]}" for w in model["waivers"])
    lines = (
        f"{person['name']} ({', '.join(person['groups'])}) asks: {question}",
        f"answer:   {' '.join(answer.split())[:300]}",
        f"model:    {model['name']} {model['digest'][:23]}…, licence {model['licence']}, {waived}",
        f"signed:   {', '.join(model['signers'])}",
        (
            f"cost:     {usage['prompt_tokens']} + {usage['completion_tokens']} tokens, "
            f"{energy['joules']:.1f} J ({energy['method']})"
        ),
        f"in log:   entries {log['request_index']} and {log['answer_index']} of {log['origin']}",
    )
    print("\n" + "\n".join(lines), flush=True)
