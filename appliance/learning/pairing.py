"""Which lines of two files of results are about the same case, and whether the files are to be compared at all. Pure.

Compared are whole runs of the same groups, drawn with the same settings and seed. Cases of before that were not in
force any more when after was drawn, or asked, are named and left out: a site lives on, and a file cannot be drawn again
under instructions that are gone. A run draws all that is in force for its groups, so whoever leaves out what fails has
to have it withdrawn, which is in the log. Where more than ``MOST_WITHDRAWN`` of them went, nothing is compared: what is
left would be another set of cases.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from appliance.learning.errors import ResultError

if TYPE_CHECKING:
    from appliance.learning.results import Results, Row

    Rows = tuple[Row, Row]

ENOUGH = 20
MOST_WITHDRAWN = 0.10
"""Share of the cases of before that may be withdrawn since."""


def paired(before: Results, after: Results) -> tuple[list[Rows], tuple[str, ...]]:
    """Rows of one case before and after, and cases that were withdrawn in between; vital ones first, each once.

    Raises ``ResultError`` where the two are not to be compared.
    """
    _check_comparable(before, after)
    found = {row.key: row for row in after.rows}
    pairs = [(row, found[row.key]) for row in before.rows if row.key in found]
    missing = [row for row in before.rows if row.key not in found]
    if len(missing) > MOST_WITHDRAWN * len(before.rows):
        raise ResultError(
            f"{len(missing)} of {len(before.rows)} cases were withdrawn since, such as {missing[0].case}",
            "evaluate what is in force anew, then the change",
        )
    if len(pairs) < ENOUGH:
        raise ResultError(f"{len(pairs)} cases decide nothing", f"collect {ENOUGH} at least")
    named = dict.fromkeys(f"{row.case} {row.version}" for row in sorted(missing, key=lambda row: not row.vital))
    return sorted(pairs, key=lambda pair: pair[0].key), tuple(named)


def _check_comparable(before: Results, after: Results) -> None:
    settings = [(run.max_tokens, run.temperature, run.top_p, run.seed) for run in (before.run, after.run)]
    if settings[0] != settings[1]:
        raise ResultError("the two were drawn differently", "evaluate both with one seed, length and temperature")
    for results, name in ((before, "the first"), (after, "the second")):
        if not results.whole:
            done = len(results.rows) + len(results.withdrawn)
            raise ResultError(f"{name} has {done} of {results.run.count} cases", "run the evaluation to its end first")
    if odd := set(before.run.groups) ^ set(after.run.groups):
        raise ResultError(
            f"only one of the two asked for {', '.join(sorted(odd))}", "evaluate both for the same groups"
        )
    digests = {row.drawn: row.digest for row in before.rows}
    if changed := [row.case for row in after.rows if digests.get(row.drawn, row.digest) != row.digest]:
        raise ResultError(f"case {changed[0]} is another in the second", "compare results of one site")
