"""A group of commands that answers a flag or command that is not there with the one that was meant."""

from __future__ import annotations

from typing import Any

from typer.core import TyperGroup

from facerec_cli.spelling import american

# Names of flags and their values may be typed in either spelling; help shows ours only.
CONTEXT: dict[str, Any] = {"help_option_names": ["-h", "--help"], "token_normalize_func": american}


class Group(TyperGroup):
    """As Typer's, with the words of other programs understood: ``--learning-rate``, ``facerec compare``.

    The kinds of errors are told by their names: Typer brings a Click of its own in some versions, and takes
    the installed one in others.
    """

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        """Find the command, or say which one was meant."""
        from facerec_cli.suggest import nearest

        try:
            return super().resolve_command(ctx, args)
        except Exception as fault:
            if args and type(fault).__name__ in ("UsageError", "NoSuchCommand") and args[0][:1] != "-":
                near = nearest(args[0], self.paths())
                meant = f" Did you mean {near.replace('.', ' ')!r}?" if near else ""
                fault.message = f"No such command {args[0]!r}.{meant}"  # type: ignore[attr-defined]
            raise

    def invoke(self, ctx: Any) -> Any:
        """Run the command; a flag that it lacks is answered with the nearest that it has."""
        try:
            return super().invoke(ctx)
        except Exception as fault:
            if type(fault).__name__ == "NoSuchOption":
                _guess_option(fault)
            raise

    def paths(self) -> list[str]:
        """What can be typed after this group: ``embed``, ``data.align``."""
        return list(self.commands)


def _guess_option(fault: Any) -> None:
    from facerec_cli.suggest import nearest

    if fault.ctx is None or not fault.option_name.startswith("--"):
        return
    flags = [flag for p in fault.ctx.command.params for flag in (*p.opts, *p.secondary_opts)]
    near = nearest(fault.option_name, [flag for flag in flags if flag.startswith("--")])
    fault.possibilities = None
    fault.message = f"No such option: {fault.option_name}" + (f". Did you mean {near}?" if near else "")
