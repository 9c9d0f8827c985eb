"""One CycloneDX document, deterministic and validated. Importing this takes a second: only when one must be made."""

from __future__ import annotations

import re
import uuid
from dataclasses import asdict
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from cyclonedx.contrib.license.factories import LicenseFactory
from cyclonedx.model import HashAlgorithm, HashType, Property
from cyclonedx.model.bom import Bom
from cyclonedx.model.component import Component as BomComponent
from cyclonedx.model.component import ComponentType
from cyclonedx.output import make_outputter
from cyclonedx.schema import OutputFormat, SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator
from packageurl import PackageURL

from airgap_bundle import strict_json
from airgap_bundle.errors import BuildError

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from cyclonedx.model.license import License

    from airgap_bundle.build.artifact import Component

SCHEMA = SchemaVersion.V1_6
MAX_BYTES = 64 << 20
_NAMESPACE = uuid.UUID("5d1c1b0e-7a43-5b5e-9d3e-6c1f8f1a2b44")
_LICENCES = LicenseFactory()


def make_sbom(subject: Component, components: Sequence[Component], epoch: int) -> bytes:
    """CycloneDX JSON, validated. Raises ``BuildError`` when it breaks the schema: a defect of ours, told as one."""
    content = strict_json.dumps([asdict(subject), [asdict(item) for item in components], epoch])
    bom = Bom(serial_number=uuid.uuid5(_NAMESPACE, content.decode()), components=_nested(components))
    bom.metadata.timestamp = datetime.fromtimestamp(epoch, UTC)
    bom.metadata.component = _component(subject, ())
    bom.metadata.tools.components.clear()
    bom.register_dependency(bom.metadata.component, bom.components)
    text = make_outputter(bom, OutputFormat.JSON, SCHEMA).output_as_string()
    document = strict_json.load_object(text.encode(), max_bytes=MAX_BYTES)
    _add_cards(document, components)
    data = strict_json.dumps(document)
    error = JsonStrictValidator(SCHEMA).validate_str(data.decode())
    if error is not None:
        raise BuildError(f"the sbom of {subject.name} breaks the cyclonedx schema: {error}")
    return data


def _add_cards(document: dict[str, Any], components: Sequence[Component]) -> None:
    """The library's model of a component has no place for the card of a model; the schema has."""
    cards = {_reference(item): item.card for item in components if item.card}
    for found in document.get("components", ()):
        if found["bom-ref"] in cards:
            found["modelCard"] = strict_json.loads(cards[found["bom-ref"]].encode())


def _nested(components: Iterable[Component]) -> list[BomComponent]:
    """Components that a wheel carries inside stand inside its component."""
    ordered = list(components)
    children: dict[str, list[Component]] = {}
    for item in ordered:
        if item.parent:
            children.setdefault(item.parent, []).append(item)
    return [_component(item, children.get(item.name, ())) for item in ordered if not item.parent]


def _component(item: Component, children: Iterable[Component]) -> BomComponent:
    return BomComponent(
        name=item.name,
        version=item.version or None,
        type=ComponentType(item.form),
        bom_ref=_reference(item),
        purl=PackageURL.from_string(item.purl) if item.purl else None,
        hashes=[HashType(alg=HashAlgorithm.SHA_256, content=item.sha256)] if item.sha256 else [],
        licenses=[_licence(item.licence)] if item.licence else [],
        components=[_component(child, ()) for child in children],
        properties=[Property(name=name, value=value) for name, value in item.properties],
    )


def _reference(item: Component) -> str:
    """Unique inside a document: two jars of one coordinate differ by digest."""
    return (
        item.purl + "#" + item.sha256[:16]
        if item.purl
        else f"{item.parent}/{item.name}@{item.version}#{item.sha256[:16]}"
    )


def _licence(text: str) -> License:
    """An SPDX id or expression where it is one, else the name as stated."""
    return _LICENCES.make_from_string(re.sub(r"\s+", " ", text))
