"""Packs as folders and archives, ONNX files, and homes of facerec that are damaged."""

from __future__ import annotations

from random import Random

import numpy as np

from tests.fuzz import mutators, seeds
from tests.fuzz.families.photos import TINY
from tests.fuzz.sandbox import Case, Sandbox

FLAGS = ("--color", "rgb", "--mean", "127.5", "--std", "127.5", "--template", "arcface")


def packs(random: Random, sandbox: Sandbox) -> Case:
    """A pack folder whose manifest, network or other files are damaged."""
    files = dict(seeds.tiny_pack())
    files["LICENSE.txt"] = b"Do what you like.\n"
    kind = random.random()
    told = ""
    if kind < 0.65:
        files["pack.toml"], told = mutators.damage_toml(random, files["pack.toml"].decode())
    elif kind < 0.85:
        files["tiny.onnx"], told = mutators.damage(random, files["tiny.onnx"])
    if random.random() < 0.2:
        files["evaluations/x.json"] = mutators.damage_json(
            random, {"eer": 0.1, "pairs": 10, "tar_at_far": [{"far": 0.1, "tar": 0.5}]}
        )[0]
        told += " evaluation"
    for name, data in files.items():
        sandbox.write(f"mine/{name}", data)
    if random.random() < 0.2:
        _, planted = mutators.plant(random, sandbox.work / "mine")
        told += f" {planted}"
    if random.random() < 0.1:
        (sandbox.work / "mine/evaluations").mkdir(exist_ok=True)
        (sandbox.work / "mine/evaluations/p.json").symlink_to("../../../beside/kept.txt")
        told += " a link out of the pack"
    return _use(
        random,
        sandbox,
        "mine",
        told,
        suspects=["mine", "pack.toml", "tiny.onnx"] if told else [],
        registered=["tiny", "zz"],
    )


def _use(
    random: Random,
    sandbox: Sandbox,
    given: str,
    told: str,
    *,
    suspects: list[str],
    registered: list[str],
    flags: tuple[str, ...] = (),
) -> Case:
    name = random.choice(([], ["--name", "zz"])) if given == "mine" else ["--name", "zz"]
    outputs: list[str] = []
    kind = random.choice(("add", "add", "show", "card", "embed", "verify", "check"))
    if kind == "add":
        argv = ["models", "add", given, *name, *flags, *mutators.pick(random, ("--force", "--json"), 0.4)]
    elif kind in ("show", "card"):
        argv = [
            "models",
            kind,
            given,
            *(flags if kind == "show" else ()),
            *mutators.pick(random, ("--json",), 0.4),
        ]
    elif kind == "check":
        argv = ["models", "check", *mutators.pick(random, ("--json",), 0.4)]
        place = sandbox.registry / "packs" / "zz"
        if (sandbox.work / given).is_dir():
            (sandbox.work / given).rename(place)
        else:
            place.mkdir(parents=True)
            (sandbox.work / given).rename(place / given.rpartition("/")[2])
        suspects = []
    else:
        photos = [sandbox.write(f"{i}.jpg", seeds.jpeg(i)) for i in range(2)]
        argv = [
            kind,
            *photos,
            "--model",
            given if "/" in given or "." in given else f"./{given}",
            "--aligned",
            *flags,
        ]
        argv += ["-o", "o.npy"] if kind == "embed" else []
        outputs = ["o.npy", "o.csv", "o.json"] if kind == "embed" else []
    return Case(argv, told, outputs, suspects=suspects, registered=registered)


