"""`sovereign trust waive-host`: what it signs is what preflight, engines and status accept."""

from __future__ import annotations

import json
import os
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pytest
from typer.testing import CliRunner

from airgap_bundle.keys import load_public, save
from appliance.cli.main import app
from appliance.errors import UsageError
from appliance.models.host_waiver import waived_layers
from tests.unit.models.small_release import signer

if TYPE_CHECKING:
    from pathlib import Path

    from click.testing import Result


@pytest.fixture
def keys(tmp_path: Path) -> Path:
    save(signer("officer"), tmp_path, b"passphrase", cost=2)
    return tmp_path


def _sign(
    keys: Path, *more: str, layers: tuple[str, ...] = ("landlock",), reason: str = "kernel of the vendor"
) -> Result:
    reader, writer = os.pipe()
    os.write(writer, b"passphrase\n")
    os.close(writer)
    waived = [word for layer in layers for word in ("--waives", layer)]
    about = ["--key", str(keys / "officer.key"), "--site-name", "trial", *waived, "--reason", reason]
    argv = ["trust", "waive-host", *about, "--out", str(keys / "host.json"), "--passphrase-fd", str(reader), *more]
    try:
        return CliRunner().invoke(app, argv, catch_exceptions=False)
    finally:
        os.close(reader)


def test_what_is_signed_waives_the_layer_at_that_site_until_its_end(keys: Path) -> None:
    done = _sign(keys, "--days", "30", "--output", "json")
    shown = json.loads(done.stdout)
    assert (shown["kind"], shown["subject"], shown["waives"]) == ("host", {"site": "trial"}, ["landlock"])
    files, officers = {"host.json": (keys / "host.json").read_bytes()}, [load_public(keys / "officer.pub")]
    now = datetime.now(UTC) + timedelta(seconds=1)
    assert set(waived_layers(files, officers, "trial", now)) == {"landlock"}
    assert waived_layers(files, officers, "other", now) == {}
    assert waived_layers(files, officers, "trial", now + timedelta(days=30)) == {}


def test_the_table_says_what_to_do_with_the_file(keys: Path) -> None:
    words = " ".join(_sign(keys, layers=("landlock", "seccomp")).stdout.split())
    assert "officer lets the host of trial run engines without landlock, seccomp" in words
    assert "name it in site.yaml under waivers" in words


@pytest.mark.parametrize("layer", ["no_new_privs", "unprivileged", "producer-verified"])
def test_what_nobody_may_waive_is_not_signed(keys: Path, layer: str) -> None:
    with pytest.raises(UsageError, match=f"{layer} can be waived by nobody"):
        _sign(keys, layers=(layer,))
    assert not (keys / "host.json").exists()


def test_a_waiver_without_a_reason_is_not_signed(keys: Path) -> None:
    with pytest.raises(UsageError, match="reason"):
        _sign(keys, reason="  because ")
    assert not (keys / "host.json").exists()


@pytest.mark.parametrize("reason", ["", "  because ", "123456789", "x" * 2001])
def test_a_model_s_waiver_that_the_gate_would_not_read_is_not_signed(keys: Path, reason: str) -> None:
    about = ["--model", "m", "--digest", f"sha256:{64 * 'a'}", "--waives", "producer-verified", "--reason", reason]
    argv = ["trust", "waive", "--key", str(keys / "officer.key"), *about, "--out", str(keys / "waiver.json")]
    with pytest.raises(UsageError, match="a reason of 10 to 2000 characters"):
        CliRunner().invoke(app, argv, catch_exceptions=False)
    assert not (keys / "waiver.json").exists()


def test_a_site_name_that_no_site_can_have_is_not_signed(keys: Path) -> None:
    with pytest.raises(UsageError, match="site"):
        _sign(keys, "--site-name", "Not A Slug")
    assert not (keys / "host.json").exists()
