"""Backups that a host makes by itself, as site.yaml says it: when, whereto, for whom, and how many are kept."""

from __future__ import annotations

from pathlib import PurePosixPath
from typing import Annotated, Literal

from pydantic import Field

from appliance.site.shapes import Strict

_Folder = Annotated[str, Field(pattern=r"^/[^\x00]*$", max_length=1024)]


class Backups(Strict):
    """A backup at fixed times of the day, on hosts whose service manager is systemd."""

    every_hours: Literal[1, 2, 3, 4, 6, 8, 12, 24] = Field(default=24, description="How often; 24 is once a day.")
    at: Annotated[str, Field(pattern=r"^([01][0-9]|2[0-3]):[0-5][0-9]$")] = Field(
        default="03:30", description="The host's time of day of one of them; the others come before and after it."
    )
    out: _Folder = Field(description="An absolute path. Each backup is a new folder in it, named after its UTC time.")
    subject_keys: _Folder = Field(
        description="An absolute path, on another medium. The keys of people's contents: each backup replaces it."
    )
    recovery_keys: tuple[str, ...] = Field(
        min_length=1,
        max_length=16,
        description="Paths of the public recovery keys (`sovereign backup key`), relative to site.yaml.",
    )
    keep: Annotated[int, Field(ge=1, le=1000)] = Field(
        default=7, description="So many stay; older ones go once the new one was read again. Room for one more is used."
    )
    on_mount: bool = Field(
        default=True,
        description="Both folders have to lie on mounted media, neither on the file system of `/` nor on the site's: "
        "so a medium that is not there fills no other disk.",
    )

    def mistakes(self, key_kind: str) -> list[str]:
        """What is wrong between its fields, and with a site key of ``key_kind``; each begins with its path."""
        found = []
        if key_kind == "passphrase":
            found.append(
                "backup: the site key asks for a passphrase, which no timer can type; choose another site_key.kind, or "
                "run `sovereign backup create` yourself"
            )
        out, apart = PurePosixPath(self.out), PurePosixPath(self.subject_keys)
        if ".." in {*out.parts, *apart.parts}:
            found.append("backup.out: it and subject_keys are named without `..`")
        if out == apart or out in apart.parents or apart in out.parents:
            found.append("backup.subject_keys: is to lie apart from backup.out, on another medium")
        return found
