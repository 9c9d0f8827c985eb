"""The appliance's errors: every one names its cause, offers a next step, and knows its exit code.

    SovereignError (1)
    ├── UsageError (2)             the command or a file the operator wrote is wrong
    │   ├── SiteFileError          site.yaml: every mistake at once, each with its line
    │   └── UsersFileError         the list of users, likewise (``identity.users_file``)
    ├── RefusedError (3)           verification refused a bundle, a model or a signature
    ├── PreflightError (4)         the host does not meet what the release needs
    │   └── HostsRefusedError      hosts of a cluster do not: every finding (``cluster.playbook``)
    ├── DeploymentError (5)        a step of install, up or down failed
    │   ├── SiteBusyError          another command is changing the site (``install.lock``)
    │   ├── DecisionsDamagedError  nobody can tell which model serves under a name (``models.serving``)
    │   ├── NoClusterError         the release holds none (``cluster.staging``)
    │   └── UnavailableError       a service of the appliance does not answer
    ├── LogInconsistentError (6)   the audit log does not prove what it should
    ├── NotAllowedError (7)        the caller may not do this
    │   ├── NotCapableError        a model for embeddings was asked a question (``cli.learn_ask``)
    │   ├── GrantError             Keycloak grants nothing for what was shown (``identity.oidc``)
    │   ├── SignedOutError         the terminal's sign-in has ended (``cli.chat_api``)
    │   └── TokenError             a token is not one for this site (``identity.claims``)
    └── SealError (1)              what was sealed does not open with this key (``gateway.sealing``)

Exit codes are part of the command line's contract (docs/reference/exit-codes.md).
"""

from __future__ import annotations

from typing import ClassVar


class SovereignError(Exception):
    """A failure with a cause for the reader and, where there is one, a next step.

    ``cause`` is one lower-case line that names the thing; ``hint`` says what to do next.
    """

    exit_code: ClassVar[int] = 1

    def __init__(self, cause: str, hint: str | None = None) -> None:
        super().__init__(cause)
        self.cause = cause
        self.hint = hint


class UsageError(SovereignError):
    """The command line, or a file the operator wrote, is wrong."""

    exit_code = 2


class SiteFileError(UsageError):
    """site.yaml is wrong; ``mistakes`` holds every finding as ``line N: path: cause``."""

    def __init__(self, path: str, mistakes: tuple[str, ...]) -> None:
        super().__init__(
            f"{path}: {len(mistakes)} mistake{'s' if len(mistakes) != 1 else ''}\n  " + "\n  ".join(mistakes),
            "mend the lines above; docs/reference/site.md describes every field",
        )
        self.mistakes = mistakes


class RefusedError(SovereignError):
    """Verification refused something; nothing was changed."""

    exit_code = 3


class PreflightError(SovereignError):
    """The host does not meet the release's requirements; nothing was changed."""

    exit_code = 4


class DeploymentError(SovereignError):
    """A deployment step failed; the journal says which, and running again resumes there."""

    exit_code = 5


class UnavailableError(DeploymentError):
    """A service of the appliance does not answer."""


class LogInconsistentError(SovereignError):
    """The audit log is not the log that was signed."""

    exit_code = 6


class NotAllowedError(SovereignError):
    """The caller may not do this."""

    exit_code = 7
