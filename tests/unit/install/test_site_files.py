"""The files that site.yaml names: all read before anything changes, all missing ones named at once."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pytest

from appliance.errors import SiteFileError
from appliance.install.preflight.report import waived_by
from appliance.install.site_files import read_site_files
from appliance.site.paths import SitePaths
from tests.signers import signer

GOOD = (Path(__file__).parents[3] / "appliance" / "install" / "site.example.yaml").read_text()
NAMED = GOOD + "officers:\n  - {name: officer, public_key: k/o.pub}\nwaivers: [w.json]\nmodel_policy: p.yaml\n"


def write(folder: Path, *names: str) -> Path:
    (folder / "k").mkdir(exist_ok=True)
    for name in names:
        (folder / name).write_bytes(name.encode())
    (folder / "site.yaml").write_text(NAMED)
    return folder / "site.yaml"


def test_everything_named_is_read(tmp_path: Path) -> None:
    files = read_site_files(write(tmp_path, "k/o.pub", "w.json", "p.yaml"), SitePaths(tmp_path / "site"))
    assert files.installed() == {
        "models.yaml": b"p.yaml",
        "officers/officer.pub": b"k/o.pub",
        "waivers/w.json": b"w.json",
    }


def test_every_missing_file_is_named_with_its_line(tmp_path: Path) -> None:
    with pytest.raises(SiteFileError) as caught:
        read_site_files(write(tmp_path), SitePaths(tmp_path / "site"))
    count = GOOD.count("\n")
    found = [m.split(": ")[0:2] for m in caught.value.mistakes]
    assert sorted(found) == sorted(
        [
            [f"line {count + 2}", "officers.0.public_key"],
            [f"line {count + 3}", "waivers.0"],
            [f"line {count + 4}", "model_policy"],
        ]
    )


def test_an_installed_site_file_finds_its_files_where_they_were_installed(tmp_path: Path) -> None:
    given = read_site_files(write(tmp_path, "k/o.pub", "w.json", "p.yaml"), SitePaths(tmp_path / "site"))
    paths = SitePaths(tmp_path / "site")
    for name, data in given.installed().items():
        (paths.policies / name).parent.mkdir(parents=True, exist_ok=True)
        (paths.policies / name).write_bytes(data)
    paths.site_yaml.write_bytes(given.site_yaml)
    assert read_site_files(paths.site_yaml, paths) == given


def test_two_waivers_of_one_name_are_a_mistake(tmp_path: Path) -> None:
    source = write(tmp_path, "k/o.pub", "w.json", "p.yaml", "k/w.json")
    source.write_text(NAMED.replace("[w.json]", "[w.json, k/w.json]"))
    with pytest.raises(SiteFileError, match=r"two waivers files are named w\.json"):
        read_site_files(source, SitePaths(tmp_path / "site"))


def test_auditors_keys_are_read_and_installed_and_a_missing_one_is_named(tmp_path: Path) -> None:
    site = write(tmp_path, "k/o.pub", "w.json", "p.yaml", "k/custodian.pub")
    site.write_text(NAMED + "auditors:\n  - {name: custodian, public_key: k/custodian.pub}\n")
    files = read_site_files(site, SitePaths(tmp_path / "site"))
    assert files.installed()["auditors/custodian.pub"] == b"k/custodian.pub"
    (tmp_path / "k/custodian.pub").unlink()
    with pytest.raises(SiteFileError, match="auditors"):
        read_site_files(site, SitePaths(tmp_path / "site"))


def test_an_auditor_whose_key_file_is_another_s_is_refused_before_anything_is_installed(tmp_path: Path) -> None:
    site = write(tmp_path, "k/o.pub", "w.json", "p.yaml")
    (tmp_path / "k/custodian.pub").write_bytes(signer("deputy").public.to_bytes())
    site.write_text(GOOD + "auditors:\n  - {name: custodian, public_key: k/custodian.pub}\n")
    files = read_site_files(site, SitePaths(tmp_path / "site"))
    with pytest.raises(SiteFileError, match="auditors: the key file of custodian is made out to deputy"):
        waived_by(files, datetime.now(UTC))


def test_two_auditors_of_one_name_are_a_mistake(tmp_path: Path) -> None:
    site = write(tmp_path)
    twice = "  - {name: custodian, public_key: k/custodian.pub}\n"
    site.write_text(GOOD + "auditors:\n" + twice + twice)
    with pytest.raises(SiteFileError, match="named twice"):
        read_site_files(site, SitePaths(tmp_path / "site"))


def test_what_a_cluster_writes_for_its_pods_is_no_site_of_a_host(tmp_path: Path) -> None:
    pods = 'profile: pod\ntls: {mode: "off"}\nedge: {port: 443}\n'
    (tmp_path / "site.yaml").write_text(GOOD.split("listen:")[0] + pods + "models: [{name: m}]\ngroups: [{name: g}]\n")
    with pytest.raises(SiteFileError, match="profile: pod"):
        read_site_files(tmp_path / "site.yaml", SitePaths(tmp_path / "site"))
