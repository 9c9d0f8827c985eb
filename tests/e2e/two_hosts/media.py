"""Media that a journey's cluster is backed up on, and the recovery key that opens them."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tests.e2e.two_hosts.administrator import Desk


class Media:
    """A recovery key, and two folders for each backup."""

    def __init__(self, desk: Desk) -> None:
        self.desk, self.folder = desk, desk.folder / "media"
        self.folder.mkdir(exist_ok=True)
        (self.folder / "phrase").write_text("a phrase of the custodian's\n")
        self.key = self.folder / "recovery.key"
        if not self.key.exists():
            self.with_phrase("backup", "key", "--out", str(self.key), given="--passphrase-fd")

    def with_phrase(self, *arguments: str, given: str = "--recovery-fd") -> str:
        with (self.folder / "phrase").open("rb") as phrase:
            descriptor = phrase.fileno()
            return self.desk.sovereign(*arguments, given, str(descriptor), pass_fds=[descriptor])

    def back_up(self, name: str) -> dict[str, Any]:
        to = (str(self.folder / name), "--subject-keys", str(self.folder / "keys"))
        asked = ("backup", "create", *to, "--recovery-key", f"{self.key}.pub", "--output", "json")
        return dict(json.loads(self.desk.sovereign(*asked)))

    def of(self, name: str) -> tuple[str, ...]:
        where = (str(self.folder / name), "--subject-keys", str(self.folder / "keys"))
        return (*where, "--site-key", str(self.folder / "site.pub"), "--recovery-key", str(self.key))

    def restoring(self, name: str) -> tuple[str, ...]:
        by = ("--bundle", str(self.desk.folder / "bundle"), "--config", str(self.desk.folder / "site.yaml"))
        return ("restore", *self.of(name), *by, "--output", "json")

    def keep_the_site_s_key(self) -> None:
        """The public half of the key that the next backups are signed with."""
        (self.folder / "site.pub").unlink(missing_ok=True)
        self.desk.sovereign("return", "key", "--out", str(self.folder / "site.pub"))
