"""A table of groups opened again for its review: with the photos, and the vectors that were not kept."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from facerec_cli.clusters.clustering import FACE_STATUSES, Clustering
from facerec_cli.clusters.earlier import read_clusters
from facerec_cli.clusters.run import cluster_faces
from facerec_cli.clusters.settings import ClusterSettings
from facerec_cli.errors import InputError
from facerec_cli.verify.settings import Steps, no_steps


def open_reviewed(
    table: Path,
    inputs: Sequence[str] = (),
    settings: ClusterSettings | None = None,
    *,
    steps: Steps = no_steps,
) -> Clustering:
    """The groups of a table as they are there.

    Args:
        table: What ``facerec cluster -o`` wrote.
        inputs: The photos or embeddings that it is of; none takes the photos that it names.
        settings: The model, and decisions to carry out; ``update`` is the table.
        steps: Watches the work.

    Raises:
        InputError: The table cannot be read, or its photos are not there.
    """
    if not table.is_file():
        raise InputError(
            f"There is no table of groups and no gallery {str(table)!r}.",
            hint="Name what `facerec cluster -o` wrote, or a gallery.",
        )
    rows = read_clusters(table)
    photos = list(dict.fromkeys(row["path"] for row in rows if row["status"] in FACE_STATUSES))
    if not inputs and photos and not any(Path(photo).is_file() for photo in photos):
        raise InputError(
            f"None of the {len(photos):,} photos of {table} is there, the first {photos[0]}.",
            hint="Go to the folder where it was made, or name photos or embeddings after the table.",
        )
    return cluster_faces(
        list(inputs) or photos, replace(settings or ClusterSettings(), update=table), steps=steps
    )
