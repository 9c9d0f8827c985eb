"""What a hostile site, or whoever carries its bundle, tries against the builder's folder; it stays as it was."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING

import pytest

from airgap_bundle import strict_json
from airgap_bundle.digest import sha256
from airgap_bundle.errors import UnsafeNameError
from airgap_bundle.media.packed_header import END, member_header
from airgap_bundle.media.return_bundle import (
    KINDS,
    RETURN_TYPE,
    STATEMENT,
    Manifest,
    ReturnFile,
    describe,
    write_return,
)
from airgap_bundle.statement import sign_statement
from airgap_bundle.tar_header import padding
from appliance.errors import SovereignError, UsageError
from appliance.learning.errors import ExchangeError, ExchangeRefusedError
from appliance.learning.exchange.export import NAME
from appliance.learning.exchange.shared import Shared
from tests.bundles import NOW, signer
from tests.commands import run, run_json
from tests.learning.exchanging import export, shared

if TYPE_CHECKING:
    from pathlib import Path

FIRST = export("north", 1, shared())


def packed(
    data: bytes, *, site: str = "north", by: str | None = None, name: str = NAME, kind: str = "learning"
) -> bytes:
    out, content = io.BytesIO(), io.BytesIO(data)
    write_return(out, describe(site, NOW, {name: (kind, content)}), {name: content}, signer(by or site))
    return out.getvalue()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder that knows two sites, and holds the second export of one."""
    into = tmp_path / "learnt"
    (into / "keys").mkdir(parents=True)
    for site in ("north", "south"):
        (into / "keys" / f"{site}.pub").write_bytes(signer(site).public.to_bytes())
    first = tmp_path / "second.return"
    first.write_bytes(packed(export("north", 2, shared()).to_bytes()))
    assert run("learn", "import", first, "--into", into).exit_code == 0
    return into


