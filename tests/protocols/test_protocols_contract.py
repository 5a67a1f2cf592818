"""What every protocol format of the registry promises, on a small protocol in its published layout."""

from __future__ import annotations

import contextlib
import inspect
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from facerec_cli import registry
from facerec_cli.errors import FacerecError, InputError, UsageError
from facerec_cli.pairs.pair_format import ListHead
from facerec_cli.protocols import SearchProtocol, read_protocol
from facerec_cli.protocols.read import files_of, find_format, open_protocol_format
from tests.protocols.made_up import SAMPLES, photos

each = pytest.mark.parametrize("name", registry.PROTOCOL_FORMATS)


def named(name: str) -> str | None:
    """The format where it has to be named."""
    return None if open_protocol_format(name).recognized else name


def searches(protocol: SearchProtocol) -> list[tuple[int, int, int, int]]:
    """Gallery, probes, mated and non-mated of each trial."""
    told = []
    for trial in protocol.trials:
        enrolled = set(protocol.identity[trial.gallery].tolist()) - {-1}
        mated = sum(person in enrolled for person in protocol.identity[trial.probes].tolist())
        told.append((trial.gallery.size, trial.probes.size, mated, trial.probes.size - mated))
    return told


EXPECTED = {
    "blufr": [(1, 2, 1, 1), (2, 2, 1, 1)],
    "csv": [(2, 2, 1, 1)],
    "folder": [(2, 2, 1, 1)],
    "ijb": [(1, 2, 1, 1), (1, 2, 1, 1)],
    "lfw-open": [(6, 8, 3, 5), (6, 4, 3, 1), (6, 9, 3, 6)],
    "megaface": [(1, 4, 0, 4), (2, 4, 0, 4)],  # the mates are among the probes: leave one out
    "scface": [(1, 4, 2, 2)] * 3,
    "survface": [(2, 2, 1, 1)],
    "tinyface": [(5, 2, 1, 1)],
}


@each
def test_its_protocols_are_known_and_nobody_elses(tmp_path: Path, name: str) -> None:
    assert name in SAMPLES, f"SAMPLES needs a protocol of the format {name}"
    paths = SAMPLES[name](tmp_path)
    heads = [ListHead(path) for path in paths]
    readers = {other: open_protocol_format(other) for other in registry.PROTOCOL_FORMATS}
    claimed = [o for o, reader in readers.items() if reader.inputs == len(heads) and reader.recognizes(heads)]
    assert claimed == ([name] if readers[name].recognized else [])
    assert find_format(paths) == (name if readers[name].recognized else None)


@each
def test_trials_people_and_photos_are_read(tmp_path: Path, name: str) -> None:
    protocol = read_protocol(SAMPLES[name](tmp_path), named(name))
    assert protocol.format == name and searches(protocol) == EXPECTED[name]
    assert len({trial.name for trial in protocol.trials}) == len(protocol.trials)
    items = len(protocol.identity)
    templates = protocol.templates
    assert items == (len(protocol.images) if templates is None else len(templates.names))
    assert len(protocol.images) == len(protocol.names) and protocol.identity.dtype == np.int64
    assert protocol.identity.min() >= -1 and protocol.identity.max() == len(protocol.people) - 1
    assert len(set(protocol.people)) == len(protocol.people)
    assert all(isinstance(image, bytes) or image.is_file() for image in protocol.images)
    assert protocol.landmarks is None or protocol.landmarks.shape == (len(protocol.images), 5, 2)
    for trial in protocol.trials:
        for part in (trial.gallery, trial.probes, trial.verification):
            assert part.dtype == np.int64 and len(set(part.tolist())) == part.size
            assert not part.size or (part.min() >= 0 and part.max() < items)
        assert not set(trial.gallery.tolist()) & set(trial.probes.tolist())


@each
def test_photos_that_are_not_there_are_left_to_their_status(tmp_path: Path, name: str) -> None:
    paths = SAMPLES[name](tmp_path)
    whole = read_protocol(paths, named(name))
    for image in whole.images[1::2]:
        Path(str(image)).unlink()
    if name in ("folder", "lfw-open", "scface"):
        with contextlib.suppress(InputError):  # what is not there is not in the protocol
            assert set(read_protocol(paths, named(name)).images) < set(whole.images)
        return
    found = read_protocol(paths).images
    if name in ("tinyface", "survface"):  # distractors and probes of nobody are those that lie in the folder
        assert set(found) < set(whole.images) and not all(Path(str(image)).is_file() for image in found)
        return
    assert found == whole.images
    for image in whole.images[::2]:
        Path(str(image)).unlink(missing_ok=True)
    with pytest.raises(InputError, match=r"None of the .* is there"):
        read_protocol(paths)
    assert read_protocol(paths, images=False).names == whole.names


