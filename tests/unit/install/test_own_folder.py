"""What a command keeps beside itself goes with it, however it ends; what another one uses, or is another's, stays."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from appliance.install.own_folder import own_folder

HOLDER = """
import sys, time
from appliance.install.own_folder import own_folder
with own_folder() as folder:
    (folder / "log").write_text("a copy")
    print(folder, flush=True)
    time.sleep(60)
"""


@pytest.fixture(autouse=True)
def temporary(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    return tmp_path


def aged(folder: Path) -> None:
    """As if it had been made some time ago."""
    os.utime(folder, (1_700_000_000, 1_700_000_000))


def used_and_failed(temporary: Path) -> None:
    with own_folder() as folder:
        assert folder.parent == temporary
        assert folder.stat().st_mode & 0o777 == 0o700
        (folder / "log").write_text("a copy")
        raise KeyError


def test_it_is_the_user_s_alone_and_goes_at_the_end(temporary: Path) -> None:
    with pytest.raises(KeyError):
        used_and_failed(temporary)
    assert list(temporary.iterdir()) == []


def test_what_a_killed_command_left_goes_with_the_next_and_what_one_holds_does_not() -> None:
    with subprocess.Popen([sys.executable, "-c", HOLDER], stdout=subprocess.PIPE, text=True) as holder:
        assert holder.stdout is not None
        held = Path(holder.stdout.readline().strip())
        aged(held)
        with own_folder():
            assert (held / "log").read_text() == "a copy"
        holder.send_signal(signal.SIGKILL)
        holder.wait()
    assert held.exists()
    with own_folder():
        assert not held.exists()


def test_a_folder_that_is_just_made_and_what_only_bears_the_name_stay(temporary: Path) -> None:
    young, elsewhere = temporary / "sovereign-site-young", temporary / "elsewhere"
    young.mkdir()
    (elsewhere / "kept").mkdir(parents=True)
    (temporary / "sovereign-site-link").symlink_to(elsewhere)
    (temporary / "sovereign-site-file").write_text("x")
    os.utime(temporary / "sovereign-site-link", (1, 1), follow_symlinks=False)
    aged(temporary / "sovereign-site-file")
    with own_folder():
        pass
    assert young.exists()
    assert (elsewhere / "kept").exists()
    assert (temporary / "sovereign-site-file").exists()
