"""What gave what: SLSA provenance of a conversion, as an in-toto statement.

The statement carries no signature of its own: it is a file of the artifact, so the release's signatures cover it, and
those who sign the release vouch for it. No time is in it, because equal inputs give an equal statement.

in-toto Statement v1 (https://in-toto.io/Statement/v1), predicate https://slsa.dev/provenance/v1.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from airgap_bundle import strict_json

if TYPE_CHECKING:
    from collections.abc import Mapping

FILE = "conversion.intoto.json"
MEDIA_TYPE = "application/vnd.in-toto+json"
STATEMENT = "https://in-toto.io/Statement/v1"
PREDICATE = "https://slsa.dev/provenance/v1"
BUILD_TYPE = "urn:sovereign:model-conversion:v1"


def statement(  # noqa: PLR0913 - the fields of the statement
    *,
    output: tuple[str, str],
    inputs: Mapping[str, str],
    package: tuple[str, str],
    tool: str,
    version: str,
    libraries: Mapping[str, str],
    parameters: Mapping[str, str],
) -> bytes:
    """The statement, canonical. ``output`` is (file, sha256); ``inputs`` are digests of published files by name.

    ``package`` is (purl, sha256) of what carried the inputs, ``libraries`` the versions that shape the output.
    """
    dependencies = [{"uri": package[0], "digest": {"sha256": package[1]}}]
    dependencies += [{"name": name, "digest": {"sha256": digest}} for name, digest in sorted(inputs.items())]
    value = {
        "_type": STATEMENT,
        "subject": [{"name": output[0], "digest": {"sha256": output[1]}}],
        "predicateType": PREDICATE,
        "predicate": {
            "buildDefinition": {
                "buildType": BUILD_TYPE,
                "externalParameters": dict(parameters),
                "resolvedDependencies": dependencies,
            },
            "runDetails": {"builder": {"id": f"{tool}@{version}", "version": dict(libraries)}},
        },
    }
    return strict_json.dumps(value)