def everything(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def refused(folder: Path, data: bytes, beside: bytes | None = None) -> SovereignError:
    """The refusal of a bundle, alone or together with a good one; nothing changes either way."""
    before = everything(folder)
    path = folder.parent / "hostile.return"
    path.write_bytes(data)
    good = folder.parent / "good.return"
    good.write_bytes(
        beside or packed(export("south", 1, shared("Where is the lift?", "hall")).to_bytes(), site="south")
    )
    for given in ([path], [good, path], [path, good]):
        with pytest.raises(SovereignError) as found:
            run("learn", "import", *given, "--into", folder)
        assert everything(folder) == before
    return found.value


def test_a_forged_site_is_refused(folder: Path) -> None:
    third = export("north", 3, shared())
    assert isinstance(refused(folder, packed(third.to_bytes(), by="stranger")), ExchangeRefusedError)
    assert "nobody whose key is known" in str(refused(folder, packed(third.to_bytes(), site="west")))
    assert "says it is from north" in str(refused(folder, packed(third.to_bytes(), site="south")))


def test_a_byte_changed_on_the_way_is_refused(folder: Path) -> None:
    data = packed(export("north", 3, shared()).to_bytes())
    refused(folder, data.replace(b"three months", b"eight months"))
    refused(folder, data[:-700])


def test_an_older_export_does_not_bring_back_what_was_retired(folder: Path) -> None:
    assert "export 1 is older than export 2" in str(refused(folder, packed(FIRST.to_bytes())))


def test_two_exports_of_one_number_are_refused(folder: Path) -> None:
    other = export("north", 2, shared("Where is the lift?", "hall"))
    assert "two different exports" in str(refused(folder, packed(other.to_bytes())))


@pytest.mark.parametrize("text", ["a\x1b]0;owned\x07b", "a\x1b[2Jb", "a\u202eb", "a\u200bb", "a\x00b", "a\rb"])
def test_a_case_that_steers_a_terminal_is_refused_and_none_of_it_is_shown(folder: Path, text: str) -> None:
    raw = shared().model_dump(mode="json") | {"question": text}
    digest = str(sha256(strict_json.dumps(raw)))
    lines = FIRST.to_bytes().splitlines()
    case = strict_json.dumps({"type": "case", "digest": digest, "roles": [], "case": raw})
    head = lines[0].replace(b'"number":1', b'"number":3')
    error = refused(folder, packed(head + b"\n" + case + b"\n"))
    assert isinstance(error, ExchangeError)
    assert str(error).isprintable()


def test_html_in_a_case_is_text(folder: Path, tmp_path: Path) -> None:
    path = tmp_path / "html.return"
    hostile = shared("<img src=x onerror=alert(1)>?", "<script>alert(1)</script> north")
    path.write_bytes(
        packed(export("south", 1, hostile, shared("<img src=x onerror=alert(1)>?", "no")).to_bytes(), site="south")
    )
    told = run_json("learn", "import", path, "--into", folder)
    assert {one["case"]["question"] for one in told["blocked"]} == {hostile.question}
    assert not [found for found in folder.rglob("*") if found.suffix in {".html", ".md"}]


def test_a_million_cases_are_refused_before_they_are_read(folder: Path) -> None:
    line = b'{"type":"retired","digest":"sha256:' + b"0" * 64 + b'"}\n'
    assert "longer than" in str(refused(folder, packed(FIRST.to_bytes() + line * 1_000_000)))
    short = b"{}\n" * 1_000_000
    assert "lines" in str(refused(folder, packed(FIRST.to_bytes() + short)))


def test_one_digest_with_other_bytes_is_refused(folder: Path) -> None:
    data = export("north", 3, shared()).to_bytes()
    assert "another digest" in str(refused(folder, packed(data.replace(b"three months", b"eight months"))))
    one = data.splitlines(keepends=True)
    assert isinstance(refused(folder, packed(one[0] + one[1] + one[1])), ExchangeError)
    assert isinstance(refused(folder, packed(data.replace(b'"vital":false', b'"vital": false'))), ExchangeError)


def test_a_case_given_and_retired_at_once_is_refused(folder: Path) -> None:
    assert "at once" in str(
        refused(folder, packed(export("north", 3, shared(), retired=(shared().digest,)).to_bytes()))
    )


@pytest.mark.parametrize("name", ["../north.jsonl", "/etc/passwd", "sites/north.jsonl", "con", "a\\b"])
def test_a_name_that_is_a_path_is_refused(folder: Path, name: str) -> None:
    data = FIRST.to_bytes()
    with pytest.raises(UnsafeNameError):
        packed(data, name=name)
    manifest = Manifest("north", NOW, (ReturnFile(name, KINDS["learning"], len(data), sha256(data)),))
    statement = sign_statement(manifest.to_json(), RETURN_TYPE, signer("north"))
    hostile = member_header(STATEMENT, len(statement)) + statement + padding(len(statement))
    hostile += member_header(f"files/{NAME}", len(data)) + data + padding(len(data)) + END
    assert "unsafe name" in str(refused(folder, hostile))


@pytest.mark.parametrize("site", ["../../tmp/x", "North", "", "a/b", ".hidden", "con", "x" * 64])
def test_a_sites_name_that_is_no_name_is_refused_though_its_bundle_is_signed(folder: Path, site: str) -> None:
    head = FIRST.to_bytes().replace(b'"site":"north"', b'"site":' + strict_json.dumps(site))
    error = refused(folder, packed(head.replace(b'"number":1', b'"number":3')))
    assert isinstance(error, (ExchangeError, ExchangeRefusedError))


def test_another_file_in_the_bundle_is_refused(folder: Path) -> None:
    data = export("north", 3, shared()).to_bytes()
    for name, kind in ((NAME, "support"), ("other.jsonl", "learning")):
        assert "alone" in str(refused(folder, packed(data, name=name, kind=kind)))


def test_a_decision_about_what_is_not_there_is_refused(folder: Path) -> None:
    before = everything(folder)
    for options in (["--keep", "sha256:" + "0" * 64], ["--keep", shared().digest, "--drop", shared().digest]):
        with pytest.raises(UsageError):
            run("learn", "import", "--into", folder, *options)
    assert everything(folder) == before


def test_a_case_that_says_nothing_checkable_is_refused() -> None:
    with pytest.raises(ValueError, match="expected"):
        Shared.model_validate({"question": "x?", "kind": "contains", "language": "en"})


def test_a_dry_run_writes_nothing(folder: Path, tmp_path: Path) -> None:
    path = tmp_path / "south.return"
    path.write_bytes(packed(export("south", 1, shared("Where is the lift?", "hall")).to_bytes(), site="south"))
    before = everything(folder)
    told = run_json("learn", "import", path, "--into", folder, "--dry-run")
    assert (told["new"], told["written"]) == (1, False)
    assert everything(folder) == before
