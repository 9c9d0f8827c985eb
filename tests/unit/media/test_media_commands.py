from __future__ import annotations

import json
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from airgap_bundle import keys
from airgap_bundle.errors import DigestMismatchError, SignatureError, StoreError
from airgap_bundle.trust_state import fingerprint
from appliance.cli import returns
from appliance.cli.sizes import parse_size, size_text
from appliance.errors import UnavailableError, UsageError
from appliance.install.admission import admit
from appliance.install.vault import Vault
from appliance.site.paths import SitePaths
from tests.bundles import make, root_bytes, signer, tree
from tests.commands import run, run_json
from tests.media_sets import FILES

if TYPE_CHECKING:
    from pathlib import Path

ROOT = str(fingerprint(root_bytes()))
NEXT = {**FILES, "policy": {"models.yaml": b"schema: 1\nlicences: []\n"}}

pytestmark = pytest.mark.usefixtures("cheap_keys")


@pytest.fixture
def release_key(tmp_path: Path) -> Path:
    keys.save(signer("release"), tmp_path, b"phrase")
    return tmp_path / "release.key"


@pytest.fixture
def site(bundle: Path, tmp_path: Path) -> SitePaths:
    """A site as far as exports need it: its file, its site key, and what it imported."""
    paths = SitePaths(tmp_path / "site")
    admit(bundle, paths, ROOT, lambda _done, _total: None)
    paths.site_yaml.write_text(
        "schema: 1\nname: first-site\nmodels: [{name: tiny-model, memory_mib: 128}]\n"
        "groups: [{name: staff, models: [tiny-model]}]\n"
    )
    paths.secrets.mkdir(mode=0o700)
    Vault(paths, lambda: b"").create("file")
    return paths


