"""An export is checked by the script that it carries: in a bare interpreter, with nothing but the log's keys."""

from __future__ import annotations

import base64
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.asymmetric.mldsa import MLDSA44PrivateKey, MLDSA44PublicKey

from appliance.audit import export_check
from appliance.audit.errors import LogForkedError, LogRewoundError
from appliance.audit.export import export_range
from appliance.audit.keys import CheckpointKeys
from appliance.audit.note import Note, parse_note
from appliance.errors import LogInconsistentError, UsageError

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.audit.auditor import Auditor
    from tests.audit.bench import Bench


def write_keys(bench: Bench, path: Path) -> Path:
    path.write_text("# the log's keys\n" + "".join(key.encode() + "\n" for key in bench.vkeys))
    return path


def check(folder: Path, keys: Path, *options: object) -> subprocess.CompletedProcess[str]:
    """Run the export's own script: isolated, without site packages, knowing nothing of this repository."""
    command = [sys.executable, "-I", "-S", "-B", str(folder / "verify.py"), "--vkeys", str(keys), *map(str, options)]
    return subprocess.run(command, capture_output=True, text=True, check=False, cwd="/", env={}, timeout=60)


@pytest.fixture
def keys(bench: Bench, tmp_path: Path) -> Path:
    return write_keys(bench, tmp_path / "keys")


@pytest.mark.parametrize(
    "span", [(1, 0, 0), (300, 0, 299), (300, 17, 18), (300, 255, 256), (513, 512, 512), (257, 0, 0)]
)
def test_a_bare_interpreter_verifies_an_export(
    bench: Bench, keys: Path, tmp_path: Path, span: tuple[int, int, int]
) -> None:
    size, first, last = span
    bench.fill(size)
    export_range(bench.directory, tmp_path / "out", first=first, last=last, vkeys=bench.vkeys)
    done = check(tmp_path / "out", keys)
    assert (done.returncode, done.stderr) == (0, "")
    assert f"entries {first} to {last} of {bench.origin} hold: {size} entries" in done.stdout
    lines = (tmp_path / "out" / "entries.jsonl").read_bytes().splitlines()
    assert lines == [entry for _, entry in bench.records(*range(first, last + 1))]


def test_the_script_has_no_more_than_two_hundred_lines_and_imports_the_standard_library_only() -> None:
    lines = Path(export_check.__file__).read_text().splitlines()
    assert len(lines) <= 200
    imported = {line.split()[1].split(".")[0] for line in lines if line.startswith(("import ", "from "))}
    assert imported <= sys.stdlib_module_names


@pytest.mark.skipif(not Path("/usr/bin/python3").exists(), reason="no other Python here")
def test_the_system_s_own_python_verifies_an_export(bench: Bench, keys: Path, tmp_path: Path) -> None:
    bench.fill(20)
    export_range(bench.directory, tmp_path / "out", first=3, last=9, vkeys=bench.vkeys)
    command = ["/usr/bin/python3", "-I", "-S", "-B", str(tmp_path / "out" / "verify.py"), "--vkeys", str(keys)]
    assert subprocess.run(command, capture_output=True, check=False, env={}, timeout=60).returncode == 0


@pytest.mark.parametrize("sizes", [(1, 2), (7, 7), (255, 513), (256, 300)])
def test_the_script_holds_the_log_against_a_kept_checkpoint(
    bench: Bench, keys: Path, tmp_path: Path, sizes: tuple[int, int]
) -> None:
    old, new = sizes
    bench.fill(old)
    kept = tmp_path / "kept"
    kept.write_bytes((bench.directory / "checkpoint").read_bytes())
    bench.fill(new - old, start=old)
    export_range(bench.directory, tmp_path / "out", first=0, last=0, vkeys=bench.vkeys, kept=kept.read_text())
    assert check(tmp_path / "out", keys, "--kept", kept).returncode == 0
    fork = type(bench)(tmp_path / "fork", bench.keys)
    fork.fill(old, start=700)
    foreign = check(tmp_path / "out", keys, "--kept", fork.directory / "checkpoint")
    assert (foreign.returncode, foreign.stdout) == (6, "")
    assert "does not extend" in foreign.stderr


