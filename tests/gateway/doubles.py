"""Neighbours of the gateway that obey from inside the process: engine, log, key server, sign-in.

Each implements the protocol of ``appliance.gateway.ports`` and keeps what it was asked.
"""

from __future__ import annotations

import asyncio
import base64
import struct
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from appliance.audit.checkpoint import Checkpoint
from appliance.audit.client import Position
from appliance.audit.edge import Edge
from appliance.audit.entry import encode_entry
from appliance.audit.errors import AuditUnavailableError
from appliance.audit.keys import CheckpointKeys
from appliance.audit.proofs import inclusion_proof
from appliance.audit.reader import Page as LogPage
from appliance.audit.search import Wanted, read_found
from appliance.audit.tiles import TileReader
from appliance.engine.client import ModelInfo
from appliance.engine.errors import EngineAbsentError, EngineBusyError, EngineRefusedError, EngineUnavailableError
from appliance.engine.protocol import (
    Admitted,
    End,
    Energy,
    Event,
    Request,
    Spared,
    Timing,
    Token,
    TokenLogprob,
    ToolCall,
    Usage,
    Vectors,
)
from appliance.engine.tiers import EngineTiers, Prefill, Row
from appliance.errors import UnavailableError
from appliance.identity.oidc import GrantError, Tokens
from appliance.identity.tokens import LogoutToken, Principal, TokenError
from appliance.site.config import SiteConfig

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable, Mapping

    from appliance.errors import SovereignError

DIGEST = "sha256:" + "a5" * 32
ORIGIN = "sovereign/test"
LOG_KEYS = CheckpointKeys.generate()
"""What a ``MemoryLog`` signs with."""


def site(**changes: Any) -> SiteConfig:
    """A site with two groups and two models; ``analysts`` may use both, ``clerks`` the small one."""
    fields: dict[str, Any] = {
        "schema": 1,
        "name": "test",
        "tls": {"mode": "off"},
        "listen": {"hostname": "localhost", "gateway_port": 8443},
        "models": [{"name": "small"}, {"name": "large"}],
        "groups": [
            {"name": "analysts", "models": ["small", "large"]},
            {"name": "clerks", "models": ["small"]},
        ],
    }
    return SiteConfig.model_validate({**fields, **changes})


def receipt(name: str) -> dict[str, Any]:
    """What the model gate says of a model."""
    return {
        "name": name,
        "version": "1.0.0",
        "digest": DIGEST,
        "template_digest": "sha256:" + "7e" * 32,
        "signers": ["officer-one", "officer-two"],
        "release": "1.0.0",
        "licence": "LicenseRef-Test-Terms",
        "producer": "Test Producer",
        "jurisdiction": "CH",
        "waivers": [],
    }


HELD = EngineTiers(
    up_s=600.0,
    cells=4096,
    rows=(
        Row("pinned", "site", "", 1, 40, 40 * 512, 500.0, 500.0),
        Row("pinned", "group", "analysts", 1, 25, 25 * 512, 400.0, 400.0),
        Row("parked", "user", "", 3, 90, 90 * 512, 300.0, 20.0),
        Row("disk", "group", "dissolved", 1, 70, 1 << 20, 9000.0, 9000.0),
    ),
    prefill=Prefill(1000, 20.0, "estimated"),
)
"""What an obedient engine holds; one of its groups is no group of the site any more."""


