"""What every step of one installation shares."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import TYPE_CHECKING

from appliance.errors import DeploymentError
from appliance.install.accounts import Accounts, accounts_for
from appliance.install.services import Service, site_services

if TYPE_CHECKING:
    from pathlib import Path

    from airgap_bundle.store import Artifact, VerifiedRelease
    from appliance.install.site_files import SiteFiles
    from appliance.install.vault import Vault
    from appliance.site.config import SiteConfig
    from appliance.site.paths import SitePaths


@dataclass(frozen=True)
class Context:
    """One installation: the site, the release that was verified, and how its secrets open."""

    paths: SitePaths
    files: SiteFiles
    release: VerifiedRelease
    vault: Vault
    python: Path

    @property
    def config(self) -> SiteConfig:
        """The site's configuration."""
        return self.files.config

    @property
    def accounts(self) -> Accounts:
        """The services' users."""
        return accounts_for(self.config)

    @property
    def services(self) -> tuple[Service, ...]:
        """The site's services in start order."""
        return site_services(self.config, self.paths, self.accounts)

    @property
    def folder(self) -> Path:
        """Folder of the release being installed; it becomes ``current`` at the end."""
        return self.paths.release(self.release.version)

    @property
    def env(self) -> Path:
        """The release's Python environment."""
        return self.folder / "env"

    @property
    def keycloak(self) -> Path:
        """The release's Keycloak."""
        return self.folder / "keycloak"

    def only(self, kind: str) -> Artifact:
        """The release's one artifact of ``kind``. Raises ``DeploymentError`` when there are none or several."""
        found = [a for a in self.release.artifacts.values() if a.kind == kind]
        if len(found) != 1:
            raise DeploymentError(
                f"release {self.release.version} holds {len(found)} {kind} artifacts instead of one",
                "build the release again",
            )
        return found[0]


def digest(data: bytes) -> str:
    """``sha256:…`` of ``data``, for a step's inputs."""
    return "sha256:" + hashlib.sha256(data).hexdigest()
