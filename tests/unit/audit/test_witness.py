"""A witness keeps what the log signed, cosigns only what extends it, and what it brings back is counted."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from airgap_bundle.errors import KeyFileError
from appliance.audit import witness as folders
from appliance.audit.cosigned import Witness, brought_back, open_cosigned, parse_witnesses
from appliance.audit.delivery import check_delivery, enrolled
from appliance.audit.errors import LogTamperedError, NoteError
from appliance.audit.note import Note, parse_note
from appliance.audit.witness_keys import WitnessKeys
from appliance.audit.witness_request import Request, make_request
from appliance.errors import UsageError
from tests.audit.auditor import NOW, PASSPHRASE, QUICK, Auditor

if TYPE_CHECKING:
    from pathlib import Path

    from tests.audit.bench import Bench

SPECIFIED = """\
old 20852014
PlRNCrwHpqhGrupue0L7gxbjbMiKA9temvuZZDDpkaw=
jrJZDmY8Y7SyJE0MWLpLozkIVMSMZcD5kvuKxPC3swk=
5+pKlUdi2LeF/BcMHBn+Ku6yhPGNCswZZD1X/6QgPd8=
/6WVhPs2CwSsb5rYBH5cjHV/wSmA79abXAwhXw3Kj/0=

example.com/behind-the-sofa
20852163
CsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I=

