"""`sovereign backup run` over a real database, a real log and a release: what is written opens, and is read again."""

from __future__ import annotations

import json
import shutil
import time
from pathlib import Path
from typing import TYPE_CHECKING

from appliance.install.backup.last import last_backup
from appliance.install.backup.recovery_key import open_recovery_key
from appliance.install.backup.restoring import open_pair
from appliance.install.backup.runs import last_run
from appliance.install.backup.statement import DATABASE as DUMP
from appliance.install.backup.statement import SUBJECT_KEYS
from appliance.install.site_identity import site_signer
from appliance.install.vault import Vault
from tests.install.backed_up import PHRASE

if TYPE_CHECKING:
    from tests.install.backed_up import Site


def test_a_site_that_runs_is_backed_up_read_again_and_the_older_one_goes(site: Site) -> None:
    done = site.run()
    assert done.exit_code == 0, (done.exception, done.stderr)
    first = Path(json.loads(done.stdout)["backup"])
    public = site_signer(site.paths, Vault(site.paths, lambda: b""), "ministry").public
    pair = open_pair(first, site.apart, [public], lambda _done, _all: None)
    key = open_recovery_key(site.key, lambda: PHRASE)
    with pair.main.open(DUMP, key) as dump:
        assert dump.read().startswith(b"PGDMP")
    with pair.subject_keys.open(SUBJECT_KEYS, key) as keys:
        assert b"user_key" in keys.read()
    last, ran = last_backup(site.paths), last_run(site.paths)
    assert last is not None
    assert last.digest == json.loads(done.stdout)["digest"]
    assert ran is not None
    assert (ran.folder, ran.cause) == (str(first), None)
    time.sleep(1)  # folders are named by the second
    again = site.run()
    assert again.exit_code == 0, (again.exception, again.stderr)
    second = Path(json.loads(again.stdout)["backup"])
    assert [path.name for path in site.out.iterdir()] == [second.name]
    assert json.loads(again.stdout)["removed"] == [str(first)]
    assert site.logged() == [("Read", "Success"), ("Read", "Success"), ("Delete", "Success")]


def test_a_run_without_its_medium_is_in_the_log_and_leaves_nothing(site: Site) -> None:
    shutil.rmtree(site.apart.parent)
    assert site.run().exit_code != 0
    assert list(site.out.iterdir()) == []
    assert last_backup(site.paths) is None
    assert site.logged() == [("Read", "Failure")]
