"""``facerec doctor``: what works on this machine, and what to type where something does not."""

from __future__ import annotations

import typer

from facerec_cli.cli.command import command
from facerec_cli.cli.console import progress_bar, result, result_json, result_table
from facerec_cli.cli.options import Json


@command
def doctor(json_output: Json = False) -> None:
    """Say what works on this machine, and how to mend what does not."""
    import dataclasses

    from facerec_cli.doctor import examine, healthy
    from facerec_cli.errors import ModelError

    with progress_bar("Examining"):
        findings = examine()
    fine = healthy(findings)
    if json_output:
        result_json({"ok": fine, "findings": [dataclasses.asdict(finding) for finding in findings]})
    else:
        rows = [(finding.status, finding.subject, finding.detail) for finding in findings]
        result_table(rows, columns=("", "what", "found"))
        for finding in findings:
            if finding.mend:
                result(f"{finding.subject} ({finding.status}):\n    {finding.mend}")
        result("All is well." if fine else "Something is broken; see above for what to type.")
    if not fine:
        raise typer.Exit(ModelError.exit_code)
