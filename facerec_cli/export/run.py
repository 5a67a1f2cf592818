"""The whole of ``facerec export``: plan, source, graph, parity, smaller forms, measurements, files, registry.

Everything is made and measured in a hidden folder beside the target. Only when all of it is right do the
files move to their places, so a fault anywhere leaves nothing behind and nothing replaced.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from facerec_cli.errors import InputError, ModelError, UsageError
from facerec_cli.export import compress, crops, parity
from facerec_cli.export.crops import CropSet, Images
from facerec_cli.export.insightface import to_insightface
from facerec_cli.export.measure import FARS, Measurement, measure, threshold
from facerec_cli.export.onnx_graph import ExportedNetwork, to_onnx
from facerec_cli.export.pack import HINT, agreement_words, encoder_spec, make_pack, write_pack
from facerec_cli.export.plan import FULL, ExportPlan, make_plan, suffixed
from facerec_cli.export.settings import ExportOptions
from facerec_cli.export.source import Source, open_source
from facerec_cli.faces.preprocess import network_input
from facerec_cli.packs.manifest import EncoderSpec, ModelPack
from facerec_cli.progress import Stages, silent_stages
from facerec_cli.threshold import Threshold
from facerec_cli.verify.pair_crops import PairCrops, ScoredPairs, cut_pairs, evaluate_crops
from facerec_cli.workshop import move, workshop

if TYPE_CHECKING:
    from onnx import ModelProto

_PARITY_CROPS = 32


@dataclass(frozen=True, slots=True)
class ExportedFile:
    """A file that was written.

    Attributes:
        form: "fp32" or a key of ``compress.FORMS``.
        path: Where it is.
        pack: What it says of itself.
        measured: What it costs and is worth.
    """

    form: str
    path: Path
    pack: ModelPack
    measured: Measurement


@dataclass(frozen=True, slots=True)
class ExportReport:
    """What an export did.

    Attributes:
        files: The full file first.
        insightface: The file in insightface's layout, or None.
        parity: One row for each provider and batch size.
        crops: What parity was checked on.
        real_crops: Whether they show faces.
        torch: The pairs scored by PyTorch, where they were given.
        registered: Names in the registry.
    """

    files: tuple[ExportedFile, ...]
    insightface: Path | None
    parity: tuple[parity.ParityRow, ...]
    crops: str
    real_crops: bool
    torch: ScoredPairs | None
    registered: tuple[str, ...]


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
    plan = make_plan(options)
    job = _prepare(checkpoint, options, plan, stages)
    stages("Making the graph")
    plain, graph = job.make_graphs()
    encoder = encoder_spec(job.source, options.graph, plan.target.name)
    stages("Comparing the graph with PyTorch")
    rows = job.check(graph, encoder)
    graphs = {FULL: graph, **dict(job.make_forms(plain, graph, encoder))}
    scored = None
    if job.pairs is not None:
        stages("Judging the pairs with PyTorch")
        scored = evaluate_crops(job.pairs, job.torch_embeddings(job.pairs.crops), job.fars)
    words = agreement_words([row.agreement for row in rows], str(job.parity_crops))
    pack = make_pack(job.source, options, plan.name, encoder, words)
    with workshop(plan.target, plan.outputs, hint=HINT) as folder:
        made = job.make_files(graphs, pack, folder)
        moves = {folder / path.name: path for path in plan.paths.values()}
        if plan.insightface is not None:
            moves[job.make_insightface(graph, pack, folder)] = plan.insightface
        move(folder, moves, hint=HINT)
    _register(made, plan, overwrite=options.force)
    return ExportReport(
        files=tuple(made),
        insightface=plan.insightface,
        parity=tuple(rows),
        crops=str(job.parity_crops),
        real_crops=job.crops.real,
        torch=scored,
        registered=tuple(plan.registered.values()),
    )


@dataclass(frozen=True, slots=True)
class _ExportJob:
    """What is exported, and what it is compared, calibrated and measured on.

    Attributes:
        checkpoint: What was asked for.
        options: The same.
        plan: Where the files go.
        stages: Told of the parts of the work.
        source: The network in PyTorch.
        crops: Aligned faces.
        pairs: The crops of ``options.pairs``, where they are given.
    """

    checkpoint: Path
    options: ExportOptions
    plan: ExportPlan
    stages: Stages
    source: Source
    crops: CropSet
    pairs: PairCrops | None

    @property
    def parity_crops(self) -> CropSet:
        """Some of the crops, from all over the set."""
        return self.crops.some(_PARITY_CROPS)

    @property
    def fars(self) -> tuple[float, ...]:
        """False accept rates that are measured on the pairs."""
        return tuple(sorted({*FARS, *([self.options.far] if self.options.far else [])}))

    def make_graphs(self) -> tuple[ModelProto, ModelProto]:
        """The graph as PyTorch exports it, and as it is written."""
        from facerec_cli.faces.runtime.rewrites import rewrite_prelu

        source = self.source
        network = ExportedNetwork(source.backbone, source.preprocessing, self.options.graph)
        plain = to_onnx(network, source.preprocessing.size)
        return plain, plain if self.options.keep_prelu else rewrite_prelu(plain)

    def torch_embeddings(self, images: Images) -> parity.Vectors:
        """(N, D) embeddings of the network in PyTorch."""
        source = self.source
        encoder = parity.torch_encoder(source.backbone, source.preprocessing, self.options.graph)
        return encoder.encode(images)

    def check(self, graph: ModelProto, encoder: EncoderSpec) -> list[parity.ParityRow]:
        """Compare a graph with the network in PyTorch."""
        return parity.check(
            self.source.backbone,
            self.source.preprocessing,
            graph,
            encoder,
            self.parity_crops.crops,
            self.options.graph,
            tolerance=self.options.tolerance,
            checkpoint=self.checkpoint,
        )

    def make_forms(
        self, plain: ModelProto, graph: ModelProto, encoder: EncoderSpec
    ) -> Iterator[tuple[str, ModelProto]]:
        """The smaller forms that were asked for."""
        calibration = network_input(self.crops.crops, encoder)
        for form in self.options.forms:
            self.stages(f"Making the form {form}")
            base = plain if form == "int8" else graph  # split PRelu nodes would be rounded twice
            yield form, compress.FORMS[form](base, calibration)

    def make_files(self, graphs: dict[str, ModelProto], pack: ModelPack, folder: Path) -> list[ExportedFile]:
        """Write every form to ``folder``, measure it there, and prove that it works."""
        from facerec_cli.faces import open_model
        from facerec_cli.faces.proof import prove

        reference = self.torch_embeddings(self.crops.crops)
        made = []
        for form, graph in graphs.items():
            target = self.plan.paths[form]
            self.stages(f"Measuring {target.name}")
            path = folder / target.name
            training = {**pack.training, "precision": form}
            own = dataclasses.replace(pack, name=suffixed(pack.name, form), training=training)
            model = open_model(write_pack(graph, own, path), device="cpu", detector=False)
            measured = measure(model, reference, self.crops.crops, self.pairs, self.fars)
            if form != FULL:  # what was proved of the full file says nothing of this one
                training["parity"] = agreement_words([measured.agreement], self.crops.origin)
            own = dataclasses.replace(own, threshold=self._threshold(measured.verification))
            written = write_pack(graph, own, path)
            try:
                prove(written)
            except ModelError as fault:  # which names the hidden folder that the user never sees
                named = fault.message.replace(str(path), str(target))
                raise ModelError(f"{named} Nothing was written.", hint=fault.hint) from fault
            measured = dataclasses.replace(measured, size=path.stat().st_size)
            written = dataclasses.replace(written, folder=target.parent)
            made.append(ExportedFile(form, target, written, measured))
        return made

    def _threshold(self, scored: ScoredPairs | None) -> Threshold | None:
        options = self.options
        if options.far is None or scored is None or options.pairs is None:
            return None
        found = threshold(scored, options.far, options.pairs.name, flip=options.graph.flip)
        if isinstance(found, str):
            raise InputError(
                f"{options.pairs} cannot support a threshold at FAR {options.far:g}: {found}.",
                hint="Give more different pairs or a larger rate. Nothing was written.",
            )
        return found

    def make_insightface(self, graph: ModelProto, pack: ModelPack, folder: Path) -> Path:
        """The network in insightface's layout, compared with PyTorch like the file itself."""
        changed, encoder = to_insightface(graph, pack.encoder)
        self.check(changed, encoder)
        path = folder / f"insightface-{pack.encoder.file}"
        training = {**pack.training, "precision": FULL}
        write_pack(changed, dataclasses.replace(pack, encoder=encoder, training=training), path)
        return path


def _prepare(checkpoint: Path, options: ExportOptions, plan: ExportPlan, stages: Stages) -> _ExportJob:
    """Open the checkpoint, and the best crops at hand for parity and calibration."""
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
    if options.crops is not None:
        found = crops.from_folder(options.crops, source.preprocessing, aligned=options.aligned)
    else:
        trained_on = crops.from_training_data(source.data, source.preprocessing)
        if (trained_on is None or not trained_on.real) and pairs is not None:
            trained_on = CropSet(pairs.crops[: crops.COUNT], "crops of the pairs' photos", real=True)
        found = trained_on or crops.generated(source.preprocessing)
    if "int8" in options.forms and not found.real:
        raise UsageError(
            f"--int8 is calibrated on faces, and there are only {found.origin}.",
            hint="Give --crops FOLDER with photos of faces (--aligned for ready crops), a hundred will do.",
        )
    return _ExportJob(checkpoint, options, plan, stages, source, found, pairs)


def _register(files: list[ExportedFile], plan: ExportPlan, *, overwrite: bool) -> None:
    from facerec_cli.store.install import register

    for file in files:
        if file.form in plan.registered:
            register(file.path, plan.registered[file.form], force=overwrite)