@dataclass
class ObedientEngine:
    """Answers ``words``, one per token event, after ``pause`` seconds each.

    A question that is one of the words below gets another fate: see ``_refuse`` and ``generate``.
    """

    name: str = "small"
    words: tuple[str, ...] = ("Hello", " there", ".")
    pause: float = 0.0
    context_tokens: int = 4096
    up: bool = True
    requests: list[Request] = field(default_factory=list)
    closed: int = 0
    go: asyncio.Event | None = None
    adapters: dict[str, dict[str, Any]] = field(default_factory=dict)
    role: str = "chat"
    spared: tuple[Spared, ...] = ()
    untold: int = 0

    async def generate(self, request: Request) -> AsyncGenerator[Event, None]:
        self.requests.append(request)
        ended = False
        try:
            self._refuse(request)
            yield Admitted(0, _prompt_tokens(request), request.seed or 0)
            if request.inputs is not None:
                yield Vectors(tuple(struct.pack("<2f", 1.0, 0.0) for _ in request.inputs))
            if _calls(request):
                for number, tool in enumerate(request.tools):
                    yield ToolCall(f"call_{number}", tool.name, '{"city": "Bern"}')
            words = () if request.inputs is not None or _calls(request) else await self._words(request)
            for word in words[: request.max_tokens]:
                await asyncio.sleep(self.pause)
                yield Token(word, _logprobs(request, word))
            if _question(request) == "break":
                raise EngineUnavailableError("the engine stopped in the middle of an answer")
            ended = True
            yield self._end(request, words)
        finally:
            self.closed += not ended

    async def model(self) -> ModelInfo:
        if not self.up:
            raise EngineUnavailableError("no engine answers")
        said = receipt(self.name) | ({"adapters": self.adapters} if self.adapters else {})
        dimensions = 2 if self.role == "embedding" else None
        record = {"name": self.name, "role": self.role}
        return ModelInfo(record, said, self.context_tokens, {"waiting": 0}, dimensions)

    async def healthy(self) -> bool:
        return self.up

    async def tiers(self) -> EngineTiers:
        if not self.up:
            raise EngineAbsentError("no engine listens")
        return HELD

    async def _words(self, request: Request) -> tuple[str, ...]:
        if self.go is not None:
            await self.go.wait()
        if _question(request) == "endless":
            return tuple(f" {n}" for n in range(request.max_tokens))
        return self.words

    def _refuse(self, request: Request) -> None:
        if not self.up:
            raise EngineUnavailableError("no engine answers")
        if _question(request) == "busy":
            raise EngineBusyError(7)
        if _prompt_tokens(request) >= self.context_tokens:
            raise EngineRefusedError("context_length_exceeded", "the prompt is too long")

    def _end(self, request: Request, words: tuple[str, ...]) -> End:
        count = min(len(words), request.max_tokens)
        return End(
            "length" if count < len(words) or _question(request) == "endless" else "stop",
            Usage(_prompt_tokens(request), sum(one.tokens for one in self.spared) + self.untold, count),
            Timing(1.0, 20.0, 30.0 * count),
            Energy(0.5 * count, "estimated", 35.0, 0.1 * count),
            self.spared,
        )


def _logprobs(request: Request, word: str) -> tuple[TokenLogprob, ...]:
    """Where they were asked for: the word itself at 3/4, and as many others as were asked for."""
    if request.top_logprobs is None:
        return ()
    others = tuple((b"other %d" % n, -2.0 - n) for n in range(request.top_logprobs))
    return (TokenLogprob(word.encode(), -0.2877, others),)


def _calls(request: Request) -> bool:
    """Every tool is called once, where the question is to call them or one must be."""
    return bool(request.tools) and (request.tool_choice == "required" or _question(request) == "call")


def _question(request: Request) -> str:
    return request.messages[-1].content if request.messages else request.prompt or ""


def _prompt_tokens(request: Request) -> int:
    texts = [m.content for m in request.messages] if request.messages else [request.prompt or ""]
    return max(1, sum(len(text) for text in texts))  # one token per character: an honest worst case


@dataclass
class MemoryLog:
    """A log in a list. ``up = False`` makes it unavailable; ``go`` holds every append until it is set."""

    entries: list[tuple[str, dict[str, Any]]] = field(default_factory=list)
    up: bool = True
    go: asyncio.Event | None = None
    refuse_kinds: frozenset[str] = frozenset()
    instance: str = "0123456789abcdef"
    proves: bool = True

    async def append(self, event: dict[str, Any], *, id: str, proven: bool = False) -> Position:  # noqa: A002 - the protocol's name
        if self.go is not None:
            await self.go.wait()
        if not self.up or event["unmapped"]["sovereign"]["kind"] in self.refuse_kinds:
            raise AuditUnavailableError("the audit writer does not answer")
        for index, (known, _) in enumerate(self.entries):
            if known == id:
                return self._proven(index) if proven and self.proves else self._position(index)
        self.entries.append((id, event))
        last = len(self.entries) - 1
        return self._proven(last) if proven and self.proves else self._position(last)

    async def healthy(self) -> bool:
        return self.up

    def kinds(self) -> list[str]:
        return [event["unmapped"]["sovereign"]["kind"] for _, event in self.entries]

    def of_kind(self, kind: str) -> list[dict[str, Any]]:
        return [event for _, event in self.entries if event["unmapped"]["sovereign"]["kind"] == kind]

    def _proven(self, index: int) -> Position:
        """As the writer proves it: under its keys, by the hashes of everything that was logged."""
        entries = [encode_entry(event, entry_id) for entry_id, event in self.entries]
        edge = Edge().grow(entries)
        head = Checkpoint(ORIGIN, len(entries), edge.edge.tree.root())
        hashes = inclusion_proof(TileReader(Path(), head.size, edge.files), index)
        proof = tuple(base64.b64encode(one).decode() for one in hashes)
        return Position(index, head.size, LOG_KEYS.sign(head, time=1_700_000_000), entries[index], proof)

    def _position(self, index: int) -> Position:
        return Position(index, len(self.entries), f"{ORIGIN}\n{len(self.entries)}\nroot\n")


