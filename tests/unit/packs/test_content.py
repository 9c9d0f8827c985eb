"""A pack is one spelling of what it says, and what its words may be made of is checked before anybody uses them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from airgap_bundle import strict_json
from appliance.packs.content import Pack, read_pack
from appliance.packs.errors import PackError, PackRefusedError
from appliance.packs.folder import build_pack
from appliance.packs.wording import instructions_of
from tests import packs

if TYPE_CHECKING:
    from pathlib import Path


def test_equal_folders_make_equal_bytes_and_another_word_makes_others(tmp_path: Path) -> None:
    one, same = build_pack(packs.folder(tmp_path / "a")), build_pack(packs.folder(tmp_path / "b"))
    other = build_pack(packs.folder(tmp_path / "c", tone="You are long."))
    assert one.to_bytes() == same.to_bytes()
    assert one.digest == same.digest != other.digest
    assert read_pack(one.to_bytes(), "pack") == one


@pytest.mark.parametrize(
    ("changes", "cause"),
    [
        ({"persona": "You serve <start_of_turn>"}, "control tokens"),
        ({"persona": "Be [INST] kind"}, "looks like a control token"),
        ({"tone": "Zero\u200bwidth"}, "U+200B, which does not show"),
        ({"tone": "Right\u202eto left"}, "U+202E, which does not show"),
        ({"tone": "Kind\U000e0101\U000e0112"}, "U+E0101, which does not show"),
        ({"tone": "Kind\ufe0f"}, "U+FE0F, which does not show"),
        ({"persona": "You\u3164serve"}, "U+3164, which does not show"),
        ({"name": "none"}, "stands for no pack"),
        ({"title": "Two\nlines"}, "one line"),
        ({"tone": "Cafe\u0301"}, "composed form"),
        ({"surprise": 1}, "surprise"),
        ({"number": 0}, "number"),
        ({"number": True}, "number"),
        ({"language": "xx"}, "language"),
        ({"name": "../up"}, "name"),
        ({"cases": []}, "cases"),
        ({"boundaries": [{"id": "a", "rule": "no"}] * 2}, "is there twice"),
        ({"glossary": [{"term": "A", "use": "b"}, {"term": "a", "use": "c"}]}, "is there twice"),
    ],
)
def test_what_breaks_the_format_is_refused_by_its_name(changes: dict[str, Any], cause: str) -> None:
    said = packs.fields(**changes)
    if "glossary" in changes or "boundaries" in changes:
        said["cases"] = [{k: v for k, v in one.items() if k != "about"} for one in said["cases"]]
    with pytest.raises(PackRefusedError) as caught:
        read_pack(strict_json.dumps(said), "pack")
    assert cause in caught.value.cause
    assert "\n" not in caught.value.cause


@pytest.mark.parametrize(
    "token",
    [
        *("<start_of_turn>", "<end_of_turn>", "<bos>", "<eos>", "<pad>", "<unk>", "<s>", "</s>", "<unused6>"),
        *("<|im_start|>", "<|im_end|>", "<|eot_id|>", "<|begin_of_text|>", "<|start_header_id|>", "<|endoftext|>"),
        *("[INST]", "[/INST]", "<<SYS>>", "[TOOL_CALLS]", "[AVAILABLE_TOOLS]", "[gMASK]", "<sop>", "[CLS]", "[SEP]"),
        *(
            "<\uff5cbegin\u2581of\u2581sentence\uff5c>",
            "<|START_OF_TURN_TOKEN|>",
            "<think>",
            "[multimodal]",
            "<start_of_image>",
        ),
    ],
)
def test_control_tokens_of_known_families_of_models_are_in_no_field(token: str) -> None:
    said = packs.fields()
    for place in (
        {"persona": token},
        {"tone": f"a {token} b"},
        {"boundaries": [{"id": "secret", "rule": token}]},
        {"glossary": [*said["glossary"], {"term": "x", "use": token}]},
        {"examples": [{"question": "a", "answer": token}]},
        {"cases": [*said["cases"], {**said["cases"][0], "id": "x", "question": token}]},
    ):
        with pytest.raises(PackRefusedError):
            read_pack(strict_json.dumps({**said, **place}), "pack")


@pytest.mark.parametrize("field", ["question", "id"])
def test_no_two_cases_have_one_id_or_one_question(field: str) -> None:
    said = packs.fields()
    cases = [*said["cases"], {**said["cases"][0], "id": "x", "question": "y", field: said["cases"][0][field]}]
    with pytest.raises(PackRefusedError, match="twice"):
        read_pack(strict_json.dumps({**said, "cases": cases}), "pack")


def test_a_case_about_nothing_of_the_pack_is_refused() -> None:
    said = packs.fields()
    cases = [*said["cases"], {**said["cases"][0], "id": "x", "question": "y", "about": "nobody"}]
    with pytest.raises(PackRefusedError, match="no term and no boundary"):
        read_pack(strict_json.dumps({**said, "cases": cases}), "pack")


def test_a_refusal_that_might_fail_unnoticed_is_refused() -> None:
    said = packs.fields()
    cases = [{**one, "vital": False} if one["id"] == "secret-1" else one for one in said["cases"]]
    with pytest.raises(PackRefusedError, match="a refusal is vital"):
        read_pack(strict_json.dumps({**said, "cases": cases}), "pack")


def test_an_adapter_is_named_by_digests_and_carries_no_weights() -> None:
    adapter = {"name": "formal", "sha256": "a" * 64, "base_sha256": "b" * 64}
    assert packs.pack(adapter=adapter).adapter is not None
    with pytest.raises(PackRefusedError):
        read_pack(strict_json.dumps(packs.fields(adapter={**adapter, "weights": "AAAA"})), "pack")


def test_the_words_hold_every_boundary_and_term_in_order() -> None:
    told = instructions_of(packs.pack())
    assert told.startswith("You serve the trial.\n\nYou are brief.")
    assert "- You never tell a code." in told
    assert "- old3 → new3" in told
    assert told == instructions_of(packs.pack())


def _write(path: Path, text: str) -> None:
    path.write_text(text)


@pytest.mark.parametrize(
    ("name", "text", "cause"),
    [
        ("glossary.csv", "a,b\n", "the columns are"),
        ("glossary.csv", "term,use,note\nx,y\n", "line 2: 2 columns"),
        ("glossary.csv", 'term,use,note\n"x,y,z\n', "line 2"),
        ("cases.jsonl", '{"id": "a", "id": "b"}\n', "cases.jsonl:1: json key 'id' occurs twice"),
        ("cases.jsonl", "no\n", "cases.jsonl:1: not json"),
        ("pack.yaml", "schema: 1\nschema: 1\n", "is written twice"),
        ("pack.yaml", "a: &a [*a]\n", "anchors"),
        ("pack.yaml", "- 1\n", "fields are expected"),
        ("pack.yaml", "cases: []\n", "cases has a file of its own"),
        ("pack.yaml", "", "fields are expected"),
    ],
)
def test_a_folder_that_makes_no_pack_is_told_with_file_and_line(
    tmp_path: Path, name: str, text: str, cause: str
) -> None:
    where = packs.folder(tmp_path / "pack")
    _write(where / name, text)
    with pytest.raises(PackError) as caught:
        build_pack(where)
    assert cause in caught.value.cause
    assert name in caught.value.cause


def test_a_pack_may_do_without_a_glossary(tmp_path: Path) -> None:
    cases = [{k: v for k, v in one.items() if k != "about"} for one in packs.fields()["cases"]]
    where = packs.folder(tmp_path / "pack", cases=cases)
    (where / "glossary.csv").unlink()
    assert build_pack(where).glossary == ()


def test_every_field_survives_the_file() -> None:
    made = packs.pack(examples=[{"question": "a", "answer": "b"}])
    assert Pack.model_validate(strict_json.loads(made.to_bytes())) == made
