"""Embedding on a real Ray cluster of two node processes, one of which is killed in the middle."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import cv2
import pytest

from facerec_cli.embed import EmbedOptions, Summary, embed_to_file, job
from facerec_cli.embed.engines.ray import RayEngine
from facerec_cli.images import read_image

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(find_spec("ray") is None, reason="needs ray: pip install 'facerec-cli[ray]'"),
    pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="needs POSIX signals"),
]
OPTIONS = EmbedOptions(batch_size=4)
PHOTOS = 110


@pytest.fixture(autouse=True)
def _small_shards(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(job, "SHARD_SIZE", 8)


@pytest.fixture(scope="module")
def cluster() -> Iterator[Any]:
    """A head without CPUs for workers to be lost with it, and one node; tests add the one that they kill."""
    from ray.cluster_utils import Cluster

    patch = pytest.MonkeyPatch()
    patch.setenv("RAY_AUTH_MODE", "disabled")  # or Ray leaves a token in the home folder
    patch.setenv("RAY_worker_niceness", "0")  # or a busy machine starves the workers
    node = {"num_cpus": 1, "object_store_memory": 80 << 20}
    started = Cluster(initialize_head=True, head_node_args={**node, "include_dashboard": False})
    try:
        yield started
    finally:
        started.shutdown()
        patch.undo()


@pytest.fixture(scope="module")
def photos(tmp_path_factory: pytest.TempPathFactory, repository: Path) -> Path:
    """Real portraits at many sizes, and files that are no photos."""
    folder = tmp_path_factory.mktemp("photos")
    portraits = [read_image(path) for path in sorted((repository / "examples" / "photos").glob("*.jpg"))]
    for index in range(PHOTOS):
        photo = portraits[index % len(portraits)]
        scale = (180 + index) / max(photo.shape[:2])
        cv2.imwrite(str(folder / f"{index:03d}.jpg"), cv2.resize(photo, None, fx=scale, fy=scale))
    (folder / "040 no photo.jpg").write_text("text")
    (folder / "090 empty.jpg").write_bytes(b"")
    (folder / "\u00fc \udcff.jpg").write_bytes((folder / "000.jpg").read_bytes())  # a name that is not UTF-8
    return folder


@pytest.fixture(scope="module")
def expected(photos: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What the local engine makes of them."""
    folder = tmp_path_factory.mktemp("local")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(job, "SHARD_SIZE", 8)
        embed_to_file([photos], folder / "out.npy", options=OPTIONS, threads=2)
        embed_to_file([photos], folder / "out.parquet", options=OPTIONS, threads=2)
    return folder


def embed_while_a_node_dies(cluster: Any, photos: Path, output: str | Path) -> Summary:
    """Embed on two nodes; when a fifth is done, one of them is killed with its worker."""
    import psutil

    doomed = cluster.add_node(num_cpus=1, object_store_memory=80 << 20)
    raylet = psutil.Process(doomed.all_processes["raylet"][0].process.pid)
    lost: list[Any] = []

    def kill(done: int, total: int | None = None) -> None:
        if done >= PHOTOS // 5 and not lost:
            lost.extend(
                worker for worker in raylet.children() if "ShardEmbedder" in " ".join(worker.cmdline())
            )
            if lost:
                os.kill(raylet.pid, signal.SIGKILL)

    summary = embed_to_file(
        [photos], output, options=OPTIONS, engine=RayEngine(cluster.address), threads=1, progress=kill
    )
    assert lost, "no worker ran on the node that was to be killed"
    psutil.wait_procs(lost, timeout=10)
    assert not raylet.is_running() or raylet.status() == psutil.STATUS_ZOMBIE
    cluster.remove_node(doomed, allow_graceful=False)
    return summary


def test_the_same_files_come_out_when_a_node_is_killed(
    cluster: Any, photos: Path, expected: Path, tmp_path: Path
) -> None:
    summary = embed_while_a_node_dies(cluster, photos, tmp_path / "out.npy")
    assert summary.photos == PHOTOS + 3 and summary.statuses["unreadable"] == summary.statuses["empty"] == 1
    for name in ("out.npy", "out.csv", "out.json"):
        assert (tmp_path / name).read_bytes() == (expected / name).read_bytes(), name
    assert {path.name for path in tmp_path.iterdir()} == {"out.npy", "out.csv", "out.json"}


def test_shards_written_by_the_workers_lose_and_double_no_row(
    cluster: Any, photos: Path, expected: Path, tmp_path: Path
) -> None:
    parquet = pytest.importorskip("pyarrow.parquet")
    summary = embed_while_a_node_dies(cluster, photos, f"{tmp_path}/out/")
    shards = sorted(path.name for path in (tmp_path / "out").iterdir())
    assert shards == ["_facerec.json", *(f"part-{index:06d}.parquet" for index in range(15))]
    made = parquet.read_table(tmp_path / "out")
    whole = parquet.read_table(expected / "out.parquet").drop_columns("row")
    assert made.column_names == whole.column_names and len(made) == len(whole)
    for column in whole.column_names:
        assert made.column(column).to_pylist() == whole.column(column).to_pylist(), column
    assert len(whole.column("embedding").drop_null()) == summary.embeddings
