"""What a site serves, as site.yaml says it: models, and documents to look up."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from appliance.site.shapes import Slug, Strict, Weight

SLOTS = 4
"""The most requests that llama-server computes at once: each slot takes memory, used or not."""


class Model(Strict):
    """One model that the site serves: an artifact of the release, and what it may use."""

    name: Slug = Field(
        description="Artifact name in the release, or in a promoted bundle of models; also the model id of the API."
    )
    program: Literal["sovereign", "llama-server"] = Field(
        default="sovereign",
        description="What answers: our own engine, or, on a host whose release is built with it (the guide on engine "
        "builds), llama.cpp's llama-server behind the same confinement, for a model that ours does not serve. That one "
        "computes every prompt from its beginning and keeps none, in memory or on disk (`disk_mib` is not used); "
        f"answers at most {SLOTS} requests at once (`parallel` where that is less), each with cells of its own for "
        "`context_tokens`, in order of arrival whatever groups weigh; and has no tools, probabilities, adapters, "
        "pinned instructions, vectors or GPU.",
    )
    adapters: tuple[Slug, ...] = Field(
        default=(), description="LoRA adapters of the release that are made for it; groups name which they use."
    )
    context_tokens: Annotated[int, Field(ge=256, le=131_072)] = 4096
    memory_mib: Annotated[int, Field(ge=128)] = Field(default=900, description="Resident memory budget of its engine.")
    threads: Annotated[int, Field(ge=1, le=256)] = 2
    parallel: Annotated[int, Field(ge=1, le=64)] = Field(
        default=24, description="Requests computed side by side; fewer where `memory_mib` does not hold them."
    )
    queue: Annotated[int, Field(ge=1, le=4096)] = Field(default=32, description="Requests that may wait.")
    disk_mib: Annotated[int, Field(ge=0, le=1_048_576)] = Field(
        default=512,
        description="Disk for what its engine computed of the site's and the groups' instructions, encrypted, so that "
        "a restart need not compute it again; 0 keeps nothing.",
    )
    pinned_tokens: Annotated[int, Field(ge=0, le=131_072)] | None = Field(
        default=None,
        description="The most tokens of the site's and the groups' instructions that stay in its engine's memory "
        "whatever else goes on there, each group's counted with the site's before it. Without it: as many as there "
        "are, up to half of what it holds. 0 keeps none.",
    )
    gpu: Annotated[int, Field(ge=0, le=15)] | None = Field(
        default=None,
        description="Number of the host's NVIDIA GPU (`nvidia-smi -L`) that its engine computes on, where the release "
        "is built for that (the guide on engine builds says what ran and what did not). Without it: the processor.",
    )
    watts_busy: Annotated[float, Field(gt=0)] = Field(default=35.0, description="Declared draw while decoding.")
    watts_idle: Annotated[float, Field(ge=0)] = Field(default=8.0, description="Declared idle draw, stated apart.")

    @property
    def slots(self) -> int:
        """How many requests llama-server computes at once, where it serves the model."""
        return min(self.parallel, SLOTS)

    @property
    def kept_mib(self) -> int:
        """MiB of disk that its engine takes for what it computed."""
        return self.disk_mib if self.program == "sovereign" else 0


class DocumentFolder(Strict):
    """A folder whose files are documents: `sovereign document sync` takes in what is new and drops what is gone."""

    path: Annotated[str, Field(pattern=r"^/[^\x00]*$", max_length=1024)] = Field(description="An absolute path.")
    groups: tuple[Slug, ...] = Field(min_length=1, description="Groups whose people may see them.")


class Documents(Strict):
    """What the assistant may look up."""

    model: Slug | None = Field(
        default=None,
        description="The embedding model that makes their vectors; without one, words alone are searched, and nobody "
        "is answered from documents.",
    )
    folders: tuple[DocumentFolder, ...] = ()
    every_minutes: Annotated[int, Field(ge=5, le=10_080)] = Field(
        default=60, description="How often systemd has `sovereign document sync` read the folders."
    )
    passages: Annotated[int, Field(ge=1, le=12)] = Field(
        default=5, description="The most passages that an answer is given; fewer where the model's context is short."
    )
    nothing_fits: Literal["abstain", "answer"] = Field(
        default="abstain",
        description="Where no passage fits a question: say so and no more, or answer without documents, marked.",
    )
    meaning: Weight = Field(
        default=1.0,
        description="What the order by vectors counts beside that by words, which counts 1: more for a model that "
        "knows the documents' languages well.",
    )


class Compile(Strict):
    """When and how groups' briefs are compiled."""

    at: Annotated[str, Field(pattern=r"^([01][0-9]|2[0-3]):[0-5][0-9]$")] = Field(
        default="02:30", description="The host's time of day at which systemd has `sovereign memory compile` run."
    )
    tokens: Annotated[int, Field(ge=256, le=4096)] = Field(
        default=512,
        description="The most tokens of a brief, by the gateway's estimate; they stay in an engine's memory.",
    )
    staged: bool = Field(
        default=False,
        description="A brief that passed the gate is rolled out (`learning.rollout`) instead of told to all at once.",
    )
    joules: Annotated[float, Field(gt=0)] = Field(
        default=50_000, description="The most energy that a night takes, over all groups; the next one goes on."
    )


class Memory(Strict):
    """What the assistant makes of what it has, while nobody waits."""

    compile: Compile = Compile()
