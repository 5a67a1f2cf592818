"""The catalog of packs that can be pulled: every entry is whole, and what it says holds together."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from facerec_cli.faces.align import template
from facerec_cli.packs import known
from facerec_cli.packs.known import known_packs
from facerec_cli.packs.resolve import open_pack

NAMES = sorted(known_packs())
ARCHIVES = {"antelopev2", "buffalo_l", "buffalo_m", "buffalo_s", "buffalo_sc"}
COMMERCIAL = {"auraface", "sface-2021dec", "sface-yunet-n"}
RESEARCH = ("Glint360K", "WebFace", "MS1MV2")  # by their publishers' terms


def test_there_is_one_file_for_each_name():
    files = {path.stem for path in Path(known.__file__).parent.glob("*.toml")}
    assert files == set(NAMES) and files >= ARCHIVES and len(files) == 24


@pytest.mark.parametrize("name", NAMES)
def test_an_entry_is_whole(name):
    pack = known_packs()[name]
    specs = [pack.encoder, *([pack.detector] if pack.detector else [])]
    assert all(re.fullmatch("[0-9a-f]{64}", spec.sha256) for spec in specs)
    assert template(pack.encoder.template, pack.encoder.input_size).shape == (5, 2)
    license = pack.license
    assert license.code and license.weights and pack.provenance.training_data and pack.provenance.source
    assert (
        "github.com/" in pack.provenance.source
        or "Hugging Face, " in pack.provenance.source
        or (pack.provenance.source.startswith("OpenCV Zoo"))
    )
    assert license.commercial or license.notice  # or there is nothing to agree to
    assert pack.threshold is None and not pack.impostor_tails  # nobody has measured one here


@pytest.mark.parametrize("name", NAMES)
def test_every_file_has_an_address(name):
    pack = known_packs()[name]
    wanted = {pack.encoder.file, *([pack.detector.file] if pack.detector else [])}
    if name in ARCHIVES:
        address = f"https://github.com/deepinsight/insightface/releases/download/v0.7/{name}.zip"
        assert pack.urls == (address,) and not pack.downloads
        return
    assert not pack.urls
    if pack.encoder.sha256 == open_pack("sface").encoder.sha256:  # the detector is what is fetched
        assert pack.encoder == open_pack("sface").encoder
        wanted.discard(pack.encoder.file)
    assert {item.file for item in pack.downloads} == wanted
    for item in pack.downloads:
        assert item.urls[0].endswith(f"/{item.file}") and all(u.startswith("https://") for u in item.urls)
        # an address does not move, and serves one version: a release, or a commit
        assert all(re.search("/[0-9a-f]{40}/|/releases/download/", url) for url in item.urls)


@pytest.mark.parametrize("name", NAMES)
def test_every_entry_names_its_evidence(name):
    evidence = known_packs()[name].evidence
    assert evidence is not None
    for about, said in evidence.items():
        assert said and all(source.startswith("http") for source in said), about
    # by the publisher's own words, or by two others
    own = "yakhyo/uniface|packages.py|publisher's"
    assert len(evidence.sha256) >= 2 or re.search(own, evidence.sha256[0])
    assert len(evidence.preprocessing) >= 2


@pytest.mark.parametrize("name", NAMES)
def test_commercial_use_is_allowed_by_the_weights_and_not_forbidden_by_the_data(name):
    pack = known_packs()[name]
    assert pack.license.commercial == (name in COMMERCIAL)
    if pack.license.commercial:
        assert pack.license.weights == "Apache-2.0"
        assert not any(data in pack.provenance.training_data.partition(";")[0] for data in RESEARCH)
    elif any(data in pack.provenance.training_data for data in RESEARCH):
        terms = pack.provenance.training_data.partition(";")[2]
        assert "research" in terms


def test_adaface_alone_takes_blue_green_red():
    colors = {name: pack.encoder.color for name, pack in known_packs().items()}
    assert {name for name, color in colors.items() if color == "bgr"} == {"adaface-ir18", "adaface-ir101"}
