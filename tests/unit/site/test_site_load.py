"""site.yaml: every mistake at once, each with its line."""

from __future__ import annotations

from pathlib import Path

import pytest

from appliance.errors import SiteFileError, UsageError
from appliance.site.load import load_site, parse_site

EXAMPLE = Path(__file__).parents[3] / "appliance" / "install" / "site.example.yaml"
GOOD = EXAMPLE.read_text()


def mistakes(text: str) -> list[str]:
    with pytest.raises(SiteFileError) as caught:
        parse_site(text.encode(), "site.yaml")
    assert caught.value.exit_code == 2
    return list(caught.value.mistakes)


def test_the_example_is_valid() -> None:
    config = load_site(EXAMPLE)
    assert config.name == "demo"
    assert config.groups[0].models == ("gemma3-270m",)


def test_every_kind_of_mistake_is_reported_at_once_with_its_line() -> None:
    text = """\
schema: 1
name: Bad Name
listen:
  gateway_prt: 1
  identity_port: true
  management_port: 70000
models:
  - name: gemma3-270m
    context_tokens: "12"
groups:
  - name: analysts
    models: [gemma3-270m, other]
  - name: analysts
"""
    found = mistakes(text)
    assert [m.split(":")[0] for m in found] == [f"line {n}" for n in (2, 4, 5, 6, 9, 12, 13)]
    assert "did you mean gateway_port?" in found[1]
    assert "not True" in found[2]
    assert "other is not among this site's models" in found[5]
    assert "named twice" in found[6]


@pytest.mark.parametrize(
    ("text", "line", "cause"),
    [
        ("schema: 1\n\tname: x\n", 2, "a tab cannot indent"),
        (GOOD + "schema: 1\n", GOOD.count("\n") + 1, "is written twice, first on line 2"),
        ("schema: &a 1\nname: *a\n", 1, "anchors and aliases are not accepted"),
        ("schema: !!python/object:os.system 1\n", 1, "tags are not accepted"),
        ("schema: 1\nname: [\n", 3, "flow"),
        ("- 1\n", 1, "must hold fields"),
        ("", 1, "must hold fields"),
        ("schema: 1\n? [a]\n: 1\n", 2, "a key must be text"),
        ("schema: 1\nname: \x01\n", 2, "not a YAML character"),
        (
            GOOD.replace("host: 127.0.0.1", "host: 10.0.0.1") + "tls: {mode: off}\n",
            GOOD.count("\n") + 1,
            "loopback only",
        ),
        (GOOD.replace("8444", "8443"), 8, "port 8443 is already used by listen.gateway_port"),
        (GOOD.replace("schema: 1", "schema: 2"), 2, "should be 1"),
    ],
)
def test_a_mistake_names_its_line_and_cause(text: str, line: int, cause: str) -> None:
    found = mistakes(text)
    assert any(m.startswith(f"line {line}:") and cause in m for m in found), found


def test_off_is_a_word_and_not_false() -> None:
    config = parse_site((GOOD + "tls: {mode: off}\n").encode(), "site.yaml")
    assert config.tls.mode == "off"


def test_text_that_is_not_utf8_is_named_by_line() -> None:
    with pytest.raises(SiteFileError, match="line 2: not UTF-8"):
        parse_site(b"schema: 1\nname: \xff\n", "site.yaml")


def test_a_huge_file_is_refused_before_it_is_parsed() -> None:
    assert "larger than" in mistakes("#" * 300_000)[0]


def test_deep_nesting_is_a_mistake_and_not_a_crash() -> None:
    found = mistakes("schema: 1\nname: " + "[" * 200 + "]" * 200 + "\n")
    assert any("nested deeper" in m for m in found)


def test_a_default_is_not_blamed_for_a_field_already_reported() -> None:
    found = mistakes(GOOD.replace("gateway_port: 8443", "gateway_port: x").replace("8444", "8443"))
    assert len(found) == 1
    assert "gateway_port" in found[0]


def test_a_missing_file_is_a_cause_and_a_hint(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="no such file") as caught:
        load_site(tmp_path / "none.yaml")
    assert caught.value.hint


def test_control_characters_in_a_value_do_not_reach_the_terminal() -> None:
    found = mistakes(GOOD.replace("name: demo", 'name: "\\e[31m"'))
    assert all("\x1b" not in m for m in found)


