"""A client of image registries (OCI distribution specification v1.1), pulling only; alone in opening the network.

Answers are capped, hashed by whoever keeps them, and asked for uncompressed; redirects are followed for blobs only.
What is busy or broken for a moment is asked again, a few times. Everything else is a ``RegistryError``.
"""

from __future__ import annotations

import base64
import ssl
import time
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Self

import httpx

from airgap_bundle import strict_json
from airgap_bundle.build import registry_rules as rules
from airgap_bundle.digest import Digest, sha256
from airgap_bundle.errors import FormatError, RegistryError
from airgap_bundle.image_reference import is_loopback

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator, Mapping
    from types import TracebackType

    from airgap_bundle.build.registry_credentials import Credentials

MAX_DOCUMENT = 4 << 20
MAX_TOKEN = 64 << 10
ATTEMPTS = 4
_BUSY = frozenset({408, 429, 500, 502, 503, 504})
_REDIRECTS = frozenset({301, 302, 303, 307, 308})
_TIMEOUT = httpx.Timeout(30.0, connect=10.0)
_SECRETS_HINT = "log in with your container client: docker or podman login"


@dataclass(frozen=True)
class Document:
    """A manifest or index as the registry served it."""

    media_type: str
    data: bytes

    @property
    def digest(self) -> Digest:
        """Digest of the bytes."""
        return sha256(self.data)


