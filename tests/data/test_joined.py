"""Several data sets as one: who is who, how often each is shown, and what cannot be joined."""

from __future__ import annotations

import pickle

import cv2
import numpy as np
import pytest

from facerec_cli.data import join_sets, open_dataset
from facerec_cli.data.dataset import fingerprint
from facerec_cli.data.formats.stream import TarStream
from facerec_cli.data.formats.synthetic import SyntheticDataset
from facerec_cli.data.loading.loader import build_loader
from facerec_cli.data.loading.samplers import Shuffled
from facerec_cli.data.loading.versions import PhotoVersions
from facerec_cli.data.tools.check import check
from facerec_cli.data.tools.convert import convert
from facerec_cli.data.tools.describe import describe
from facerec_cli.errors import InputError, UsageError


@pytest.fixture
def folder(tmp_path):
    """Makes a folder of people: name -> how many photos; the k-th set has colors of its own."""

    def make(name, **people):
        for number, (person, count) in enumerate(people.items()):
            (tmp_path / name / person).mkdir(parents=True)
            for photo in range(count):
                source = SyntheticDataset(40, 4).image(4 * number + photo + 80 * (name == "b"))
                cv2.imwrite(str(tmp_path / name / person / f"{photo}.png"), source[..., ::-1])
        return open_dataset(tmp_path / name)

    return make


@pytest.fixture
def two(folder):
    return folder("a", ann=2, bob=1), folder("b", bob=3, cid=2)


def test_people_of_separate_sets_are_other_people(two):
    joined = join_sets(two)
    assert joined.labels.tolist() == [0, 0, 1, 2, 2, 2, 3, 3] and joined.num_classes == 4
    a, b = (one.spec for one in two)
    assert list(joined.class_names) == [f"{a}/ann", f"{a}/bob", f"{b}/bob", f"{b}/cid"]
    assert list(joined.class_names[1:3]) == [f"{a}/bob", f"{b}/bob"] and joined.group is None
    assert joined.name(0) == f"{a}/ann/0.png" and joined.name(3) == f"{b}/bob/0.png"
    assert joined.read(3) == two[1].read(0) and joined.weights is None
    (warning,) = joined.warnings
    assert "one name: 1 person" in warning and "bob" in warning and "--data-labels shared" in warning
    again = pickle.loads(pickle.dumps(joined))
    assert np.array_equal(again.image(7), two[1].image(4)) and len(again.class_names) == 4


def test_people_of_shared_sets_are_one_by_name(two, folder):
    joined = join_sets(two, labels=["shared"])
    assert joined.labels.tolist() == [0, 0, 1, 1, 1, 1, 2, 2] and joined.warnings == ()
    assert list(joined.class_names) == ["ann", "bob", "cid"]
    third = folder("c", ann=1, cid=1)
    mixed = join_sets([third, *two], labels=["separate", "shared", "shared"])
    assert mixed.labels.tolist() == [0, 1, 2, 2, 3, 3, 3, 3, 4, 4] and mixed.num_classes == 5
    between = join_sets([two[0], third, two[1]], labels=["shared", "separate", "shared"])
    assert between.labels.tolist() == [0, 0, 1, 3, 4, 1, 1, 1, 2, 2]
    assert between.class_names[2] == "cid" and between.class_names[4] == f"{third.spec}/cid"
    (told,) = join_sets([two[0], folder("d", eve=1)], labels=["shared"]).warnings
    assert "nobody of" in told


def test_numbers_name_people_only_where_that_is_said(two):
    numbered = SyntheticDataset(3, 2), SyntheticDataset(5, 1)
    assert join_sets(numbered).num_classes == 8 and join_sets(numbered).warnings == ()
    shared = join_sets(numbered, labels=["shared"])
    assert shared.num_classes == 5 and shared.labels.tolist() == [0, 0, 1, 1, 2, 2, 0, 1, 2, 3, 4]
    with pytest.raises(InputError, match=r"by names .'ann'. and synthetic:3:2 by numbers"):
        join_sets([two[0], numbered[0]], labels=["shared"])
    assert join_sets([two[0], numbered[0]]).num_classes == 5


def test_a_set_with_two_classes_of_one_name_is_not_matched(two, tmp_path):
    convert(two[1], tmp_path / "x.rec")
    (tmp_path / "x.classes.txt").write_text("bob\nbob\n")
    twice = open_dataset(tmp_path / "x.rec")
    for way in ({"labels": ["shared"]}, {"hard": [twice]}):
        sets = [two[0], twice] if "labels" in way else [two[0]]
        with pytest.raises(InputError, match=r"x\.rec calls two of its classes 'bob'"):
            join_sets(sets, **way)
    assert join_sets([two[0], twice]).num_classes == 4  # separate: nothing is matched


def test_formats_mix(two, tmp_path):
    convert(two[1], tmp_path / "b.rec")
    convert(two[1], tmp_path / "shards", "tar")
    (tmp_path / "l.txt").write_text("a/ann/0.png\tann\nb/cid/0.png\tcid\n")
    names = ("b.rec", "shards", "l.txt")
    sets = [two[0], *(open_dataset(tmp_path / name) for name in names)]
    joined = join_sets(sets, labels=["shared"])
    assert list(joined.class_names) == ["ann", "bob", "cid"]
    assert joined.labels[:8].tolist() == [0, 0, 1, 1, 1, 1, 2, 2]
    assert sorted(joined.labels[8:13].tolist()) == [1, 1, 1, 2, 2] and joined.labels[13:].tolist() == [0, 2]
    assert np.array_equal(joined.image(13), two[0].image(0))


