"""An installation on a cluster: verified before a host is touched, remembered before it is, one site at every run."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import yaml

from airgap_bundle.errors import VerificationError
from airgap_bundle.trust_state import fingerprint
from appliance.cluster import install as installing
from appliance.cluster.events import Finding
from appliance.cluster.playbook import HostsRefusedError
from appliance.cluster.state import KnownHost, read_state
from appliance.errors import DeploymentError, SiteFileError, UsageError
from appliance.install.host import Request
from appliance.install.judged import decided
from appliance.learning.errors import GateRefusedError
from appliance.site.paths import SitePaths
from tests.bundles import NOW, root_bytes
from tests.unit.cluster.releases import bundle_of

if TYPE_CHECKING:
    from collections.abc import Mapping

FIRST, SECOND, THIRD = ({"name": f"node{i}", "address": f"192.168.7.{i}"} for i in (1, 2, 3))


class Runs:
    """Stands in for Ansible: notes what each run is given, and what the state file says then."""

    def __init__(self, paths: SitePaths) -> None:
        self.paths = paths
        self.told: list[Mapping[str, Any]] = []
        self.remembered: list[Any] = []
        self.error: Exception | None = None

    def __call__(self, playbook: str, told: Mapping[str, Any], _watch: object, **_more: object) -> dict[str, int]:
        assert playbook == "cluster.yml"
        self.told.append(told["all"])
        self.remembered.append(read_state(self.paths.root / "cluster/state.json"))
        if self.error is not None:
            raise self.error
        return {"node1": 1}


class Administrator:
    """The administrator's machine, with a bundle and a site file."""

    def __init__(self, folder: Path, runs: Runs) -> None:
        self.folder, self.paths, self.runs = folder, runs.paths, runs
        self.bundle = bundle_of(folder)
        self.describe(FIRST | {"role": "control-plane"}, SECOND)

    def describe(self, *hosts: Mapping[str, Any], assistant: Mapping[str, Any] | None = None, **more: Any) -> None:
        cluster = {
            "hosts": list(hosts),
            "ssh": {"key": "id", "known_hosts": "known"},
            "administration": ["10.0.0.1/32"],
        }
        site = {"schema": 1, "name": "s", "profile": "cluster", "cluster": cluster | more}
        site |= {"assistant": assistant} if assistant is not None else {}
        (self.folder / "site.yaml").write_text(yaml.safe_dump(site))

    def install(self, config: str | None = "site.yaml", root: str | None = "typed") -> installing.Installed:
        typed = str(fingerprint(root_bytes())) if root == "typed" else root
        request = Request(self.bundle, self.folder / config if config else None, typed)
        return installing.install(
            self.paths,
            request,
            watch=lambda _event: None,
            progress=lambda _done, _total: None,
            passphrase=lambda: b"",
        )


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Administrator:
    class Clock:
        @staticmethod
        def now(_zone: object) -> object:
            return NOW

    monkeypatch.setattr("appliance.install.admission.datetime", Clock)
    runs = Runs(SitePaths(tmp_path / "root"))
    monkeypatch.setattr(installing, "run", runs)
    return Administrator(tmp_path, runs)


def test_the_hosts_get_the_verified_release_and_a_mark_of_the_site(here: Administrator) -> None:
    done = here.install()
    assert (done.version, done.endpoint, done.changed) == ("1.0.0", "192.168.7.1:6443", {"node1": 1})
    given = here.runs.told[0]["vars"]
    assert {Path(p["path"]).read_bytes() for p in given["release_programs"]} == {b"kube's bytes", b"loopback's"}
    assert given["ansible_ssh_private_key_file"] == str(here.folder / "id")
    assert len(given["site_id"]) == 32


def test_another_run_is_of_the_same_site_and_needs_no_site_file(here: Administrator) -> None:
    here.install()
    here.install(config=None, root=None)
    first, second = (told["vars"]["site_id"] for told in here.runs.told)
    assert first == second


def test_hosts_are_remembered_before_they_are_touched_and_after_a_failure(here: Administrator) -> None:
    here.runs.error = DeploymentError("node2: images: disk full")
    with pytest.raises(DeploymentError):
        here.install()
    assert [host.name for host in here.runs.remembered[0].hosts] == ["node1", "node2"]
    here.runs.error = None
    here.describe(FIRST | {"role": "control-plane"})
    here.install()
    assert list(here.runs.told[1]["children"]["leaving"]["hosts"]) == ["node2"]


