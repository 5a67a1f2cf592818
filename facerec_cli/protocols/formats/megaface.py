"""MegaFace challenge 1: FaceScrub's people among up to a million distractors, with the cleaned lists.

Sources: Kemelmacher-Shlizerman et al., "The MegaFace benchmark", CVPR 2016 (1512.00596); the cleaned lists:
Deng et al., "ArcFace", CVPR 2019 (1801.07698).
"""

from __future__ import annotations

import logging
import re
from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np

from facerec_cli.errors import InputError
from facerec_cli.pairs.find_photos import find_listed
from facerec_cli.pairs.names import is_file
from facerec_cli.pairs.pair_format import ListHead
from facerec_cli.protocols.people import number_people
from facerec_cli.protocols.protocol import SearchProtocol, SearchTrial
from facerec_cli.protocols.protocol_format import ProtocolFormat, folder_of
from facerec_cli.tables.paths import turned
from facerec_cli.tables.text import read_lines, read_text
from facerec_cli.untrusted import parse_json
from facerec_cli.wording import counted

log = logging.getLogger("facerec")

_PROBES = ("facescrub_features_list.json", "facescrub_lst")
_DISTRACTORS = ("megaface_features_list*.json_*", "megaface_lst")
_NOISES = {"probes": "facescrub_noises.txt", "distractors": "megaface_noises.txt"}
_PLACES = (".", "templatelists", "devkit/templatelists", "data", "..", "../..", "../data", "../../data")
_SIZE = re.compile(r".*\.json_(\d+)_(\d+)")
_LIST_BYTES = 1 << 30


class MegaFace(ProtocolFormat):
    """The devkit's JSON lists (``path``, and ``id`` of the probes), or the test pack's lists of paths.

    Each list of distractors is a trial. A photo that ``facescrub_noises.txt`` or ``megaface_noises.txt``
    names is left out where that file is there. As published, such a probe becomes its person's mean and a
    distractor is moved far away, so that the probe still counts, nearly always as found.
    """

    description = (
        "MegaFace's lists: a folder with facescrub_features_list.json and megaface_features_list.json_*"
    )

    def recognizes(self, heads: Sequence[ListHead]) -> bool:
        """Whether a folder has the list of probes, or the file is that."""
        head = heads[0]
        return (head.is_folder or head.path.name in _PROBES) and _probe_list(head.path) is not None

    def read(self, paths: Sequence[Path]) -> SearchProtocol:
        """Read the lists and leave out what the lists of noise name."""
        listed, folder = _probe_list(paths[0]), folder_of(paths[0])
        if listed is None:
            raise InputError(f"{str(folder)!r} has no {_PROBES[0]}.", hint="Name the folder templatelists.")
        lists = _distractor_lists(listed.parent)
        if not lists:
            raise InputError(
                f"{str(listed.parent)!r} has no list of distractors (megaface_features_list.json_10_1).",
                hint="Put the devkit's lists beside each other.",
            )
        names, people = _without_noise(*_read_list(listed), _noises(folder, "probes"), "probe")
        number: dict[str, int] = {}
        noise = _noises(folder, "distractors")
        trials = []
        probes = np.arange(len(names), dtype=np.int64)
        for path, called in lists:
            distractors, _ = _without_noise(*_read_list(path), noise, "distractor")
            items = [len(names) + number.setdefault(name, len(number)) for name in distractors]
            trials.append(SearchTrial(called, np.array(items, np.int64), probes, leave_one_out=True))
        everybody, identity = number_people([*people, *[None] * len(number)])
        images = (*names, *number)
        return SearchProtocol(
            images=tuple(Path(name) for name in images),
            names=images,
            people=everybody,
            identity=identity,
            trials=tuple(trials),
            rule="Published as rank-1 and as TAR at FAR 1e-6 with 1,000,000 distractors, cleaned or not. As "
            "published, cleaning replaces noise probes by their person's mean; here they are left out.",
        )

    def find(
        self, protocol: SearchProtocol, paths: Sequence[Path], root: Path | str | None
    ) -> tuple[Path | bytes, ...]:
        """Find the photos of FaceScrub and of MegaFace, which have folders of their own."""
        count = protocol.trials[0].probes.size
        groups = (
            (protocol.images[:count], ("facescrub_images", "facescrub", "FaceScrub")),
            (protocol.images[count:], ("megaface_images", "megaface", "FlickrFinal2")),
        )
        found: list[Path | bytes] = []
        for images, folders in groups:
            patterns = ("{stem}", *(f"{folder}/{{stem}}" for folder in folders))
            found += find_listed(images, patterns, self.folder(paths), root) if images else ()
        return tuple(found)

    def other_files(self, paths: Sequence[Path]) -> list[Path]:
        """The lists of probes, of distractors and of noise."""
        folder = folder_of(paths[0])
        listed = _probe_list(paths[0])
        lists = [] if listed is None else [listed, *(path for path, _ in _distractor_lists(listed.parent))]
        noises = (_first(folder, name) for name in _NOISES.values())
        return [*lists, *(path for path in noises if path is not None)]


