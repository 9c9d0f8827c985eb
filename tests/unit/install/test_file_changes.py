"""What an install changes of policies, officers' keys, waivers and statements is named, file by file, in its entry."""

from __future__ import annotations

import hashlib
import io
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest

from appliance.install import audit_spool
from appliance.install.journal import Record
from appliance.install.steps import site
from appliance.site.paths import SitePaths

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

SITE = b"schema: 1\nname: ministry\nmodels: [{name: gemma3-270m}]\ngroups: [{name: clerks}]\n"


def told(**files: bytes) -> str:
    return "; ".join(f"{name} {hashlib.sha256(data).hexdigest()[:12]}" for name, data in files.items())


@pytest.fixture
def act(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[dict[str, bytes], bytes], Mapping[str, str]]:
    """The step that puts the operator's files in force, with the gate left out; gives what goes into the journal."""
    monkeypatch.setattr(site, "judge_models", lambda _context: ())
    paths = SitePaths(tmp_path / "site")
    paths.policies.mkdir(parents=True)
    release_policy = SimpleNamespace(open=lambda: io.BytesIO(b"policy of the release"))

    def install(installed: dict[str, bytes], site_yaml: bytes = SITE) -> Mapping[str, str]:
        files = SimpleNamespace(installed=lambda: installed, site_yaml=site_yaml)
        policy = SimpleNamespace(files={site.POLICY: release_policy})
        context: Any = SimpleNamespace(paths=paths, files=files, only=lambda _kind: policy)
        return site._policies(context).run(lambda _done, _total: None) or {}

    return install


def test_what_comes_changes_and_goes_is_told_by_name_and_digest(act: Any) -> None:
    first = act({"officers/deputy.pub": b"key", "waivers/one": b"w1"})
    assert first == {
        "added": "; ".join(
            told(**{name: data})
            for name, data in (
                ("site.yaml", SITE),
                ("models.yaml", b"policy of the release"),
                ("officers/deputy.pub", b"key"),
                ("waivers/one", b"w1"),
            )
        )
    }
    second = act({"officers/deputy.pub": b"another key", "models.yaml": b"own policy", "statements/s": b"s"})
    assert second == {
        "removed": told(**{"waivers/one": b"w1"}),
        "changed": told(**{"models.yaml": b"own policy", "officers/deputy.pub": b"another key"}),
        "added": told(**{"statements/s": b"s"}),
    }


def test_what_stays_as_it_is_is_no_change(act: Any) -> None:
    act({"officers/deputy.pub": b"key"})
    assert act({"officers/deputy.pub": b"key"}) == {}
    assert act({"officers/deputy.pub": b"key"}, SITE + b"# more\n") == {
        "changed": told(**{"site.yaml": SITE + b"# more\n"})
    }


def test_the_logs_entry_of_the_step_says_it(act: Any) -> None:
    act({"officers/deputy.pub": b"key"})
    detail = act({"officers/outsider.pub": b"other"})
    record = Record(7, "2026-11-26T09:00:00.000+00:00", "policies", "done", "sha256:0", detail)
    event = audit_spool._event(record, "1.0.0")
    assert event["unmapped"]["sovereign"]["kind"] == "install_step"
    assert event["status_detail"] == (
        f"removed: {told(**{'officers/deputy.pub': b'key'})}, added: {told(**{'officers/outsider.pub': b'other'})}"
    )
