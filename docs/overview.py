"""Draw docs/images/overview.png, the README's picture, by running the four stages on the example photos.

python docs/overview.py
"""

from __future__ import annotations

from pathlib import Path

import cv2
import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from facerec_cli.faces import Face, FaceModel, open_model
from facerec_cli.images import read_image
from facerec_cli.pairs.read import read_pairs

HERE = Path(__file__).resolve().parent
EXAMPLES = HERE.parent / "examples"
SAME, DIFFERENT = "#1f8f68", "#d2583c"
# Nothing is painted behind the picture: this grey is read on a white page and on a dark one.
INK = "#6e7781"


def main() -> None:
    """Run the model and draw."""
    model = open_model("sface")
    photo = read_image(EXAMPLES / "photos" / "three-people.jpg")
    faces = sorted(model.detect([photo])[0], key=lambda face: face.box[0])
    crops = np.stack([model.align(photo, face) for face in faces])
    vectors = _unit(model.encode(crops))

    inks = ("text.color", "axes.labelcolor", "axes.edgecolor", "xtick.color", "axes.titlecolor")
    plt.rcParams.update(dict.fromkeys(inks, INK))
    figure = plt.figure(figsize=(13, 3.1), dpi=120)
    grid = figure.add_gridspec(1, 4, width_ratios=[1.75, 0.62, 1.2, 1.5], wspace=0.22)
    draw_photo(figure.add_subplot(grid[0]), photo, faces)
    draw_crops(figure, grid[1], crops)
    draw_vectors(figure, grid[2], vectors)
    draw_pairs(figure.add_subplot(grid[3]), model)
    target = HERE / "images" / "overview.png"
    figure.savefig(target, bbox_inches="tight", transparent=True)
    print(f"wrote {target.relative_to(HERE.parent)}")


def draw_photo(axes: Axes, photo: np.ndarray, faces: list[Face]) -> None:
    """A photo with what the detector found."""
    axes.imshow(cv2.cvtColor(photo, cv2.COLOR_BGR2RGB))
    for face in faces:
        x1, y1, x2, y2 = face.box
        axes.add_patch(Rectangle((x1, y1), x2 - x1, y2 - y1, fill=False, edgecolor="#2f6fdb", linewidth=2))
        axes.plot(*face.landmarks.T, ".", color="#ffd23f", markersize=4)
    axes.set_title("photo → faces", fontsize=11)
    axes.axis("off")


def draw_crops(figure: Figure, cell: object, crops: np.ndarray) -> None:
    """The aligned crops, one below the other."""
    grid = cell.subgridspec(len(crops), 1, hspace=0.06)  # type: ignore[attr-defined]
    for row, crop in enumerate(crops):
        axes = figure.add_subplot(grid[row])
        axes.imshow(cv2.cvtColor(crop, cv2.COLOR_BGR2RGB))
        axes.axis("off")
        if not row:
            axes.set_title("→ aligned crops", fontsize=11)


def draw_vectors(figure: Figure, cell: object, vectors: np.ndarray) -> None:
    """The embeddings as strips of color, one below the other."""
    limit = float(np.abs(vectors).max())
    grid = cell.subgridspec(len(vectors), 1, hspace=0.06)  # type: ignore[attr-defined]
    for row, vector in enumerate(vectors):
        axes = figure.add_subplot(grid[row])
        axes.imshow(
            vector[None], aspect="auto", cmap="RdBu_r", vmin=-limit, vmax=limit, interpolation="nearest"
        )
        axes.axis("off")
        if not row:
            axes.set_title(f"→ embeddings ({vectors.shape[1]} numbers each)", fontsize=11)


def draw_pairs(axes: Axes, model: FaceModel) -> None:
    """The similarity of every example pair, and the threshold."""
    pairs = read_pairs(EXAMPLES / "pairs.txt")
    photos = [read_image(path) for path in pairs.images]
    best = [max(found, key=lambda face: face.area) for found in model.detect(photos)]
    crops = np.stack([model.align(photo, face) for photo, face in zip(photos, best, strict=True)])
    vectors = _unit(model.encode(crops))
    scores = (vectors[pairs.first] * vectors[pairs.second]).sum(1)
    for same, colour, name in ((True, SAME, "same person"), (False, DIFFERENT, "different people")):
        chosen = np.sort(scores[pairs.same == same])
        axes.scatter(chosen, np.full(len(chosen), int(same)), s=52, color=colour, alpha=0.75, linewidth=0)
        axes.text(-0.38, int(same) + 0.22, name, color=colour, fontsize=10)
    threshold = model.pack.threshold
    assert threshold is not None, "the default pack has one"
    axes.vlines(threshold.value, -0.45, 1.5, color=INK, linestyle="--", linewidth=1.2)
    axes.text(threshold.value, 1.56, f"threshold {threshold.value:g}", fontsize=9, ha="center", va="bottom")
    axes.set(xlim=(-0.4, 1), ylim=(-0.45, 1.85), yticks=[], xlabel="cosine similarity")
    axes.set_title("→ verdicts on the example pairs", fontsize=11)
    axes.spines[["left", "right", "top"]].set_visible(False)


def _unit(vectors: np.ndarray) -> np.ndarray:
    return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)


if __name__ == "__main__":
    main()