@dataclass
class OpenBook:
    """A log to be read that holds one entry; ``asked`` keeps what it was asked. ``failure`` makes it refuse.

    ``watch`` is called whenever it is asked, and ``go`` holds what it says until it is set.
    """

    asked: list[tuple[Any, ...]] = field(default_factory=list)
    failure: SovereignError | None = None
    watch: Callable[[], None] = lambda: None
    go: asyncio.Event | None = None

    async def state(self) -> dict[str, Any]:
        self._ask("state")
        if self.go is not None:
            await self.go.wait()
        return {"origin": ORIGIN, "size": 1}

    async def usage(self, since: str | None, until: str | None) -> dict[str, Any]:
        self._ask("usage", since, until)
        return {"by_day": {}}

    async def export(self, first: int, last: int) -> bytes:
        self._ask("export", first, last)
        return b"PK"

    async def search(self, wanted: Wanted, *, before: int | None = None, limit: int = 50) -> LogPage:
        self._ask("search", wanted, before, limit)
        return LogPage((read_found(0, b'{"time":7,"unmapped":{"sovereign":{"kind":"request"}}}'),), None, 1)

    def _ask(self, *asked: Any) -> None:
        self.asked.append(asked)
        self.watch()
        if self.failure is not None:
            raise self.failure


@dataclass
class OpenRegister:
    """Keycloak's accounts, of everybody whom ``principal`` makes; ``asked`` counts, ``up`` False does not answer."""

    names: list[str] = field(default_factory=list)
    up: bool = True
    asked: int = 0
    watch: Callable[[], None] = lambda: None

    async def accounts(self) -> AsyncGenerator[tuple[str, str], None]:
        self.asked += 1
        self.watch()
        if not self.up:
            raise UnavailableError("keycloak does not answer: ConnectError")
        for name in self.names:
            yield f"sub-{name}", name


@dataclass
class OpenDoor:
    """Verifier and sign-in in one: ``people`` maps tokens to principals, and everybody signs in as ``guest``."""

    people: dict[str, Principal] = field(default_factory=dict)
    guest: str = "analyst"
    up: bool = True
    logouts: dict[str, LogoutToken] = field(default_factory=dict)
    refreshable: bool = True
    refreshed: int = 0
    lifetime: int = 300

    async def verify(self, token: str) -> Principal:
        try:
            return self.people[token]
        except KeyError:
            raise TokenError("the token is signed by an unknown key") from None

    async def verify_id_token(self, token: str, *, client_id: str, nonce: str) -> Mapping[str, Any]:
        if token != f"id:{self.guest}":
            raise TokenError("the id token does not answer this sign-in")
        return {"sub": self.people[self.guest].sub, "nonce": nonce, "aud": client_id}

    async def verify_logout_token(self, token: str, *, client_id: str) -> LogoutToken:
        try:
            return self.logouts[token]
        except KeyError:
            raise TokenError(f"the logout token is not for {client_id}") from None

    async def ready(self) -> None:
        return None

    async def authorization_url(self, *, redirect_uri: str, state: str, nonce: str, code_verifier: str) -> str:
        assert nonce
        assert len(code_verifier) >= 43
        return f"{redirect_uri}?state={state}&code=code"

    async def exchange_code(self, *, code: str, redirect_uri: str, code_verifier: str) -> Tokens:
        assert redirect_uri
        assert code_verifier
        if code != "code":
            raise GrantError("invalid_grant")
        return Tokens(self.guest, "refresh", f"id:{self.guest}", self.lifetime)

    async def refresh(self, refresh_token: str) -> Tokens:
        if not self.refreshable or not refresh_token.startswith("refresh"):
            raise GrantError("invalid_grant")
        self.refreshed += 1
        held = self.people[self.guest]
        self.people[self.guest] = principal(self.guest, *held.groups, lifetime=self.lifetime, roles=held.roles)
        return Tokens(self.guest, f"refresh{self.refreshed}", f"id:{self.guest}", self.lifetime)

    async def end_session_url(self, *, id_token_hint: str, post_logout_redirect_uri: str) -> str:
        return f"{post_logout_redirect_uri}?signed-out={id_token_hint}"


def principal(name: str, *groups: str, lifetime: int = 300, roles: tuple[str, ...] = ()) -> Principal:
    """Somebody named for their role."""
    return Principal(
        sub=f"sub-{name}",
        username=name,
        groups=groups,
        roles=roles,
        session_id=f"sid-{name}",
        client_id="sovereign-web",
        expires_at=int(time.time()) + lifetime,
    )
