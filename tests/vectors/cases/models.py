"""Section 22: bundles of models, and who may bring them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.bundles import Draft, foreign_root, rewrite, root_bytes
from tests.bundles import sign as sign_release
from tests.model_bundles import FILES, OFFICERS, forge, granting, granting_root, make, sign
from tests.vectors.cases.desk import case, knowing, strip

if TYPE_CHECKING:
    from pathlib import Path

    from tests.vectors.cases.desk import Json

MODELS = "verify-models"


def _draft(folder: Path, **changes: object) -> Path:
    return Draft(version="1.0.1", files=FILES, **changes).write(folder / "bundle")  # type: ignore[arg-type]  # fields of a draft


@case(
    "models-of-two-officers",
    None,
    "grant",
    "models-scope",
    operation=MODELS,
    about="at first sight of the grant",
    freshness="pass",
)
def whole(folder: Path) -> Json:
    make(folder / "bundle")
    return knowing(folder)


@case(
    "models-below-the-floor-of-releases",
    None,
    "models-floors",
    operation=MODELS,
    about="number 1 at a site that holds release 9: the floors have nothing to do with each other",
)
def apart(folder: Path) -> Json:
    make(folder / "bundle")
    return knowing(folder, release_number=9, versions={"targets": 9, "snapshot": 9, "timestamp": 9})


@case(
    "models-under-a-root-without-a-grant",
    "NotGrantedError",
    "grant",
    operation=MODELS,
    check="grant",
    about="signed by persons to whom the root in force grants nothing",
)
def not_granted(folder: Path) -> Json:
    make(folder / "bundle")
    (folder / "bundle/metadata/2.root.json").unlink()
    return knowing(folder)


@case(
    "models-with-a-policy",
    "NotGrantedError",
    "models-scope",
    operation=MODELS,
    check="scope",
    about="both officers signed a bundle that holds more than models",
)
def more_than_models(folder: Path) -> Json:
    files = {**FILES, "policy": {"models.yaml": b"schema: 1\n"}}
    forge(Draft(version="1.0.1", files=files).write(folder / "bundle"), *OFFICERS)
    return knowing(folder)


@case(
    "models-signed-by-one",
    "NotEnoughSignersError",
    "signed",
    operation=MODELS,
    check="models signatures, ed25519",
    about="one officer of two",
)
def one_of_two(folder: Path) -> Json:
    sign(_draft(folder), "custodian")
    return knowing(folder)


@case(
    "models-half-signed",
    "HalfSignatureError",
    "signed",
    operation=MODELS,
    check="models signatures, ml-dsa-65",
    about="without the post-quantum half of one officer",
)
def half_signed(folder: Path) -> Json:
    strip(make(folder / "bundle") / "metadata/models.json", "ml_dsa", "deputy")
    return knowing(folder)


@case(
    "models-signed-by-those-who-sign-releases",
    "SignatureError",
    "grant",
    operation=MODELS,
    check="models signatures, ed25519",
    about="the persons of targets have no say in models",
)
def of_targets(folder: Path) -> Json:
    forge(_draft(folder), "architect", "builder")
    return knowing(folder)


@case(
    "targets-in-the-place-of-models",
    "MalformedError",
    "models-targets",
    operation=MODELS,
    check="models signatures, ed25519",
    about="a release's targets, renamed, where the same persons hold both roles",
)
def renamed(folder: Path) -> Json:
    chain = {1: root_bytes(), 2: granting(names=("architect", "builder"))}
    bundle = sign_release(_draft(folder), "architect", "builder", "release", roots=chain)
    (bundle / "metadata/targets.json").rename(bundle / "metadata/models.json")
    for seal in ("snapshot", "timestamp"):
        (bundle / f"metadata/{seal}.json").unlink()
    return knowing(folder)


@case(
    "models-older-than-the-newest",
    "RollbackError",
    "models-floors",
    operation=MODELS,
    check="versions",
    about="number 1 after number 2",
)
def older(folder: Path) -> Json:
    make(folder / "bundle")
    return knowing(folder, granting_root(), versions={"targets": 2, "snapshot": 2, "timestamp": 2, "models": 2})


@case(
    "models-below-a-floor-that-a-new-person-does-not-lift",
    "RollbackError",
    "models-floors",
    operation=MODELS,
    check="versions",
    about="number 1 after number 2, with a root beside it that adds a third officer to both who signed",
)
def replayed(folder: Path) -> Json:
    make(folder / "bundle", chain={1: root_bytes(), 2: granting_root(), 3: granting(3, (*OFFICERS, "outsider"))})
    return knowing(folder, granting_root(), versions={"targets": 2, "snapshot": 2, "timestamp": 2, "models": 2})


@case(
    "models-of-a-number-that-is-taken",
    "ReleaseConflictError",
    "models-floors",
    operation=MODELS,
    check="release number",
    about="number 1 twice, with other contents",
)
def taken(folder: Path) -> Json:
    make(folder / "bundle")
    floors = {"targets": 2, "snapshot": 2, "timestamp": 2, "models": 1}
    return knowing(folder, granting_root(), versions=floors, models_digest="sha256:" + "0" * 64)


@case(
    "models-of-other-people",
    "ForeignRootError",
    "pinned-root",
    operation=MODELS,
    check="pinned root",
    about="another organisation's models",
)
def foreign(folder: Path) -> Json:
    make(folder / "bundle")
    return knowing(folder, foreign_root())


@case(
    "grant-for-everything",
    "MalformedError",
    "grant",
    operation=MODELS,
    check="root chain",
    about="a grant whose paths reach beyond models",
)
def too_wide(folder: Path) -> Json:
    path = make(folder / "bundle") / "metadata/2.root.json"
    rewrite(path, lambda signed: signed["x-sovereign-models"].update(paths=["*"]), "architect", "builder")
    return knowing(folder)


@case(
    "grant-with-an-odd-threshold",
    "RootPolicyError",
    "grant",
    "threshold",
    operation=MODELS,
    check="root chain",
    about="a grant that half a person could meet",
)
def odd(folder: Path) -> Json:
    path = make(folder / "bundle") / "metadata/2.root.json"
    rewrite(path, lambda signed: signed["x-sovereign-models"].update(threshold=3), "architect", "builder")
    return knowing(folder)
