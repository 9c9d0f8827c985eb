"""The figures that a decision rests on are in the log whole, or the log says how many are not."""

from __future__ import annotations

import json
from dataclasses import replace

from appliance.audit.ocsf import scalars
from appliance.learning import gate
from appliance.learning.figures import parts
from appliance.learning.gate import decide
from tests.learning.seeded_results import DIGEST, harder, items, of_rows, results

CASES = items()
RESAMPLES = 2_000


def test_the_log_keeps_every_figure_within_its_bounds() -> None:
    decision = decide(results(CASES, 11), results(CASES, 33, harder(0.3)), ["all"], resamples=RESAMPLES)
    kept = scalars(decision.figures())
    assert kept == json.loads(json.dumps(decision.figures()))
    assert len(kept["slices"]) == len(decision.slices)
    assert kept["alpha"] == gate.ALPHA


def test_the_log_keeps_every_figure_of_however_many_groups_and_what_was_refused_first() -> None:
    many = [replace(item, group=f"group{item.number % 30:02}") for item in items(1200)]
    worse = harder(1.0, group="group29")
    decision = decide(results(many, 11), results(many, 33, worse), ["kind=exact"], resamples=RESAMPLES)
    kept = scalars(decision.figures())
    told = [one for name, part in sorted(kept.items()) if name.startswith("slices") for one in part]
    assert sorted(told) == sorted(one.told() for one in decision.slices)
    assert {"group=group29", "kind=exact"} <= {one.split()[0] for one in told[:5]}


def test_a_list_too_long_for_the_log_says_how_much_is_missing() -> None:
    told = [f"slice {number}" for number in range(100)]
    kept = parts("slices", told, 3)
    assert scalars(kept) == kept
    assert [len(part) for part in kept.values()] == [30, 30, 30]
    assert kept["slices_3"][-1] == "and 11 more"
    assert parts("slices", told[:90], 3)["slices_3"][-1] == "slice 89"
    assert parts("claims", ()) == {"claims": []}


def test_what_was_judged_is_in_the_log_by_whole_digests() -> None:
    digests = {name: f"sha256:{letter * 64}" for name, letter in (("adapter", "a"), ("site", "b"), ("group", "c"))}
    changes = {"adapter": digests["adapter"], "instructions": {name: digests[name] for name in ("site", "group")}}
    said = of_rows([row.model_copy(update=changes) for row in results(CASES, 11).rows]).answered_by
    assert said == [
        f"model {DIGEST}",
        f"adapter {digests['adapter']}",
        f"instructions of the group {digests['group']}",
        f"instructions of the site {digests['site']}",
    ]
    assert scalars(parts("was", said)) == {"was": said}
