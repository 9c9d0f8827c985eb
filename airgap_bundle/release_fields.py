"""Types of the fields of `release.yaml`, and the base of its models."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

from pydantic import AfterValidator, ConfigDict, StringConstraints

from airgap_bundle.container_image import Platform
from airgap_bundle.errors import FormatError, UnsafeNameError
from airgap_bundle.image_reference import parse_reference

if TYPE_CHECKING:
    from collections.abc import Callable

NAME_PATTERN = r"^[a-z0-9]([a-z0-9.-]{0,62}[a-z0-9])?$"
VERSION_PATTERN = r"^[0-9]+\.[0-9]+\.[0-9]+(-[0-9a-z.-]+)?$"

Name = Annotated[str, StringConstraints(pattern=NAME_PATTERN)]
Version = Annotated[str, StringConstraints(pattern=VERSION_PATTERN)]
Hex = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{64}$")]
PinnedPackage = Annotated[str, StringConstraints(pattern=r"^[a-z0-9][a-z0-9-]*==[0-9A-Za-z.+!-]+$")]
PythonVersion = Annotated[str, StringConstraints(pattern=r"^3\.[0-9]{1,2}$")]
MavenCoordinate = Annotated[str, StringConstraints(pattern=r"^[\w.-]+:[\w.-]+:[\w.-]+:[\w-]+$")]


def read_by(parse: Callable[[str], object]) -> AfterValidator:
    """The text itself, when ``parse`` can read it; its complaint as pydantic's otherwise."""

    def check(text: str) -> str:
        try:
            parse(text)
        except (FormatError, UnsafeNameError) as error:
            raise ValueError(error.cause) from error
        return text

    return AfterValidator(check)


ImageText = Annotated[str, read_by(parse_reference)]
PlatformText = Annotated[str, read_by(Platform.parse)]
SignedName = Annotated[str, read_by(lambda text: parse_reference(f"{text}:any"))]
STRICT = ConfigDict(extra="forbid", frozen=True)  # unknown keys are mistakes, values do not change
