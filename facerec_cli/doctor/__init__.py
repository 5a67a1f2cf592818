"""What this machine has and lacks for facerec, each finding with what to type to mend it."""

from __future__ import annotations

import os
import platform
from collections.abc import Iterable

from facerec_cli._version import __version__
from facerec_cli.doctor import builds, user
from facerec_cli.doctor.finding import Finding

__all__ = ["Finding", "examine", "healthy"]


def examine() -> list[Finding]:
    """Look at everything; takes a few seconds, as every provider is started and every model run."""
    runtime = list(builds.onnxruntime())
    return [
        Finding("facerec", "ok", __version__),
        Finding("python", "ok", f"{platform.python_version()}, {platform.platform(terse=True)}"),
        builds.opencv(),
        *runtime,
        *builds.gpu(),
        *builds.torch(),
        *user.models(run=healthy(runtime)),
        *user.hidden_models(),
        *user.folders(),
        *user.telemetry(os.environ),
        *user.variables(os.environ),
    ]


def healthy(findings: Iterable[Finding]) -> bool:
    """Whether nothing has to be mended."""
    return all(finding.status != "broken" for finding in findings)
