"""`sovereign install` refuses with the right exit code, cause and hint, and the site root is as it was."""

from __future__ import annotations

import json
import socket
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from airgap_bundle.trust_state import fingerprint
from appliance.install.process import PATH
from tests import bundles
from tests.ports import free_port

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = pytest.mark.network

REPOSITORY = Path(__file__).parents[3]
EXAMPLE = (REPOSITORY / "appliance" / "install" / "site.example.yaml").read_text()
RUN = "from appliance.cli.entry import run; run()"
ROOT = str(fingerprint(bundles.root_bytes()))


@dataclass(frozen=True)
class Outcome:
    code: int
    out: str
    err: str


@dataclass(frozen=True)
class Operator:
    """Types commands; ``folder`` holds the medium, the site file and the site."""

    folder: Path

    @property
    def site(self) -> Path:
        return self.folder / "site"

    @property
    def bundle(self) -> Path:
        return self.folder / "bundle"

    def write_site(self, text: str) -> None:
        (self.folder / "site.yaml").write_text(text)

    def types(self, *words: str) -> Outcome:
        argv = [sys.executable, "-c", RUN, "--site", str(self.site), *words]
        env = {"PATH": PATH, "PYTHONPATH": str(REPOSITORY), "NO_COLOR": "1", "HOME": str(self.folder), "COLUMNS": "200"}
        done = subprocess.run(argv, env=env, capture_output=True, text=True, check=False, stdin=subprocess.DEVNULL)
        return Outcome(done.returncode, done.stdout, done.stderr)

    def installs(self, *more: str) -> Outcome:
        return self.types("install", str(self.bundle), "--config", str(self.folder / "site.yaml"), *more)


def example(ports: list[int]) -> str:
    names = ("gateway_port", "identity_port", "management_port", "identity_management_port", "database_port")
    kept = [line for line in EXAMPLE.splitlines() if not line.lstrip().startswith(names)]
    at = kept.index("  hostname: localhost") + 1
    stated = [f"  {n}: {p}" for n, p in zip(names, ports, strict=True)]
    return "\n".join([*kept[:at], *stated, *kept[at:]]) + "\n"


@pytest.fixture
def operator() -> Iterator[Operator]:
    """Below /tmp itself: pytest closes its folders to service users, again whenever another pytest begins."""
    with tempfile.TemporaryDirectory(prefix="refusals-") as name:
        Path(name).chmod(0o755)
        bundles.make(Path(name, "bundle"))
        found = Operator(Path(name))
        found.write_site(example([free_port() for _ in range(5)]))
        yield found


def flip(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)


def test_a_flipped_byte_in_a_blob_ends_with_3_and_no_site(operator: Operator) -> None:
    flip(max((operator.bundle / "blobs" / "sha256").iterdir(), key=lambda p: p.stat().st_size))
    outcome = operator.installs("--root", ROOT)
    assert outcome.code == 3
    assert "error: " in outcome.err
    assert not operator.site.exists()


def test_missing_signatures_end_with_3_and_no_site(operator: Operator) -> None:
    (operator.bundle / "metadata" / "targets.json").unlink()
    assert operator.installs("--root", ROOT).code == 3
    assert not operator.site.exists()


def test_another_root_than_the_typed_one_ends_with_3_and_no_site(operator: Operator) -> None:
    assert operator.installs("--root", str(fingerprint(bundles.foreign_root()))).code == 3
    assert not operator.site.exists()


def test_a_first_install_without_a_root_ends_with_2_and_says_what_to_give(operator: Operator) -> None:
    outcome = operator.installs()
    assert outcome.code == 2
    assert "--root sha256:" in outcome.err
    assert not operator.site.exists()


def test_a_taken_port_ends_with_4_before_the_bundle_is_read(operator: Operator) -> None:
    with socket.create_server(("127.0.0.1", 0)) as holder:
        taken = holder.getsockname()[1]
        operator.write_site(example([taken, *(free_port() for _ in range(4))]))
        outcome = operator.installs("--root", ROOT)
    assert outcome.code == 4
    assert f"listen.gateway_port {taken} is taken" in outcome.err
    assert "hint: " in outcome.err
    assert not operator.site.exists()


def test_a_site_root_with_something_in_it_ends_with_4_and_keeps_it(operator: Operator) -> None:
    operator.site.mkdir()
    (operator.site / "letters").write_text("dear")
    before = bundles.tree(operator.site)
    assert operator.installs("--root", ROOT).code == 4
    assert bundles.tree(operator.site) == before


def test_a_broken_site_file_ends_with_2_and_every_line(operator: Operator) -> None:
    operator.write_site(example([1, 1, 3, 4, 5]).replace("languages: [en, fr, de]", "languages: [xx]\nlangages: []"))
    outcome = operator.installs("--root", ROOT)
    assert outcome.code == 2
    assert "did you mean languages?" in outcome.err
    assert "should be 'en', 'fr' or 'de'" in outcome.err
    assert "port 1 is already used" in outcome.err
    assert not operator.site.exists()


def test_a_dry_run_plans_and_changes_nothing(operator: Operator) -> None:
    before = bundles.tree(operator.folder)
    outcome = operator.installs("--root", ROOT, "--dry-run", "--output", "json")
    assert outcome.code == 0, outcome.err
    plan = json.loads(outcome.out)
    assert plan["ok"]
    assert [s["name"] for s in plan["steps"]][-1] == "gateway"
    assert not any(s["done"] for s in plan["steps"])
    assert bundles.tree(operator.folder) == before


def test_preflight_prints_every_finding_as_json(operator: Operator) -> None:
    outcome = operator.types("preflight", "--config", str(operator.folder / "site.yaml"), "--output", "json")
    assert outcome.code == 0, outcome.out
    assert {"disk", "memory", "ports", "clock"} <= {f["name"] for f in json.loads(outcome.out)["findings"]}


@pytest.mark.parametrize("command", [("status",), ("up",), ("down",), ("uninstall", "--yes")])
def test_commands_on_no_site_end_with_2_and_change_nothing(operator: Operator, command: tuple[str, ...]) -> None:
    operator.site.mkdir()
    (operator.site / "letters").write_text("dear")
    before = bundles.tree(operator.site)
    assert operator.types(*command).code == 2
    assert bundles.tree(operator.site) == before
