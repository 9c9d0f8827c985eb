"""The sheet that persons read before they sign: all that is in the export, and what is held back. Pure.

Markdown whose texts stand in indented blocks, where nothing is a link, a picture or HTML. Equal exports give equal
sheets: it holds no time and no place.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from airgap_bundle.names import printable
from appliance.learning.exchange.untitled import doubtful

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from appliance.learning.exchange.draft import Drafted
    from appliance.learning.exchange.export import Export, FailuresLine
    from appliance.learning.exchange.shared import Shared

SHEET = "sheet.md"
_ADVICE = (
    "Each line below would leave this site. Patterns do not know a person's plain name, a nickname or a project: read "
    "every text. After `a name?` stand words with capitals that were let pass. What should not leave is edited or "
    "dropped in work.jsonl; then run `sovereign learn revise`."
)
_BLIND = "\n**Nobody looked for the names of this site's accounts: --without-accounts was given.**"


def sheet(drafted: Drafted) -> str:
    """The whole sheet."""
    return "\n".join([*going(drafted.export), *_staying(drafted), ""])


def going(export: Export) -> Iterator[str]:
    """What would leave, line by line: what an approver is shown."""
    head = export.head
    yield f"# What would leave, as {head.site}, number {head.number}"
    yield f"\nMade on {head.made}. At least {head.approvals} persons have to sign.\n"
    yield f"    {export.digest}\n"
    yield _ADVICE
    if not head.accounts:
        yield _BLIND
    yield f"\n## {len(export.cases)} cases"
    for number, one in enumerate(export.cases, start=1):
        vital = ", vital" if one.case.vital else ""
        yield f"\n{number}. {one.case.kind}, {one.case.language}{vital}; {_roles(one.roles)}\n"
        yield from _texts(one.case)
        yield from _doubts(one.case)
        yield f"\n    {one.digest}"
    yield f"\n## {len(export.retired)} cases that went before and that this site retired\n"
    yield from (f"    {one.digest}" for one in export.retired)
    yield f"\n## Figures of {sum(one.count for one in export.failures)} answers that people sent to experts\n"
    yield from (f"    {line}" for one in export.failures for line in _failures(one))
    yield f"\n## {len(export.scores)} scores of the site's own evaluation\n"
    yield from (f"    {one.slice}: {one.thousandths / 1000:.3f} over {one.cases} cases" for one in export.scores)


def _staying(drafted: Drafted) -> Iterator[str]:
    yield f"\n## Held back until somebody edits or drops them: {len(drafted.held)}"
    for one in drafted.held:
        yield f"\n- {', '.join(one.held)}\n"
        yield from _texts(one.case)
        yield from (f"    found {printable(what)}" for what in drafted.found.get(one.case.digest, ()))
    left = {name.replace("_", " "): count for name, count in drafted.left.told().items() if count}
    if left:
        yield "\n## Not in this draft\n"
        yield from (f"    {count} {name}" for name, count in left.items())


def _texts(case: Shared) -> Iterator[str]:
    yield from _block("asks", case.question)
    for text in case.expected:
        yield from _block("must not say" if case.kind == "refusal" else "expects", text)


def _doubts(case: Shared) -> Iterator[str]:
    """What was let pass and is written large as names are; the rest has to be read all the same."""
    words = dict.fromkeys(word for text in case.texts for word in doubtful(text, case.language))
    if words:
        yield f"    a name? {', '.join(printable(' '.join(word.split())) for word in words)}"


def _block(name: str, text: str) -> Iterator[str]:
    yield f"    {name}:"
    yield from (f"      {printable(line)}" for line in text.split("\n"))


def _roles(roles: Iterable[str]) -> str:
    return f"for {', '.join(roles)}" if roles else "for no role"


def _failures(one: FailuresLine) -> Iterator[str]:
    name = " ".join(map(printable, one.name)) or "(no name)"
    yield f"{name}: {one.count}, {one.corrected} corrected"
    said = ", ".join([*_counts(one.roles), *_counts(one.languages), *_counts(one.reasons), *_counts(one.rulings)])
    yield f"  {said or 'nothing more'}"
    yield from (f"  case {digest}" for digest in one.cases)


def _counts(counted: Mapping[Any, int]) -> list[str]:
    return [f"{name} {count}" for name, count in sorted(counted.items())]
