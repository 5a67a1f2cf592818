"""What every backbone gives and says about itself."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Any, ClassVar, NamedTuple, Protocol

from torch import Tensor, nn

from facerec_cli.backbones.recompute import Part
from facerec_cli.errors import UsageError
from facerec_cli.settings import Option
from facerec_cli.spelling import both_spellings

Dropout = Annotated[
    float, Option("Part of the numbers before the embedding layer that is set to 0.", ge=0, le=1)
]


class BackboneOutput(NamedTuple):
    """What a backbone makes of a batch of crops.

    Attributes:
        embeddings: (B, D) raw, not normalized; float32 also under autocast.
        feature_map: (B, C, 7, 7), the last map before the embedding layer (OTFace transports it).
    """

    embeddings: Tensor
    feature_map: Tensor


@both_spellings("colour")
@dataclass(frozen=True, slots=True)
class Preprocessing:
    """How a uint8 crop becomes the network's input: ``(pixel - mean) / std`` per channel.

    Attributes:
        mean: 0..255 scale, in input order.
        std: 0..255 scale, in input order.
        color: Channel order of the input.
        size: (width, height) in pixels.
        template: Name of the five-point alignment template (``faces.align.TEMPLATES``).
    """

    mean: tuple[float, float, float] = (127.5, 127.5, 127.5)
    std: tuple[float, float, float] = (127.5, 127.5, 127.5)
    color: str = "rgb"
    size: tuple[int, int] = (112, 112)
    template: str = "arcface"


class Backbone(nn.Module):
    """Base of the recognition networks: (B, 3, 112, 112) float in, :class:`BackboneOutput` out.

    In evaluation mode a row's output depends on that row alone; in training it may depend on the batch (batch
    normalization) and on torch's random state (dropout). Beside the constructor's settings a checkpoint keeps
    the state dict only, and ``torch.onnx`` can trace ``forward``.

    Args:
        embedding_size: D.

    Attributes:
        preprocessing: How a crop becomes the input; a class attribute, as it belongs to the architecture.
        embedding_size: D.
        recompute: Whether training computes :meth:`parts` a second time instead of keeping what is in them.
    """

    preprocessing: ClassVar[Preprocessing] = Preprocessing()

    def __init__(self, embedding_size: int) -> None:
        super().__init__()
        self.embedding_size = embedding_size
        self.recompute = False

    def forward(self, images: Tensor) -> BackboneOutput:
        """Embed ``images`` (B, 3, 112, 112), preprocessed as :attr:`preprocessing` says."""
        raise NotImplementedError

    def output_layers(self) -> tuple[str, ...]:
        """Names of the top modules that depend on the embedding size; ``--init`` may leave them out."""
        raise NotImplementedError

    def parts(self) -> tuple[Part, ...]:
        """The chain of modules that may be computed twice, where ``recompute`` is set; none by default.

        ``forward`` sends the batch through it with :func:`facerec_cli.backbones.recompute.through`.
        """
        return ()

    def compute_twice(self) -> None:
        """Set ``recompute``.

        Raises:
            UsageError: The backbone has no such parts.
        """
        if not self.parts():
            raise UsageError(
                f"The network {type(self).__name__} has no parts that can be computed twice.",
                hint="Leave run.recompute out; a smaller --batch-size with accumulate saves memory, too.",
            )
        self.recompute = True


class BackboneMaker(Protocol):
    """What ``registry.BACKBONES`` names: a class or function that makes a backbone with fresh weights.

    Every other parameter is a setting that users can give (``--set backbone.width=0.5``, ``[backbone]`` of a
    recipe), so each has a default; values that do not fit raise ValueError.
    """

    def __call__(self, embedding_size: int = ..., **settings: Any) -> Backbone:
        """Make it; ``embedding_size`` is D."""
        ...
