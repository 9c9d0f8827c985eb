"""What a site says of its models: which serves, since when, by whom, what policy thinks of it."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from typer.testing import CliRunner

from appliance.cli.model import app
from appliance.install import model_switch
from appliance.install.model_switch import promote
from appliance.models.serving import read_decisions
from tests import model_bundles
from tests.site_of_models import NEW, OLD, GatedEngines, digest_of
from tests.unit.install.models.desk import WHY
from tests.unit.models.small_release import NAME

if TYPE_CHECKING:
    from appliance.site.paths import SitePaths


def rows(paths: SitePaths) -> list[dict[str, Any]]:
    done = CliRunner().invoke(app, ["list", "--output", "json"], obj=paths.root)
    assert done.exit_code == 0, done.output
    found: list[dict[str, Any]] = json.loads(done.stdout)
    return found


def test_the_list_tells_state_since_when_by_whom_and_what_policy_says(
    brought: SitePaths, engines: GatedEngines
) -> None:
    assert [(row["state"], row["digest"]) for row in rows(brought)] == [
        ("serving", digest_of(OLD)),
        ("imported", digest_of(NEW)),
    ]
    promote(brought, NAME, reason=WHY, engines=engines)
    former, serving = rows(brought)
    assert (former["state"], serving["state"]) == ("former", "serving")
    assert serving["reason"] == WHY
    assert serving["by"] == model_switch.operator()
    assert serving["since"] == read_decisions(brought, NAME).made[-1].since
    assert serving["signers"] == list(model_bundles.OFFICERS)
    assert serving["verdict"].startswith("waived until")
    (brought.policies / "waivers" / "0.json").unlink()
    assert rows(brought)[0]["verdict"] == "refused: producer-verified, conversion-closed"
    table = CliRunner().invoke(app, ["list"], obj=brought.root).stdout
    assert digest_of(NEW)[7:15] in table.replace("\n", "")


def test_verify_and_inspect_are_about_what_serves_or_about_a_digest(brought: SitePaths, engines: GatedEngines) -> None:
    def signers(*options: str) -> list[str]:
        done = CliRunner().invoke(app, ["inspect", NAME, "--output", "json", *options], obj=brought.root)
        assert done.exit_code == 0, done.output
        return list(json.loads(done.stdout)["signers"])

    assert signers() == ["architect", "builder"]
    assert signers("--digest", digest_of(NEW)) == list(model_bundles.OFFICERS)
    promote(brought, NAME, reason=WHY, engines=engines)
    assert signers() == list(model_bundles.OFFICERS)
    assert CliRunner().invoke(app, ["verify", NAME], obj=brought.root).exit_code == 0
