"""Every example that the C2SP specifications give, word for word: our readers and writers agree with each.

Specifications: signed-note, tlog-checkpoint, tlog-cosignature, tlog-tiles, tlog-proof, tlog-witness. Where a
specification shows a signature without its key, what the line says is compared instead.
"""

from __future__ import annotations

import base64
import hashlib
import struct

import pytest

from appliance.audit.checkpoint import parse_body
from appliance.audit.cosignature import note_message, subtree_message
from appliance.audit.edge import Edge
from appliance.audit.note import ED25519_COSIGNATURE, ML_DSA_44, VerifierKey, parse_note
from appliance.audit.prove import tlog_proof
from appliance.audit.tiles import decode_entries, encode_entries, tile_path

TWO_PARAGRAPHS = """\
Ognuno sta solo sul cuor della terra
trafitto da un raggio di sole:

ed è subito sera.

— quasimodo.example/salvatore NnugSzTjtVAewIS+Z/iJhUPeFDkO/5QQ2i5ddnGITLlC+EhfLW9oJKONrMouFSQU0xMcXxj99ihAQwaqP3ZekRwNtIc=
"""  # noqa: E501 - the specification's own lines
COSIGNED = """\
example.com/behind-the-sofa
20852163
CsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I=

— example.com/behind-the-sofa Az3grlgtzPICa5OS8npVmf1Myq/5IZniMp+ZJurmRDeOoRDe4URYN7u5/Zhcyv2q1gGzGku9nTo+zyWE+xeMcTOAYQ8=
— witness.example.com/w1 jWbPPwAAAABkGFDLEZMHwSRaJNiIDoe9DYn/zXcrtPHeolMI5OWXEhZCB9dlrDJsX3b2oyin1nPZqhf5nNo0xUe+mbIUBkBIfZ+qnA==
"""  # noqa: E501 - the specification's own lines
COSIGNED_MESSAGE = """\
cosignature/v1
time 1679315147
example.com/behind-the-sofa
20852163
CsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I=
"""
TLOG_PROOF = """\
c2sp.org/tlog-proof@v1
index 73894
gSKyXoYZUgZ6jduWYrkDOARinOMGJveXjgMkBTcdPlQ=
B95lDa8R83lS8n0eG+o0buTxRKQTYFi//1U8anccXmA=

example.com/fancylog
109482
sFodV/vSp5O8n9a8QpW6PRY97tfOSW5bsc2Xl/EQi08=
"""


def test_signed_note_text_is_cut_at_the_last_empty_line() -> None:
    note = parse_note(TWO_PARAGRAPHS.encode())
    assert note.text == TWO_PARAGRAPHS.partition("\n— ")[0]
    (signature,) = note.signatures
    assert (signature.name, signature.key_id.hex()) == ("quasimodo.example/salvatore", "367ba04b")
    assert len(signature.blob) == 64
    assert note.encode() == TWO_PARAGRAPHS


def test_tlog_checkpoint_is_read_and_written_as_in_the_example() -> None:
    head = parse_body(parse_note(COSIGNED.encode()).text)
    assert (head.origin, head.size) == ("example.com/behind-the-sofa", 20852163)
    assert base64.b64encode(head.root) == b"CsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I="
    assert head.body() == COSIGNED.partition("\n\n")[0] + "\n"


def test_tlog_cosignature_s_line_holds_the_time_that_its_message_names() -> None:
    note = parse_note(COSIGNED.encode())
    _, witness = note.signatures
    (time,) = struct.unpack(">Q", witness.blob[:8])
    assert (witness.key_id.hex(), time, len(witness.blob)) == ("8d66cf3f", 1679315147, 72)
    assert note_message(note.text, time) == COSIGNED_MESSAGE.encode()


@pytest.mark.parametrize(("algorithm", "size"), [(ED25519_COSIGNATURE, 32), (ML_DSA_44, 1312)])
def test_tlog_cosignature_s_key_ids_are_hashed_as_specified(algorithm: int, size: int) -> None:
    key = VerifierKey("witness.example/w1", algorithm, bytes(size))
    expected = hashlib.sha256(b"witness.example/w1\n" + bytes([algorithm]) + bytes(size)).digest()[:4]
    assert key.key_id == expected
    assert VerifierKey.parse(key.encode()) == key


def test_tlog_cosignature_s_structure_is_laid_out_as_specified() -> None:
    made = subtree_message("witness.example/w1", "example.com/log", 0, 8, 13, bytes(range(32)))
    layout = (
        b"subtree/v1\n\0"
        b"\x12witness.example/w1"
        + struct.pack(">Q", 0)
        + b"\x0fexample.com/log"
        + struct.pack(">QQ", 8, 13)
        + bytes(range(32))
    )
    assert made == layout


def test_tlog_tiles_paths_are_those_of_the_examples() -> None:
    assert tile_path(0, 1234067) == "tile/0/x001/x234/067"
    assert tile_path(None, 1234067, 7) == "tile/entries/x001/x234/067.p/7"
    assert tile_path(63, 0) == "tile/63/000"


def test_tlog_tiles_of_a_log_of_70000_and_of_256_entries_are_those_of_the_examples() -> None:
    large = set(Edge().grow([b""] * 70_000).files)
    level = {name for name in large if not name.startswith("tile/entries")}
    assert level == {
        *(f"tile/0/{index:03d}" for index in range(273)),
        "tile/0/273.p/112",
        "tile/1/000",
        "tile/1/001.p/17",
        "tile/2/000.p/1",
    }
    assert set(Edge().grow([b""] * 256).files) == {"tile/entries/000", "tile/0/000", "tile/1/000.p/1"}


def test_tlog_tiles_bundles_put_sixteen_bits_of_length_before_each_entry() -> None:
    bundle = b"\x00\x02ab" + b"\x00\x00" + b"\x01\x00" + bytes(256)
    assert encode_entries([b"ab", b"", bytes(256)]) == bundle
    assert decode_entries(bundle) == ([b"ab", b"", bytes(256)], len(bundle))


def test_tlog_proof_is_written_as_in_the_example() -> None:
    lines = TLOG_PROOF.split("\n")
    checkpoint = TLOG_PROOF.partition("\n\n")[2]
    assert tlog_proof(73894, lines[2:4], checkpoint) == TLOG_PROOF