def archives(random: Random, sandbox: Sandbox) -> Case:
    """``models pull --mirror`` of a damaged or hostile archive; an archive given to ``models add``."""
    files = {
        "w600k_mbf.onnx": seeds.tiny_pack()["tiny.onnx"],
        "det_500m.onnx": seeds.tiny_pack()["tiny.onnx"],
    }
    kind = random.choice(("damaged", "damaged", "paths", "many", "bomb", "tar", "missing", "other"))
    if kind == "paths":
        files = {
            random.choice(("../", "/", "a/../../", "C:\\", "\\\\host\\", "./")) + name: data
            for name, data in files.items()
        }
    elif kind == "many":
        files |= {f"x{i}": b"" for i in range(1500)}
    elif kind == "bomb":
        files["w600k_mbf.onnx"] = bytes(50_000_000)
    elif kind == "missing":
        files.popitem()
    data = seeds.zipped(files)
    told = kind
    if kind == "damaged":
        data, done = mutators.damage(random, data)
        told += f": {done}"
    elif kind == "tar":
        data = seeds.tarred(files, random.choice(("w", "w:gz", "w:xz")))
    elif kind == "other":
        data = mutators.something_else(random, data)
    if random.random() < 0.7:
        sandbox.write("mirror/buffalo_sc.zip", data)
        argv = [
            "models",
            "pull",
            "buffalo_sc",
            "--mirror",
            random.choice(("mirror", str(sandbox.work / "mirror"))),
            "--accept-licence",
            "--offline",
        ]
        return Case(
            [*argv, *mutators.pick(random, ("--json",), 0.3)],
            told,
            suspects=["buffalo_sc"],
            registered=["buffalo_sc"],
        )
    files = {f"tiny/{name}": part for name, part in seeds.tiny_pack().items()}
    packed = {
        "pack.zip": seeds.zipped(files),
        "pack.tar": seeds.tarred(files),
        "pack.tar.gz": seeds.tarred(files, "w:gz"),
    }
    name = random.choice(tuple(packed))
    data, done = mutators.damage(random, packed[name]) if random.random() < 0.7 else (packed[name], "")
    sandbox.write(name, data)
    return Case(
        ["models", random.choice(("add", "show")), name],
        f"{name}: {done}",
        suspects=[name],
        registered=["tiny", "pack"],
    )


def networks(random: Random, sandbox: Sandbox) -> Case:
    """ONNX files: damaged, or sound ones that are no face networks or want what facerec does not give."""
    if random.random() < 0.6:
        data, told = mutators.damage(random, seeds.tiny_pack()["tiny.onnx"])
    else:
        data, told = odd_network(random)
    name = random.choice(("m.onnx", "m.onnx", "m.ONNX", "m", "m.pb"))
    sandbox.write(name, data)
    flags = FLAGS if random.random() < 0.8 else FLAGS[: 2 * random.randrange(4)]
    if random.random() < 0.1:
        flags = (
            *flags,
            *random.choice(
                (
                    ("--size", "96x112"),
                    ("--size", "0x0"),
                    ("--embedding-size", "8"),
                    ("--layout", "nhwc"),
                    ("--normalized",),
                    ("--std", "0"),
                    ("--mean", "nan"),
                )
            ),
        )
    return _use(random, sandbox, name, told, suspects=[name], registered=["zz"], flags=flags)


def odd_network(random: Random) -> tuple[bytes, str]:
    """A network that ONNX's own checker has no word against (mostly), and that may not run."""
    from onnx import TensorProto, helper, numpy_helper

    kinds = {
        "float": TensorProto.FLOAT,
        "half": TensorProto.FLOAT16,
        "double": TensorProto.DOUBLE,
        "uint8": TensorProto.UINT8,
        "int64": TensorProto.INT64,
        "text": TensorProto.STRING,
    }
    kind = random.choice(tuple(kinds))
    shape = random.choice(
        (
            ["n", 3, 112, 112],
            ["n", 112, 112, 3],
            [1, 3, 112, 112],
            [8, 3, 112, 112],
            ["n", 3, "h", "w"],
            ["n", 1, 112, 112],
            ["n", 3, 96, 112],
            [None] * 4,
            [3, 112, 112],
            ["n", 512],
            [0, 3, 112, 112],
            ["n", 3, 100_000, 100_000],
            [],
        )
    )
    size = random.choice((4, 4, 512, 1, 0, 100_000))
    change = random.choice(
        (
            "",
            "",
            "two outputs",
            "two inputs",
            "no outputs",
            "domain",
            "future",
            "reshape",
            "external",
            "nan",
            "cycle",
            "loop",
            "old",
        )
    )
    channels = 3
    weight = np.random.default_rng(0).normal(size=(channels, size)).astype(np.float32)
    if change == "nan" and size:
        weight[0, 0] = np.nan
    nodes = (
        [helper.make_node("Cast", ["input"], ["x"], to=TensorProto.FLOAT)]
        if kind != "float"
        else [helper.make_node("Identity", ["input"], ["x"])]
    )
    if len(shape) == 4 and shape[-1] == 3:
        nodes.append(helper.make_node("Transpose", ["x"], ["y"], perm=[0, 3, 1, 2]))
    else:
        nodes.append(helper.make_node("Identity", ["x"], ["y"]))
    nodes += [
        helper.make_node("GlobalAveragePool", ["y"], ["pooled"]),
        helper.make_node("Flatten", ["pooled"], ["flat"]),
        helper.make_node("MatMul", ["flat", "weight"], ["embedding"]),
    ]
    constants = [numpy_helper.from_array(weight, "weight")]
    out = ["n", size]
    port = helper.make_tensor_value_info
    inputs, outputs = [port("input", kinds[kind], shape)], [port("embedding", TensorProto.FLOAT, out)]
    if change == "two outputs":
        outputs.append(port("pooled", TensorProto.FLOAT, ["n", 3, 1, 1]))
    elif change == "two inputs":
        inputs.append(port("more", TensorProto.FLOAT, [1]))
    elif change == "no outputs":
        outputs = []
    elif change == "domain":
        nodes[0] = helper.make_node("Magic", ["input"], ["x"], domain="my.company")
    elif change == "reshape":
        constants.append(numpy_helper.from_array(np.array([1, 3], np.int64), "shape"))
        nodes[-2] = helper.make_node("Reshape", ["pooled", "shape"], ["flat"])
    elif change == "cycle":
        nodes[0] = helper.make_node("Add", ["input", "embedding"], ["x"])
    elif change == "loop":
        nodes.append(helper.make_node("Identity", ["nowhere"], ["lost"]))
    graph = helper.make_graph(nodes, "g", inputs, outputs, constants)
    if change == "external":
        tensor = graph.initializer[0]
        tensor.ClearField("raw_data")
        tensor.data_location = TensorProto.EXTERNAL
        entry = tensor.external_data.add()
        entry.key, entry.value = (
            "location",
            random.choice(("../../beside/kept.txt", "/etc/hostname", "weights.bin")),
        )
    opset = {"future": 99, "old": 6}.get(change, 17)
    model = helper.make_model(
        graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=99 if change == "future" else 8
    )
    return model.SerializeToString(), f"{kind} {shape} -> {size} {change}"


