"""`sovereign serve engine-…` of a model that llama-server is to serve: gate, log and loader, whoever forks whom.

As in ``test_confined_start`` the release's model is a few bytes that pass the gate and that nothing loads.
"""

from __future__ import annotations

import zipfile
from typing import TYPE_CHECKING

import pytest

from appliance.engine import wheel_files
from appliance.engine.llama_server.library import LIBRARY
from appliance.site.layers import LAYERS
from tests.engine.llama_server_wheel import cached_wheel
from tests.integration.engine.test_confined_start import Host, _named, host  # noqa: F401 - the service manager's place
from tests.unit.models.small_release import NAME
from tests.unit.models.test_admission import paths  # noqa: F401 - an installed site, as a fixture

if TYPE_CHECKING:
    from pathlib import Path

    from appliance.site.paths import SitePaths

WITHOUT = "this release is built without llama-server"
WHEEL = cached_wheel()


@pytest.fixture(autouse=True)
def _chosen(paths: SitePaths) -> None:  # noqa: F811 - the fixture above
    text = paths.site_yaml.read_text()
    chosen = text.replace(f"models: [{{name: {NAME}}}]", f"models: [{{name: {NAME}, program: llama-server}}]")
    assert chosen != text
    paths.site_yaml.write_text(chosen)


@pytest.mark.skipif(LIBRARY in wheel_files.listed(), reason="NOT TESTED: the installed wheel has llama-server")
def test_the_model_passes_gate_and_log_under_every_layer_and_a_release_without_it_is_named(
    host: Host,  # noqa: F811 - the fixture above
) -> None:
    code, words = host.start_engine()
    assert WITHOUT in words
    assert "Traceback" not in words
    assert code == 5
    assert _named(LAYERS) in host.logged()


@pytest.mark.parametrize("layer", ["landlock", "seccomp"])
def test_on_a_kernel_without_a_layer_no_model_is_opened_and_the_log_says_why(
    host: Host,  # noqa: F811 - as above
    layer: str,
) -> None:
    code, words = host.start_engine(lacking=layer)
    assert code == 5
    assert f"the engine cannot be confined by {layer}" in words
    assert WITHOUT not in words
    assert _named(LAYERS) not in host.logged()


def test_a_model_that_the_gate_refuses_is_refused_with_its_reason_and_exit_code(
    host: Host,  # noqa: F811 - as above
    paths: SitePaths,  # noqa: F811 - as above
) -> None:
    policy = paths.policies / "models.yaml"
    policy.write_text(policy.read_text().replace("gemma", "nobody"))
    code, words = host.start_engine()
    assert code == 3, words
    assert WITHOUT not in words
    assert "Traceback" not in words
    reason = next(line for line in words.splitlines() if line.startswith("error: ")).removeprefix("error: ")
    assert reason.encode() in host.logged()


@pytest.mark.skipif(WHEEL is None, reason="NOT TESTED: `make test-llama-server` compiles the wheel")
def test_a_release_with_it_loads_what_the_gate_let_pass(
    host: Host,  # noqa: F811 - as above
    tmp_path: Path,
) -> None:
    assert WHEEL is not None
    with zipfile.ZipFile(WHEEL) as archive:
        archive.extractall(tmp_path / "wheel")
    host.prefer(tmp_path / "wheel")
    code, words = host.start_engine()
    assert "llama-server refuses the model file" in words
    assert "Traceback" not in words
    assert code == 5
    assert _named(LAYERS) in host.logged()
