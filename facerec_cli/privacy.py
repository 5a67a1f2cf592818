"""What dependencies would tell others about this machine and its user, turned off before they are imported.

Current builds of ONNX Runtime write a device id and a queue of usage events below the user's cache when they
are imported, and send them; Ray reports its use; others ask the network for news. Each has a variable that
has to be in the environment by then, of this process and of all that it starts. ``facerec_cli/__init__.py``
calls :func:`keep_private`, so that no way into the package misses it.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping, MutableMapping
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    # As logging below, imported where it is used: `import facerec_cli` costs nothing.
    from pathlib import Path


class Switch(NamedTuple):
    """A variable by which a dependency is told to be silent.

    Attributes:
        variable: Its name.
        off: The value that is set where the user has set none.
        silent: All values, in lower case, that make the dependency silent.
        otherwise: What happens under any other value.
    """

    variable: str
    off: str
    silent: frozenset[str]
    otherwise: str


_YES = frozenset({"1", "true", "yes", "on"})
SWITCHES = (
    Switch(
        "ORT_DISABLE_TELEMETRY",
        "1",
        _YES,
        "ONNX Runtime writes a device id and usage events below the cache, and sends them to Microsoft",
    ),
    Switch("RAY_USAGE_STATS_ENABLED", "0", frozenset({"0"}), "Ray reports its use to ray.io"),
    Switch(
        "HF_HUB_DISABLE_TELEMETRY",
        "1",
        _YES,
        "huggingface_hub, which serves hf:// addresses, reports its use to Hugging Face",
    ),
    # The loggers of a training run; what else each one collects is turned off where it is opened.
    Switch(
        "WANDB_ERROR_REPORTING",
        "false",
        frozenset({"false", "0", "no", "off"}),
        "wandb reports its own faults to its makers",
    ),
    Switch("MLFLOW_DISABLE_TELEMETRY", "true", _YES, "MLflow reports its use to its makers"),
    # insightface's package brings albumentations.
    Switch(
        "NO_ALBUMENTATIONS_UPDATE",
        "1",
        _YES,
        "albumentations asks the package index for a newer version whenever it is imported",
    ),
)


def keep_private(environment: MutableMapping[str, str] = os.environ) -> None:
    """Turn off what dependencies report, where the user has not set the variable; an empty one is not set.

    An ONNX Runtime that the caller imported before facerec has written its device id and first event by then
    and cannot be stopped altogether: it is told to report nothing more, and the caller is told of it.
    """
    early = sys.modules.get("onnxruntime") if not environment.get("ORT_DISABLE_TELEMETRY") else None
    for switch in SWITCHES:
        if not environment.get(switch.variable):
            environment[switch.variable] = switch.off
    if early is not None:
        silence(early)
        if device_id(environment):
            import logging

            logging.getLogger("facerec").warning(
                "onnxruntime was imported before facerec_cli, with its telemetry on: it has written a device "
                "id and may go on to report. Import facerec_cli first, or set ORT_DISABLE_TELEMETRY=1."
            )


def silence(onnxruntime: Any) -> None:
    """Tell an imported ONNX Runtime not to report, unless the user wants it to.

    This serves builds that do not know the variable (on Windows), and one that was imported before.

    Args:
        onnxruntime: The module; None and builds without such a function are left alone.
    """
    disable = getattr(onnxruntime, "disable_telemetry_events", None)
    if disable is not None and not any(s.variable == "ORT_DISABLE_TELEMETRY" for s in reporting(os.environ)):
        disable()


def reporting(environment: Mapping[str, str]) -> list[Switch]:
    """The switches by which the user has told a dependency to report."""
    return [s for s in SWITCHES if environment.get(s.variable, s.off).strip().lower() not in s.silent]


def device_id(environment: Mapping[str, str] = os.environ) -> Path | None:
    """The device id that an ONNX Runtime with its telemetry on has left here; None without one.

    The place is that of Linux, as its build 1.32 was seen to use it.
    """
    from pathlib import Path

    cache = environment.get("XDG_CACHE_HOME") or Path("~/.cache").expanduser()
    try:
        place = Path(cache, "Microsoft", "DeveloperTools", ".onnxruntime", "deviceid")
        return place if place.is_file() else None
    except OSError:
        return None