@pytest.fixture
def log(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Stands in for the audit writer: digests of what was entered."""
    entered: list[str] = []
    monkeypatch.setattr(returns, "audit_entry", lambda _paths: lambda digest, _manifest: entered.append(digest))
    return entered


def test_pack_and_unpack(bundle: Path, tmp_path: Path) -> None:
    packed = tmp_path / "x.pack"
    assert run_json("bundle", "pack", bundle, "--out", packed)["lacking"] == 0
    done = run_json("bundle", "unpack", packed, "--out", tmp_path / "out", "--root-fingerprint", ROOT)
    assert done["report"]["ok"]
    assert run_json("bundle", "verify", packed, "--root-fingerprint", ROOT)["ok"]
    with pytest.raises(StoreError, match="exists"):
        run("bundle", "unpack", packed, "--out", tmp_path / "out", "--root-fingerprint", ROOT)


def test_a_bundle_goes_through_a_pipe(bundle: Path, tmp_path: Path) -> None:
    script = "import sys; from appliance.cli.entry import run; sys.argv[0] = 'sovereign'; run()"
    program = [sys.executable, "-c", script, "--site", str(tmp_path / "none"), "bundle"]
    packing = subprocess.Popen(
        [*program, "pack", str(bundle), "--out", "-"], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
    )
    with packing:
        done = subprocess.run(
            [*program, "unpack", "-", "--out", str(tmp_path / "out"), "--root-fingerprint", ROOT, "--output", "json"],
            stdin=packing.stdout,
            capture_output=True,
            check=True,
        )
    assert json.loads(done.stdout)["lacking"] == 0
    assert len(tree(tmp_path / "out")) == len(tree(bundle))


def test_split_and_join_name_the_part_to_copy_again(bundle: Path, release_key: Path, tmp_path: Path) -> None:
    made = run_json(
        "bundle",
        "split",
        bundle,
        "--out",
        tmp_path / "set",
        "--key",
        release_key,
        "--part-size",
        "128KiB",
        phrase=b"phrase\n",
    )
    assert [len(names) for names in made["media"].values()] == [len(list((tmp_path / "set").iterdir()))]
    out, third = tmp_path / "joined.pack", tmp_path / "set/RELEASE.003"
    good = third.read_bytes()
    third.write_bytes(bytes(len(good)))
    with pytest.raises(DigestMismatchError, match=r"recopy part 3 of 4: RELEASE\.003 differs at 0\.0 MiB"):
        run("bundle", "join", tmp_path / "set", "--out", out, "--root-fingerprint", ROOT)
    third.write_bytes(good)
    assert run_json("bundle", "join", tmp_path / "set", "--out", out, "--root-fingerprint", ROOT)["file"] == str(out)
    assert run_json("bundle", "verify", out, "--root-fingerprint", ROOT)["ok"]


def test_a_delta_from_inventory_to_import(site: SitePaths, log: list[str], tmp_path: Path) -> None:
    following = make(tmp_path / "next", version="2.0.0", number=2, files=NEXT)
    public = tmp_path / "site.pub"
    run_json("return", "key", "--out", public, site=site.root)
    exported = run_json("inventory", "export", "--out", tmp_path / "inv", "--yes", site=site.root)
    assert log == [f"sha256:{exported['sha256']}"]
    options = ("--inventory", tmp_path / "inv", "--site-key", public)
    shown = run("bundle", "diff", following, *options).stdout
    assert "for first-site" in shown
    assert "no longer used" in shown
    made = run_json("bundle", "delta", following, *options, "--out", tmp_path / "delta")
    assert made["held_blobs"] > 0
    assert admit(tmp_path / "delta", site, None, lambda _done, _total: None).version == "2.0.0"
    assert run_json("bundle", "verify", tmp_path / "delta", site=site.root)["ok"]


def test_an_inventory_by_another_site_makes_no_delta(
    site: SitePaths, log: list[str], bundle: Path, tmp_path: Path
) -> None:
    run("inventory", "export", "--out", tmp_path / "inv", "--yes", site=site.root)
    assert log
    _, public = keys.save(signer("first-site"), tmp_path, b"phrase")
    with pytest.raises(SignatureError, match="nobody whose key is known"):
        run(
            "bundle",
            "delta",
            bundle,
            "--inventory",
            tmp_path / "inv",
            "--site-key",
            public,
            "--out",
            tmp_path / "delta",
        )
    assert not (tmp_path / "delta").exists()


def test_the_sites_key_is_made_once_and_sealed(site: SitePaths, tmp_path: Path) -> None:
    one, two = (run_json("return", "key", "--out", tmp_path / name, site=site.root) for name in ("a.pub", "b.pub"))
    assert one["sha256"] == two["sha256"]
    assert keys.load_public(tmp_path / "a.pub").name == "first-site"
    assert b"PRIVATE" not in b"".join(path.read_bytes() for path in site.secrets.iterdir())


def test_what_leaves_is_listed_asked_about_and_logged_first(site: SitePaths, log: list[str], tmp_path: Path) -> None:
    (tmp_path / "note.txt").write_text("hello")
    given = ("return", "build", "--file", f"support={tmp_path / 'note.txt'}", "--out", tmp_path / "back")
    with pytest.raises(UsageError, match="nobody is there to say"):
        run(*given, site=site.root)
    assert not log
    assert not (tmp_path / "back").exists()
    result = run(*given, "--yes", site=site.root)
    assert "note.txt" in result.stderr
    assert len(log) == 1
    run("return", "key", "--out", tmp_path / "site.pub", site=site.root)
    assert run_json("return", "inspect", tmp_path / "back")["verified"] is False
    run_json("return", "verify", tmp_path / "back", "--site-key", tmp_path / "site.pub", "--out", tmp_path / "got")
    assert (tmp_path / "got/note.txt").read_text() == "hello"


def test_without_an_audit_log_nothing_leaves(site: SitePaths, tmp_path: Path) -> None:
    with pytest.raises(UnavailableError):
        run("inventory", "export", "--out", tmp_path / "inv", "--yes", site=site.root)
    assert not list(tmp_path.glob("inv*"))


def test_files_that_cannot_be_sent_are_refused(site: SitePaths, log: list[str], tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    for name in ("a/x", "x"):
        (tmp_path / name).write_text("x")
    for files in (
        ["support=/nonexistent"],
        [f"support={tmp_path / 'a'}"],
        [f"support={tmp_path / 'x'}", f"export={tmp_path / 'a/x'}"],
    ):
        with pytest.raises(UsageError):
            run(
                "return",
                "build",
                *(part for file in files for part in ("--file", file)),
                "--out",
                tmp_path / "b",
                "--yes",
                site=site.root,
            )
    assert not log


@pytest.mark.parametrize(
    ("text", "count"),
    [("4GB", 4_000_000_000), ("4 GiB", 4 << 30), ("3.9gib", 39 * (1 << 30) // 10), ("512", 512), ("0.5MB", 500_000)],
)
def test_sizes_are_read_as_people_write_them(text: str, count: int) -> None:
    assert parse_size(text) == count


@pytest.mark.parametrize("text", ["", "GB", "-1GB", "1e9", "4 GBs", "٤GB"])
def test_what_is_no_size_is_refused(text: str) -> None:
    with pytest.raises(UsageError, match="is no size"):
        parse_size(text)


def test_sizes_are_shown_in_the_unit_that_fits() -> None:
    assert [size_text(count) for count in (5, 2048, 3 << 20, 5 << 30)] == ["5 B", "2.0 KiB", "3.0 MiB", "5.0 GiB"]
