"""A cluster's backup, with everything real but Kubernetes: all of it or nothing, sealed, and in the log."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from appliance.audit.verify import verify_log
from appliance.errors import SovereignError
from appliance.install.backup import statement
from appliance.install.backup.last import last_backup
from tests.integration.cluster.desk import Desk, tree

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.pretended_hosts import PretendedHosts


def test_a_backup_has_every_part_its_entry_in_the_log_and_no_plain_word(desk: Desk) -> None:
    pair = desk.back_up()
    told = pair.main.statement
    assert (told.of_cluster, told.site, told.release, told.log_size) == (True, "lab", "1.0.0", 4)
    assert {file.name for file in told.files} == set(statement.CLUSTER_PARTS)
    report = verify_log(desk.log.directory, vkeys=desk.log.vkeys)
    assert report.size == 5  # the backup's own entry
    kept = b"".join(path.read_bytes() for name in ("backup", "keys") for path in (desk.folder / name).iterdir())
    secret = desk.vault.store().get("database/superuser_password")
    assert secret not in kept
    assert b"dump:" not in kept
    key = desk.opened()
    with pair.main.open(statement.DATABASE, key) as content:
        dump = content.read()
    assert dump.startswith(b"dump:" + secret)
    assert b"--exclude-table=user_key" in dump
    with pair.main.open(statement.ETCD, key) as content:
        assert content.read() == (desk.folder / "snapshot").read_bytes()
    with pair.main.open(statement.INVENTORY, key) as content:
        assert json.load(content)["releases"][0]["version"] == "1.0.0"
    with pair.subject_keys.open(statement.ERASED, key) as content:
        assert json.load(content) == {"erased": ["erased-before"]}
    last = last_backup(desk.paths)
    assert last is not None
    assert last.digest == str(pair.main.digest)
    programs = [line for _, line in desk.hosts.calls]
    order = ["pg_dump", "user_key", "keycloak", "audit-0", "etcdctl", "relay", "get pod audit-0"]
    at = [next(i for i, line in enumerate(programs) if sign in line) for sign in order if sign != "relay"]
    assert at == sorted(at)
    assert secret.decode() not in "\n".join(programs)


FAILURES: dict[str, Callable[[PretendedHosts], object]] = {
    "a host that does not answer": lambda h: h.answers.update({"pg_dump": ""}) or h.codes.update({"pg_dump": 255}),
    "a dump that is cut": lambda h: h.cuts.update({"pg_dump": 20}),
    "a log that is cut": lambda h: h.cuts.update({"audit-0 --container=writer": 1024}),
    "a log that is none": lambda h: h.answers.update({"audit-0 --container=writer": "hello"}),
    "a snapshot that is cut": lambda h: h.cuts.update({"etcdctl": 700}),
    "a writer that is not there": lambda h: h.answers.update({"get pod audit-0": ""}),
    "hosts of another site": lambda h: (h.folder / "site.json").write_text("another"),
    "a writer that does not answer": lambda h: h.answers.update({"/sock": ""}),
}


@pytest.mark.parametrize("failure", FAILURES)
def test_what_fails_leaves_no_backup_and_the_earlier_one_as_it_was(desk: Desk, failure: str) -> None:
    desk.back_up()
    before = {name: tree(desk.folder / name) for name in ("backup", "keys", "site")}
    FAILURES[failure](desk.hosts)
    with pytest.raises(SovereignError):
        desk.back_up("second")
    assert not (desk.folder / "second").exists()
    assert not list(desk.folder.glob("second*"))
    assert {name: tree(desk.folder / name) for name in before} == before
