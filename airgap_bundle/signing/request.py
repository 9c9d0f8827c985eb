"""A request for a signature: everything that a signer's machine must know, but for the blobs, in one small file.

A request is not signed and nothing in it is believed: every line that the signer reads is derived from the bytes that
will be signed (``summary``), by the signer's own program, under the rules that hold beside the bundle
(``release_draft``, ``models_draft``, ``root_draft``). FORMAT-signing.md, section 13.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from airgap_bundle import armour, metadata, strict_json
from airgap_bundle.chain import MAX_ROOTS
from airgap_bundle.digest import Digest
from airgap_bundle.errors import FormatError, MalformedError, MissingFileError, PayloadTypeError, SigningError
from airgap_bundle.first_contact import signatures
from airgap_bundle.metadata import MODELS, TARGETS
from airgap_bundle.signing.models_draft import ModelsDraft, read_models_draft
from airgap_bundle.signing.release_draft import ReleaseDraft, read_draft
from airgap_bundle.signing.root_draft import RootDraft

if TYPE_CHECKING:
    from collections.abc import Mapping

    from airgap_bundle.descriptor import Descriptor

REQUEST_TYPE = "application/vnd.sovereign.signing-request.v1+json"
MAX_REQUEST_BYTES = 16 << 20
_COMMON = {"schema", "type", "roots"}
_DESCRIBED = _COMMON | {"index", "release", "documents"}
_RELEASE = _DESCRIBED | {TARGETS, signatures.ROLE}
_MODELS = _DESCRIBED | {MODELS}
_ROOT = _COMMON | {"draft"}

Draft = ReleaseDraft | ModelsDraft | RootDraft


def dump_request(draft: Draft) -> bytes:
    """The request file for ``draft``. Raises ``SigningError`` for a bundle too large to describe in one."""
    asked = _root(draft) if isinstance(draft, RootDraft) else _bundle(draft)
    value = {"schema": 1, "type": REQUEST_TYPE, **asked}
    data = strict_json.dumps(value)
    if len(data) > MAX_REQUEST_BYTES:
        raise SigningError(
            f"the request would have {len(data)} bytes, more than {MAX_REQUEST_BYTES}", "carry the bundle to the signer"
        )
    return data


def parse_request(data: bytes) -> Draft:
    """What the request file ``data`` asks to sign; roots, index, release file and manifests were checked.

    Raises ``PayloadTypeError`` for another kind of file, ``MalformedError`` and whatever else the drafts raise.
    """
    try:
        return _parse(data)
    except FormatError as error:
        raise MalformedError(f"request: {error.cause}") from error


def _parse(data: bytes) -> Draft:
    value = strict_json.load_object(data, max_bytes=MAX_REQUEST_BYTES)
    if value.get("type") != REQUEST_TYPE:
        raise PayloadTypeError("the file is no signing request", "`sovereign bundle request` makes one")
    if (
        not strict_json.is_integer(value.get("schema"), 1)
        or set(value) not in (_RELEASE, _MODELS, _ROOT)
        or strict_json.dumps(value) != data
    ):
        raise FormatError("schema 1 with the fields of section 13, in canonical form, expected")
    roots = _parse_roots(value["roots"])
    return RootDraft(roots, armour.decode(value["draft"])) if "draft" in value else _parse_bundle(value, roots)


def _bundle(draft: ReleaseDraft | ModelsDraft) -> dict[str, Any]:
    described = {
        "roots": [armour.encode(data) for data in draft.roots.values()],
        "index": armour.encode(draft.index),
        "release": armour.encode(draft.release_data),
        "documents": {digest.hex: armour.encode(data) for digest, data in draft.documents.items()},
    }
    if isinstance(draft, ModelsDraft):
        return {**described, MODELS: armour.encode(_fixed(draft.models))}
    contact = {name: armour.encode(data) for name, data in draft.contact.items()}
    return {**described, TARGETS: armour.encode(_fixed(draft.targets)), signatures.ROLE: contact}


def _fixed(data: bytes | None) -> bytes:
    if data is None:
        raise SigningError("nothing has been fixed yet that could be signed")
    return data


def _root(draft: RootDraft) -> dict[str, Any]:
    return {
        "roots": [armour.encode(data) for data in draft.history.values()],
        "draft": armour.encode(draft.data),
    }


def _parse_roots(value: object) -> dict[int, bytes]:
    if not isinstance(value, list) or len(value) > MAX_ROOTS:
        raise FormatError(f"roots is no list of at most {MAX_ROOTS}")
    files = [armour.decode(item) for item in value]
    roots = {metadata.parse_root(data).signed.version: data for data in files}
    if list(roots) != sorted(roots) or len(roots) != len(files):
        raise FormatError("roots do not ascend")
    return roots


def _parse_bundle(value: dict[str, Any], roots: dict[int, bytes]) -> ReleaseDraft | ModelsDraft:
    objects = ("documents", signatures.ROLE) if signatures.ROLE in value else ("documents",)
    if not roots or not all(isinstance(value[name], dict) for name in objects):
        raise FormatError("at least one root, documents by digest and signatures by name expected")
    documents = {Digest.parse(f"sha256:{digest}"): armour.decode(text) for digest, text in value["documents"].items()}
    index, release = (armour.decode(value[name]) for name in ("index", "release"))
    fetch = _fetcher(documents)
    draft: ReleaseDraft | ModelsDraft
    if MODELS in value:
        draft = read_models_draft(roots, index, release, fetch, models=armour.decode(value[MODELS]))
    else:
        contact = {name: armour.decode(text) for name, text in value[signatures.ROLE].items()}
        draft = read_draft(roots, index, release, fetch, targets=armour.decode(value[TARGETS]), contact=contact)
    if draft.documents.keys() != documents.keys():
        raise FormatError("documents that the index does not name")
    return draft


def _fetcher(documents: Mapping[Digest, bytes]) -> Any:
    def fetch(descriptor: Descriptor) -> bytes:
        if descriptor.digest not in documents:
            raise MissingFileError(f"the request lacks {descriptor.digest}", "ask for a new request")
        return documents[descriptor.digest]

    return fetch