def test_an_adapter_belongs_to_one_model_and_a_group_uses_one_of_each() -> None:
    found = mistakes(
        """\
schema: 1
name: trial
models:
  - name: gemma3-270m
    adapters: [formal, brief]
  - name: other
    adapters: [formal]
groups:
  - name: analysts
    models: [gemma3-270m]
    adapters: [formal, brief]
  - name: clerks
    adapters: [unknown]
"""
    )
    assert any("formal is other's too" in one or "formal is gemma3-270m's too" in one for one in found)
    assert any("unknown is no adapter of this site's models" in one for one in found)
    good = GOOD.replace("  - name: gemma3-270m\n", "  - name: gemma3-270m\n    adapters: [formal, brief]\n", 1)
    assert parse_site(good.encode(), "site.yaml").models[0].adapters == ("formal", "brief")


def test_instructions_leave_room_for_people_to_speak() -> None:
    text = GOOD.replace("schema: 1\n", "schema: 1\ninstructions: " + "word " * 1400 + "\n", 1)
    assert any("no room is left in gemma3-270m's 4096 tokens" in one for one in mistakes(text))
    assert parse_site(text.replace("word " * 700, "", 1).encode(), "site.yaml").instructions


def test_instructions_that_would_not_stay_in_memory_are_refused_by_how_much() -> None:
    words = "instructions: " + "word " * 400 + "\n"
    text = GOOD.replace("schema: 1\n", "schema: 1\n" + words, 1)
    small = text.replace("  - name: gemma3-270m\n", "  - name: gemma3-270m\n    pinned_tokens: 100\n", 1)
    assert any("take about 666 tokens, and 100 stay in memory" in one for one in mistakes(small))
    assert parse_site(small.replace("pinned_tokens: 100", "pinned_tokens: 0").encode(), "site.yaml")


def test_a_site_that_says_nothing_of_pins_is_accepted_with_many_groups_words() -> None:
    """Older site files said nothing of them, and worked."""
    more = [f'  - {{name: g{n}, models: [gemma3-270m], instructions: "{"word " * 400}"}}\n' for n in range(20)]
    assert GOOD.count("\ngroups:\n") == 1
    text = GOOD.replace("\ngroups:\n", "\ngroups:\n" + "".join(more), 1)
    assert parse_site(text.encode(), "site.yaml").models[0].pinned_tokens is None


def test_a_groups_words_are_counted_with_the_sites_before_them_and_the_sites_once_for_each_adapter() -> None:
    """As the engine holds them: one passage of the site's for each adapter, one of both for each group with words."""
    head = "schema: 1\ninstructions: " + "word " * 300 + "\n"
    groups = "".join(
        f'  - {{name: g{n}, models: [gemma3-270m], instructions: "{"more " * 60}"{more}}}\n'
        for n, more in enumerate(("", ", adapters: [formal]"))
    )
    model = "  - name: gemma3-270m\n    adapters: [formal]\n    pinned_tokens: 100\n"
    text = GOOD.replace("schema: 1\n", head, 1).replace("\ngroups:\n", "\ngroups:\n" + groups, 1)
    found = mistakes(text.replace("  - name: gemma3-270m\n", model, 1))
    site, both = 300 * 5 // 3, (299 * 5 + 4 + 60 * 5) // 3
    assert any(f"take about {2 * site - 2 + 2 * both} tokens" in one for one in found), found


POD = """\
schema: 1
name: lab
profile: pod
listen: {hostname: assistant.example}
tls: {mode: "off"}
edge: {port: 8443}
models: [{name: m}]
groups: [{name: g}]
"""


def test_behind_an_edge_there_is_one_origin() -> None:
    config = parse_site(POD.encode(), "site.yaml")
    assert config.gateway_url == "https://assistant.example:8443"
    assert config.issuer == "https://assistant.example:8443/sign-in/realms/sovereign"
    assert config.scheme == "https"


@pytest.mark.parametrize(
    ("old", "new"),
    [("edge: {port: 8443}\n", ""), ("profile: pod\n", ""), ('tls: {mode: "off"}\n', "")],
    ids=["a pod without an edge", "an edge on a host", "an edge and TLS of its own"],
)
def test_an_edge_belongs_to_pods_and_has_the_tls(old: str, new: str) -> None:
    assert any("a pod's site has an edge" in mistake for mistake in mistakes(POD.replace(old, new)))
