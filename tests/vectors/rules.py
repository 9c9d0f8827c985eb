"""The rules of FORMAT.md and its parts that vectors cite: a short id, the section, and words that stand there.

A rule whose words are gone from its section, and a paragraph that says MUST and holds no rule, fail
`tests/unit/vectors/test_coverage.py`: who changes the format comes by here.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from tests.vectors.tree import load, vectors

HERE = Path(__file__).parent
FORMAT = sorted((HERE.parents[1] / "airgap_bundle").glob("FORMAT*.md"))
README = HERE / "README.md"
_TABLE = re.compile(r"(?<=<!-- begin table -->\n).*?(?=<!-- end table -->)", re.DOTALL)


@dataclass(frozen=True)
class Rule:
    """``words`` are quoted from section ``section``, white space apart.

    ``elsewhere`` names the tests of a rule that no small file can show: who may write a file, what a person is shown.
    """

    section: int
    words: str
    elsewhere: str | None = None


RULES = {
    "exact-files": Rule(1, "exactly these files, and no other"),
    "regular-files": Rule(1, "symbolic links, devices, FIFOs and sockets are refused"),
    "caps": Rule(1, "A reader MUST apply them before it parses"),
    "strict-json": Rule(2, "A reader MUST refuse: bytes that are not UTF-8"),
    "instants": Rule(2, "A digest is `sha256:` and 64 lower-case hex digits"),
    "names": Rule(3, "is data, never a path"),
    "distinct-names": Rule(3, "Two names in one scope MUST NOT be equal"),
    "index": Rule(4, "Each descriptor MUST carry `artifactType`"),
    "contents": Rule(4, "One digest MUST have one size"),
    "types": Rule(4, "Other artifact types are refused"),
    "release": Rule(4, "MUST be exactly those of the artifacts in the index"),
    "sboms": Rule(4, "A `subject` MUST be an artifact of the same index"),
    "archives": Rule(5, "A reader MUST refuse any other byte in a header or in padding"),
    "signer-file": Rule(6, "base64 of the raw public keys"),
    "envelope": Rule(7, "and nothing else; no key id occurs twice"),
    "metadata": Rule(7, "`version` is an integer from 1 to 2^63"),
    "key-spelling": Rule(8, "every key is in the one spelling of section 6"),
    "pairs": Rule(8, "every role's keys pair up to signers"),
    "threshold": Rule(8, "every role's threshold is even"),
    "signed": Rule(8, "k with ML-DSA-65, and k with both"),
    "chain": Rule(8, "A root is signed by k of its own persons and by k of its predecessor's"),
    "reader-order": Rule(9, "A reader MUST follow this order"),
    "pinned-root": Rule(9, "without either nothing is trusted"),
    "metadata-agrees": Rule(9, "timestamp binds snapshot, snapshot binds targets"),
    "floors": Rule(9, "none below the site's floor"),
    "release-floor": Rule(9, "which no root ever resets"),
    "freshness": Rule(9, "a verdict of its own that nothing rests on"),
    "import": Rule(9, "MUST change nothing on a refusal"),
    "lost-state": Rule(9, "MUST ask for the fingerprint again"),
    "statements": Rule(11, "exactly the two signatures of one signer"),
    "responding": Rule(13, "Whoever responds MUST check sections 4 and 8"),
    "collecting": Rule(13, "MUST add all responses or none"),
    "tokens": Rule(14, "a reader MUST refuse it, or the module", "tests/unit/bundle/test_token_files.py"),
    "succession": Rule(15, "whoever drafts or signs MUST refuse that", "tests/attacks/bundle/test_rotation.py"),
    "contact": Rule(21, "a reader MUST make it again and refuse any other byte"),
    "contact-signed": Rule(21, "exactly those persons signed it who signed the targets"),
    "card": Rule(
        21,
        "MUST run nothing of the bundle before k of the card's persons",
        "tests/attacks/bundle/test_first_contact.py",
    ),
    "images": Rule(4, "`artifactType` and `subject` MUST be absent", "tests/attacks/images/test_image_content.py"),
    "publishers": Rule(
        16, "reader MUST refuse: members that it does not know", "tests/attacks/model/test_publisher_attacks.py"
    ),
    "models-scope": Rule(22, "Every artifact MUST be a model"),
    "models-targets": Rule(22, "whose targets MUST be exactly `models/index.json`"),
    "models-under": Rule(22, "`signed` MUST have `x-sovereign-root`"),
    "models-replay": Rule(22, "MUST refuse what was signed under any other root"),
    "models-floors": Rule(22, "MUST NOT raise, lower or satisfy a floor of releases"),
    "grant": Rule(22, "section 8 counts it as one more role"),
    "packed-head": Rule(17, "all are at most 1,024 and 64 MiB"),
    "packed": Rule(17, "Either MUST refuse anything after the end"),
    "parts": Rule(18, "MUST NOT follow links", "tests/attacks/media/test_part_attacks.py"),
    "parts-list": Rule(
        18, "A reader MUST verify roots and statement before it uses a part", "tests/attacks/media/test_part_attacks.py"
    ),
    "delta": Rule(19, "A reader without a store MUST report the file list as failed"),
    "returns": Rule(
        20, "A reader MUST verify the statement before it reads a file", "tests/attacks/media/test_return_attacks.py"
    ),
    "versions": Rule(12, "A reader of version 1 refuses version 2"),
}


def sections() -> dict[int, list[str]]:
    """Paragraphs of the format by section, white space folded; a list belongs to the paragraph that announces it."""
    found: dict[int, list[str]] = {}
    parts = [part for path in FORMAT for part in re.split(r"^## ", path.read_text(), flags=re.MULTILINE)[1:]]
    for part in parts:
        number = int(part.partition(".")[0])
        joined = re.sub(r":\n\s*\n", ":\n", part)
        found[number] = [" ".join(paragraph.split()) for paragraph in re.split(r"\n\s*\n", joined)]
    return found


def cited() -> dict[str, list[str]]:
    """Names of the vectors by the rule that they cite."""
    found: dict[str, list[str]] = {rule: [] for rule in RULES}
    for vector in vectors(HERE):
        for rule in load(vector)[0]["rules"]:
            found[rule].append(vector.name)
    return found


def table() -> str:
    """Markdown: a row for each rule."""
    rows = [
        f"| {RULES[rule].section} | {RULES[rule].words} | {_tried(RULES[rule], names)} |"
        for rule, names in cited().items()
    ]
    return "\n".join(["| section | words | vectors |", "|---|---|---|", *rows]) + "\n"


def _tried(rule: Rule, names: list[str]) -> str:
    vectors_ = ", ".join(f"`{name}`" for name in names)
    return vectors_ if rule.elsewhere is None else f"{vectors_} in `{rule.elsewhere}`".strip()


def write_table() -> None:
    """Put the table into README.md, between its marks."""
    text = README.read_text()
    README.write_text(_TABLE.sub(lambda _: table(), text))