— example.com/behind-the-sofa Az3grlgtzPICa5OS8npVmf1Myq/5IZniMp+ZJurmRDeOoRDe4URYN7u5/Zhcyv2q1gGzGku9nTo+zyWE+xeMcTOAYQ8=
"""  # noqa: E501 - the specification's own line


@pytest.mark.parametrize("sizes", [(0, 1), (3, 3), (5, 256), (255, 300), (256, 512), (300, 301)])
@pytest.mark.parametrize("way", ["log", "request"])
def test_a_log_that_grew_is_cosigned_and_the_cosignature_counts_at_the_site(
    bench: Bench, auditor: Auditor, sizes: tuple[int, int], way: str
) -> None:
    cosign = auditor.cosign if way == "log" else auditor.cosign_request
    before, after = sizes
    bench.fill(before)
    auditor.bring_back(cosign(now=NOW))
    bench.fill(after - before, start=before)
    (found,) = auditor.bring_back(cosign(now=NOW + 60))
    assert (found.witness, found.head.size, found.time) == (auditor.name, after, NOW + 60)
    assert bench.verify(witnessed=[found]).size == after


def test_what_a_witness_keeps_is_durable_before_its_cosignature_is_out(bench: Bench, auditor: Auditor) -> None:
    bench.fill(7)
    cosigned = auditor.cosign()
    kept = auditor.open().kept
    assert kept is not None
    assert (kept.note, kept.head.size, kept.time) == (cosigned, 7, NOW)


def test_a_check_changes_nothing(bench: Bench, auditor: Auditor) -> None:
    bench.fill(7)
    before = auditor.state()
    auditor.open().examine(bench.directory)
    auditor.open().examine_request(make_request(bench.directory, 0, vkeys=bench.vkeys).encode())
    assert auditor.state() == before


def test_a_witness_never_dates_a_cosignature_before_its_last(bench: Bench, auditor: Auditor) -> None:
    bench.fill(2)
    auditor.cosign(now=NOW)
    bench.fill(2, start=2)
    _, (found,) = open_cosigned(auditor.cosign(now=NOW - 999).encode(), bench.vkeys, [auditor.witness])
    assert found.time == NOW


@pytest.mark.parametrize("half", [0, 1])
def test_a_cosignature_without_one_of_its_halves_is_none(bench: Bench, auditor: Auditor, half: int) -> None:
    bench.fill(2)
    note = parse_note(auditor.cosign().encode())
    of_witness = [one for one in note.signatures if one.name == auditor.name]
    stripped = Note(note.text, tuple(one for one in note.signatures if one is not of_witness[half])).encode()
    assert open_cosigned(stripped.encode(), bench.vkeys, [auditor.witness])[1] == ()
    with pytest.raises(NoteError, match="not cosigned by a witness that is enrolled"):
        check_delivery(bench.directory, stripped.encode(), log_keys=bench.vkeys, witnesses=[auditor.witness])


def test_the_cosignature_of_a_stranger_counts_for_nothing(bench: Bench, auditor: Auditor) -> None:
    bench.fill(2)
    cosigned = auditor.cosign().encode()
    stranger = Witness(auditor.name, WitnessKeys.generate(auditor.name).vkeys())
    with pytest.raises(NoteError):
        check_delivery(bench.directory, cosigned, log_keys=bench.vkeys, witnesses=[stranger])
    assert brought_back(bench.directory, bench.vkeys, [auditor.witness]) == ()


def test_an_older_cosignature_does_not_replace_a_later_one(bench: Bench, auditor: Auditor) -> None:
    bench.fill(2)
    first = auditor.cosign(now=NOW)
    bench.fill(2, start=2)
    auditor.bring_back(auditor.cosign(now=NOW + 1))
    with pytest.raises(UsageError, match="cosigned 4 entries already"):
        auditor.bring_back(first)
    assert brought_back(bench.directory, bench.vkeys, [auditor.witness])[0].head.size == 4


def test_a_request_is_the_body_of_the_specification(bench: Bench) -> None:
    request = Request.parse(SPECIFIED.encode())
    assert (request.old, len(request.proof)) == (20852014, 4)
    assert request.encode() == SPECIFIED.encode()
    bench.fill(3)
    assert make_request(bench.directory, 0, vkeys=bench.vkeys).encode().startswith(b"old 0\n\nsite.example/audit\n3\n")


@pytest.mark.parametrize(
    "change",
    [
        ("old 20852014", "old 020852014"),
        ("old 20852014", "old -1"),
        ("old 20852014", "new 20852014"),
        ("PlRN", "PlR"),
        ("PlRN", "Pl*N"),
        ("old 20852014\n", "old 20852014\n" + "PlRNCrwHpqhGrupue0L7gxbjbMiKA9temvuZZDDpkaw=\n" * 60),
        ("\n\n", "\n"),
    ],
)
def test_a_malformed_request_is_refused(change: tuple[str, str]) -> None:
    with pytest.raises(NoteError, match="no request to a witness"):
        Request.parse(SPECIFIED.replace(*change).replace("\n\n— ", "\n— ").encode())


def test_a_request_from_elsewhere_says_where_the_witness_stands(bench: Bench, auditor: Auditor) -> None:
    bench.fill(5)
    auditor.cosign()
    bench.fill(5, start=5)
    request = make_request(bench.directory, 3, vkeys=bench.vkeys).encode()
    with pytest.raises(UsageError, match="starts from 3 entries; this witness cosigned 5") as caught:
        auditor.open().examine_request(request)
    assert "--old 5" in str(caught.value.hint)


def test_a_request_for_more_than_the_log_holds_is_refused(bench: Bench) -> None:
    bench.fill(3)
    with pytest.raises(UsageError, match="holds 3 entries, fewer than 4"):
        make_request(bench.directory, 4, vkeys=bench.vkeys)


def test_a_witness_is_made_once_and_opens_with_its_passphrase_only(auditor: Auditor) -> None:
    with pytest.raises(UsageError, match="exists already"):
        folders.create(auditor.folder, auditor.keys, auditor.bench.vkeys, b"")
    assert folders.load_keys(auditor.folder, PASSPHRASE).vkeys() == auditor.keys.vkeys()
    with pytest.raises(KeyFileError, match="wrong passphrase"):
        folders.load_keys(auditor.folder, b"another one")
    assert (auditor.folder / "witness.key").stat().st_mode & 0o777 == 0o600
    assert b"PRIVATE KEY" in (auditor.folder / "witness.key").read_bytes()
    assert repr(auditor.keys) == f"WitnessKeys({auditor.name!r}, …)"


def test_a_witness_may_not_bear_the_log_s_name(bench: Bench, tmp_path: Path) -> None:
    keys = WitnessKeys.generate(bench.origin)
    with pytest.raises(UsageError, match="the log's own name"):
        folders.create(tmp_path / "w", keys, bench.vkeys, keys.encode(PASSPHRASE, cost=QUICK))


def test_a_key_of_another_witness_signs_nothing_in_this_folder(bench: Bench, auditor: Auditor) -> None:
    bench.fill(1)
    folder = auditor.open()
    before = auditor.state()
    with pytest.raises(UsageError, match="of another witness"):
        folder.cosign(folder.examine(bench.directory), WitnessKeys.generate(auditor.name), NOW)
    assert auditor.state() == before


def test_witnesses_are_enrolled_one_by_one_and_never_replaced(bench: Bench, auditor: Auditor, tmp_path: Path) -> None:
    policy = tmp_path / "audit-witnesses"
    lines = (auditor.folder / "witness.vkeys").read_text()
    witness, after = enrolled(policy, lines, bench.origin)
    assert witness == auditor.witness
    policy.write_text(after)
    other = WitnessKeys.generate("auditor.example/w2")
    policy.write_text(enrolled(policy, "".join(f"{key.encode()}\n" for key in other.vkeys()), bench.origin)[1])
    assert [one.name for one in parse_witnesses(policy.read_text())] == ["auditor.example/w1", "auditor.example/w2"]
    with pytest.raises(UsageError, match="enrolled already"):
        enrolled(policy, lines, bench.origin)
    with pytest.raises(UsageError, match="one witness is expected, 2"):
        enrolled(policy, policy.read_text(), bench.origin)
    with pytest.raises(UsageError, match="needs one Ed25519 and one ML-DSA-44"):
        enrolled(policy, lines.splitlines()[0], bench.origin)


def test_one_key_under_two_names_is_refused(bench: Bench, auditor: Auditor, tmp_path: Path) -> None:
    """An Ed25519 cosignature does not name its cosigner: one key could pass for two witnesses."""
    twin = WitnessKeys("auditor.example/twin", auditor.keys.ed25519, WitnessKeys.generate("x").mldsa44)
    policy = tmp_path / "audit-witnesses"
    policy.write_text((auditor.folder / "witness.vkeys").read_text())
    with pytest.raises(UsageError, match="one key stands under two names"):
        enrolled(policy, "".join(f"{key.encode()}\n" for key in twin.vkeys()), bench.origin)


def test_verification_holds_the_log_against_what_witnesses_cosigned(bench: Bench, auditor: Auditor) -> None:
    bench.fill(20)
    (found,) = auditor.bring_back(auditor.cosign())
    other = type(bench)(bench.directory.with_name("other"), bench.keys)
    other.fill(30, start=500)
    with pytest.raises(LogTamperedError, match=r"not those of the checkpoint that auditor\.example/w1 cosigned"):
        other.verify(witnessed=[found])
    other = type(bench)(bench.directory.with_name("short"), bench.keys)
    other.fill(19)
    with pytest.raises(LogTamperedError, match=r"rewound: the log holds 19 entries, .* cosigned 20"):
        other.verify(witnessed=[found])
