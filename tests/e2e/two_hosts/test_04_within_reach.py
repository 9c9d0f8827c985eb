"""What a host's operator has, from the administrator's desk of a cluster: documents, memory, packs, names, cases.

It goes on from the installation of the stage before, with the people of its first visit.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from appliance.install import judged
from appliance.site.paths import SitePaths
from demo.release import MODEL
from tests import packs
from tests.e2e.two_hosts.kubernetes import Kubernetes
from tests.e2e.two_hosts.records import entries

if TYPE_CHECKING:
    from tests.e2e.two_hosts.administrator import Desk

pytestmark = pytest.mark.cluster
ANALYST = ("analyst", "a-Passphrase-of-the-analyst-1")
PARKING = "Visitors may park in bay seven of the yard. A visit lasts at most ninety minutes."
SAFE = "The safe in the cellar opens at nine with the code 4711."
GROUP = ("--group", "analysts")
PACK = "house-words"
NAMED = "app.kubernetes.io/name"


@pytest.fixture(scope="module", autouse=True)
def analyst(desk: Desk) -> None:
    desk.visit("people", *ANALYST, "analysts")


def told(desk: Desk, *arguments: str) -> Any:
    return json.loads(desk.sovereign(*arguments, "--output", "json"))


def test_a_document_that_a_person_brings_on_the_page_answers_them_with_a_citation(desk: Desk) -> None:
    brought = desk.visit("bring", *ANALYST, "analysts", "parking.txt", PARKING)
    assert brought["outcome"] in {"new", "unchanged"}
    receipt = desk.visit("look-up", *ANALYST, "How long may visitors park in bay seven?")["receipt"]
    assert receipt["documents"]["outcome"] == "answered"
    listed = {one["origin"]: one for one in told(desk, "document", "list")}
    found = listed["page:analysts/parking.txt"]
    assert [one["document"] for one in receipt["documents"]["passages"]] == [found["id"]]


def test_a_file_that_is_none_ends_in_a_reason_and_the_gateway_goes_on(desk: Desk, lab_pods: Kubernetes) -> None:
    before = restarts(lab_pods)
    assert desk.visit("bring", *ANALYST, "analysts", "broken.pdf", "%PDF-1.7 and nothing more")["outcome"] == "refused"
    assert desk.visit("bring", *ANALYST, "analysts", "parking.txt", PARKING)["outcome"] == "unchanged"
    assert restarts(lab_pods) == before


@pytest.fixture(scope="module")
def lab_pods(desk: Desk) -> Kubernetes:
    return Kubernetes(desk.lab)


def restarts(cluster: Kubernetes) -> dict[str, int]:
    """Of every container of the assistant's pods."""
    ours = [pod for pod in cluster.pods() if pod["metadata"].get("labels", {}).get(NAMED) == "assistant"]
    found = {
        f"{pod['metadata']['name']}/{state['name']}": state["restartCount"]
        for pod in ours
        for state in pod["status"]["containerStatuses"]
    }
    assert found
    return found


def test_an_operator_takes_documents_in_and_out_from_the_desk(desk: Desk) -> None:
    path = desk.folder / "safe.txt"
    path.write_text(SAFE)
    (row,) = told(desk, "document", "import", str(path), *GROUP)
    assert row["outcome"] == "new"
    found = told(desk, "document", "search", "Which code opens the safe?", *GROUP)
    assert SAFE in json.dumps(found)
    desk.sovereign("document", "delete", row["id"], "--yes")
    assert str(path) not in json.dumps(told(desk, "document", "list"))


def test_memory_status_tells_what_each_engine_holds(desk: Desk) -> None:
    found = told(desk, "memory", "status")
    assert found["ok"], found
    assert {engine["state"] for engine in found["engines"]} == {"running"}
    assert found["library"]["known"]


def test_a_pack_goes_in_force_past_the_gate_is_in_receipts_and_is_gone_back_from(desk: Desk) -> None:
    said = packs.fields()
    terms = [one for one in said["cases"] if not one.get("vital")]
    about = {"name": PACK, "producer": "sovereign", "boundaries": [], "cases": terms}
    file = packs.files(desk.folder / "packs-of-the-house", packs.pack(**about))
    pack = told(desk, "pack", "import", str(file))["pack"]
    question = ("ask", *ANALYST, "Which city is the capital of France?")
    assert "pack" not in desk.visit(*question)["receipt"]
    assert told(desk, "pack", "use", PACK, *GROUP, "--max-tokens", "4")["passed"]
    assert desk.visit(*question)["receipt"]["pack"]["digest"] == pack
    assert [one["groups"] for one in told(desk, "pack", "list")["packs"]] == [["analysts"]]
    desk.sovereign("pack", "back", *GROUP)
    assert "pack" not in desk.visit(*question)["receipt"]


def test_a_report_of_the_cluster_s_log_names_people_and_says_so_in_it(desk: Desk) -> None:
    figures = ("--cache", str(desk.folder / "figures"))
    plain = desk.sovereign("audit", "report", *figures, "--output", "json")
    assert "analyst" not in json.loads(plain).get("names", {}).values()
    named = told(desk, "audit", "report", *figures, "--names")
    assert "analyst" in named["names"].values()
    assert json.loads(desk.sovereign("audit", "verify", "--output", "json"))["size"] >= 4


def test_the_installation_is_an_entry_of_the_cluster_s_own_log(desk: Desk) -> None:
    assert "install" in {one["step"] for one in entries(desk, "install_step")}


def test_what_a_group_is_answered_under_is_known_to_who_administers_and_held_to_no_gate_yet(desk: Desk) -> None:
    record = judged.read(SitePaths(desk.site).judged)
    assert {name: (of.held["models and adapters"], of.ever) for name, of in record.items()} == {
        "analysts": ((MODEL,), False)
    }


def test_people_are_imported_from_the_desk(desk: Desk) -> None:
    people = desk.folder / "people.csv"
    people.write_text("username,groups\nanalyst,analysts\n")
    (row,) = told(desk, "user", "import", str(people))
    assert (row["username"], row["groups"]) == ("analyst", ["analysts"])