def test_weights_of_sets_and_of_photos_multiply(two, tmp_path):
    (tmp_path / "w.csv").write_text("path,label,weight\na/ann/0.png,x,3\nb/cid/0.png,y,0\n")
    listed = open_dataset(tmp_path / "w.csv")
    joined = join_sets([two[0], listed], weights=[1, 0.5])
    assert joined.weights.tolist() == [1, 1, 1, 1.5, 0]
    assert join_sets(two, weights=[2, 2]).weights is None
    shown = join_sets(two, weights=[1, 3])
    order = Shuffled(shown.labels, 8, weights=shown.weights)
    drawn = np.concatenate(
        [order.plan(epoch, 0).rows * 0 + order.plan(epoch, 0).layout.indices for epoch in range(90)]
    )
    share = np.bincount(drawn, minlength=8)[:3].sum() / len(drawn)
    assert share == pytest.approx(3 / 18, abs=0.01)
    never = join_sets(two, weights=[0, 1])
    assert never.weights[:3].tolist() == [0, 0, 0] and "weight 0" in never.warnings[-1]


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"weights": [1, -1]}, r"--data-weight -1 of .* does not fit"),
        ({"weights": [float("nan"), 1]}, r"--data-weight nan of .* does not fit"),
        ({"weights": [float("inf"), 1]}, r"--data-weight inf of .* does not fit"),
        ({"weights": [0, 0]}, "weight 0, so nothing is shown"),
        ({"weights": [1]}, "--data-weight says 1 thing of 2 data sets"),
        ({"labels": ["shared"] * 3}, "--data-labels says 3 things of 2 data sets"),
        ({"labels": ["same"]}, "--data-labels cannot be 'same'"),
    ],
)
def test_settings_that_do_not_fit_are_refused(two, given, said):
    with pytest.raises(UsageError, match=said):
        join_sets(two, **given)


def test_what_remains_must_be_shown(two, tmp_path):
    (tmp_path / "w.csv").write_text("path,label,weight\na/ann/0.png,x,3\nb/cid/0.png,y,0\n")
    with pytest.raises(UsageError, match="All photos have the weight 0"):
        join_sets([two[0], PhotosOfNobody(open_dataset(tmp_path / "w.csv"))], weights=[0, 1])


class PhotosOfNobody:
    """A data set that says of all of its photos that they are never shown."""

    def __init__(self, whole):
        self.whole, self.weights = whole, np.zeros(len(whole))

    def __len__(self):
        return len(self.whole)

    def __getattr__(self, name):
        return getattr(self.whole, name)


def test_a_stream_cannot_be_joined(two):
    stream = TarStream.open("https://host/s-{000..001}.tar#classes=5&photos=9")
    for sets, hard in (([two[0], stream], []), ([stream], [two[0]]), ([two[0]], [stream])):
        with pytest.raises(InputError, match=r"is a stream.*cannot be joined"):
            join_sets(sets, hard=hard)
    assert join_sets([stream]) is stream


def test_hard_photos_of_several_sets_are_matched_by_name(two, folder):
    hard = folder("h", ann=1, cid=1, new=1)
    joined = join_sets(two, hard=[hard])
    assert joined.labels[8:].tolist() == [0, 3, 4] and joined.class_names[4] == "new"
    assert joined.group.tolist() == [0] * 8 + [1] * 3
    with pytest.raises(InputError, match=r"'bob'.*several of the data sets"):
        join_sets(two, hard=[folder("g", bob=1)])
    shared = join_sets(two, labels=["shared"], hard=[open_dataset(folder("f", bob=1).spec)])
    assert shared.labels[-1] == 1


@pytest.mark.parametrize("sampler", ["identities", "branches"])
def test_batches_of_people_are_made_of_all_sets(two, sampler):
    joined = join_sets(two, weights=[1, 2])
    settings = {"per_identity": 2, "share": 1.0} if sampler == "identities" else {"singles": 0.5}
    size = 6 if sampler == "identities" else 10
    loader = build_loader(joined, batch_size=size, sampler=sampler, **settings)
    batch = next(loader.epoch(0))
    assert {0, 2, 3} <= set(batch.labels.tolist())  # those with two photos and more
    assert batch.labels.tolist() == joined.labels[batch.indices.numpy()].tolist()


def test_check_and_info_look_at_the_sets_together(two, folder, tmp_path):
    (tmp_path / "b" / "cid" / "9.png").write_bytes((tmp_path / "a" / "ann" / "0.png").read_bytes())
    sets = [open_dataset(one.spec) for one in two]
    (group,) = check(join_sets(sets), near=False).across
    assert sorted(group) == sorted([f"{two[0].spec}/ann/0.png", f"{two[1].spec}/cid/9.png"])
    assert describe(join_sets(sets))["people"] == 4
    assert describe(join_sets(sets, labels=["shared"]))["people"] == 3


def test_a_version_belongs_to_one_person(two, folder):
    joined = join_sets(two)
    with pytest.raises(InputError, match="a version of photos of two people"):
        PhotoVersions(joined, folder("v", bob=1))
    found = PhotoVersions(joined, folder("u", cid=2))
    assert found.number.tolist() == [-1] * 6 + [0, 1]


def test_the_fingerprint_knows_sets_that_changed_places(folder):
    sets = folder("a", ann=1, bob=2), folder("b", cid=2, dan=1)
    prints = {fingerprint(join_sets(order)) for order in (sets, sets[::-1])}
    prints.add(fingerprint(join_sets(sets, weights=[1, 2])))
    assert len(prints) == 3
    assert fingerprint(TarStream.open("https://host/s-{000..001}.tar#classes=5&photos=9")) == ""
