"""The assistant's charts and objects: of site file and release, secret where they must be, equal at every run."""

from __future__ import annotations

import base64
import json
import re
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import yaml
from pydantic import ValidationError

from airgap_bundle.digest import sha256
from airgap_bundle.store import VerifiedRelease
from appliance.cluster.custody import provide
from appliance.cluster.parts import KubernetesImages, ReleaseParts
from appliance.cluster.workloads import Content, Workloads, prepare
from appliance.engine.service import DRAIN_BOUND_S
from appliance.gateway.database import _POOL_OVERFLOW, _POOL_SIZE
from appliance.gateway.server import DRAIN_SECONDS
from appliance.identity import keycloak_server
from appliance.identity.keycloak_server import HEAP, start_options
from appliance.install import ca
from appliance.install.vault import Vault
from appliance.link.ways import Ways
from appliance.site.cluster import ClusterSite
from appliance.site.load import parse_site
from appliance.site.paths import SitePaths

if TYPE_CHECKING:
    from collections.abc import Mapping

CHARTS = Path(__file__).parents[3] / "charts"
ORDER = ["policies", "postgresql", "keycloak", "audit", "edge", "assistant"]
IMAGES = ("postgresql", "keycloak", "edge", "assistant", "site-store", "pause")
SITE: dict[str, Any] = {
    "schema": 1,
    "name": "lab",
    "profile": "cluster",
    "cluster": {
        "hosts": [
            {"name": "node1", "address": "10.77.0.11", "role": "control-plane"},
            {"name": "node2", "address": "10.77.0.12"},
        ],
        "ssh": {"key": "id", "known_hosts": "known"},
        "administration": ["10.77.0.1/32"],
    },
    "assistant": {
        "hostname": "assistant.example",
        "models": [{"name": "small"}, {"name": "other.v2"}],
        "groups": [{"name": "staff", "models": ["small"]}],
        "service_clients": [{"id": "nightly", "groups": ["staff"]}],
    },
}
POLICIES = {"models.yaml": b"schema: 1\n", "waivers/a waiver.json": b"{}", "officers/officer.pub": b"key"}


def described(**assistant: Any) -> ClusterSite:
    return ClusterSite.model_validate_json(json.dumps(SITE | {"assistant": SITE["assistant"] | assistant}))


def parts() -> ReleaseParts:
    images = {name: f"sovereign.internal/{name}@{sha256(name.encode())}" for name in IMAGES}
    return ReleaseParts(
        "v1.36.3",
        (),
        Path("/layout"),
        0,
        KubernetesImages("r", "1", "r", "1"),
        "r/pause:1",
        Path("/c.tgz"),
        "a",
        "o",
        images=images,
        charts={name: Path(f"/staged/{name}.tgz") for name in ORDER},
        keycloak_version="26.7.3",
    )


def made(root: Path, **assistant: Any) -> Workloads:
    paths, site = SitePaths(root), described(**{"site_key": {"kind": "file"}, **assistant})
    release = VerifiedRelease("sovereign", "1.0.0", 1, 1, "sha256:0", ("builder",), {}, sha256(b"release"))
    told = site.pods.model_dump_json(by_alias=True, exclude_none=True).encode()
    return prepare(paths, Vault(paths, lambda: b""), site, Content(release, parts(), told, POLICIES))


def files(workloads: Workloads, name: str) -> dict[str, bytes]:
    """Content of a Secret or ConfigMap."""
    (found,) = [item for item in workloads.objects if item["metadata"]["name"] == name]
    if found["kind"] == "Secret":
        return {key: base64.b64decode(value) for key, value in found["data"].items()}
    return {key: value.encode() for key, value in found["data"].items()}


def values(workloads: Workloads) -> dict[str, Mapping[str, Any]]:
    return {chart.name: chart.values for chart in workloads.charts}


def test_policies_come_first_and_every_chart_of_the_tree_is_installed(tmp_path: Path) -> None:
    workloads = made(tmp_path)
    assert [chart.name for chart in workloads.charts] == ORDER
    assert {folder.name for folder in CHARTS.iterdir()} == {*ORDER, "library"}
    assert {chart.namespace for chart in workloads.charts[1:]} == {"sovereign"}