def test_a_checkpoint_that_the_export_says_nothing_about_is_not_taken_for_extended(
    bench: Bench, keys: Path, tmp_path: Path
) -> None:
    bench.fill(9)
    kept = tmp_path / "kept"
    kept.write_bytes((bench.directory / "checkpoint").read_bytes())
    bench.fill(9, start=9)
    export_range(bench.directory, tmp_path / "out", first=0, last=0, vkeys=bench.vkeys)
    assert check(tmp_path / "out", keys, "--kept", kept).returncode == 6


def _lines(change: Callable[[list[bytes]], list[bytes]]) -> Callable[[Path], None]:
    def apply(folder: Path) -> None:
        path = folder / "entries.jsonl"
        path.write_bytes(b"".join(line + b"\n" for line in change(path.read_bytes().splitlines())))

    return apply


def _proof(**fields: object) -> Callable[[Path], None]:
    def apply(folder: Path) -> None:
        path = folder / "proof.json"
        path.write_text(json.dumps(json.loads(path.read_text()) | fields))

    return apply


def _torn(folder: Path) -> None:
    path = folder / "entries.jsonl"
    path.write_bytes(path.read_bytes() + b'{"unproven":true}')


def _stripped(half: int) -> Callable[[Path], None]:
    def apply(folder: Path) -> None:
        note = parse_note((folder / "checkpoint").read_bytes())
        kept = tuple(one for number, one in enumerate(note.signatures) if number != half)
        (folder / "checkpoint").write_text(Note(note.text, kept).encode())

    return apply


def _mixed(folder: Path) -> None:
    path = folder / "checkpoint"
    path.write_text(path.read_text().replace("\n30\n", "\n31\n", 1))


CHANGES: dict[str, Callable[[Path], None]] = {
    "an entry edited": _lines(lambda e: [*e[:2], e[2].replace(b"demo", b"omed"), *e[3:]]),
    "an entry deleted": _lines(lambda e: [*e[:2], *e[3:]]),
    "an entry inserted": _lines(lambda e: [*e[:2], e[0], *e[2:]]),
    "two entries swapped": _lines(lambda e: [e[1], e[0], *e[2:]]),
    "an entry added at the end": _lines(lambda e: [*e, e[0]]),
    "the last entry cut": _lines(lambda e: e[:-1]),
    "nothing left": _lines(lambda _: []),
    "text behind the last entry": _torn,
    "another position": _proof(first=6),
    "a negative position": _proof(first=-1),
    "a position that is no number": _proof(first="5"),
    "a hash missing": _proof(hashes=[]),
    "hashes of zeros": _proof(hashes=[base64.b64encode(bytes(32)).decode()] * 9),
    "the Ed25519 half stripped": _stripped(0),
    "the ML-DSA-44 half stripped": _stripped(1),
    "another size": _mixed,
    "no JSON": lambda folder: (folder / "proof.json").write_text("{") and None,
    "no checkpoint": lambda folder: (folder / "checkpoint").write_text("") and None,
}