def homes(random: Random, sandbox: Sandbox) -> Case:
    """FACEREC_HOME with damaged packs, caches and agreements."""
    told = []
    packs_folder = sandbox.registry / "packs"
    for _ in range(random.randint(1, 3)):
        kind = random.choice(
            (
                "manifest",
                "network",
                "cache",
                "licence",
                "file",
                "link",
                "empty pack",
                "odd name",
                "unfinished",
            )
        )
        told.append(kind)
        if kind == "manifest":
            data = (packs_folder / "tiny/pack.toml").read_text()
            (packs_folder / "zz").mkdir(exist_ok=True)
            (packs_folder / "zz/pack.toml").write_bytes(mutators.damage_toml(random, data)[0])
        elif kind == "network":
            path = packs_folder / "tiny/tiny.onnx"
            path.write_bytes(mutators.damage(random, path.read_bytes())[0])
        elif kind == "cache":
            (sandbox.registry / "cache").mkdir(exist_ok=True)
            (sandbox.registry / "cache/embeddings.sqlite").write_bytes(mutators.something_else(random, b""))
        elif kind == "licence":
            (sandbox.registry / "licences").mkdir(exist_ok=True)
            (sandbox.registry / "licences/buffalo_l.json").write_bytes(
                mutators.damage_json(random, {"name": "x", "date": "2026-01-01", "sha256": "0"})[0]
            )
        elif kind == "file" and not (packs_folder / "plain").exists():
            (packs_folder / "plain").write_bytes(b"not a folder")
        elif kind == "link" and not (packs_folder / "lost").is_symlink():
            (packs_folder / "lost").symlink_to("nowhere")
        elif kind == "empty pack":
            (packs_folder / "hollow").mkdir(exist_ok=True)
        elif kind == "unfinished":
            (packs_folder / ".new-zz").mkdir(exist_ok=True)
        else:
            (packs_folder / "Ünï\ncode").mkdir(exist_ok=True)
    photos = [sandbox.write(f"{i}.jpg", seeds.jpeg(i)) for i in range(2)]
    argv = random.choice(
        (
            ["models", "list"],
            ["models", "check"],
            ["models", "show", "tiny"],
            ["models", "remove", "zz"],
            ["doctor"],
            ["verify", *photos, *TINY],
            ["models", "show", "sface"],
            ["models", "list", "--commercial"],
        )
    )
    if argv[0] != "verify" or random.random() < 0.3:
        argv = [*argv, *mutators.pick(random, ("--json",), 0.5)]
    return Case(argv, ", ".join(told), registered=["zz", "tiny"])