def test_every_value_is_one_that_the_chart_s_schema_knows(tmp_path: Path) -> None:
    for name, given in values(made(tmp_path)).items():
        schema = json.loads((CHARTS / name / "values.schema.json").read_text())
        defaults = yaml.safe_load((CHARTS / name / "values.yaml").read_text())
        assert schema["additionalProperties"] is False
        assert set(given) <= set(defaults)
        assert set(schema["required"]) <= set(defaults)
        assert set(defaults) <= set(schema["properties"])


def test_how_many_pods_come_first_is_no_value_that_a_chart_is_known_by(tmp_path: Path) -> None:
    """Room is another at any time; a second run, which changes nothing, would bring the chart again."""
    assert "surge" not in values(made(tmp_path))["assistant"]
    tasks = (CHARTS.parent / "ansible/roles/assistant/tasks/chart.yml").read_text()
    assert "--set=surge=" in tasks
    assert yaml.safe_load((CHARTS / "assistant/values.yaml").read_text())["surge"] == 0


def test_a_pod_of_the_assistant_that_goes_has_time_for_who_still_comes_and_for_answers_under_way() -> None:
    """Five seconds until nobody is sent to it any more, then the gateway's drain and the end of what it started."""
    text = (CHARTS / "assistant/templates/deployment.yaml").read_text()
    grace = int(text.partition("terminationGracePeriodSeconds: ")[2].split()[0])
    waits = [int(part.partition("}")[0]) for part in text.split("preStop: {sleep: {seconds: ")[1:]]
    assert len(waits) == 2, "an engine serves as long as its gateway takes people in"
    assert len(set(waits)) == 1
    assert waits[0] + max(DRAIN_SECONDS + 5, DRAIN_BOUND_S) < grace
    assert "maxSurge: {{ .Values.surge }}, maxUnavailable: {{ sub 1 .Values.surge }}" in text


def test_another_run_says_the_same(tmp_path: Path) -> None:
    assert made(tmp_path) == made(tmp_path)


def test_a_changed_site_file_starts_anew_what_reads_it_and_nothing_else(tmp_path: Path) -> None:
    """The log's writer and Keycloak, of which there is one pod each, are what everybody waits for."""
    first = made(tmp_path)

    def anew(**assistant: Any) -> list[str]:
        """Charts whose pods start anew: a job of the realm is none of them."""
        before, after = values(first), values(made(tmp_path, **assistant))
        for told in (before, after):
            told["keycloak"] = {**told["keycloak"], "realm": ""}
        return [name for name in ORDER if before[name] != after[name]]

    models = SITE["assistant"]["models"]
    assert anew(languages=["fr"]) == ["assistant"]
    assert anew(models=[{**models[0], "queue": 48}, models[1]]) == ["assistant"]
    assert anew(groups=[*SITE["assistant"]["groups"], {"name": "guests", "models": ["small"]}]) == ["assistant"]
    assert anew(audit={"retention_days": 400}) == ["audit", "assistant"]
    assert {"audit", "assistant"} <= set(anew(models=[*models, {"name": "third"}]))


def test_a_changed_site_file_settles_the_realm_anew_and_leaves_keycloak_s_pod(tmp_path: Path) -> None:
    before = values(made(tmp_path))["keycloak"]
    after = values(made(tmp_path, groups=[{"name": "guests", "models": ["small"]}], service_clients=[]))["keycloak"]
    assert {name for name in before if before[name] != after[name]} == {"realm"}
    pod = (CHARTS / "keycloak/templates/deployment.yaml").read_text()
    assert ".Values.realm" not in pod
    assert ".Values.realm" in (CHARTS / "keycloak/templates/realm.yaml").read_text()
    assert "configMap: {name: site, items: [{key: ca.pem, path: ca.pem}]}" in pod, "of the site's files it reads one"


def test_nothing_secret_is_in_a_value_or_a_config_map(tmp_path: Path) -> None:
    workloads = made(tmp_path)
    secrets = {
        content.strip()
        for item in workloads.objects
        if item["kind"] == "Secret"
        for name, content in files(workloads, item["metadata"]["name"]).items()
        if not name.endswith((".pem", ".conf", ".sql")) or name == "tls.key"
    }
    told = json.dumps([dict(chart.values) for chart in workloads.charts])
    told += json.dumps([item for item in workloads.objects if item["kind"] == "ConfigMap"])
    assert len(secrets) > 10
    for content in secrets:
        assert content.decode(errors="replace") not in told
        assert base64.b64encode(content).decode() not in told


