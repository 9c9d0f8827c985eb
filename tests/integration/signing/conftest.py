"""A real token in software: SoftHSM 2, with its configuration and tokens in a folder of this run."""

from __future__ import annotations

import os
import subprocess
from typing import TYPE_CHECKING

import pytest

from tests.software_token import MODULE, PIN, SO_PIN

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@pytest.fixture(scope="session")
def softhsm(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The folder of tokens ``ceremony``, ``spare`` and two that are both called ``twin``.

    SoftHSM reads its configuration, and looks for tokens, once per process: when its module is loaded first.
    """
    if not MODULE.exists():
        pytest.skip("softhsm2 is not installed: scripts/system-packages")
    folder = tmp_path_factory.mktemp("softhsm")
    (folder / "tokens").mkdir()
    (folder / "softhsm2.conf").write_text(f"directories.tokendir = {folder / 'tokens'}\nlog.level = ERROR\n")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SOFTHSM2_CONF", str(folder / "softhsm2.conf"))
        for label in ("ceremony", "spare", "twin", "twin"):
            command = ["softhsm2-util", "--init-token", "--free", "--label", label, "--so-pin", SO_PIN, "--pin", PIN]
            subprocess.run(command, check=True, capture_output=True, env=os.environ)
        yield folder
