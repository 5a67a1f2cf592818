"""The whole of ``facerec export``: graph, parity, smaller forms, measurements, files, registry.

Everything is made and measured in a hidden folder beside the target. Only when all of it is right do the
files move to their places, so a fault anywhere leaves nothing behind and nothing replaced.
"""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import TYPE_CHECKING

import torch

from facerec_cli.backbones import Preprocessing
from facerec_cli.backbones.encoder import TorchEncoder
from facerec_cli.errors import InputError, ModelError, UsageError
from facerec_cli.export import compress, crops, parity
from facerec_cli.export.files import HINT, sealed
from facerec_cli.export.insightface import to_insightface
from facerec_cli.export.measure import FARS, measure, threshold
from facerec_cli.export.onnx_graph import OPSET, ExportedNetwork, to_onnx
from facerec_cli.export.plan import FULL, beside, refuse_registered, suffixed, target
from facerec_cli.export.result import ExportedFile, ExportReport
from facerec_cli.export.settings import ExportOptions, GraphOptions
from facerec_cli.export.source import Source, open_source
from facerec_cli.faces.preprocess import network_input
from facerec_cli.outputs import refuse_existing
from facerec_cli.packs.manifest import EncoderSpec, License, ModelPack
from facerec_cli.progress import Stages, silent_stages
from facerec_cli.threshold import Threshold
from facerec_cli.verify.pair_crops import PairCrops, ScoredPairs, cut_pairs, evaluate_crops
from facerec_cli.workshop import clear_workshop, move, workshop

if TYPE_CHECKING:
    from onnx import ModelProto

_PARITY_CROPS = 32


def export(checkpoint: Path, options: ExportOptions, *, stages: Stages = silent_stages) -> ExportReport:
    """Write a checkpoint as ONNX files that carry their manifest and are proved to compute the same.

    Args:
        checkpoint: Of ``facerec train``, a run's folder, or with ``options.layout`` of another project.
        options: What and where.
        stages: Told of the parts of the work, and of the photos of ``options.pairs``.

    Raises:
        UsageError: Options that do not fit together, or a file that exists.
        InputError: Crops or pairs that cannot be used.
        ModelError: The checkpoint cannot be used, or parity fails.
        OutputError: The files cannot be written.
    """
    name, place = target(options)
    targets = {form: beside(place, form) for form in (FULL, *options.forms)}
    foreign = options.insightface / place.name if options.insightface else None
    places = [*targets.values(), *([foreign] if foreign else [])]
    clear_workshop(place, places)
    refuse_existing(places, overwrite=options.force)
    names = {form: suffixed(options.name, form) for form in targets} if options.name else {}
    refuse_registered(names.values(), force=options.force)

    stages("Reading the checkpoint")
    source = open_source(
        checkpoint,
        layout=options.layout,
        color=options.color,
        data_name=options.data_name,
        interpolate=options.interpolate,
    )
    pairs = None
    if options.pairs:
        pairs = cut_pairs(
            options.pairs,
            crops.open_cutter(source.preprocessing),
            root=options.root,
            aligned=options.aligned,
            progress=stages("Cutting the pairs' faces"),
        )
    stages("Reading crops")
    chosen = _crops(options, source, pairs)
    few = chosen.some(_PARITY_CROPS)
    network = ExportedNetwork(source.backbone, source.preprocessing, options.graph)
    stages("Making the graph")
    plain = to_onnx(network, source.preprocessing.size)
    model = _rewritten(plain, options)
    encoder = _encoder(source, options.graph, place.name)
    stages("Comparing the graph with PyTorch")
    rows = parity.check(
        source.backbone,
        source.preprocessing,
        model,
        encoder,
        few.crops,
        options.graph,
        tolerance=options.tolerance,
    )
    graphs = {FULL: model}
    calibration = network_input(chosen.crops, encoder)
    for form in options.forms:
        stages(f"Making the form {form}")
        base = plain if form == "int8" else model  # split PRelu nodes would be rounded twice
        graphs[form] = compress.FORMS[form](base, calibration)

    reference = None
    if pairs is not None:
        stages("Judging the pairs with PyTorch")
        reference = evaluate_crops(pairs, _torch_encoder(source, options).encode(pairs.crops), _fars(options))
    pack = _pack(source, options, name, encoder, rows, str(few))
    with workshop(place, places, hint=HINT) as folder:
        made = _make_files(graphs, targets, pack, folder, source, options, chosen, pairs, stages)
        moves = {folder / path.name: path for path in targets.values()}
        if foreign is not None:
            moves[_make_insightface(graphs[FULL], pack, folder, source, options, chosen)] = foreign
        move(folder, moves, hint=HINT)
    files = tuple(
        dataclasses.replace(
            file, path=targets[file.form], pack=dataclasses.replace(file.pack, folder=place.parent)
        )
        for file in made
    )
    _register(files, names, force=options.force)
    return ExportReport(files, foreign, tuple(rows), str(few), chosen.real, reference, tuple(names.values()))


def _crops(options: ExportOptions, source: Source, pairs: PairCrops | None) -> crops.CropSet:
    """The best crops at hand for parity and calibration."""
    if options.crops is not None:
        chosen = crops.from_folder(options.crops, source.preprocessing, aligned=options.aligned)
    else:
        found = crops.from_training_data(source.data, source.preprocessing)
        if (found is None or not found.real) and pairs is not None:
            found = crops.CropSet(pairs.crops[: crops.COUNT], "crops of the pairs' photos", real=True)
        chosen = found or crops.generated(source.preprocessing)
    if "int8" in options.forms and not chosen.real:
        raise UsageError(
            f"--int8 is calibrated on faces, and there are only {chosen.origin}.",
            hint="Give --crops FOLDER with photos of faces (--aligned for ready crops), a hundred will do.",
        )
    return chosen