def test_pods_read_a_site_file_whose_origin_is_the_edge_s(tmp_path: Path) -> None:
    config = parse_site(files(made(tmp_path, port=8443), "site")["site.yaml"], "site.yaml")
    assert config.gateway_url == "https://assistant.example:8443"
    assert config.issuer == "https://assistant.example:8443/sign-in/realms/sovereign"
    assert config.listen.host == "127.0.0.1"
    assert described().pods.gateway_url == "https://assistant.example"


def test_the_database_knows_each_role_and_no_password_is_in_clear(tmp_path: Path) -> None:
    workloads = made(tmp_path)
    found = files(workloads, "postgresql")
    for role in ("postgres", "gateway", "keycloak"):
        assert f"ALTER ROLE {role} PASSWORD 'SCRAM-SHA-256$".encode() in found["passwords.sql"]
    for name in ("gateway", "identity"):
        assert files(workloads, name)["db_password"] not in b"".join(found.values())
    assert found["keycloak.sql"].startswith(b"SET SESSION AUTHORIZATION keycloak;\nBEGIN;\n")


def test_engines_and_the_gateway_have_users_of_their_own_which_the_writer_knows(tmp_path: Path) -> None:
    workloads = made(tmp_path)
    known = json.loads(files(workloads, "site")["uids.json"])
    told = values(workloads)
    seats = {engine["service"]: engine["user"] for engine in told["assistant"]["engines"]}
    collector = told["audit"]["collector"]["user"]
    assert known == {"gateway": told["assistant"]["gateway"]["user"], "collector": collector, **seats}
    assert len(set(known.values())) == 4
    assert {w["user"] for w in told["audit"]["writers"]} | {collector} == set(known.values())
    ports = {w["name"]: w["port"] for w in told["audit"]["writers"]}
    assert {e["name"]: e["port"] for e in told["assistant"]["engines"]}.items() <= ports.items()
    assert set(ports) <= {item["metadata"]["name"].removeprefix("link-") for item in workloads.objects}


def test_as_many_pods_answer_as_the_site_file_says(tmp_path: Path) -> None:
    assert values(made(tmp_path))["assistant"]["replicas"] == 1
    assert values(made(tmp_path, gateways=2))["assistant"]["replicas"] == 2
    for none in (0, 5):
        with pytest.raises(ValidationError, match="gateways"):
            described(gateways=none)


@pytest.mark.parametrize("gateways", [1, 2, 4])
def test_the_database_takes_every_connection_of_all_pools_at_once(tmp_path: Path, gateways: int) -> None:
    """PostgreSQL keeps three for its superuser."""
    told = values(made(tmp_path, gateways=gateways))
    config = described().pods
    pools = [
        re.search(r"--db-pool-max-size=(\d+)", option) for option in start_options(config, SitePaths(tmp_path), None)
    ]
    (keycloak,) = [int(found[1]) for found in pools if found]
    each = _POOL_SIZE + _POOL_OVERFLOW
    assert told["postgresql"]["connections"] >= gateways * each + keycloak + 3
    assert told["postgresql"]["connections"] == 60 or gateways > 1  # as on a host