def _first(folder: Path, name: str) -> Path | None:
    """The file of a name in the folder or where it is beside it in the devkit and the test pack."""
    return next((folder / place / name for place in _PLACES if is_file(folder / place / name)), None)


def _probe_list(path: Path) -> Path | None:
    if path.name in _PROBES and is_file(path):
        return path
    folder = folder_of(path)
    places = [folder / place / name for name in _PROBES for place in _PLACES[:4]]
    return next((place for place in places if is_file(place)), None)


def _distractor_lists(folder: Path) -> list[tuple[Path, str]]:
    """Each list of distractors and what its trial is called, the smallest first."""
    found: list[tuple[int, int, Path, str]] = []
    for path in sorted(path for pattern in _DISTRACTORS for path in folder.glob(pattern)):
        size = _SIZE.fullmatch(path.name)
        if size:
            found.append((int(size[1]), int(size[2]), path, f"{int(size[1]):,} distractors, set {size[2]}"))
        elif not path.suffix:
            found.append((0, 0, path, "distractors"))
    return [(path, called) for _, _, path, called in sorted(found)]


def _read_list(path: Path) -> tuple[list[str], list[str]]:
    """Paths and people of a list; the person is the photo's folder where the list has no ``id``."""
    if path.stat().st_size > _LIST_BYTES:
        raise InputError(f"{str(path)!r} is too large for a list.", hint="Name MegaFace's lists.")
    if ".json" not in path.name:
        # The test pack's lists may have a number before the path.
        names = [
            line.split("\t")[-1].strip() for _, line in read_lines(path, "list of photos") if line.strip()
        ]
        people = [turned(name).rpartition("/")[0].rpartition("/")[2] for name in names]
    else:
        try:
            content = parse_json(read_text(path, "list of photos", json=True))
            names, ids = content["path"], content.get("id")
        except (ValueError, TypeError, KeyError, AttributeError) as error:
            raise _no_list(path, "it is not JSON with a list `path`") from error
        if not isinstance(names, list) or not all(isinstance(name, str) and name for name in names):
            raise _no_list(path, "its `path` is not a list of names")
        people = (
            [turned(name).rpartition("/")[0].rpartition("/")[2] for name in names] if ids is None else ids
        )
        if not isinstance(people, list) or len(people) != len(names):
            raise _no_list(path, "its `id` is not a list as long as `path`")
        people = [str(person) for person in people]
    if not names:
        raise _no_list(path, "it names no photo")
    return names, people


def _no_list(path: Path, why: str) -> InputError:
    return InputError(f"{str(path)!r} is not a list of MegaFace: {why}.", hint="Get the list again.")


def _noises(folder: Path, part: str) -> set[str]:
    """The keys of the photos that the list of noise names; none where there is no list."""
    path = _first(folder, _NOISES[part])
    if path is None:
        log.warning("without %s: no noise is left out of the %s", _NOISES[part], part)
        return set()
    lines = (line.strip() for _, line in read_lines(path, "list of noise"))
    return {_key(line.split("\t")[-1], part) for line in lines if line and not line.startswith("#")}


def _key(name: str, part: str) -> str:
    """What a photo is known by in a list of noise: FaceScrub's by the name, MegaFace's by three parts."""
    parts = turned(name).split("/")
    kept = "/".join(parts[-1:] if part == "probes" else parts[-3:])
    stem, dot, _ = kept.rpartition(".")
    return (stem if dot else kept).replace(" ", "_")


def _without_noise(
    names: Sequence[str], people: Sequence[str], noise: Iterable[str], what: str
) -> tuple[list[str], list[str]]:
    """The photos that are not noise, each once."""
    part, known = f"{what}s", set(noise)
    kept = {name: person for name, person in zip(names, people, strict=True) if _key(name, part) not in known}
    if len(kept) < len(names):
        log.info("left out as noise or listed twice: %s", counted(len(names) - len(kept), what))
    if not kept:
        raise InputError(f"All {what}s are noise.", hint=f"Look at {_NOISES[part]}.")
    return list(kept), list(kept.values())
