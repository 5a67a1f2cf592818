"""Names of galleries, and outputs that would lie in one."""

from __future__ import annotations

from pathlib import Path

import pytest

from facerec_cli import ModelInfo, create_gallery
from facerec_cli.errors import UsageError
from facerec_cli.gallery.exchange import export_gallery
from facerec_cli.gallery.kinds import refuse_inside_gallery

MODEL = ModelInfo("mine", "0" * 64)


def test_outputs_in_the_folder_of_a_gallery_are_refused(tmp_path: Path) -> None:
    create_gallery(tmp_path / "staff", MODEL, 4).close()
    (tmp_path / "link").symlink_to(tmp_path / "staff.gallery")
    folder = tmp_path / "staff.gallery"
    for inside in (folder, folder / "x.csv", folder / "crops" / "new" / "x", tmp_path / "link" / "x"):
        with pytest.raises(UsageError, match=r"^--copy-to .* is in the gallery .*staff\.gallery, which is"):
            refuse_inside_gallery(inside, "--copy-to")
    for outside in (tmp_path, tmp_path / "staff", tmp_path / "staff.gallery.csv", "s3://bucket/x"):
        refuse_inside_gallery(outside, "--copy-to")


def test_a_gallery_takes_no_gallery_and_no_export(tmp_path: Path) -> None:
    with create_gallery(tmp_path / "staff", MODEL, 4) as gallery:
        with pytest.raises(UsageError, match="is in the gallery"):
            create_gallery(gallery.path / "x", MODEL, 4)
        with pytest.raises(UsageError, match=r"^-o .* is in the gallery"):
            export_gallery(gallery, gallery.path / "people.sqlite.csv")
        assert not [path for path in gallery.path.rglob("*") if path.suffix in (".csv", ".gallery")]