def test_the_log_s_writer_is_told_how_many_hosts_the_control_plane_has(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert values(made(tmp_path))["audit"]["controlPlanes"] == 1
    more = [{"name": f"node{n}", "address": f"10.77.0.1{n}", "role": "control-plane"} for n in (1, 3, 4)]
    hosts = [*more, {"name": "node2", "address": "10.77.0.12"}]
    cluster = SITE["cluster"] | {"hosts": hosts, "endpoint": "10.77.0.9"}
    monkeypatch.setitem(SITE, "cluster", cluster)
    assert values(made(tmp_path))["audit"]["controlPlanes"] == 3


def test_each_host_has_a_certificate_of_its_own_which_no_pod_has(tmp_path: Path) -> None:
    workloads = made(tmp_path)
    told = workloads.options()
    assert set(told["observer_credentials"]) == {"node1", "node2"}
    assert told["observer_collector"] == "10.96.0.12:9202"
    assert values(workloads)["audit"]["hosts"] == {"node1.hosts": "control-plane", "node2.hosts": "worker"}
    keys = {workloads.observers[host]["link.key"] for host in ("node1", "node2")}
    assert len(keys) == 2
    assert not [item for item in workloads.objects if ".hosts" in item["metadata"]["name"]]
    given = json.dumps([list(workloads.objects), [dict(chart.values) for chart in workloads.charts]])
    for key in keys:
        assert base64.b64encode(key).decode() not in given


def test_certificate_and_key_of_a_host_that_left_are_not_kept(tmp_path: Path) -> None:
    made(tmp_path)
    paths, site = SitePaths(tmp_path), described(site_key={"kind": "file"})
    before = {path.name for path in paths.tls.iterdir()}
    held = set(Vault(paths, lambda: b"").store().names())
    store = provide(paths, Vault(paths, lambda: b""), site.pods, hosts=["node1"])
    assert held - set(store.names()) == {"link-node2.hosts/link.key"}
    assert before - {path.name for path in paths.tls.iterdir()} == {"link-node2.hosts.pem"}


def test_hosts_and_nobody_else_are_let_in_to_the_collector() -> None:
    text = (CHARTS / "audit/templates/service.yaml").read_text()
    policy = next(part for part in text.split("\n---\n") if "CiliumNetworkPolicy" in part)
    assert "fromEntities: [host, remote-node]" in policy
    assert policy.count("toPorts") == policy.count("fromEntities") == 1
    plain = next(part for part in text.split("\n---\n") if "kind: NetworkPolicy" in part)
    assert "collector" not in plain


def test_a_collector_that_does_not_run_keeps_nobody_from_the_writer() -> None:
    """It makes their pod not ready. It is what hosts talk to, and one of them may be somebody else's."""
    services = (CHARTS / "audit/templates/service.yaml").read_text().split("\n---\n")
    (writer, collector) = (part for part in services if "\nkind: Service\n" in part)
    assert "\n  name: audit\n" in writer
    assert "\n  publishNotReadyAddresses: true\n" in writer
    assert "publishNotReadyAddresses" not in collector


def test_policies_lie_where_the_gate_looks_whatever_their_names(tmp_path: Path) -> None:
    workloads = made(tmp_path)
    laid = {item["path"]: item["key"] for item in values(workloads)["assistant"]["policies"]}
    assert set(laid) == {"models.yaml", "waivers/a-waiver.json", "officers/officer.pub"}
    assert files(workloads, "policies")[laid["officers/officer.pub"]] == b"key"


def test_a_certificate_that_ends_soon_is_issued_anew_and_the_rest_stays(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = made(tmp_path)
    soon = datetime.now(UTC) + timedelta(days=ca.LEAF_DAYS - ca.RENEW_DAYS + 1)
    monkeypatch.setattr(ca, "utc_now", lambda: soon)
    after = made(tmp_path)
    assert files(after, "edge")["tls.pem"] != files(before, "edge")["tls.pem"]
    assert files(after, "link-gateway")["link.pem"] != files(before, "link-gateway")["link.pem"]
    for name in ("gateway", "audit", "identity"):
        assert files(after, name) == files(before, name)
    assert files(after, "link-gateway")["links-ca.pem"] == files(before, "link-gateway")["links-ca.pem"]
    assert files(after, "site")["ca.pem"] == files(before, "site")["ca.pem"]


def test_the_ways_of_charts_can_be_read_by_links() -> None:
    """Each file of ways in a chart, with its values put in by hand."""
    fill = {"{{ .Values.run }}": "/run/x", "{{ $.Values.run }}": "/run/x", "{{ .port }}": "9300", "{{ .name }}": "a"}
    found = 0
    for path in CHARTS.glob("*/templates/*.yaml"):
        text = path.read_text()
        for word, value in fill.items():
            text = text.replace(word, value)
        while '{"schema": 1, "ways"' in text:
            text = text[text.index('{"schema": 1, "ways"') :]
            value, end = json.JSONDecoder().raw_decode(text)
            Ways.model_validate_json(json.dumps(value))
            text, found = text[end:], found + 1
    assert found >= 6


def test_keycloak_has_no_other_java_on_a_cluster_than_on_a_single_host() -> None:
    """Its memory is measured there: an option that is given in one place alone is measured nowhere."""
    recipe = yaml.safe_load((CHARTS.parent / "sources/images/keycloak/recipe.yaml").read_text())
    flags = [word for word in recipe["entrypoint"] if word.startswith("-X")]
    assert flags == [*HEAP, *(word for word in keycloak_server._JVM if word.startswith("-X"))]
