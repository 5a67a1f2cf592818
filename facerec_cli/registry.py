"""Names that a user can type, and where the code behind each one lives.

Every table is a plain dictionary of ``name -> "module:attribute"``: listing names imports nothing, and
adding a loss, a backbone or a detector is one file and one line here.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from importlib import import_module
from typing import Any

from facerec_cli.errors import UsageError
from facerec_cli.suggest import guess

DETECTORS: Mapping[str, str] = {
    "scrfd": "facerec_cli.faces.detectors.scrfd:Scrfd",
    "yunet": "facerec_cli.faces.detectors.yunet:YuNet",
}

ENGINES: Mapping[str, str] = {
    "local": "facerec_cli.embed.engines.local:LocalEngine",
    "ray": "facerec_cli.embed.engines.ray:RayEngine",
}

SEARCH_ENGINES: Mapping[str, str] = {
    "exact": "facerec_cli.gallery.search_engines.exact:ExactSearch",
    "index": "facerec_cli.gallery.search_engines.index:IndexSearch",
    "ray": "facerec_cli.gallery.search_engines.ray:RaySearch",
    "lancedb": "facerec_cli.gallery.search_engines.lancedb:LanceSearch",
}

# Suffixes of files; "/" stands for a folder or a URL.
EMBEDDING_FORMATS: Mapping[str, str] = {
    ".npy": "facerec_cli.embeddings.formats.npy:Npy",
    ".npz": "facerec_cli.embeddings.formats.npz:Npz",
    ".parquet": "facerec_cli.embeddings.formats.parquet:Parquet",
    "/": "facerec_cli.embeddings.formats.parquet_folder:ParquetFolder",
}

LOSSES: Mapping[str, str] = {
    "adaface": "facerec_cli.losses.adaface:AdaFace",
    "arcface": "facerec_cli.losses.arcface:ArcFace",
    "boundaryface": "facerec_cli.losses.boundaryface:BoundaryFace",
    "cosface": "facerec_cli.losses.cosface:CosFace",
    "curricularface": "facerec_cli.losses.curricularface:CurricularFace",
    "ddl": "facerec_cli.losses.ddl:DDL",
    "distill": "facerec_cli.losses.distill:Distill",
    "elasticface": "facerec_cli.losses.elasticface:ElasticFace",
    "epl": "facerec_cli.losses.epl:EPL",
    "magface": "facerec_cli.losses.magface:MagFace",
    "npt": "facerec_cli.losses.npt:NPTLoss",
    "otface": "facerec_cli.losses.otface:OTFace",
    "sface": "facerec_cli.losses.sface:SFaceLoss",
    "softmax": "facerec_cli.losses.softmax:Softmax",
    "sphereface2": "facerec_cli.losses.sphereface2:SphereFace2",
    "subcenter_arcface": "facerec_cli.losses.subcenter_arcface:SubCenterArcFace",
    "uniface": "facerec_cli.losses.uniface:UniFace",
    "unitsface": "facerec_cli.losses.unitsface:UniTSFace",
}

BACKBONES: Mapping[str, str] = {
    "iresnet18": "facerec_cli.backbones.iresnet:iresnet18",
    "iresnet34": "facerec_cli.backbones.iresnet:iresnet34",
    "iresnet50": "facerec_cli.backbones.iresnet:iresnet50",
    "iresnet100": "facerec_cli.backbones.iresnet:iresnet100",
    "iresnet200": "facerec_cli.backbones.iresnet:iresnet200",
    "mobilefacenet": "facerec_cli.backbones.mobilefacenet:mobilefacenet",
    "sface": "facerec_cli.backbones.sface:sface",
    "vit_t": "facerec_cli.backbones.vit:vit_t",
    "vit_s": "facerec_cli.backbones.vit:vit_s",
    "vit_b": "facerec_cli.backbones.vit:vit_b",
}

# Who may follow a training run; each has an extra of its name.
LOGGERS: Mapping[str, str] = {
    "tensorboard": "facerec_cli.training.loggers.tensorboard:TensorBoardLogger",
    "wandb": "facerec_cli.training.loggers.wandb:WandbLogger",
    "mlflow": "facerec_cli.training.loggers.mlflow:MlflowLogger",
    "trackio": "facerec_cli.training.loggers.trackio:TrackioLogger",
}

# In the order in which they are asked whether a list is theirs: folders and binary files, then text.
PAIR_FORMATS: Mapping[str, str] = {
    "cfp": "facerec_cli.pairs.formats.cfp:Cfp",
    "bin": "facerec_cli.pairs.formats.bin:Bin",
    "ijb": "facerec_cli.pairs.formats.ijb:Ijb",
    "lfw": "facerec_cli.pairs.formats.lfw:Lfw",
    "labeled": "facerec_cli.pairs.formats.labeled:Labeled",
    "calfw": "facerec_cli.pairs.formats.calfw:Calfw",
}

# In the order in which they are asked as well; a plain folder and a plain list come last.
PROTOCOL_FORMATS: Mapping[str, str] = {
    "blufr": "facerec_cli.protocols.formats.blufr:Blufr",
    "ijb": "facerec_cli.protocols.formats.ijb:IjbSearch",
    "megaface": "facerec_cli.protocols.formats.megaface:MegaFace",
    "tinyface": "facerec_cli.protocols.formats.tinyface:TinyFace",
    "survface": "facerec_cli.protocols.formats.survface:SurvFace",
    "scface": "facerec_cli.protocols.formats.scface:SCface",
    "lfw-open": "facerec_cli.protocols.formats.lfw_open:LfwOpen",
    "folder": "facerec_cli.protocols.formats.folder:PeopleFolders",
    "csv": "facerec_cli.protocols.formats.csv:PeopleLists",
}

DATASETS: Mapping[str, str] = {
    "folder": "facerec_cli.data.formats.folder:FolderDataset",
    "huggingface": "facerec_cli.data.formats.huggingface:HuggingFaceDataset",
    "list": "facerec_cli.data.formats.list:ListDataset",
    "rec": "facerec_cli.data.formats.rec.dataset:RecDataset",
    "stream": "facerec_cli.data.formats.stream:TarStream",
    "synthetic": "facerec_cli.data.formats.synthetic:SyntheticDataset",
    "tar": "facerec_cli.data.formats.tar:TarDataset",
}

DATASET_WRITERS: Mapping[str, str] = {
    "folder": "facerec_cli.data.formats.folder:write_folder",
    "rec": "facerec_cli.data.formats.rec.write:write_rec",
    "list": "facerec_cli.data.formats.list:write_list",
    "tar": "facerec_cli.data.formats.tar:write_tar",
}

# Names alone: what is behind them is in one module, which needs torch or opens much.
DEFAULT_PACK = "sface"  # the model that is part of facerec
FACE_RULES = ("main", "center", "largest")  # which of several faces counts (faces.choice); first the default
POOLINGS = (
    "mean",
    "norm",
    "score",
    "norm-score",
)  # how photos of a template weigh (verify.pooling)
DEVICES = ("auto", "cpu", "cuda", "tensorrt", "coreml", "openvino")  # faces.runtime.providers has each
TEMPLATES = ("arcface",)  # five-point alignment templates of faces.align
PROJECTS = ("arcface_torch", "tface", "adaface", "cvlface")  # whose checkpoints backbones.layouts reads


def embedding_suffixes() -> tuple[str, ...]:
    """The suffixes of files that embeddings are stored in."""
    return tuple(name for name in EMBEDDING_FORMATS if name != "/")


def load(table: Mapping[str, str], name: str, kind: str) -> Any:
    """Import what ``name`` stands for in ``table``.

    Args:
        table: One of the tables of this module.
        name: What the user typed.
        kind: What the table holds, in the singular, for the message ("loss").

    Raises:
        UsageError: ``name`` is not in ``table``; the message gives the nearest name and all of them.
    """
    if name not in table:
        raise unknown_name(name, table, kind)
    module, _, attribute = table[name].partition(":")
    return getattr(import_module(module), attribute)


def unknown_name(name: str, known: Iterable[str], kind: str, *, elsewhere: Iterable[str] = ()) -> UsageError:
    """The error for a name that is not known, with the nearest one that is.

    Args:
        name: What the user typed.
        known: What could stand there.
        kind: What they are, in the singular.
        elsewhere: Names that have their place elsewhere and may have been meant too.
    """
    names = list(known)
    near = guess(name, [*names, *elsewhere])
    return UsageError(f"There is no {kind} {name!r}.", hint=f"{near}Known: {', '.join(names)}")
