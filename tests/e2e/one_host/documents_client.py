"""Run in the host's network namespace: a program asks from documents, with the unmodified `openai` package.

Arguments: CA certificate, client id, questions. Standard input: the client's secret. Prints a JSON list: for each
question what the answer says it rests on, or the refusal's code.
"""

from __future__ import annotations

import json
import ssl
import sys

import httpx
import openai

GATEWAY, IDENTITY = "https://localhost:8443", "https://localhost:8444"


def main() -> None:
    """Ask each question from documents, streaming, and say what the last object of the stream says."""
    ca, client_id, *questions = sys.argv[1:]
    secret = sys.stdin.read().strip()
    with httpx.Client(verify=ssl.create_default_context(cafile=ca), trust_env=False, timeout=120) as http:
        credentials = {"grant_type": "client_credentials", "client_id": client_id, "client_secret": secret}
        answer = http.post(f"{IDENTITY}/realms/sovereign/protocol/openid-connect/token", data=credentials)
        token = answer.raise_for_status().json()["access_token"]
        client = openai.OpenAI(base_url=f"{GATEWAY}/v1", api_key=token, http_client=http, max_retries=0)
        model = client.models.list().data[0].id
        print(json.dumps([asked(client, model, question) for question in questions]))


def asked(client: openai.OpenAI, model: str, question: str) -> dict[str, object]:
    """Citations and receipt of one answer."""
    try:
        pieces = list(
            client.chat.completions.create(
                model=model,
                messages=[{"role": "user", "content": question}],
                max_tokens=32,
                temperature=0,
                stream=True,
                extra_body={"documents": {}},
            )
        )
    except openai.APIStatusError as refused:
        return {"refused": refused.code}
    text = "".join(piece.choices[0].delta.content or "" for piece in pieces if piece.choices)
    return {"text": text, **(pieces[-1].model_extra or {})["sovereign"]}


if __name__ == "__main__":
    main()
