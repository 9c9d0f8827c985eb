"""A site's first contact in miniature: a signed bundle, the signers' card, and the script run as an operator does."""

from __future__ import annotations

import os
import shutil
import subprocess
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from airgap_bundle.first_contact import card as site_start
from airgap_bundle.first_contact import record, signatures
from tests.bundles import UV, Draft, root_bytes, sign, signer, uv_wheel

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

SIGNED = ("architect", "builder")
# Stands for uv: makes an environment whose only command says that it was asked to verify, or what ``MEDDLE`` makes it.
PROGRAM = """#!/bin/sh
for last; do :; done
[ "$1" = venv ] || exit 0
MEDDLE
mkdir -p "$last/bin"
printf '%s\\n' '#!/bin/sh' 'echo "asked: $*" >&2' 'VERDICT' > "$last/bin/sovereign"
chmod 0755 "$last/bin/sovereign"
"""


def _program(name: str) -> str:
    found = shutil.which(name)
    assert found, name
    return found


def program(*, meddle: str = ":", verdict: str = "exit 0") -> str:
    """A stand-in for uv; ``meddle`` runs when it is called, ``verdict`` is the last line of the command it makes."""
    return PROGRAM.replace("MEDDLE", meddle).replace("VERDICT", verdict)


def wheels(**changes: str) -> dict[str, bytes]:
    """A wheelhouse around the stand-in."""
    return {UV: uv_wheel(program(**changes)), "requirements.txt": b"uv==0.0.1\n", "a-1-py3-none-any.whl": b"a wheel"}


def bundle(folder: Path, files: Mapping[str, bytes] | None = None, signers: Sequence[str] = SIGNED) -> Path:
    """A whole bundle, signed and sealed, whose wheelhouse is ``files``."""
    return sign(Draft(files={"runtime": files or wheels()}).write(folder), *signers, "release")


def sign_text(folder: Path, text: bytes, *signers: str) -> None:
    """Put ``text`` in place of FIRST-CONTACT, signed by ``signers`` and nobody else: what those persons can do."""
    (folder / record.FILE).write_bytes(text)
    for lying in (folder / signatures.FOLDER).iterdir():
        lying.unlink()
    for name in signers:
        (folder / signatures.path(name)).write_bytes(signatures.sign(signer(name), text))


@dataclass
class Desk:
    """Where the operator sits: ``folder`` holds the card and receives the command's environment as ``tools``."""

    folder: Path
    card: bytes = field(default_factory=lambda: site_start.of_root(root_bytes()).to_bytes())
    script: bytes = field(default_factory=site_start.script)
    shell: str = "sh"

    @property
    def tools(self) -> Path:
        """The destination that the operator names."""
        return self.folder / "tools"

    def run(
        self, medium: Path | str, *more: str, cwd: Path | None = None, env: Mapping[str, str] | None = None
    ) -> subprocess.CompletedProcess[str]:
        """Run the script with the card, on the bundle ``medium``."""
        with self.start(medium, *more, cwd=cwd, env=env) as running:
            out, error = running.communicate(timeout=60)
        return subprocess.CompletedProcess(running.args, running.returncode, out, error)

    def start(
        self, medium: Path | str, *more: str, cwd: Path | None = None, env: Mapping[str, str] | None = None
    ) -> subprocess.Popen[str]:
        """As ``run``, without waiting; the script leads a process group of its own.

        The operator's own shell runs it: a medium in ``env``'s PATH concerns what the script calls.
        Ctrl-C reaches it even where whoever started the tests ignores it, as a shell's background does: a shell can set
        no trap for a signal that was ignored when it began (POSIX, trap).
        """
        lies = self.folder / "site-start.txt"
        if not os.path.lexists(lies):
            lies.write_bytes(self.card)
        (self.folder / "first-contact.sh").write_bytes(self.script)
        heard = [_program("env"), "--default-signal=INT", _program(self.shell)]
        argv = [*heard, str(self.folder / "first-contact.sh"), str(lies), str(medium), str(self.tools), *more]
        return subprocess.Popen(
            argv,
            cwd=cwd or self.folder,
            env={"PATH": os.environ["PATH"], "HOME": str(self.folder), **(env or {})},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            errors="replace",
            start_new_session=True,
        )

    def refuses(self, medium: Path | str, cause: str, *more: str, env: Mapping[str, str] | None = None) -> str:
        """The script refuses ``medium`` for ``cause``, with a next step, and leaves nothing; the value is stderr."""
        done = self.run(medium, *more, env=env)
        assert done.returncode == 3, (done.returncode, done.stderr)
        error, hint = done.stderr.splitlines()[-2:]
        assert error.startswith("error: "), done.stderr
        assert cause in error, done.stderr
        assert hint.startswith("hint: "), done.stderr
        assert done.stdout == ""
        assert not os.path.lexists(self.tools)
        return done.stderr
