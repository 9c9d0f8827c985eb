"""Response objects of the OpenAI-compatible API: pure shapes; the receipt is under the extension key ``sovereign``."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

from appliance.gateway.jobs import CHAT
from appliance.gateway.openai_logprobs import chat_logprobs, completion_logprobs

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from appliance.engine.client import ModelInfo
    from appliance.engine.protocol import TokenLogprob
    from appliance.gateway.jobs import Job
    from appliance.gateway.steps import Text
    from appliance.gateway.tally import Tally

Object = dict[str, Any]


def model_list(models: Mapping[str, ModelInfo]) -> Object:
    """GET /v1/models."""
    return {"object": "list", "data": [model_object(name, info) for name, info in models.items()]}


def model_object(name: str, info: ModelInfo) -> Object:
    """One model; ``sovereign`` says what the model gate found."""
    return {
        "id": name,
        "object": "model",
        "created": 0,
        "owned_by": info.receipt.get("producer") or "unknown",
        "sovereign": {"model": dict(info.receipt), "context_tokens": info.context_tokens},
    }


class Wording:
    """The objects of one response: the same id, time and model in all of them."""

    def __init__(self, job: Job) -> None:
        self._chat = job.operation == CHAT
        prefix, kind = ("chatcmpl", "chat.completion") if self._chat else ("cmpl", "text_completion")
        self._kind = kind
        self._logprobs_wanted = job.sampling.top_logprobs is not None
        self._offset = 0
        self._common = {
            "id": f"{prefix}-{job.request_id}",
            "created": int(time.time()),
            "model": job.grant.model,
            "system_fingerprint": "fp_" + job.model.receipt["digest"].removeprefix("sha256:")[:16],
        }

    def whole(self, tally: Tally, receipt: Object) -> Object:
        """The answer in one piece."""
        text = tally.text
        choice: Object = {"index": 0, "finish_reason": tally.outcome, "logprobs": self._logprobs(tally.logprobs)}
        if self._chat:
            choice["message"] = {"role": "assistant", "content": text, "refusal": None}
        else:
            choice["text"] = text
        extras = {"choices": [choice], "usage": total(tally.usage), "sovereign": {"receipt": receipt}}
        return {**self._common, "object": self._kind, **extras}

    def first(self) -> Object | None:
        """A chat's stream opens with the role."""
        return self._chunk({"role": "assistant", "content": ""}, "", None) if self._chat else None

    def piece(self, step: Text) -> Object:
        """A piece of the answer."""
        chunk = self._chunk({"content": step.text}, step.text, None)
        chunk["choices"][0]["logprobs"] = self._logprobs(step.logprobs)
        return chunk

    def last(self, finish_reason: str) -> Object:
        """The chunk that says how it ended."""
        return self._chunk({}, "", finish_reason)

    def usage(self, usage: Object) -> Object:
        """The chunk that ``stream_options.include_usage`` asks for."""
        return {**self._common, "object": self._chunk_kind, "choices": [], "usage": total(usage)}

    def _logprobs(self, found: Sequence[TokenLogprob]) -> Object | None:
        if not self._logprobs_wanted:
            return None
        if self._chat:
            return chat_logprobs(found)
        shown = completion_logprobs(found, self._offset)
        self._offset += sum(map(len, shown["tokens"]))
        return shown

    @property
    def _chunk_kind(self) -> str:
        return "chat.completion.chunk" if self._chat else "text_completion"

    def _chunk(self, delta: Object, text: str, finish_reason: str | None) -> Object:
        choice: Object = {"index": 0, "finish_reason": finish_reason, "logprobs": None}
        choice.update({"delta": delta} if self._chat else {"text": text})
        return {**self._common, "object": self._chunk_kind, "choices": [choice]}


def total(usage: Object) -> Object:
    """Usage with OpenAI's names."""
    prompt, completion = usage["prompt_tokens"], usage["completion_tokens"]
    return {
        "prompt_tokens": prompt,
        "completion_tokens": completion,
        "total_tokens": prompt + completion,
        "prompt_tokens_details": {"cached_tokens": usage["cached_tokens"], "audio_tokens": 0},
    }