class Registry:
    """Pulls from one repository of one registry. A context manager; ``sleep`` is the clock between attempts."""

    def __init__(
        self,
        host: str,
        repository: str,
        credentials: Credentials | None = None,
        *,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self.host, self.repository = host, repository
        self._credentials, self._sleep = credentials, sleep
        self._base = rules.base_address(host)
        self._authorization: str | None = None
        self._http = httpx.Client(
            verify=ssl.create_default_context(),
            timeout=_TIMEOUT,
            trust_env=not is_loopback(host),  # a proxy of the environment, but never between this machine and itself
            headers={"User-Agent": "sovereign", "Accept-Encoding": "identity"},
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._http.close()

    def manifest(self, reference: str, accept: Collection[str]) -> Document:
        """The manifest or index ``reference`` (a tag or digest), of one of the media types ``accept``.

        Raises ``RegistryError``; ``MissingImageError`` when the registry does not have it.
        """
        return self._document(f"manifests/{reference}", accept, reference)

    def referrers(self, digest: Digest) -> Document:
        """The index of what refers to ``digest``. Raises ``MissingImageError`` where the registry has no such list."""
        return self._document(f"referrers/{digest}", ["application/vnd.oci.image.index.v1+json"], None)

    @contextmanager
    def blob(self, digest: Digest, size: int, offset: int = 0) -> Iterator[tuple[int, Iterator[bytes]]]:
        """Bytes of a blob from ``offset`` on, as they come; the first value is where they really begin: there, or at 0.

        Neither length nor digest is checked here. Raises ``RegistryError``; ``InterruptedTransferError`` while reading.
        """
        headers = {"Range": f"bytes={offset}-"} if offset else {}
        with self._send(f"blobs/{digest}", headers, follow=rules.MAX_REDIRECTS) as response:
            resumed = response.status_code == httpx.codes.PARTIAL_CONTENT
            if resumed and not rules.resumes_at(response.headers.get("Content-Range", ""), offset, size):
                raise RegistryError(f"{self.host} answers with another part of {digest} than was asked for")
            yield (offset if resumed else 0), self._pieces(response)

    def _document(self, path: str, accept: Collection[str], reference: str | None) -> Document:
        with self._send(path, {"Accept": ", ".join(sorted(accept))}, follow=0) as response:
            media_type = response.headers.get("Content-Type", "").partition(";")[0].strip()
            if media_type not in accept or response.status_code != httpx.codes.OK:
                raise WrongAnswerError(
                    f"{self._title(path)} is of type {media_type[:80]!r}", f"accepted: {', '.join(sorted(accept))}"
                )
            found = Document(media_type, self._capped(response, MAX_DOCUMENT, path))
        said = response.headers.get("Docker-Content-Digest", found.digest)
        by_digest = reference is not None and reference.startswith("sha256:")
        if said != found.digest or (by_digest and reference != found.digest):
            raise WrongAnswerError(
                f"{self._title(path)} holds other bytes than its digest says", "ask the registry's owner"
            )
        return found

    @contextmanager
    def _send(self, path: str, headers: Mapping[str, str], *, follow: int) -> Iterator[httpx.Response]:
        """One answer with status 200 or 206, after tokens, redirects and retries."""
        address, refused = f"{self._base}/v2/{self.repository}/{path}", False
        attempt = hops = 0
        while True:
            response = self._try(address, headers, attempt)
            attempt += 1
            try:
                status = 0 if response is None else response.status_code
                if response is None or (status in _BUSY and attempt < ATTEMPTS):
                    wait = "" if response is None else response.headers.get("Retry-After", "")
                    self._sleep(rules.retry_delay(wait, attempt))
                elif status in _REDIRECTS and hops < follow:
                    address, hops, attempt = self._redirected(response, address), hops + 1, 0
                elif status == httpx.codes.UNAUTHORIZED and not refused and rules.same_origin(address, self._base):
                    self._authorization, refused, attempt = self._authorize(response), True, 0
                else:
                    self._check_status(response, path)
                    yield response
                    return
            finally:
                if response is not None:
                    response.close()

    def _try(self, address: str, headers: Mapping[str, str], attempt: int) -> httpx.Response | None:
        """The head of an answer, its body unread; None when the connection failed and there are attempts left."""
        sent = dict(headers)
        if self._authorization is not None and rules.same_origin(address, self._base):
            sent["Authorization"] = self._authorization
        try:
            return self._http.send(self._http.build_request("GET", address, headers=sent), stream=True)
        except (httpx.TransportError, httpx.InvalidURL) as error:
            if attempt + 1 < ATTEMPTS and isinstance(error, httpx.TransportError):
                return None
            raise RegistryError(
                f"{self.host} cannot be reached: {str(error).lower()}", "is the reference right?"
            ) from error

    def _redirected(self, response: httpx.Response, address: str) -> str:
        return rules.redirect_target(address, response.headers.get("Location", ""), self.host)

    def _check_status(self, response: httpx.Response, path: str) -> None:
        status = response.status_code
        if status in {httpx.codes.OK, httpx.codes.PARTIAL_CONTENT}:
            if response.headers.get("Content-Encoding", "identity") != "identity":
                raise RegistryError(f"{self._title(path)} comes compressed though it was not asked for so")
            return
        if status == httpx.codes.NOT_FOUND:
            raise MissingImageError(f"{self._title(path)} is not there", "is the reference right, and may you read it?")
        if status in {httpx.codes.UNAUTHORIZED, httpx.codes.FORBIDDEN}:
            raise RegistryError(f"{self.host} does not let this user read {self.repository}", _SECRETS_HINT)
        if status in _REDIRECTS:
            raise RegistryError(f"{self._title(path)} is redirected further than is followed")
        raise RegistryError(f"{self._title(path)}: the registry answers {status}", "try again later")

    def _authorize(self, response: httpx.Response) -> str:
        """The header that a challenge asks for. The scope is ours: pulling from this one repository."""
        challenge = rules.parse_challenge(response.headers.get("WWW-Authenticate", ""), self.host)
        if challenge.scheme == "basic":
            if self._credentials is None:
                raise RegistryError(f"{self.host} asks for a user and a password", _SECRETS_HINT)
            pair = f"{self._credentials.user}:{self._credentials.password}"
            return f"Basic {base64.b64encode(pair.encode()).decode()}"
        rules.check_address(challenge.realm, self.host)
        query = {"service": challenge.service, "scope": f"repository:{self.repository}:pull"}
        try:
            with self._http.stream(
                "GET",
                httpx.URL(challenge.realm).copy_merge_params(query),
                auth=(self._credentials.user, self._credentials.password) if self._credentials else None,
            ) as answer:
                if answer.status_code != httpx.codes.OK:
                    raise RegistryError(
                        f"{self.host} gives this user no token to read {self.repository}", _SECRETS_HINT
                    )
                value = strict_json.load_object(self._capped(answer, MAX_TOKEN, "token"))
        except (httpx.TransportError, httpx.InvalidURL, FormatError) as error:
            raise RegistryError(f"the token service of {self.host} fails: {str(error).lower()}") from error
        token = value.get("token") or value.get("access_token")
        if not isinstance(token, str) or not token.isascii() or not token.isprintable():
            raise RegistryError(f"the token service of {self.host} gives no token")
        return f"Bearer {token}"

    def _capped(self, response: httpx.Response, limit: int, path: str) -> bytes:
        found = bytearray()
        for piece in self._pieces(response):
            found += piece
            if len(found) > limit:
                raise WrongAnswerError(f"{self._title(path)} is longer than {limit} bytes")
        return bytes(found)

    def _pieces(self, response: httpx.Response) -> Iterator[bytes]:
        try:
            yield from response.iter_raw()
        except httpx.TransportError as error:
            raise InterruptedTransferError(f"{self.host} breaks off: {str(error).lower()}", "try again") from error

    def _title(self, path: str) -> str:
        return f"{self.host}/{self.repository}: {path}"


class MissingImageError(RegistryError):
    """The registry does not have what was asked for."""


class WrongAnswerError(RegistryError):
    """The registry answers with something else than what was asked for."""


class InterruptedTransferError(RegistryError):
    """The transfer broke off; what came so far is good for resuming."""