def test_a_host_that_left_is_cleaned_once(here: Administrator) -> None:
    here.install()
    here.describe(FIRST | {"role": "control-plane"}, THIRD)
    here.install()
    here.install()
    assert [list(told["children"]["leaving"]["hosts"]) for told in here.runs.told] == [[], ["node2"], []]
    state = read_state(here.paths.root / "cluster/state.json")
    assert state is not None
    assert state.hosts == (KnownHost("node1", "192.168.7.1"), KnownHost("node3", "192.168.7.3"))


def test_a_bundle_that_is_not_as_signed_touches_no_host(here: Administrator) -> None:
    blob = max((here.bundle / "blobs/sha256").iterdir(), key=lambda path: path.stat().st_size)
    blob.write_bytes(blob.read_bytes()[:-1] + b"x")
    with pytest.raises(VerificationError):
        here.install()
    assert not here.runs.told
    assert not (here.paths.root / "cluster").exists()


def test_the_first_installation_asks_for_the_root(here: Administrator) -> None:
    with pytest.raises(UsageError, match="fingerprint"):
        here.install(root=None)
    assert not here.paths.root.exists()


def test_words_that_no_gate_let_pass_touch_no_host_where_one_judged_before(here: Administrator) -> None:
    told = {"hostname": "assistant.example", "models": [{"name": "small"}], "groups": [{"name": "staff"}]}
    here.describe(FIRST | {"role": "control-plane"}, SECOND, assistant=told)
    files = installing.read_site(here.folder / "site.yaml").files
    assert files is not None
    decided(here.paths, files.config, ("staff",), None, passed=True)
    here.describe(FIRST | {"role": "control-plane"}, SECOND, assistant=told | {"instructions": "Be strict."})
    with pytest.raises(GateRefusedError, match="staff: the site's instructions"):
        here.install()
    assert here.runs.told == []
    assert not here.paths.store.exists()


def test_every_mistake_of_the_site_file_is_told_with_its_line(here: Administrator) -> None:
    here.describe(FIRST, SECOND | {"adress": "x"}, pod_subnet="10.0.0.1/8")
    with pytest.raises(SiteFileError) as caught:
        here.install()
    told = "\n".join(caught.value.mistakes)
    assert "did you mean address?" in told
    assert all(mistake.startswith("line ") for mistake in caught.value.mistakes)
    assert not here.paths.root.exists()


def test_options_for_special_hosts_come_from_the_file_that_the_site_names(here: Administrator) -> None:
    (here.folder / "lab.yaml").write_text("kubelet_settings_of_hosts: {failSwapOn: false}\n")
    here.describe(FIRST | {"role": "control-plane"}, settings="lab.yaml")
    here.install()
    assert here.runs.told[0]["vars"]["kubelet_settings_of_hosts"] == {"failSwapOn": False}


@pytest.mark.parametrize("text", [None, "- a\n", "1: 2\n", "a: [\n"])
def test_options_that_are_none_are_refused(text: str | None, here: Administrator) -> None:
    if text is not None:
        (here.folder / "lab.yaml").write_text(text)
    here.describe(FIRST | {"role": "control-plane"}, settings="lab.yaml")
    with pytest.raises(UsageError, match=r"lab\.yaml"):
        here.install()
    assert not here.runs.told


def test_a_damaged_memory_is_told_and_nothing_is_begun_anew(here: Administrator) -> None:
    here.install()
    (here.paths.root / "cluster/state.json").write_text(json.dumps({"identity": "x"}))
    with pytest.raises(DeploymentError, match=r"state\.json"):
        here.install()
    assert len(here.runs.told) == 1


def test_hosts_that_are_refused_are_told_with_every_finding(here: Administrator) -> None:
    here.runs.error = HostsRefusedError((Finding("node1", "swap", "on: /swap", "swapoff -a"),))
    with pytest.raises(HostsRefusedError) as caught:
        here.install()
    assert caught.value.findings[0].check == "swap"
