"""What a link carries: a JSON file that the installer writes for a pod.

    {"schema": 1, "ways": [{"at": "tls:0.0.0.0:9201", "callers": ["gateway"], "to": "unix:/run/…/sock"}]}

Ends: ``unix:PATH``, ``tcp:HOST:PORT`` (within the pod, or for the kubelet's probes) and ``tls:HOST:PORT``. A way that
is entered by TLS names the links that may call; one that leaves by TLS names the link that must answer.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, ValidationError, model_validator

from appliance.errors import UsageError

if TYPE_CHECKING:
    from pathlib import Path

DOMAIN = "links.sovereign.internal"
LinkName = Annotated[str, StringConstraints(pattern=r"^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$")]
End = Annotated[
    str, StringConstraints(pattern=r"^(unix:/[A-Za-z0-9./_-]{1,100}|(tcp|tls):[A-Za-z0-9.-]{1,253}:[1-9][0-9]{0,4})$")
]


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Way(_Strict):
    """One way: connections that come in ``at`` one end go on ``to`` the other."""

    at: End
    to: End
    callers: tuple[LinkName, ...] = Field(default=(), description="Links that may enter by TLS.")
    answers: LinkName | None = Field(default=None, description="The link that must answer by TLS.")

    @model_validator(mode="after")
    def _names_stand_with_tls(self) -> Self:
        if self.at.startswith("tls:") != bool(self.callers):
            raise ValueError(f"{self.at}: callers are named where a way is entered by TLS, and nowhere else")
        if self.to.startswith("tls:") != (self.answers is not None):
            raise ValueError(f"{self.to}: who answers is named where a way leaves by TLS, and nowhere else")
        return self


class Ways(_Strict):
    """Everything that one link carries."""

    schema_version: Literal[1] = Field(alias="schema")
    ways: tuple[Way, ...] = Field(min_length=1)


def load_ways(path: Path) -> tuple[Way, ...]:
    """The ways in the file at ``path``. Raises ``UsageError`` that names every mistake."""
    hint = "the cluster's installer writes this file"
    try:
        return Ways.model_validate_json(path.read_bytes()).ways
    except OSError as error:
        raise UsageError(f"{path}: {str(error.strerror).lower()}", hint) from error
    except ValidationError as error:
        told = "; ".join(f"{'.'.join(map(str, item['loc'])) or 'file'}: {item['msg']}" for item in error.errors())
        raise UsageError(f"{path}: {told}", hint) from error


def server_name(link: str) -> str:
    """The name in the certificate of ``link``."""
    return f"{link}.{DOMAIN}"