@pytest.mark.parametrize("change", CHANGES)
def test_the_script_refuses_an_export_that_was_changed(  # noqa: PLR0913, PLR0917 - fixtures
    bench: Bench,
    keys: Path,
    tmp_path: Path,
    change: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    bench.fill(30)
    export_range(bench.directory, tmp_path / "out", first=5, last=29, vkeys=bench.vkeys)
    monkeypatch.setattr(sys, "argv", ["verify.py", "--vkeys", str(keys), str(tmp_path / "out")])
    assert export_check.main() == 0
    capsys.readouterr()
    CHANGES[change](tmp_path / "out")
    assert export_check.main() == 6
    said = capsys.readouterr()
    assert (said.out, said.err.startswith("REFUSED: ")) == ("", True)


def test_36_an_export_signed_anew_is_refused_though_it_brings_its_keys(
    bench: Bench, keys: Path, tmp_path: Path
) -> None:
    forged = type(bench)(tmp_path / "forged", CheckpointKeys.generate())
    forged.fill(9)
    export_range(forged.directory, tmp_path / "out", first=0, last=8, vkeys=forged.vkeys)
    own = write_keys(forged, tmp_path / "out" / "vkeys")
    assert check(tmp_path / "out", own).returncode == 0  # by its own keys it would hold
    done = check(tmp_path / "out", keys)
    assert (done.returncode, "not signed by both keys" in done.stderr) == (6, True)


def test_cosignatures_of_witnesses_do_not_disturb_the_script(
    bench: Bench, keys: Path, tmp_path: Path, auditor: Auditor
) -> None:
    bench.fill(9)
    cosigned = auditor.cosign()
    (bench.directory / "checkpoint").write_text(cosigned)
    export_range(bench.directory, tmp_path / "out", first=0, last=8, vkeys=bench.vkeys)
    assert check(tmp_path / "out", keys).returncode == 0


def test_its_ed25519_agrees_with_openssl_on_true_and_false_signatures() -> None:
    for number in range(12):
        private = Ed25519PrivateKey.generate()
        key, message = private.public_key().public_bytes_raw(), os.urandom(number * 9)
        signature = private.sign(message)
        assert export_check.ed25519_holds(key, message, signature)
        for place in (0, 31, 32, 40):
            damaged = bytearray(signature)
            damaged[place] ^= 1 << number % 8
            with pytest.raises(InvalidSignature):
                Ed25519PublicKey.from_public_bytes(key).verify(bytes(damaged), message)
            assert not export_check.ed25519_holds(key, message, bytes(damaged))
        assert not export_check.ed25519_holds(key, message + b"x", signature)
    order = export_check.ORDER
    more = int.from_bytes(signature[32:], "little") + order
    assert not export_check.ed25519_holds(key, message, signature[:32] + more.to_bytes(32, "little"))


def test_its_ml_dsa_44_agrees_with_openssl_on_true_and_false_signatures() -> None:
    for number in range(2):
        private = MLDSA44PrivateKey.generate()
        key, message = private.public_key().public_bytes_raw(), os.urandom(100 * number)
        signature = private.sign(message)
        assert export_check.ml_dsa_44_holds(key, message, signature)
        for place in (0, 32, 2335, 2336, 2419):
            damaged = bytearray(signature)
            damaged[place] ^= 1 << number % 8
            with pytest.raises(InvalidSignature):
                MLDSA44PublicKey.from_public_bytes(key).verify(bytes(damaged), message)
            assert not _holds(key, message, bytes(damaged))
        assert not export_check.ml_dsa_44_holds(key, message + b"x", signature)
        assert not export_check.ml_dsa_44_holds(key, message, signature[:-1])


def _holds(key: bytes, message: bytes, signature: bytes) -> bool:
    try:
        return export_check.ml_dsa_44_holds(key, message, signature)
    except ValueError:
        return False


def test_a_range_that_is_not_there_and_a_folder_that_is_are_refused(bench: Bench, tmp_path: Path) -> None:
    bench.fill(9)
    out = tmp_path / "out"
    for first, last in ((0, 9), (-1, 3), (5, 4)):
        with pytest.raises(UsageError, match="not in the log: it holds 9"):
            export_range(bench.directory, out, first=first, last=last, vkeys=bench.vkeys)
    out.mkdir()
    with pytest.raises(UsageError, match="exists"):
        export_range(bench.directory, out, first=0, last=8, vkeys=bench.vkeys)
    assert list(tmp_path.glob("out*")) == [out]


def test_an_edited_log_exports_nothing(bench: Bench, tmp_path: Path) -> None:
    bench.fill(9)
    path = bench.directory / "tile/entries/000.p/9"
    path.write_bytes(path.read_bytes().replace(b'"demo"', b'"omed"', 1))
    with pytest.raises(LogInconsistentError, match="entry 0 was changed"):
        export_range(bench.directory, tmp_path / "out", first=0, last=8, vkeys=bench.vkeys)
    assert list(tmp_path.glob("out*")) == []


def test_a_log_that_does_not_extend_what_was_kept_exports_nothing(bench: Bench, tmp_path: Path) -> None:
    bench.fill(9)
    other = type(bench)(tmp_path / "other", bench.keys)
    for count, error in ((9, LogForkedError), (12, LogRewoundError)):
        other.fill(count - (9 if count > 9 else 0), start=500 + count)
        kept = (other.directory / "checkpoint").read_text()
        with pytest.raises(error):
            export_range(bench.directory, tmp_path / "out", first=0, last=8, vkeys=bench.vkeys, kept=kept)
    assert list(tmp_path.glob("out*")) == []
