"""`sovereign chat`: ask the assistant from a terminal, signed in as a person by device authorization."""

from __future__ import annotations

import ssl
import sys
from pathlib import Path  # noqa: TC003 - typer reads the annotations at run time
from typing import TYPE_CHECKING, Annotated, Any
from urllib.parse import urlsplit

import httpx
import typer

from appliance.cli.chat_api import Answer, SignedOutError, ask, models, printable
from appliance.cli.chat_signin import TerminalSession, discover, token_file
from appliance.cli.terminal import OutputFormat, OutputOption, emit, say
from appliance.errors import SovereignError, UsageError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from appliance.identity.oidc import DeviceGrant

_LOOPBACK = frozenset({"localhost", "127.0.0.1", "::1"})
_COMMANDS = "/new forgets the conversation, /quit leaves; Ctrl-C stops an answer"


def register(app: typer.Typer) -> None:
    """Mount the command at the top level."""
    app.command("chat")(chat)


def chat(  # noqa: PLR0913 - typer: one parameter per option
    question: Annotated[str | None, typer.Argument(help="Ask this and leave; without it a conversation opens.")] = None,
    url: Annotated[
        str, typer.Option(envvar="SOVEREIGN_URL", help="The assistant's address.")
    ] = "https://localhost:8443",
    ca: Annotated[
        Path | None, typer.Option(envvar="SOVEREIGN_CA", help="The site CA's certificate; default: the system's trust.")
    ] = None,
    model: Annotated[str | None, typer.Option(help="Which of your models; default: the first.")] = None,
    *,
    sign_out: Annotated[bool, typer.Option("--sign-out", help="End the session of this terminal and leave.")] = False,
    output: OutputOption = OutputFormat.table,
) -> None:
    """Ask the assistant from this terminal. Ctrl-C stops an answer."""
    gateway, trust = _gateway(url), _trust(ca)
    with httpx.Client(base_url=gateway, verify=trust, trust_env=False, timeout=httpx.Timeout(30, read=300)) as http:
        session = TerminalSession(discover(gateway, http), trust, token_file(gateway), _announce)
        if sign_out:
            session.sign_out()
            say("signed out")
            return
        conversation = Conversation(http, session, model)
        if question is not None:
            _once(conversation, question, output)
        elif output is OutputFormat.json:
            raise UsageError("--output json needs a question", 'sovereign chat --output json "…"')
        else:
            _converse(conversation)


class Conversation:
    """What was said so far, and asking the next thing. One access token outlives no answer: each turn asks for one."""

    def __init__(self, http: httpx.Client, session: TerminalSession, model: str | None) -> None:
        self._http = http
        self._session = session
        self._model = model
        self._messages: list[dict[str, str]] = []

    def ask(self, question: str, answer: Answer) -> Iterator[str]:
        """Pieces of the answer to ``question``. What arrived counts as said, even when it was stopped."""
        turn = [*self._messages, {"role": "user", "content": question}]
        try:
            yield from self._ask_signed_in(turn, answer)
        finally:
            if answer.text:
                self._messages = [*turn, {"role": "assistant", "content": answer.text}]

    def forget(self) -> None:
        """Begin anew."""
        self._messages = []

    def _ask_signed_in(self, turn: list[dict[str, str]], answer: Answer) -> Iterator[str]:
        try:
            yield from ask(self._http, self._session.access_token(), self._chosen_model(), turn, answer)
        except SignedOutError:
            if answer.text:
                raise
            self._session.forget()  # the session was ended elsewhere: once, a new token is worth a try
            yield from ask(self._http, self._session.access_token(), self._chosen_model(), turn, answer)

    def _chosen_model(self) -> str:
        if self._model is None:
            mine = models(self._http, self._session.access_token())
            if not mine:
                raise UsageError("none of your groups may use a model", "ask the operator for a group")
            self._model = mine[0]
        return self._model


def _once(conversation: Conversation, question: str, output: OutputFormat) -> None:
    answer = Answer()
    if output is OutputFormat.table:
        _print_answer(conversation, question, answer)
        return
    for _ in conversation.ask(question, answer):
        pass
    result: dict[str, Any] = {
        "answer": answer.text,
        "model": answer.model,
        "finish_reason": answer.finish_reason,
        "receipt": answer.receipt,
    }
    emit(result, output, lambda _console: None)


def _converse(conversation: Conversation) -> None:
    say(_COMMANDS)
    while True:
        try:
            line = input("> ").strip()
        except (EOFError, KeyboardInterrupt):
            say("")
            return
        if line == "/quit":
            return
        if line == "/new":
            conversation.forget()
        elif line:
            _turn(conversation, line)


def _turn(conversation: Conversation, line: str) -> None:
    """One question of a conversation: a refusal is shown and the conversation goes on."""
    try:
        _print_answer(conversation, line, Answer())
    except KeyboardInterrupt:
        say("\nstopped")
    except SovereignError as error:
        say(f"error: {error.cause}")
        if error.hint:
            say(f"hint: {error.hint}")


def _print_answer(conversation: Conversation, question: str, answer: Answer) -> None:
    for piece in conversation.ask(question, answer):
        sys.stdout.write(piece)
        sys.stdout.flush()
    sys.stdout.write("\n")
    if answer.receipt is not None:
        say(_receipt_line(answer.receipt))


def _receipt_line(receipt: Any) -> str:
    """The receipt in one line; `--output json` has all of it."""
    model, log = receipt.get("model", {}), receipt.get("log", {})
    return printable(
        f"— {model.get('name')} {str(model.get('digest'))[:19]}…, signed by {', '.join(model.get('signers', ()))}; "
        f"entry {log.get('answer_index')} of {log.get('origin')}"
    )


def _announce(grant: DeviceGrant) -> None:
    say(printable(f"To sign in, open {grant.verification_uri_complete}"))
    say(printable(f"and confirm the code {grant.user_code}. Waiting …"))


def _gateway(url: str) -> str:
    parts = urlsplit(url)
    if parts.scheme == "http" and parts.hostname in _LOOPBACK:
        return url.rstrip("/")
    if parts.scheme != "https" or not parts.hostname:
        raise UsageError(f"{url} is no https address", "name the assistant's address, as https://HOST:8443")
    return url.rstrip("/")


def _trust(ca: Path | None) -> ssl.SSLContext:
    try:
        return ssl.create_default_context(cafile=str(ca) if ca is not None else None)
    except (OSError, ssl.SSLError) as error:
        raise UsageError(f"{ca} is no certificate", "name the site CA's certificate, a PEM file") from error
