"""Write docs/catalogue.md, the models that can be pulled, from their manifests.

Run ``python docs/catalogue.py`` after a manifest in ``facerec_cli/packs/known`` has changed;
``tests/packs/test_catalogue_page.py`` fails until that is done.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from pathlib import Path

from facerec_cli.packs.folders import embedded_packs
from facerec_cli.packs.known import known_packs
from facerec_cli.packs.manifest import DetectorSpec, EncoderSpec, ModelPack
from facerec_cli.packs.manifest_toml import read_manifest

PAGE = Path(__file__).with_name("catalogue.md")

INTRODUCTION = """\
# Models that can be pulled

Made by `python docs/catalogue.py` from the manifests in `facerec_cli/packs/known`; do not edit.

    facerec models list
    facerec models list --commercial
    facerec models show auraface
    facerec models pull auraface

Each entry has the publisher's address, the sha256 of the file, how the network is fed, and three things
that must not be mixed up: the license of the **code** that made it, the license of the **weights**, and the
**data** that it was trained on with that data's own terms. Below each entry is its evidence: who pins the
sha256, where the licenses are stated, where the data is named, and whose code feeds the network so. A pull
refuses any other file.

**Not measured here.** None of the models to pull has been run on a set of faces by facerec's authors, so
none has a threshold, and `facerec verify a.jpg b.jpg --model NAME` prints a similarity and no verdict.
`facerec verify PAIRS.txt --model NAME --save-threshold card.toml` measures one. What a pull does check is
that the network works: finite vectors, the same again, the same in a batch as alone.

## Which may be used commercially

`--commercial` lists a model where both hold:

1. The publisher of the weights allows commercial use, in their own words or by the license that they put on
   the weights.
2. Nothing that is published on the terms of the data, by those who made the data, forbids it. Where the
   publisher of the weights does not name the data, there are no such terms, and the entry says so.

So weights under the MIT license that were trained on MS1MV2, WebFace or Glint360K are not listed: those who
made these sets give them, and in two cases the models trained on them, for research alone. Such weights are
marked `research data`.

The models that are listed pass this rule, and you may still want advice:

* **SFace** (`sface`, `sface-2021dec` and the recognition network of `sface-yunet-n`): the OpenCV Zoo puts
  all files of its folder under Apache-2.0 and names no training data. The models of SFace's paper were
  trained on CASIA-WebFace, VGGFace2 or MS-Celeb-1M, which were collected for research; which of them, if
  any, this network saw is not published.
* **YuNet**, the detector of all packs that bring none: MIT (OpenCV Zoo) and Apache-2.0 (its authors'
  repository), trained on WIDER FACE. The authors' page of that set names no terms; a copy of it on Hugging
  Face is marked CC BY-NC-ND 4.0.
* **AuraFace**: fal publishes it for commercial use and calls its data "a commercial dataset", without a
  name.

Whether the terms of photos bind a network that was trained on them is settled nowhere. This page is no
legal advice.
"""

LEFT_OUT = """\
## What was left out, and why

| model | reason |
|---|---|
| GhostFaceNets (HamadYA) | published as Keras `.h5` files; there is no ONNX file by its authors |
| dlib's ResNet | its own `.dat` format and 150 x 150 crops by another alignment, not ONNX |
| AdaFace and KP-RPE of CVLface, TopoFR | published as PyTorch files |
| RetinaFace, YOLO-face | facerec has no [decoder](extending.md#adding-a-detector) for their outputs |
| SCRFD-2.5GF and 34GF alone | 2.5GF comes with `buffalo_m`; no publisher pins 34GF |
| YuNet 2023mar and 2026may | the network of the default pack in other numbers or with other sizes |
| AuraFace's own detectors | they are insightface's files, whose terms are not Apache-2.0 |
"""


def render() -> str:
    """The whole page."""
    embedded = [read_manifest(embedded_packs() / "sface")]
    packs = [*embedded, *known_packs().values()]
    rows = ["| model | weights | code | trained on | commercial use |", "|---|---|---|---|---|"]
    for pack in packs:
        data = re.split("[;:]", pack.provenance.training_data)[0]
        allowed = "yes" if pack.license.commercial else "no"
        license = f"{pack.license.weights} | {pack.license.code}"
        rows.append(f"| [{pack.name}](#{pack.name}) | {license} | {data} | {allowed} |")
    parts = [INTRODUCTION, "\n".join(rows) + "\n", *map(_entry, packs), LEFT_OUT]
    return "\n".join(parts)


def _entry(pack: ModelPack) -> str:
    lines = [f"## {pack.name}", "", f"{pack.description}.", ""]
    lines += ["| | |", "|---|---|", *(f"| {name} | {text} |" for name, text in _facts(pack))]
    if pack.license.notice:
        lines += ["", pack.license.notice.strip()]
    if pack.evidence:
        lines += ["", "Evidence:", ""]
        lines += [f"* {about}: {'; '.join(map(_linked, said))}" for about, said in pack.evidence.items()]
    return "\n".join(lines) + "\n"


def _facts(pack: ModelPack) -> Iterator[tuple[str, str]]:
    encoder, license = pack.encoder, pack.license
    yield "weights' license", license.weights
    yield "code's license", license.code
    yield "trained on", pack.provenance.training_data
    yield "commercial use", license.commercial_use
    yield "source", pack.provenance.source
    for url in (*pack.urls, *(url for item in pack.downloads for url in item.urls)):
        yield "address", f"<{url}>"
    yield "network", _file(encoder, pack)
    width, height = encoder.input_size
    yield (
        "input",
        f"{width} x {height} {encoder.color.upper()}, (pixel - {encoder.mean[0]:g}) / {encoder.std[0]:g}, "
        f"template {encoder.template}, {encoder.layout.upper()}",
    )
    yield "output", f"{encoder.embedding_size} numbers" + (", unit length" if encoder.normalized else "")
    detector = pack.detector
    if detector is None:
        yield "detector", "the default model's"
    else:
        yield "detector", f"{detector.kind}, {_file(detector, pack)}"
        yield (
            "its input",
            f"{detector.color.upper()}, (pixel - {detector.mean[0]:g}) / {detector.std[0]:g}, "
            f"score {detector.min_score:g}, overlap {detector.nms_iou:g}",
        )
    yield "threshold", "not measured here" if pack.threshold is None else f"{pack.threshold.value:.4f}"
    yield "paper", pack.provenance.paper


def _file(spec: EncoderSpec | DetectorSpec, pack: ModelPack) -> str:
    size = next((item.size for item in pack.downloads if item.file == spec.file), None)
    return f"`{spec.file}`, sha256 `{spec.sha256}`" + (f", {size:,} bytes" if size else "")


def _linked(source: str) -> str:
    """A source with its address as a link that shows repository and file."""
    return re.sub(r"https?://[^\s,;)]+", lambda match: f"[{_short(match[0])}]({match[0]})", source)


def _short(url: str) -> str:
    text = re.sub("^https?://(github.com/)?", "", url)
    return re.sub("/(blob|resolve)/[^/]+/", "/", text)


if __name__ == "__main__":
    PAGE.write_text(render(), encoding="utf-8")
    print(f"wrote {PAGE}", file=sys.stderr)
