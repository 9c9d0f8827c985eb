"""What tests of models at a running site look at, and the state that a killed promotion leaves."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from appliance.install.audit_spool import _event
from appliance.install.journal import read_journal
from appliance.install.model_switch import promote
from appliance.models.admission import admit_model
from appliance.models.serving import Decisions, read_decisions, write_decisions
from tests import bundles
from tests.audit.former import in_words
from tests.unit.models.small_release import NAME

if TYPE_CHECKING:
    from contextlib import AbstractContextManager

    from appliance.site.paths import SitePaths
    from tests.site_of_models import GatedEngines


WHY = "the newer one answers in German"
SUCCESSORS = ("custodian", "stranger")


def served(paths: SitePaths) -> str:
    """What an engine that starts now would serve."""
    model = admit_model(NAME, paths)
    model.close()
    return str(model.receipt["digest"])


def logged(paths: SitePaths) -> list[dict[str, Any]]:
    """The audit log's entries about models, as the journal gives them."""
    records = [r for r in read_journal(paths.journal) if r.step.startswith("model-") and r.state != "started"]
    events = [_event(record, "1.0.0") for record in records]
    return [
        {**e["unmapped"]["sovereign"], "status": in_words(e)["status"], "name": e["ai_model"]["name"]} for e in events
    ]


def unchanged(paths: SitePaths) -> AbstractContextManager[None]:
    """Every byte of the site but its journal is the same before and after."""

    class Same:
        def __enter__(self) -> None:
            self.before = self.tree()

        def __exit__(self, *_: object) -> None:
            assert self.tree() == self.before

        @staticmethod
        def tree() -> dict[str, str]:
            return {p: d for p, d in bundles.tree(paths.root).items() if not p.startswith(str(paths.journal.parent))}

    return Same()


def put_on_trial(paths: SitePaths, engines: GatedEngines) -> None:
    """As a promotion that was killed leaves it: the engine has loaded, or loads, what nobody decided for."""
    promote(paths, NAME, reason=WHY, engines=engines)
    write_decisions(paths, NAME, Decisions(trial=read_decisions(paths, NAME).made[-1]))
