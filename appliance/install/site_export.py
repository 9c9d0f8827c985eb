"""What leaves the site: written beside its place, entered in the audit log by digest, and only then given its name.

No log entry, no export: the same rule as for answers.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from airgap_bundle.digest import Digest, sha256_stream
from airgap_bundle.durable import PARTIAL, sync_directory
from airgap_bundle.media.disk import check_room
from airgap_bundle.media.return_bundle import write_return
from appliance.audit.client import SyncAuditClient
from appliance.audit.events import admin_change
from appliance.audit.roles import OPERATOR
from appliance.errors import DeploymentError, UsageError
from appliance.site.paths import AUDIT

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path
    from typing import BinaryIO

    from airgap_bundle.keys import Signer
    from airgap_bundle.media.return_bundle import Manifest
    from appliance.site.paths import SitePaths

    Enter = Callable[[Digest, Manifest], None]


def export(out: Path, manifest: Manifest, contents: Mapping[str, BinaryIO], signer: Signer, enter: Enter) -> Digest:
    """Write the return bundle ``out``, which must not exist; ``enter`` puts its digest into the log before it appears.

    Raises ``UsageError`` where ``out`` exists, ``DeploymentError`` for the disk, and what ``enter`` raises; nothing is
    left behind then.
    """
    if out.exists() or out.is_symlink():
        raise UsageError(f"{out} exists", "name a new file")
    check_room(out.parent, sum(file.size for file in manifest.files))
    partial = out.with_name(out.name + PARTIAL)
    try:
        with partial.open("xb+") as sink:
            write_return(sink, manifest, contents, signer)
            sink.flush()
            os.fsync(sink.fileno())
            sink.seek(0)
            digest, _ = sha256_stream(sink)
        enter(digest, manifest)
        partial.replace(out)
        sync_directory(out.parent)
    except FileExistsError as error:
        raise UsageError(f"{partial} exists", "another export is running, or remove what one left") from error
    except OSError as error:
        partial.unlink(missing_ok=True)
        raise DeploymentError(f"{out} cannot be written: {error.strerror}", "check free space and rights") from error
    except BaseException:
        partial.unlink(missing_ok=True)
        raise
    return digest


def audit_entry(paths: SitePaths) -> Enter:
    """Enters an export in the site's audit log. Raises ``AuditUnavailableError`` when the writer does not answer."""

    def enter(digest: Digest, manifest: Manifest) -> None:
        event = admin_change(
            actor=f"uid {os.getuid()}",
            action="read",
            kind="return bundle",
            target=str(digest),
            detail=", ".join(f"{file.name} ({file.type})" for file in manifest.files),
            after_digest=str(digest),
        )
        with SyncAuditClient(paths.socket(AUDIT)) as audit:
            audit.append(event, id=OPERATOR.id("return", digest.hex))

    return enter
