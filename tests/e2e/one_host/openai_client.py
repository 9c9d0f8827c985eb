"""Run in the host's network namespace: a program with credentials of its own, and the unmodified `openai` package.

Arguments: CA certificate, client id. Standard input: the client's secret. Prints one JSON object.
"""

from __future__ import annotations

import json
import ssl
import sys

import httpx
import openai

GATEWAY, IDENTITY = "https://localhost:8443", "https://localhost:8444"


def main() -> None:
    """Get a token by client credentials, ask once streaming and once not, and say what came."""
    ca, client_id = sys.argv[1:3]
    secret = sys.stdin.read().strip()
    with httpx.Client(verify=ssl.create_default_context(cafile=ca), trust_env=False, timeout=120) as http:
        credentials = {"grant_type": "client_credentials", "client_id": client_id, "client_secret": secret}
        answer = http.post(f"{IDENTITY}/realms/sovereign/protocol/openid-connect/token", data=credentials)
        token = answer.raise_for_status().json()["access_token"]
        client = openai.OpenAI(base_url=f"{GATEWAY}/v1", api_key=token, http_client=http, max_retries=0)
        model, embedder = (one.id for one in client.models.list().data)
        question = [{"role": "user", "content": "Which city is the capital of France?"}]
        try:
            whole = client.chat.completions.create(model=model, messages=question, max_tokens=24, temperature=0)
        except openai.APIStatusError as refused:
            print(json.dumps({"status": refused.status_code}))
            return
        pieces = client.chat.completions.create(
            model=model, messages=question, max_tokens=24, temperature=0, stream=True
        )
        streamed = "".join(piece.choices[0].delta.content or "" for piece in pieces if piece.choices)
        texts = ["The weather is lovely today.", "It's so sunny outside!", "He drove to the stadium."]
        vectors = [one.embedding for one in client.embeddings.create(model=embedder, input=texts).data]
        likeness = [sum(a * b for a, b in zip(vectors[0], other, strict=True)) for other in vectors[1:]]
        found = {"status": 200, "text": whole.choices[0].message.content, "streamed": streamed, "likeness": likeness}
        print(json.dumps(found | {"receipt": (whole.model_extra or {}).get("sovereign", {}).get("receipt")}))


if __name__ == "__main__":
    main()