@each
def test_it_may_be_named_and_takes_its_number_of_inputs(tmp_path: Path, name: str) -> None:
    paths = SAMPLES[name](tmp_path)
    assert read_protocol(paths, name, images=False).format == name
    wrong = paths[:1] if len(paths) == 2 else paths * 2
    with pytest.raises(UsageError, match=f"--format {name} takes"):
        read_protocol(wrong, name)


def _files(paths: list[Path]) -> Iterator[Path]:
    for path in paths:
        yield from [path] if path.is_file() else path.rglob("*")


@each
def test_what_it_reads_is_no_place_for_an_output(tmp_path: Path, name: str) -> None:
    paths = SAMPLES[name](tmp_path)
    kinds = (".txt", ".csv", ".mat")
    lists = {path for path in _files(paths) if path.suffix in kinds or ".json" in path.name}
    assert lists <= {path.resolve() for path in files_of(paths)} | set(files_of(paths))


@each
def test_damaged_lists_are_refused_and_no_other_error_comes(tmp_path: Path, name: str) -> None:
    paths = SAMPLES[name](tmp_path)
    reader = open_protocol_format(name)
    lists = [path for path in _files(paths) if path.is_file() and path.suffix not in (".jpg", ".png")]
    refused = 0
    for file in lists:
        whole = file.read_bytes()
        step = max(5, len(whole) // 20)
        cuts = (whole[:end] for end in range(0, len(whole), step))
        for damaged in (*cuts, b"\xff\0" + whole, whole * 2 + b"x", whole.replace(b"1", b"-9", 1)):
            file.write_bytes(damaged)
            try:
                reader.read(paths)
                find_format(paths)
            except FacerecError as fault:
                refused += bool(fault.message)
        file.write_bytes(whole)
    assert not lists or refused > 2
    assert read_protocol(paths, named(name)).format == name


@each
def test_it_is_described_in_a_line_and_made_without_arguments(name: str) -> None:
    reader = open_protocol_format(name)
    assert 10 < len(reader.description) < 110 and "\n" not in reader.description
    assert reader.inputs in (1, 2) and not inspect.signature(type(reader)).parameters
    assert all("{stem}" in pattern or "{name}" in pattern for pattern in reader.photo_patterns)


def test_what_is_no_protocol_is_refused_with_what_would_do(tmp_path: Path) -> None:
    photos(tmp_path, "people/ann/1.jpg", "one.jpg")
    (tmp_path / "empty.csv").write_text(" \n")
    with pytest.raises(InputError, match=r"not a search protocol.*lfw-open"):
        read_protocol([tmp_path / "people"])
    with pytest.raises(InputError, match="are not a gallery and probes"):
        read_protocol([tmp_path / "people", tmp_path / "one.jpg"])
    with pytest.raises(InputError, match=r"The list .*empty.csv' is empty"):
        read_protocol([tmp_path / "empty.csv", tmp_path / "empty.csv"])
    with pytest.raises(InputError, match="There is no protocol or list"):
        read_protocol([tmp_path / "nowhere"])
    with pytest.raises(UsageError, match="not 3 inputs"):
        read_protocol([tmp_path] * 3)
    with pytest.raises(UsageError, match=r"no protocol 'blurf'.*blufr"):
        read_protocol([tmp_path], "blurf")


def test_the_formats_are_known_without_reading_any() -> None:
    code = (
        "import sys\n"
        "from facerec_cli import registry\n"
        "print(list(registry.PROTOCOL_FORMATS), [m for m in sys.modules if m.startswith('facerec_cli.pro')])"
    )
    told = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert (
        all(f"'{name}'" in told for name in registry.PROTOCOL_FORMATS) and "facerec_cli.protocols" not in told
    )


def test_every_format_is_in_the_docs() -> None:
    page = (Path(__file__).resolve().parents[2] / "docs" / "identify.md").read_text(encoding="utf-8")
    assert all(f"\n| `{name}` |" in page for name in registry.PROTOCOL_FORMATS)
