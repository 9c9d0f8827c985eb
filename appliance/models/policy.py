"""The site's model policy, ``models.yaml``: what is accepted. Whatever it does not name fails."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, Literal, Self, get_args

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from airgap_bundle.errors import FormatError
from airgap_bundle.keys import parse_public
from airgap_bundle.provenance.origin import Kind
from airgap_bundle.provenance.publishers import Publisher, parse_certificates, parse_public_key
from appliance.models.errors import PolicyError

if TYPE_CHECKING:
    from pathlib import Path

    from airgap_bundle.keys import PublicSigner

POLICY_MAX_BYTES = 131_072

Requirement = Literal[
    "weights-signed",
    "publisher-signed",
    "producer-verified",
    "conversion-closed",
    "training-data-stated",
    "licence-attested",
    "site-approved",
]
Waivable = Literal[
    "publisher-signed",
    "producer-verified",
    "conversion-closed",
    "training-data-stated",
    "licence-attested",
    "site-approved",
]
WAIVABLE: frozenset[str] = frozenset(get_args(Waivable))
# What counts only by verified evidence where the policy says so; else the release's signed record may say it.
Attested = Literal["producer-verified", "conversion-closed", "training-data-stated"]

_Word = Annotated[str, Field(min_length=1, max_length=200)]
_Pem = Annotated[str, Field(min_length=1, max_length=16_384)]


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class AcceptedProducer(_Strict):
    """A producer; with ``jurisdictions``, only when it answers to one of those."""

    name: _Word
    jurisdictions: tuple[_Word, ...] = ()


class Accept(_Strict):
    """Lists of what is accepted. A model passes a list only by being on it."""

    producers: tuple[AcceptedProducer, ...]
    jurisdictions: tuple[_Word, ...]
    licences: tuple[_Word, ...]
    architectures: tuple[_Word, ...]
    roles: tuple[_Word, ...] = ("chat",)


class AcceptPacks(_Strict):
    """Whose packs are accepted, and under which licences. Without this, none is."""

    producers: tuple[_Word, ...] = ()
    licences: tuple[_Word, ...] = ()


class TrustedPublisher(_Strict):
    """Whose OMS signature counts, and for models of which producers: by pinned keys, or by roots of certificates.

    Everybody whom a root certifies is this publisher: name an authority of its own, never a public one. ``revoked``
    names certificates by SHA-256 in hex; a key is revoked by taking it off the list.
    """

    name: _Word
    producers: Annotated[tuple[_Word, ...], Field(min_length=1)]
    keys: tuple[_Pem, ...] = ()
    roots: tuple[_Pem, ...] = ()
    revoked: tuple[Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")], ...] = ()

    @model_validator(mode="after")
    def _trusts_something(self) -> Self:
        if not self.keys and not self.roots:
            raise ValueError("a publisher has keys or roots")
        self.publisher()
        return self

    def publisher(self) -> Publisher:
        """The publisher, its keys read. Raises ``ValueError`` for a key or certificate that is none."""
        try:
            keys = tuple(parse_public_key(pem.encode()) for pem in self.keys)
            roots = tuple(one for pem in self.roots for one in parse_certificates(pem.encode()))
        except FormatError as error:
            raise ValueError(error.cause) from error
        return Publisher(self.name, keys, roots, frozenset(self.revoked))


class Attester(_Strict):
    """Who may say what about a model's origin. ``key`` is the text of a ``NAME.pub``."""

    key: Annotated[str, Field(min_length=1, max_length=16_384)]
    attests: Annotated[tuple[Kind, ...], Field(min_length=1)]

    @model_validator(mode="after")
    def _has_a_key(self) -> Self:
        self.signer()
        return self

    def signer(self) -> PublicSigner:
        """The attester's public halves. Raises ``ValueError`` for a key that is none."""
        try:
            return parse_public(self.key.encode())
        except FormatError as error:
            raise ValueError(error.cause) from error


class ModelPolicy(_Strict):
    """``require`` and ``waivable`` name checks; what is waivable may be waived by an enrolled officer, with a date.

    ``attested`` names checks that a signed record alone does not pass: they are computed from evidence.
    """

    schema_version: Annotated[Literal[1], Field(alias="schema")]
    accept: Accept
    packs: AcceptPacks = AcceptPacks()
    require: tuple[Requirement, ...] = ("weights-signed", "producer-verified", "conversion-closed")
    attested: tuple[Attested, ...] = ()
    waivable: tuple[Waivable, ...] = ()
    publishers: tuple[TrustedPublisher, ...] = ()
    attesters: tuple[Attester, ...] = ()
    minimum_signers: Annotated[int, Field(ge=1, le=16)] = 1
    waiver_days: Annotated[int, Field(ge=1, le=1100)] = 400
    minimum_versions: dict[str, Annotated[str, Field(pattern=r"^\d{1,6}(\.\d{1,6}){0,3}$")]] = {}

    @model_validator(mode="after")
    def _names_each_once(self) -> Self:
        names = [publisher.name for publisher in self.publishers]
        if len(set(names)) != len(names):
            raise ValueError("two publishers have one name")
        return self


class _Loader(yaml.SafeLoader):
    """Safe loader that refuses a key written twice and every alias."""

    def compose_node(self, parent: yaml.Node | None, index: int) -> yaml.Node | None:
        """Aliases can multiply a small file into a large one; a policy needs none."""
        if self.check_event(yaml.events.AliasEvent):
            raise yaml.composer.ComposerError(None, None, "aliases are not accepted", None)
        return super().compose_node(parent, index)

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:  # noqa: FBT001, FBT002 - PyYAML's own signature
        """The mapping, each key once."""
        keys = [self.construct_object(key, deep=True) for key, _ in node.value]
        for key in keys:
            if keys.count(key) > 1:
                raise yaml.constructor.ConstructorError(None, None, f"{key!r} is written twice", node.start_mark)
        return super().construct_mapping(node, deep)


def parse_policy(data: bytes, source: str = "models.yaml") -> ModelPolicy:
    """The policy in ``data``. Raises ``PolicyError`` naming the first mistake."""
    if len(data) > POLICY_MAX_BYTES:
        raise PolicyError(f"{source} is larger than {POLICY_MAX_BYTES} bytes")
    try:
        value = yaml.load(data, Loader=_Loader)  # noqa: S506 - _Loader is a SafeLoader, made stricter
        return ModelPolicy.model_validate(value)
    except yaml.YAMLError as error:
        raise PolicyError(f"{source} is no valid YAML: {' '.join(str(error).split())}") from error
    except (ValidationError, RecursionError) as error:
        raise PolicyError(
            f"{source}: {_first(error)}", "policies/models.yaml of the release shows every field"
        ) from error


def _first(error: ValidationError | RecursionError) -> str:
    if isinstance(error, RecursionError):
        return "is nested too deep"
    first = error.errors(include_url=False, include_input=False, include_context=False)[0]
    return f"{'.'.join(str(part) for part in first['loc']) or 'file'}: {first['msg']}"


def load_policy(path: Path) -> ModelPolicy:
    """The policy in the file ``path``. Raises ``PolicyError``."""
    try:
        with path.open("rb") as stream:
            data = stream.read(POLICY_MAX_BYTES + 1)
    except OSError as error:
        raise PolicyError(
            f"model policy {path} cannot be read: {error.strerror}", "run `sovereign install` again"
        ) from error
    return parse_policy(data, str(path))
