"""Files of decisions: what is read, what is refused, and which faces they are about."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from facerec_cli.errors import InputError
from facerec_cli.review import decisions as decisions_module
from facerec_cli.review.decisions import DecidedFace, Decision, Decisions, parse_decisions, read_decisions
from facerec_cli.review.face_key import face_keys, same_key

A, B, C = (DecidedFace(f"photos/{name}.jpg", 0) for name in "abc")


def _file(*items: dict[str, Any], **values: Any) -> bytes:
    document = {"format": "facerec decisions", "version": 1, "page": "clusters", "decisions": items}
    return json.dumps({**document, **values}).encode()


def _face(path: str = "a.jpg", face: Any = 0, key: Any = "") -> dict[str, Any]:
    return {"path": path, "face": face, "key": key}


def test_what_is_written_is_read_again(tmp_path: Path) -> None:
    odd = DecidedFace('fö"<b>\U0001f600\udc80.jpg', 3, "0123abcd")  # a name that is not UTF-8, too
    made = Decisions(
        (
            Decision("junk", (A, odd)),
            Decision("split", (B, C), apart=A),
            Decision("not_this_person", (odd,), apart=B),
            Decision("name", (A,), name='O\'Neil "<x>" \U0001f600'),
            Decision("same", (A, B)),
            Decision("not_same", (A, C)),
            Decision("merge", (A, B, C)),
        ),
        source="photos",
        model="ab" * 32,
        saved="2026-01-02T03:04:05Z",
    )
    made.write(tmp_path / "decisions.json")
    read = read_decisions(tmp_path / "decisions.json")
    assert read.items == made.items
    assert (read.source, read.model, read.saved) == (made.source, made.model, made.saved)
    assert read.faces() == (A, odd, B, C)


@pytest.mark.parametrize(
    ("data", "told"),
    [
        (b"", "no JSON"),
        (b"[" * 100_000, "nested too deeply"),
        (b"[]", "no file of decisions"),
        (b'{"format": "facerec decisions"}', "version None"),
        (_file(version=2), "version 2"),
        (_file(page="photos"), "does not say what was decided"),
        (_file(decisions={}), "does not say what was decided"),
        (_file({"kind": "wed", "faces": [_face()]}), "decision 1 has no kind"),
        (_file({"kind": "junk", "faces": []}), "decision 1 (junk) names 0 faces"),
        (_file({"kind": "merge", "faces": [_face()]}), "decision 1 (merge) names 1 faces"),
        (_file({"kind": "same", "faces": [_face()] * 3}), "names 3 faces"),
        (_file({"kind": "split", "faces": [_face()]}), "names no face"),
        (_file({"kind": "split", "faces": [_face()], "from": _face()}), "away from itself"),
        (_file({"kind": "junk", "faces": [_face(path="")]}), "without a path"),
        (_file({"kind": "junk", "faces": [_face(face=True)]}), "without a path"),
        (_file({"kind": "junk", "faces": [_face(face=-1)]}), "without a path"),
        (_file({"kind": "junk", "faces": [_face(key="xyz")]}), "without a path"),
        (_file({"kind": "name", "faces": [_face()], "name": "a\nb"}), "cannot be the name of a person"),
        (_file({"kind": "name", "faces": [_face()], "name": "n" * 201}), "at most 200"),
        (_file({"kind": "name", "faces": [_face()], "name": ["x"]}), "no text"),
    ],
)
def test_files_that_are_none_are_refused_by_name(data: bytes, told: str) -> None:
    with pytest.raises(InputError, match=r"made\.json") as fault:
        parse_decisions(data, "made.json")
    assert told in fault.value.message
    assert fault.value.hint


def test_a_huge_file_is_not_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(decisions_module, "MOST_BYTES", 10)
    path = tmp_path / "decisions.json"
    path.write_bytes(b"x" * 11)
    with pytest.raises(InputError, match="more than 10 bytes"):
        read_decisions(path)
    with pytest.raises(InputError, match="cannot be read"):
        read_decisions(tmp_path / "none.json")


def test_a_key_outlives_noise_and_tells_faces_apart() -> None:
    random = np.random.default_rng(3)
    vectors = random.normal(size=(3000, 128)).astype(np.float32)
    keys = face_keys(vectors)
    noisy = face_keys(5 * vectors + random.normal(size=vectors.shape).astype(np.float32) * 0.02)
    assert all(len(key) == 8 for key in keys)
    assert all(map(same_key, keys, noisy))
    others = sum(same_key(keys[0], key) for key in keys[1:])
    assert others == 0
    assert same_key("", keys[0])
    assert not same_key(f"{int(keys[0], 16) ^ 0b11111:08x}", keys[0])
    assert len(set(face_keys(vectors[:5, :7]))) == 5  # fewer numbers than bits


def test_faces_are_found_by_path_and_key() -> None:
    keys = face_keys(np.random.default_rng(4).normal(size=(4, 64)).astype(np.float32))
    paths, numbers = ["p/a.jpg", "p/a.jpg", "p/b.jpg", "q/b.jpg"], [0, 1, 0, 0]

    def locate(*faces: DecidedFace, model: str = "m") -> list[int]:
        made = Decisions((Decision("junk", faces),), model="m", path="d.json")
        return list(made.locate(paths, numbers, keys, model=model).values())

    assert locate(DecidedFace("p/a.jpg", 1, keys[1]), DecidedFace("q/b.jpg", 0, keys[3])) == [1, 3]
    assert locate(DecidedFace("/moved/a.jpg", 1, keys[1])) == [1]  # another folder, the same photo
    assert locate(DecidedFace("/moved/b.jpg", 0, keys[3])) == [3]  # of two of one name, by the key
    with pytest.raises(InputError, match=r"p/a.jpg face 1 \(another face is there\)") as fault:
        locate(DecidedFace("p/a.jpg", 1, keys[0]))
    assert "d.json" in fault.value.message
    with pytest.raises(InputError, match="Nothing was changed") as fault:
        locate(DecidedFace("p/a.jpg", 0, keys[0]), *(DecidedFace(f"p/{i}.jpg", 0, keys[0]) for i in range(9)))
    assert "of 10 faces that it names" in fault.value.message
    assert "and 6 more" in fault.value.message
    with pytest.raises(InputError, match="not here"):
        locate(DecidedFace("/moved/b.jpg", 0))  # without a key a name says nothing
    with pytest.raises(InputError, match="decided with the model m"):
        locate(DecidedFace("p/a.jpg", 0, keys[0]), model="other")


def test_decisions_about_something_else_are_refused() -> None:
    made = Decisions((), page="gallery", path="d.json")
    made.refuse_page("gallery")
    with pytest.raises(InputError, match="about a gallery, not about groups of photos"):
        made.refuse_page("clusters")
