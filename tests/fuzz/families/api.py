"""The Python API: what a caller of the documented functions sees."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from random import Random

from tests.fuzz import mutators, seeds
from tests.fuzz.families.pairs import drawn, labelled, lfw
from tests.fuzz.families.photos import damaged_photo, some_photos
from tests.fuzz.sandbox import Case, Sandbox


def program(argv: Sequence[str]) -> list[str]:
    """What to start Python with for these arguments: the command, or this module for a call of the API."""
    return ["-m", "tests.fuzz.families.api", *argv[1:]] if argv[0] == "@api" else ["-m", "facerec_cli", *argv]


def api(random: Random, sandbox: Sandbox) -> Case:
    """One call with odd inputs."""
    name = random.choice(tuple(CALLS))
    if name in ("read_image", "detect"):
        suffix, data, told = damaged_photo(random)
        if name == "detect" and random.random() < 0.5:
            suffix, (data, told) = ".jpg", mutators.damage(random, seeds.face(1))
        return Case(["@api", name, sandbox.write("x" + suffix, data)], told)
    if name == "embed_photos":
        names, _, told = some_photos(random, sandbox)
        return Case(["@api", name, *names], "; ".join(told))
    if name == "find_images":
        data, done = mutators.damage_text(random, "p/0.jpg\np/1.jpg\n")
        sandbox.write("p/0.jpg", seeds.jpeg(0))
        _, planted = mutators.plant(random, sandbox.work / "p")
        return Case(["@api", name, sandbox.write("l.txt", data), "p"], f"{done}; {planted}")
    if name == "open_model":
        data, told = mutators.damage(random, seeds.tiny_pack()["tiny.onnx"])
        for file, content in seeds.tiny_pack().items():
            sandbox.write(f"mine/{file}", content)
        sandbox.write("mine/tiny.onnx", data)
        return Case(["@api", name, random.choice(("./mine", "mine/tiny.onnx", "nosuch", ""))], told)
    if name == "read_pairs":
        text = random.choice((lfw, labelled))(drawn(random, 6))
        data, told = mutators.damage_text(random, text)
        return Case(["@api", name, sandbox.write("pairs.txt", data)], told)
    return Case(["@api", name, str(random.randrange(1000))], "arrays")


def call(argv: Sequence[str]) -> int:
    """Make the call; gives the exit code of the fault that it raised, as a command would."""
    from facerec_cli.errors import FacerecError

    try:
        CALLS[argv[0]](argv[1:])
    except FacerecError as fault:
        print(f"error: {fault}", file=sys.stderr)
        return fault.exit_code
    return 0


def _read_image(given: Sequence[str]) -> None:
    import numpy as np

    from facerec_cli import read_image

    image = read_image(given[0])
    assert image.ndim == 3 and image.shape[2] == 3 and image.dtype == np.uint8


def _detect(given: Sequence[str]) -> None:
    from facerec_cli import open_model, read_image

    image = read_image(given[0])
    model = open_model("sface", threads=1)
    for face in model.detect([image])[0]:
        assert face.box.shape == (4,) and 0 <= face.score <= 1
        assert model.align(image, face).shape == (112, 112, 3)


def _embed_photos(given: Sequence[str]) -> None:
    from facerec_cli import EmbedOptions, embed_photos, open_model

    found = list(embed_photos(given, open_model("tiny", threads=1), EmbedOptions(aligned=True)))
    assert [photo.name for photo in found] == list(given)


def _find_images(given: Sequence[str]) -> None:
    from facerec_cli import find_images

    found = find_images(given)
    assert len(found) < 1000, f"{len(found)} files, such as {found[-1]}"


def _open_model(given: Sequence[str]) -> None:
    import numpy as np

    from facerec_cli import open_model

    model = open_model(given[0], threads=1)
    vectors = model.encode(np.zeros((2, 112, 112, 3), np.uint8))
    assert vectors.shape == (2, model.embedding_size)


def _read_pairs(given: Sequence[str]) -> None:
    from pathlib import Path

    from facerec_cli import read_pairs

    read = read_pairs(Path(given[0]))
    assert len(read.first) == len(read.second) == len(read.same)


def _evaluate(given: Sequence[str]) -> None:
    import numpy as np

    from facerec_cli import evaluate

    random = np.random.default_rng(int(given[0]))
    count = int(random.choice([0, 1, 2, 7, 200]))
    scores = random.normal(size=count) * random.choice([1.0, 0.0, 1e300])
    if count and random.random() < 0.3:
        scores[0] = random.choice([np.nan, np.inf, -np.inf])
    evaluate(
        scores,
        random.random(count) < random.choice([0.0, 0.5, 1.0]),
        fars=[float(random.choice([0.1, 1e-9, 0.5, 0, 2]))],
    )


def _encode(given: Sequence[str]) -> None:
    import numpy as np

    from facerec_cli import open_model

    model = open_model("tiny", threads=1)
    shapes = [(0, 112, 112, 3), (1, 112, 112, 3), (17, 112, 112, 3)]
    shape = shapes[int(given[0]) % len(shapes)]
    assert model.encode(np.zeros(shape, np.uint8)).shape == (shape[0], model.embedding_size)


CALLS: dict[str, Callable[[Sequence[str]], None]] = {
    "read_image": _read_image,
    "detect": _detect,
    "embed_photos": _embed_photos,
    "find_images": _find_images,
    "open_model": _open_model,
    "read_pairs": _read_pairs,
    "evaluate": _evaluate,
    "encode": _encode,
}

if __name__ == "__main__":
    sys.exit(call(sys.argv[1:]))
