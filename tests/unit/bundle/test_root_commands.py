"""A root's life from the command line, with persons whose keys never meet."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING

import pytest

from airgap_bundle.errors import BundleError, ForeignRootError, SigningError
from airgap_bundle.importer import import_release
from airgap_bundle.trust_state import fingerprint
from appliance.errors import UsageError
from tests.bundles import tree
from tests.commands import PHRASE, run, run_json
from tests.machines import Machines, release

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.usefixtures("cheap_keys")


def test_the_first_root_is_drafted_from_public_halves_and_signed_one_by_one(machines: Machines) -> None:
    drafted = machines.draft_first()
    assert drafted["fingerprint"] is None
    assert drafted["signatures"] == "0 of 2, waiting for architect, builder, custodian"
    assert machines.sign_root(1, "architect")["signatures"] == "1 of 2, waiting for builder, custodian"
    shown = run_json("trust", "show", machines.roots / "1.root.json")
    assert (shown["complete"], shown["waiting_for"]) == (False, ["builder", "custodian"])
    done = machines.sign_root(1, "builder")
    assert done["fingerprint"] == fingerprint((machines.roots / "1.root.json").read_bytes())
    assert not list(machines.roots.glob("*.key")), "no private key came to the keeper"


def test_a_root_is_never_written_over(rooted: Machines) -> None:
    before = tree(rooted.roots)
    given = ["--public", rooted.public("architect"), "--release", rooted.public("release"), "--threshold", 1]
    with pytest.raises(UsageError, match="exists already"):
        run("trust", "init", *given, "--out", rooted.roots)
    assert tree(rooted.roots) == before


@pytest.mark.parametrize(
    "given", [[], ["--public", "a.pub"], ["--signers", "a,b", "--public", "a.pub", "--release", "r.pub"]]
)
def test_init_has_two_forms_and_no_third(tmp_path: Path, given: list[str]) -> None:
    with pytest.raises(UsageError, match="either --public and --release, or --signers"):
        run("trust", "init", *given, "--threshold", 1, "--out", tmp_path)


def test_a_signer_joins_and_the_words_say_so(rooted: Machines) -> None:
    rooted.keygen("deputy")
    done = run("trust", "add-signer", rooted.public("deputy"), "--roots", rooted.roots, "--threshold", 3)
    assert "joins root and targets" in done.stderr
    assert "targets needs 3 of 4 persons, where it needed 2 of 3" in done.stderr
    assert (
        rooted.sign_root(2, "architect", "builder")["signatures"]
        == "2 of 2 old, 2 of 3 new, waiting for custodian, deputy"
    )
    assert rooted.sign_root(2, "deputy")["roles"]["root"] == {
        "threshold": 3,
        "persons": ["architect", "builder", "custodian", "deputy"],
    }


def test_thresholds_are_set_per_role(rooted: Machines) -> None:
    shown = run_json("trust", "rotate", "--roots", rooted.roots, "--root-threshold", 3, "--targets-threshold", 1)
    assert (shown["roles"]["root"]["threshold"], shown["roles"]["targets"]["threshold"]) == (3, 1)


def test_a_signer_may_join_one_role_only(rooted: Machines) -> None:
    rooted.keygen("deputy")
    shown = run_json("trust", "add-signer", rooted.public("deputy"), "--roots", rooted.roots, "--role", "targets")
    assert "deputy" in shown["roles"]["targets"]["persons"]
    assert "deputy" not in shown["roles"]["root"]["persons"]


def test_a_threshold_that_no_longer_can_be_met_is_not_lowered_silently(rooted: Machines) -> None:
    before = tree(rooted.roots)
    with pytest.raises(SigningError, match="a threshold of 2 cannot be met by 1 signers of root"):
        run("trust", "rotate", "--roots", rooted.roots, "--remove", "architect", "--remove", "builder")
    assert tree(rooted.roots) == before


REFUSED: dict[str, tuple[tuple[str, ...], type[Exception], str]] = {
    "nobody": (("remove-signer", "outsider"), SigningError, "names no outsider"),
    "the release key": (("remove-signer", "release"), SigningError, "names no release"),
    "a role that is none": (("remove-signer", "builder", "--role", "timestamp"), UsageError, "no role of persons"),
}


@pytest.mark.parametrize(("given", "error", "match"), REFUSED.values(), ids=REFUSED)
def test_a_change_that_makes_no_sense_writes_no_draft(
    rooted: Machines, given: tuple[str, ...], error: type[Exception], match: str
) -> None:
    before = tree(rooted.roots)
    with pytest.raises(error, match=match):
        run("trust", *given, "--roots", rooted.roots)
    assert tree(rooted.roots) == before


def test_whoever_signs_already_does_not_join_again(rooted: Machines) -> None:
    with pytest.raises(SigningError, match="architect signs root already"):
        run("trust", "add-signer", rooted.public("architect"), "--roots", rooted.roots)


def test_there_is_one_draft_at_a_time(rooted: Machines) -> None:
    run("trust", "remove-signer", "custodian", "--roots", rooted.roots)
    with pytest.raises(SigningError, match=r"2\.root\.json is a draft: 0 of 2 old, 0 of 2 new"):
        run("trust", "rotate", "--roots", rooted.roots)


def test_a_draft_is_signed_over_a_distance(rooted: Machines) -> None:
    run("trust", "remove-signer", "custodian", "--roots", rooted.roots)
    request = rooted.root / "request.json"
    draft = rooted.roots / "2.root.json"
    assert run_json("trust", "request", draft, "--out", request)["signed_by"].startswith("0 of 2 old, 0 of 2 new")
    responses = [rooted.respond(request, name) for name in ("architect", "builder")]
    done = run_json("trust", "collect", draft, *responses)
    assert (done["complete"], done["signatures"]) == (True, "2 of 2 old, 2 of 2 new")
    before = tree(rooted.roots)
    run("trust", "collect", draft, *responses)
    assert tree(rooted.roots) == before


def test_a_signer_who_knows_another_root_refuses(rooted: Machines) -> None:
    run("trust", "remove-signer", "custodian", "--roots", rooted.roots)
    request = rooted.root / "request.json"
    run("trust", "request", rooted.roots / "2.root.json", "--out", request)
    with pytest.raises(ForeignRootError, match="rests on another root"):
        rooted.respond(request, "architect", f"sha256:{'00' * 32}")


@pytest.mark.parametrize("group", ["bundle", "trust"])
def test_where_no_terminal_asks_a_signer_who_names_no_root_signs_nothing(rooted: Machines, group: str) -> None:
    request, out = rooted.root / "request.json", rooted.root / "response.json"
    if group == "bundle":
        run("bundle", "request", release(rooted.root / "one"), "--root", rooted.roots, "--out", request)
    else:
        run("trust", "remove-signer", "custodian", "--roots", rooted.roots)
        run("trust", "request", rooted.roots / "2.root.json", "--out", request)
    before = tree(rooted.root)
    with pytest.raises(UsageError, match="whether this is your root") as refused:
        run(group, "respond", request, "--key", rooted.key("architect"), "--out", out, "--yes", phrase=PHRASE)
    assert "--root-fingerprint" in str(refused.value.hint)
    assert tree(rooted.root) == before


def test_a_first_root_which_nobody_can_name_is_not_signed_where_no_terminal_asks(machines: Machines) -> None:
    machines.draft_first()
    request, out = machines.root / "request.json", machines.root / "response.json"
    run("trust", "request", machines.roots / "1.root.json", "--out", request)
    with pytest.raises(UsageError, match="a first root is signed at a terminal"):
        run("trust", "respond", request, "--key", machines.key("architect"), "--out", out, "--yes", phrase=PHRASE)
    assert not out.exists()


def test_a_compromised_signer_is_removed_and_sites_learn_it_from_the_next_bundle(rooted: Machines) -> None:
    site, now = rooted.root / "site", datetime.now(UTC)
    pin = str(fingerprint((rooted.roots / "1.root.json").read_bytes()))

    def sign(bundle: Path, *names: str) -> Path:
        for name in names:
            run("bundle", "sign", bundle, "--key", rooted.key(name), "--root", rooted.roots, phrase=PHRASE)
        return bundle

    one = sign(release(rooted.root / "one"), "architect", "custodian", "release")
    import_release(one, site / "trust", site / "store", now=now, root_fingerprint=pin)
    rooted.keygen("deputy")
    run("trust", "rotate", "--roots", rooted.roots, "--remove", "custodian", "--add", rooted.public("deputy"))
    rooted.sign_root(2, "architect", "builder")
    two = sign(release(rooted.root / "two", 2), "deputy", "architect", "release")
    assert sorted(path.name for path in (two / "metadata").glob("*.root.json")) == ["1.root.json", "2.root.json"]
    import_release(two, site / "trust", site / "store", now=now)
    assert run_json("trust", "show", site=site)["version"] == 2
    with pytest.raises(SigningError, match="does not know the keys of custodian"):
        sign(release(rooted.root / "three", 3), "custodian")
    late = release(rooted.root / "late", 4)
    for name in ("architect", "custodian", "release"):
        run("bundle", "sign", late, "--key", rooted.key(name), "--root", rooted.roots / "1.root.json", phrase=PHRASE)
    before = tree(site)
    with pytest.raises(BundleError, match="this site trusts version 2"):
        import_release(late, site / "trust", site / "store", now=now)
    assert tree(site) == before


def test_a_new_release_key_says_which_floors_start_anew(rooted: Machines) -> None:
    run("trust", "keygen", "release-2", "--out", rooted.root / "release-2", phrase=PHRASE)
    done = run("trust", "rotate", "--roots", rooted.roots, "--release", rooted.public("release-2"))
    assert "the release key changes from release (" in done.stderr
    assert "version floors of snapshot, timestamp start anew at every site" in done.stderr


def test_a_bundle_does_not_take_a_draft_for_a_root(rooted: Machines) -> None:
    run("trust", "remove-signer", "custodian", "--roots", rooted.roots)
    bundle = release(rooted.root / "one")
    for given in (rooted.roots, rooted.roots / "2.root.json"):
        with pytest.raises(BundleError):
            run("bundle", "sign", bundle, "--key", rooted.key("architect"), "--root", given, phrase=PHRASE)
    assert not (bundle / "metadata").exists()


def test_a_bundle_is_signed_and_sealed_over_a_distance(rooted: Machines) -> None:
    bundle, request, seal = release(rooted.root / "one"), rooted.root / "request.json", rooted.root / "seal.json"
    asked = run_json("bundle", "request", bundle, "--root", rooted.roots, "--out", request)
    assert asked["signed_by"] == "0 of 2, waiting for architect, builder, custodian"
    responses = [rooted.respond(request, name) for name in ("builder", "custodian")]
    assert run_json("bundle", "collect", bundle, *responses)["targets"] == "2 of 2 (builder, custodian)"
    run("bundle", "request", bundle, "--out", seal)
    assert run_json("bundle", "collect", bundle, rooted.respond(seal, "release"))["sealed"]
    pin = fingerprint((rooted.roots / "1.root.json").read_bytes())
    assert run_json("bundle", "verify", bundle, "--root-fingerprint", pin)["signers"] == ["builder", "custodian"]


def test_what_will_be_signed_is_shown_before_the_passphrase_is_asked_for(rooted: Machines) -> None:
    bundle, request, out = release(rooted.root / "one"), rooted.root / "request.json", rooted.root / "response.json"
    run("bundle", "request", bundle, "--root", rooted.roots, "--out", request)
    given = ("--key", rooted.root / "no.key", "--out", out, "--root-fingerprint", rooted.fingerprint())
    with pytest.raises(UsageError, match="nobody can be asked"):
        run("bundle", "respond", request, *given)
    assert not out.exists()


def test_show_says_what_it_cannot_establish(rooted: Machines) -> None:
    run("trust", "remove-signer", "custodian", "--roots", rooted.roots)
    rooted.sign_root(2, "architect", "builder")
    alone = rooted.root / "2.root.json"
    alone.write_bytes((rooted.roots / "2.root.json").read_bytes())
    shown = run_json("trust", "show", alone)
    assert shown["complete"] is None
    assert "1.root.json is not beside it" in shown["signatures"]
