"""What llama-server cannot do for a model is a mistake in site.yaml with its line, not a field without effect."""

from __future__ import annotations

from pathlib import Path

import pytest

from appliance.errors import SiteFileError
from appliance.site.load import parse_site
from appliance.site.programs import not_in_pods
from appliance.site.served import SLOTS

EXAMPLE = (Path(__file__).parents[3] / "appliance" / "install" / "site.example.yaml").read_text()
MODEL = "  - name: gemma3-270m\n"
CHOSEN = EXAMPLE.replace(MODEL, f"{MODEL}    program: llama-server\n", 1)
GROUP = "    models: [gemma3-270m]\n"


def _with(model: str = "", group: str = "", end: str = "") -> bytes:
    text = CHOSEN.replace("program: llama-server\n", f"program: llama-server\n{model}", 1)
    return (text.replace(GROUP, GROUP + group) + end).encode()


def test_a_site_may_choose_it_and_our_own_engine_is_what_it_gets_otherwise() -> None:
    assert parse_site(CHOSEN.encode(), "site.yaml").models[0].program == "llama-server"
    assert parse_site(EXAMPLE.encode(), "site.yaml").models[0].program == "sovereign"


def test_it_takes_no_disk_and_few_requests_at_once() -> None:
    ours, other = (parse_site(text.encode(), "site.yaml") for text in (EXAMPLE, CHOSEN))
    assert other.models[0].slots == SLOTS < other.models[0].parallel
    assert other.models[0].model_copy(update={"parallel": 1}).slots == 1
    assert (other.models[0].kept_mib, ours.models[0].kept_mib) == (0, ours.models[0].disk_mib)


@pytest.mark.parametrize(
    ("text", "cause"),
    [
        (_with("    gpu: 0\n"), "gpu: llama-server serves gemma3-270m, and it computes on the processor only"),
        (_with("    adapters: [formal]\n"), "adapters: llama-server serves gemma3-270m, and it is given no adapters"),
        (_with("    pinned_tokens: 4000\n"), "pinned_tokens: llama-server serves gemma3-270m, and no instruct"),
        (_with(group="    beta: [confidence]\n"), "beta: llama-server serves gemma3-270m, and confidence needs"),
        (_with(group="    weight: 2\n"), "weight: llama-server serves gemma3-270m, and it answers in order"),
        (_with(end="documents:\n  model: gemma3-270m\n"), "model: llama-server serves gemma3-270m, and it makes no"),
        (_with().replace(b"program: llama-server", b"program: vllm"), "program"),
    ],
)  # fmt: skip
def test_what_it_cannot_do_is_refused_with_its_line(text: bytes, cause: str) -> None:
    with pytest.raises(SiteFileError) as caught:
        parse_site(text, "site.yaml")
    assert any(cause in mistake and mistake.startswith("line ") for mistake in caught.value.mistakes), caught.value


def test_what_it_does_not_need_to_do_is_not_refused() -> None:
    """Nothing pinned is what it pins; a group's weight counts where another model of its is ours."""
    assert parse_site(_with("    pinned_tokens: 0\n"), "site.yaml")
    two = _with(group="    weight: 2\n").replace(b"models: [gemma3-270m]", b"models: [gemma3-270m, other]")
    assert parse_site(two.replace(b"models:\n", b"models:\n  - name: other\n", 1), "site.yaml")


def test_a_cluster_has_our_own_engine_only() -> None:
    config = parse_site(CHOSEN.encode(), "site.yaml")
    assert not_in_pods(parse_site(EXAMPLE.encode(), "site.yaml").models) == []
    (mistake,) = not_in_pods(config.models)
    assert mistake.startswith("models.0.program: on a cluster gemma3-270m is served by sovereign")
