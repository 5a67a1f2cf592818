"""Embeddings in files: ``.npy`` with its table and description, ``.npz``, ``.parquet``, and others."""

from __future__ import annotations

import io
import json
import zipfile
from random import Random

import numpy as np

from tests.fuzz import mutators, seeds
from tests.fuzz.families.pairs import PEOPLE, PHOTOS, _photo, drawn, labelled, lfw
from tests.fuzz.sandbox import Case, Sandbox

NAMES = tuple(_photo(person, number) for person in PEOPLE for number in range(1, PHOTOS + 1))


def vectors(random: Random, sandbox: Sandbox) -> Case:
    """A whole list and a damaged file of vectors, or the other way round."""
    files = dict(seeds.vector_files(NAMES))
    given = random.choice(("v.npy", "v.npy", "v.npz", "v.parquet", "v.csv", "v.jsonl"))
    kept = {given} | ({"v.csv", "v.json"} if given in ("v.npy", "v.npz") and random.random() < 0.8 else set())
    pairs = drawn(random, random.choice((12, 40)))
    text = random.choice((lfw, labelled))(pairs)
    told, suspects = "", []
    kind = random.random()
    whole = kind < 0.12 and given in ("v.npy", "v.npz", "v.parquet")
    if not whole:
        damaged = random.choice(sorted(kept))
        suspects = [given, damaged]
        if damaged in ("v.npy", "v.npz") and random.random() < 0.45:
            files[damaged], told = _odd_arrays(random, damaged)
        elif damaged == "v.json":
            files[damaged], told = mutators.damage_json(random, json.loads(files[damaged]))
        elif damaged in ("v.csv", "v.jsonl"):
            files[damaged], told = mutators.damage_text(random, files[damaged].decode())
        else:
            files[damaged], told = mutators.damage(random, files[damaged])
        told = f"{damaged}: {told}"
    if given == "v.npy" and "v.csv" not in kept:
        whole = False  # without a table the rows must be the list's photos
    for name in kept:
        sandbox.write(name, files[name])
    sandbox.write("pairs.txt", text)
    argv = ["verify", "pairs.txt", "--embeddings", given]
    argv += mutators.pick(random, ("--json", "--quiet"), 0.4)
    outputs = []
    if random.random() < 0.15:
        argv += ["--faces", random.choice(("main", "center", "largest"))]
    if random.random() < 0.1:
        argv, outputs = [*argv, "--scores", "scores.csv"], ["scores.csv"]
    return Case(argv, told, outputs, suspects=suspects, whole=whole)


def _odd_arrays(random: Random, name: str) -> tuple[bytes, str]:
    """Arrays that NumPy writes without complaint and that are no embeddings."""
    good = seeds.vectors(len(NAMES))
    nan, zero = good.copy(), good.copy()
    nan[3, 2], zero[5] = np.nan, 0
    odd = {
        "nan": nan,
        "zero row": zero,
        "float64": good.astype(np.float64),
        "float16": good.astype(np.float16),
        "int8": (good * 100).astype(np.int8),
        "complex": good.astype(np.complex64),
        "text": good.astype(str),
        "objects": good.astype(object),
        "one dimension": good[0],
        "three dimensions": good[:, None],
        "scalar": np.float32(1),
        "no rows": good[:0],
        "no columns": good[:, :0],
        "a row less": good[:-1],
        "huge": good * np.float32(1e38),
        "tiny": good * np.float32(1e-44),
        "big endian": good.astype(">f4"),
        "fortran": np.asfortranarray(good),
        "structured": np.zeros(len(good), [("a", "f4"), ("b", "i4")]),
        "dates": np.zeros(good.shape, "M8[s]"),
        "booleans": good > 0,
    }
    told = random.choice(tuple(odd))
    stream = io.BytesIO()
    if name == "v.npy":
        np.save(stream, odd[told], allow_pickle=True)
        data = stream.getvalue()
        if random.random() < 0.25:
            data, told = _odd_header(random, data), "header"
        return data, told
    key = random.choice(("embeddings", "embeddings", "arr_0", "features"))
    parts = {key: odd[told], "path": np.array(NAMES)}
    if random.random() < 0.3:
        parts["path"] = random.choice(
            (
                np.arange(len(NAMES)),
                np.array(NAMES, object),
                np.array(NAMES[:-1]),
                np.array("x"),
                np.array([list(NAMES)]),
            )
        )
        told += ", path"
    np.savez(stream, **parts)
    data = stream.getvalue()
    if random.random() < 0.3:
        return _odd_zip(random, data), told + ", zip"
    return data, told


def _odd_header(random: Random, data: bytes) -> bytes:
    """An ``.npy`` whose header claims something else."""
    text = random.choice(
        (
            "{'descr': '<f4', 'fortran_order': False, 'shape': (1000000000000, 512), }",
            "{'descr': '<f4', 'fortran_order': False, 'shape': (-1, 8), }",
            "{'descr': '|O', 'fortran_order': False, 'shape': (18, 8), }",
            "{'descr': '<f4', 'fortran_order': False, 'shape': (18, '8'), }",
            "{'descr': '<V100000', 'fortran_order': False, 'shape': (18, 8), }",
            "{'descr': '<f4', 'fortran_order': 'x', 'shape': (18, 8), }",
            "{'descr': [('a', '<f4'), ('a', '<f4')], 'fortran_order': False, 'shape': (18,), }",
            "{'descr': '<f4', 'shape': (18, 8)}",
            "__import__('os').mkdir('header-ran')",
            "{" * 3000,
            "{'descr': '<f4', 'fortran_order': False, 'shape': (18, 8), 'x': " + "(" * 500 + ")" * 500 + "}",
            "\0" * 60,
        )
    ).encode("latin-1")
    body = data[10 + int.from_bytes(data[8:10], "little") :]
    text = text + b" " * (-(len(text) + 11) % 64) + b"\n"
    if len(text) > 65_535 or random.random() < 0.2:
        return b"\x93NUMPY\x02\x00" + len(text).to_bytes(4, "little") + text + body
    return b"\x93NUMPY\x01\x00" + len(text).to_bytes(2, "little") + text + body


def _odd_zip(random: Random, data: bytes) -> bytes:
    """The members again: twice, under odd names, or claiming another size."""
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        parts = {name: archive.read(name) for name in archive.namelist()}
    kind = random.choice(("names", "none", "deflate", "encrypted"))
    if kind == "names":
        return seeds.zipped({f"../{name}": part for name, part in parts.items()})
    if kind == "none":
        return seeds.zipped({})
    packed = seeds.zipped(parts)
    if kind == "encrypted":
        return packed.replace(b"PK\x01\x02\x14\x00\x14\x00\x00", b"PK\x01\x02\x14\x00\x14\x00\x01").replace(
            b"PK\x03\x04\x14\x00\x00", b"PK\x03\x04\x14\x00\x01"
        )
    return mutators.flip_bits(random, packed)
