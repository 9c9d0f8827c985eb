from __future__ import annotations

from pathlib import Path

import pytest

from appliance.engine.llama_server.arguments import Shape, arguments

SHAPE = Shape(context_tokens=1024, slots=4, threads=2)


def _values() -> dict[str, str]:
    words = arguments(7, Path("/run/x/llama.sock"), SHAPE)
    following = [*words[1:], ""]
    return {word: following[place] for place, word in enumerate(words)}


def test_the_model_is_the_verified_descriptor_and_the_only_address_a_unix_socket() -> None:
    values = _values()
    assert values["--model"] == "/proc/self/fd/7"
    assert values["--host"] == "/run/x/llama.sock"
    assert "--port" not in values


def test_a_path_that_the_server_would_take_for_a_host_is_refused() -> None:
    with pytest.raises(ValueError, match="sock"):
        arguments(7, Path("/run/x/s"), SHAPE)


def test_every_way_to_keep_or_show_a_prompt_is_named_off() -> None:
    values = _values()
    off = {"--no-cache-prompt", "--no-cache-idle-slots", "--no-slots", "--no-ui", "--no-agent", "--no-context-shift"}
    assert off <= set(values)
    for name in ("--cache-ram", "--cache-reuse", "--ctx-checkpoints", "--slot-prompt-similarity"):
        assert values[name] == "0"
    assert not {"--slot-save-path", "--log-prompts-dir", "--log-file", "--props", "--metrics", "--slots"} & set(values)


def test_every_slot_has_the_whole_context_and_cells_of_its_own() -> None:
    values = _values()
    assert values["--ctx-size"] == str(4 * 1024)
    assert values["--parallel"] == "4"
    assert "--no-kv-unified" in values
