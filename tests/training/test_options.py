"""Options that reach other rooms: hard photos of one's own, broken photos."""

import json

import cv2
import numpy as np
import pytest

from facerec_cli.data import open_dataset
from facerec_cli.data.tools.convert import convert
from facerec_cli.errors import InputError
from facerec_cli.training.advice import size_warning
from facerec_cli.training.train import plan, train


def write_people(folder, people, photos, change=lambda image: image):
    data = open_dataset(f"synthetic:{people}:{photos}")
    for i in range(len(data)):
        path = folder / f"p{int(data.labels[i])}" / f"{i}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        cv2.imwrite(str(path), change(np.ascontiguousarray(data.image(i)[..., ::-1])))
    return str(folder)


def test_hard_photos_of_ones_own_are_the_hard_branch(small, tmp_path):
    easy = write_people(tmp_path / "easy", 8, 3)
    hard = write_people(tmp_path / "far", 8, 2, lambda image: cv2.GaussianBlur(image, (0, 0), 4))
    recipe = small(
        tmp_path / "run",
        loss__name="ddl",
        data__path=easy,
        data__hard=[hard],
        schedule__steps=3,
        run__log_every=1,
    )
    found = plan(recipe)
    assert (found.images, found.classes) == (8 * 3 + 8 * 2, 8)
    train(recipe)
    records = [json.loads(line) for line in (tmp_path / "run" / "metrics.jsonl").read_text().splitlines()]
    assert len(records) == 3
    assert np.isfinite([r["loss"] for r in records]).all()


@pytest.mark.parametrize("form", ["folder", "list", "rec", "tar"])
@pytest.mark.parametrize("side", [112, 250])
def test_the_plan_warns_of_photos_that_are_not_aligned(small, tmp_path, form, side):
    data = write_people(tmp_path / "people", 5, 3, lambda image: cv2.resize(image, (side, side)))
    (tmp_path / "people" / "p0" / "0.png").write_bytes(b"no photo")  # left to the loader
    if form != "folder":
        target = tmp_path / {"list": "x.txt", "rec": "x.rec", "tar": "shards"}[form]
        convert(open_dataset(data), target, form)
        data = str(target)
    told = [w for w in plan(small(tmp_path / "run", data__path=data)).warnings if "data align" in w]
    if side == 112:
        assert told == []
    else:
        assert "7 of 7 photos looked at are not 112 x 112" in told[0] and "is 250 x 250" in told[0]


def test_a_stream_is_not_read_for_the_plan():
    stream = open_dataset("https://nowhere.invalid/s-{0..3}.tar#classes=5&photos=50")
    assert size_warning(stream, (112, 112)) == ""


def test_how_many_broken_photos_are_put_up_with_is_a_setting(small, tmp_path):
    crops = write_people(tmp_path / "crops", 6, 4)
    for name in ("p0/0.png", "p3/12.png"):
        (tmp_path / "crops" / name).write_bytes(b"no photo")
    settings = {"data__path": crops, "schedule__steps": 4, "run__batch_size": 12}
    with pytest.raises(InputError, match=r"cannot be read, more than the 1\.00%"):
        train(small(tmp_path / "strict", **settings))
    assert train(small(tmp_path / "lenient", data__max_broken=0.1, **settings)).broken == 2


def test_a_torn_line_of_the_metrics_is_passed_over(tmp_path):
    from facerec_cli.training.run_folder import METRICS, read_metrics

    (tmp_path / METRICS).write_bytes(
        b'{"step": 1, "loss": 2.0}\n{"step": 2, "lo\n\xff\n' + b"[" * 99999 + b'\n{"step": 3}\n'
    )
    assert [record["step"] for record in read_metrics(tmp_path)] == [1, 3]
    assert read_metrics(tmp_path / "none") == []
