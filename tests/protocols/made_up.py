"""A small protocol of each format, in the published layout: files that look like photos, and lists."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest


def photos(folder: Path, *names: str) -> None:
    """Files that look like photos by their names."""
    for name in names:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(name.encode())


def mat(path: Path, what: str, people: Sequence[tuple[str, int]]) -> None:
    """A list as TinyFace and QMUL-SurvFace have it: a cell of names and a column of numbers."""
    scipy = pytest.importorskip("scipy.io", reason="needs scipy (extra mat)")
    names = np.empty((len(people), 1), object)
    for at, (name, _) in enumerate(people):
        names[at, 0] = name
    content: dict[str, Any] = {
        f"{what}_set": names,
        f"{what}_ids": np.array([[n] for _, n in people], np.uint16),
    }
    path.parent.mkdir(parents=True, exist_ok=True)
    scipy.savemat(str(path), content, do_compression=True)


def csv(folder: Path) -> list[Path]:
    photos(folder, "ann/1.jpg", "ann/2.jpg", "bob/1.jpg", "x.jpg")
    (folder / "gallery.csv").write_text("path,person\nann/1.jpg,Ann\nbob/1.jpg,Bob\n")
    (folder / "probes.csv").write_text("ann/2.jpg,Ann\nx.jpg,\n")
    return [folder / "gallery.csv", folder / "probes.csv"]


def folders(folder: Path) -> list[Path]:
    photos(folder, "gallery/ann/1.jpg", "gallery/bob/1.jpg", "probes/ann/1.jpg", "probes/unknown/x.jpg")
    return [folder / "gallery", folder / "probes"]


def blufr(folder: Path) -> list[Path]:
    files = ("Ann_Lee_0001.jpg", "Ann_Lee_0002.jpg", "Bob_0001.jpg", "Cy_0001.jpg")
    photos(folder, *(f"images/{file[:-9]}/{file}" for file in files))
    lists = folder / "blufr"
    lists.mkdir()
    (lists / "image_list.txt").write_text("\n".join(files))
    (lists / "labels.txt").write_text("7\n7\n9\n4\n")
    (lists / "gallery_set.txt").write_text(
        "2\n1\n1, Ann_Lee_0001.jpg\n2\n2, Ann_Lee_0002.jpg\n3, Bob_0001.jpg\n"
    )
    (lists / "probe_set.txt").write_text(
        "2\n2\n2, Ann_Lee_0002.jpg\n3, Bob_0001.jpg\n2\n1, Ann_Lee_0001.jpg\n4, Cy_0001.jpg\n"
    )
    (lists / "test_set.txt").write_text(
        "2\n3\n1, Ann_Lee_0001.jpg\n2, Ann_Lee_0002.jpg\n3, Bob_0001.jpg\n"
        "3\n2, Ann_Lee_0002.jpg\n3, Bob_0001.jpg\n4, Cy_0001.jpg\n"
    )
    return [lists]


def lfw_open(folder: Path) -> list[Path]:
    counts = {"Ann_Lee": 5, "Bob": 4, "Cy": 3, "Di": 2, "Ed": 1}
    photos(
        folder, *(f"images/{n}/{n}_{i:04d}.jpg" for n, count in counts.items() for i in range(1, count + 1))
    )
    return [folder / "images"]


def ijb(folder: Path) -> list[Path]:
    """insightface's: templates 1 and 2 are the galleries', 3 to 5 probes of their people and of nobody."""
    meta = folder / "meta"
    meta.mkdir()
    (meta / "ijbc_1N_gallery_G1.csv").write_text("TEMPLATE_ID,SUBJECT_ID\n11,1\n")
    (meta / "ijbc_1N_gallery_G2.csv").write_text("TEMPLATE_ID,SUBJECT_ID\n12,2\n")
    (meta / "ijbc_1N_probe_mixed.csv").write_text("TEMPLATE_ID,SUBJECT_ID\n21,1\n22,2\n")
    (meta / "ijbc_face_tid_mid.txt").write_text(
        "1.jpg 11 5\n2.jpg 11 5\n3.jpg 12 6\n4.jpg 21 7\n5.jpg 22 8\n1.jpg 22 9\n6.jpg 99 1\n"
    )
    points = " ".join(str(number) for number in range(10))
    (meta / "ijbc_name_5pts_score.txt").write_text("".join(f"{i}.jpg {points} 0.{i}\n" for i in range(1, 7)))
    photos(folder, *(f"loose_crop/{i}.jpg" for i in range(1, 7)))
    return [folder]


def scface(folder: Path) -> list[Path]:
    cameras = [
        f"{person}_cam{camera}_{far}.jpg" for person in ("001", "002") for camera in "15" for far in "123"
    ]
    photos(folder, "mugshot/001_frontal.jpg", *(f"surveillance/{name}" for name in cameras))
    photos(folder, "mugshot/001_R1.jpg", "infrared/001_cam6_1.jpg", "infrared/001_cam8.jpg")
    return [folder]


def tinyface(folder: Path, *, lists: bool = True) -> list[Path]:
    place = folder / "Testing_Set"
    photos(
        place, "Gallery_Match/17_1.jpg", "Gallery_Match/17_2.jpg", "Gallery_Match/18_1.jpg", "Probe/17_3.jpg"
    )
    photos(place, "Gallery_Distractor/1.jpg", "Gallery_Distractor/2.jpg", "Probe/19_1.jpg")
    if lists:
        match = [("17_1.jpg", 17), ("17_2.jpg", 17), ("18_1.jpg", 18)]
        mat(place / "gallery_match_img_ID_pairs.mat", "gallery", match)
        mat(place / "probe_img_ID_pairs.mat", "probe", [("17_3.jpg", 17), ("19_1.jpg", 19)])
    return [folder]


def survface(folder: Path, *, lists: bool = True) -> list[Path]:
    place = folder / "Face_Identification_Test_Set"
    photos(place, "gallery/7_cam1_1.jpg", "gallery/8_cam1_1.jpg", "mated_probe/7_cam2_1.jpg")
    photos(place, "unmated_probe/9_cam2_1.jpg")
    if lists:
        mat(place / "gallery_img_ID_pairs.mat", "gallery", [("7_cam1_1.jpg", 1), ("8_cam1_1.jpg", 2)])
        mat(place / "mated_probe_img_ID_pairs.mat", "mated_probe", [("7_cam2_1.jpg", 1)])
    return [folder]


def megaface(folder: Path) -> list[Path]:
    lists = folder / "devkit" / "templatelists"
    lists.mkdir(parents=True)
    probes = ["Ann/Ann_1.png", "Ann/Ann_2.png", "Ann/Ann_3.png", "Bob/Bob_1.png", "Bob/Bob_2.png"]
    far = ["12/7@N01/0_0.jpg", "12/8@N02/1_0.jpg", "13/9@N03/2_0.jpg"]
    people = [name.partition("/")[0] for name in probes]
    (lists / "facescrub_features_list.json").write_text(json.dumps({"path": probes, "id": people}))
    (lists / "megaface_features_list.json_10_1").write_text(json.dumps({"path": far[:2]}))
    (lists / "megaface_features_list.json_100_1").write_text(json.dumps({"path": far}))
    (folder / "devkit" / "facescrub_noises.txt").write_text("# two of 605\nAnn_3.png\nBob_7.png\n")
    (folder / "devkit" / "megaface_noises.txt").write_text("0\t12/8@N02/1_0.jpg\n")
    photos(folder / "devkit", *(f"facescrub_images/{name}" for name in probes))
    photos(folder / "devkit", *(f"megaface_images/{name}" for name in far))
    return [lists]


SAMPLES: dict[str, Callable[[Path], list[Path]]] = {
    "blufr": blufr,
    "csv": csv,
    "folder": folders,
    "ijb": ijb,
    "lfw-open": lfw_open,
    "megaface": megaface,
    "scface": scface,
    "survface": survface,
    "tinyface": tinyface,
}
"""Writes a protocol of each format into a folder, with its photos, and gives the inputs that name it."""