def _rewritten(model: ModelProto, options: ExportOptions) -> ModelProto:
    from facerec_cli.faces.runtime.rewrites import rewrite_prelu

    return model if options.keep_prelu else rewrite_prelu(model)


def _encoder(source: Source, graph: GraphOptions, file: str) -> EncoderSpec:
    given: Preprocessing = source.preprocessing
    inside = graph.uint8 is not None
    return EncoderSpec(
        file=file,
        sha256="",
        embedding_size=source.backbone.embedding_size,
        input_size=given.size,
        color=graph.uint8 or given.color,  # type: ignore[arg-type]  # Preprocessing has text
        mean=(0.0, 0.0, 0.0) if inside else given.mean,
        std=(1.0, 1.0, 1.0) if inside else given.std,
        template=given.template,
        normalized=graph.normalize,
        layout="nhwc" if inside else "nchw",
    )


def _pack(
    source: Source,
    options: ExportOptions,
    name: str,
    encoder: EncoderSpec,
    rows: list[parity.ParityRow],
    origin: str,
) -> ModelPack:
    facts = {
        "exporter": f"torch {torch.__version__.partition('+')[0]}, torch.export, opset {OPSET}",
        "parity": _told([row.agreement for row in rows], origin),
        "flip": "inside the graph" if options.graph.flip else "not in the graph",
    }
    return ModelPack(
        name=name,
        description=source.description,
        folder=Path(),
        license=License(
            code=source.code_license,
            weights=options.license,
            commercial=options.commercial,
            notice="" if options.license != "unspecified" else "Nobody has stated a license of the weights.",
        ),
        provenance=source.provenance,
        encoder=encoder,
        training={**source.facts, **facts},
    )


def _told(found: list[parity.Agreement], origin: str) -> str:
    """Agreement with PyTorch, the worst of some runs, as the manifest says it."""
    return (
        f"smallest cosine {min(one.smallest_cosine for one in found):.9f} and largest difference "
        f"{max(one.largest_difference for one in found):.3g} to PyTorch on {origin}"
    )


def _torch_encoder(source: Source, options: ExportOptions) -> TorchEncoder:
    return parity.torch_encoder(source.backbone, source.preprocessing, options.graph)


def _fars(options: ExportOptions) -> tuple[float, ...]:
    return tuple(sorted({*FARS, *([options.far] if options.far else [])}))


def _make_files(
    graphs: dict[str, ModelProto],
    targets: dict[str, Path],
    pack: ModelPack,
    folder: Path,
    source: Source,
    options: ExportOptions,
    chosen: crops.CropSet,
    pairs: PairCrops | None,
    stages: Stages,
) -> list[ExportedFile]:
    """Write, seal and measure every form in the workshop."""
    from facerec_cli.faces import open_model
    from facerec_cli.faces.proof import prove

    reference = _torch_encoder(source, options).encode(chosen.crops)
    made = []
    for form, graph in graphs.items():
        stages(f"Measuring {targets[form].name}")
        path = folder / targets[form].name
        own = dataclasses.replace(
            pack, name=suffixed(pack.name, form), training={**pack.training, "precision": form}
        )
        opened = sealed(graph, own, path)
        model = open_model(opened, device="cpu", detector=False)
        measured = measure(model, reference, chosen.crops, pairs, _fars(options))
        if form != FULL:  # what was proved of the full file says nothing of this one
            told = {**own.training, "parity": _told([measured.agreement], chosen.origin)}
            own = dataclasses.replace(own, training=told)
        card = _threshold(measured.verification, options)
        opened = sealed(graph, dataclasses.replace(own, threshold=card), path)
        try:
            prove(opened)
        except ModelError as fault:  # which names the workshop that the user never sees
            named = fault.message.replace(str(path), str(targets[form]))
            raise ModelError(f"{named} Nothing was written.", hint=fault.hint) from fault
        measured = dataclasses.replace(measured, size=path.stat().st_size)
        made.append(ExportedFile(form, path, opened, measured))
    return made


def _threshold(scored: ScoredPairs | None, options: ExportOptions) -> Threshold | None:
    if options.far is None or scored is None or options.pairs is None:
        return None
    found = threshold(scored, options.far, options.pairs.name, flip=options.graph.flip)
    if isinstance(found, str):
        raise InputError(
            f"{options.pairs} cannot support a threshold at FAR {options.far:g}: {found}.",
            hint="Give more different pairs or a larger rate. Nothing was written.",
        )
    return found


def _make_insightface(
    model: ModelProto,
    pack: ModelPack,
    folder: Path,
    source: Source,
    options: ExportOptions,
    chosen: crops.CropSet,
) -> Path:
    """The recognition network in insightface's layout, held against PyTorch like the file itself."""
    changed, encoder = to_insightface(model, pack.encoder)
    few = chosen.some(_PARITY_CROPS)
    parity.check(
        source.backbone,
        source.preprocessing,
        changed,
        encoder,
        few.crops,
        options.graph,
        tolerance=options.tolerance,
    )
    path = folder / f"insightface-{pack.encoder.file}"
    own = dataclasses.replace(pack, encoder=encoder, training={**pack.training, "precision": FULL})
    sealed(changed, own, path)
    return path


def _register(files: tuple[ExportedFile, ...], names: dict[str, str], *, force: bool) -> None:
    from facerec_cli.store.install import register

    for file in files:
        if file.form in names:
            register(file.path, names[file.form], force=force)
