"""A batch shows a photo's version that was made hard beforehand, and keeps the clean one beside it."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest
import torch

from facerec_cli.data import FaceDataset, open_stored
from facerec_cli.data.loading.augment import Augment
from facerec_cli.data.loading.loader import build_loader
from facerec_cli.data.loading.versions import PhotoVersions
from facerec_cli.errors import InputError


def folder_of(path: Path, level: int, names: tuple[str, ...]) -> FaceDataset:
    """Photos of one gray level each, told by person."""
    for name in names:
        (path / name).parent.mkdir(parents=True, exist_ok=True)
        image = np.full((112, 112, 3), level + 10 * int(name[1]), np.uint8)
        cv2.imwrite(str(path / name), image)
    return open_stored(str(path))


NAMES = tuple(f"p{person}/{photo}.png" for person in range(4) for photo in range(3))


def test_versions_are_found_by_folder_and_name_whatever_the_suffix(tmp_path: Path):
    photos = folder_of(tmp_path / "a", 0, NAMES)
    hard = folder_of(tmp_path / "b", 100, ("p1/2.jpg", "p3/0.jpg"))
    versions = PhotoVersions(photos, hard)
    found = {photos.name(i): versions.image(i) for i in range(len(photos))}
    there = {name: image.mean() for name, image in found.items() if image is not None}
    assert there == {"p1/2.png": pytest.approx(110, abs=1), "p3/0.png": pytest.approx(130, abs=1)}


def test_a_batch_exchanges_photos_for_versions_and_keeps_the_clean_ones(tmp_path: Path):
    photos = folder_of(tmp_path / "a", 0, NAMES)
    hard = folder_of(tmp_path / "b", 100, NAMES[:-3])  # nothing of the last person
    loader = build_loader(
        photos,
        batch_size=12,
        degradations=(),
        versions=[hard, folder_of(tmp_path / "c", 200, NAMES)],
        degraded=0.7,
        keep_clean=True,
        augment=Augment(flip=0.5),
    )
    kinds = []
    for epoch in range(20):
        for batch in loader.epoch(epoch):
            assert batch.clean is not None
            level = batch.images.float().mean((1, 2, 3))
            clean = batch.clean.float().mean((1, 2, 3))
            assert torch.equal(clean, 10.0 * batch.labels)
            kind = ((level - clean) / 100).round().long()
            assert torch.equal(level, clean + 100.0 * kind)
            kinds.append(kind[batch.labels < 3])
            assert not (kind[batch.labels == 3] == 1).any()
    share = torch.bincount(torch.cat(kinds), minlength=3) / len(torch.cat(kinds))
    assert share.tolist() == pytest.approx([0.3, 0.35, 0.35], abs=0.08)


def test_a_folder_of_other_photos_is_refused(tmp_path: Path):
    photos = folder_of(tmp_path / "a", 0, NAMES)
    with pytest.raises(InputError, match=r"no version of any photo .* 'p0/9.png'"):
        PhotoVersions(photos, folder_of(tmp_path / "b", 0, ("p0/9.png",)))


def test_a_stream_has_no_versions(tmp_path: Path):
    photos = folder_of(tmp_path / "a", 0, NAMES)
    photos.format = "stream"
    with pytest.raises(InputError, match="read as it comes"):
        PhotoVersions(photos, photos)


def test_without_color_all_channels_are_the_same_and_clean_photos_too(tmp_path: Path):
    (tmp_path / "a").mkdir()
    for person in range(2):
        (tmp_path / "a" / f"p{person}").mkdir()
        cv2.imwrite(
            str(tmp_path / "a" / f"p{person}" / "1.png"), np.full((112, 112, 3), (250, 100, 10), np.uint8)
        )
    photos = open_stored(str(tmp_path / "a"))
    loader = build_loader(photos, batch_size=2, keep_clean=True, augment=Augment(flip=0, gray=1))
    batch = next(iter(loader.epoch(0)))
    assert torch.equal(batch.images, batch.clean)
    weights = 0.299 * 10 + 0.587 * 100 + 0.114 * 250
    assert batch.images.float().unique().tolist() == [pytest.approx(weights, abs=0.6)]
