"""What all sites learnt, put together. Pure.

Of each site the newest export counts, whole. So merging is a maximum by site: in whatever order exports come, however
often and in whatever portions, the result is the same. What sites disagree on goes to nobody until a person decided.
"""

from __future__ import annotations

from bisect import bisect_right
from collections import defaultdict
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from appliance.learning.cases import SAME_QUESTION, Compared
from appliance.learning.errors import ExchangeRefusedError
from appliance.learning.exchange.released import MAX_CASES, ReleasedCase
from appliance.learning.words import reach

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping

    from appliance.learning.exchange.export import Export
    from appliance.learning.exchange.shared import Shared

Decision = Literal["keep", "drop"]
_ALL = ("all",)


@dataclass(frozen=True)
class Blocked:
    """A case that nobody gets for now: it speaks ``against`` others, or sites ``retired`` what others hold."""

    digest: str
    case: Shared
    held_by: tuple[str, ...]
    retired_by: tuple[str, ...] = ()
    against: tuple[str, ...] = ()


@dataclass(frozen=True)
class Merged:
    """What the next release carries, and what waits for a person."""

    cases: tuple[ReleasedCase, ...]
    retired: tuple[str, ...]
    blocked: tuple[Blocked, ...]


def merge(one: Mapping[str, Export], other: Mapping[str, Export]) -> dict[str, Export]:
    """The newest export of each site. Raises ``ExchangeRefusedError`` where a site gave one number to two exports."""
    found = dict(one)
    for site, export in other.items():
        former = found.get(site)
        if former is None or export.head.number > former.head.number:
            found[site] = export
        elif export.head.number == former.head.number and export != former:
            raise ExchangeRefusedError(
                f"{site} sent two different exports with number {export.head.number}",
                "ask the site which one persons approved, in another way than by these files",
            )
    return found


def merged(sites: Mapping[str, Export], decisions: Mapping[str, Decision]) -> Merged:
    """What the sites' newest exports and a person's ``decisions`` (by digest) come to.

    ``keep`` lets a case go though others speak against it, ``drop`` retires it everywhere. Raises
    ``ExchangeRefusedError`` for more cases than a release carries.
    """
    holding: dict[str, set[str]] = defaultdict(set)
    retiring: dict[str, set[str]] = defaultdict(set)
    roles: dict[str, set[str]] = defaultdict(set)
    cases: dict[str, Shared] = {}
    for site, export in sites.items():
        for line in export.cases:
            holding[line.digest].add(site)
            roles[line.digest].update(line.roles)
            cases[line.digest] = line.case
        for gone in export.retired:
            retiring[gone.digest].add(site)
    dropped = {digest for digest, decision in decisions.items() if decision == "drop"}
    alive = {digest: case for digest, case in cases.items() if digest not in dropped}
    if len(alive) > MAX_CASES:
        raise ExchangeRefusedError(f"{len(alive)} cases are more than the {MAX_CASES} that a release carries")
    against = contradictions(alive)
    going, blocked = [], []
    for digest, case in sorted(alive.items()):
        speaks = against[digest] or retiring[digest]
        if speaks and decisions.get(digest) != "keep":
            held_by, retired_by = tuple(sorted(holding[digest])), tuple(sorted(retiring[digest]))
            blocked.append(Blocked(digest, case, held_by, retired_by, tuple(sorted(against[digest]))))
        else:
            said = tuple(sorted(roles[digest]))
            going.append(ReleasedCase(digest=digest, sites=len(holding[digest]), roles=said, case=case))
    return Merged(tuple(going), tuple(sorted((set(retiring) - set(alive)) | dropped)), tuple(blocked))


def contradictions(cases: Mapping[str, Shared]) -> dict[str, set[str]]:
    """For each digest, those of ``cases`` that no answer can satisfy beside it.

    Only questions of one language and of like size are compared, as near ones are.
    """
    found: dict[str, set[str]] = {digest: set() for digest in cases}
    for members in _by_language(cases):
        members.sort(key=lambda item: (item[1].size, item[0]))
        sizes = [compared.size for _, compared in members]
        for index, (digest, one) in enumerate(members):
            beyond = bisect_right(sizes, reach(one.size, SAME_QUESTION))
            for other_digest, other in members[index + 1 : beyond]:
                if one.contradicts(other):
                    found[digest].add(other_digest)
                    found[other_digest].add(digest)
    return found


def _by_language(cases: Mapping[str, Shared]) -> Collection[list[tuple[str, Compared]]]:
    languages: dict[str, list[tuple[str, Compared]]] = defaultdict(list)
    for digest, case in cases.items():
        languages[case.language].append((digest, Compared(case.content(_ALL))))
    return languages.values()


def known(sites: Iterable[Export]) -> frozenset[str]:
    """Every digest that one of the sites gives."""
    return frozenset(line.digest for export in sites for line in export.cases)
