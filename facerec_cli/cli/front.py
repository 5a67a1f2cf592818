"""What ``facerec --help`` shows: the commands in the order of a model's life, and how to begin.

Typer's own rich help imports a Markdown renderer that is not needed here and takes as long as all the rest.
"""

from __future__ import annotations

from typing import Any

from rich import box
from rich.console import Console
from rich.table import Table
from typer.main import get_command

from facerec_cli.cli.group import Group

EXAMPLES = (
    ("facerec verify a.jpg b.jpg", "one person or two?"),
    ("facerec embed photos/ -o embeddings.npy", "photos to vectors"),
    ("facerec verify pairs.txt --report report.html", "how good is the model?"),
)


class Front(Group):
    """The group of all commands, with a help page of its own."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Note whether a program reads the answer."""
        ctx.meta["facerec.json"] = "--json" in args
        return super().parse_args(ctx, args)

    def invoke(self, ctx: Any) -> Any:
        """Run the command; a misspelt flag, too, is one JSON document where ``--json`` asks for one."""
        try:
            return super().invoke(ctx)
        except Exception as fault:
            if ctx.meta["facerec.json"] and hasattr(fault, "format_message"):
                from facerec_cli.cli.console import result_json
                from facerec_cli.errors import UsageError

                error = {"kind": "UsageError", "message": fault.format_message(), "hint": ""}
                result_json({"error": {**error, "exit_code": UsageError.exit_code}})
            raise

    def paths(self) -> list[str]:
        """Commands, and those of ``data`` and ``models``, which somebody may type without the group."""
        from facerec_cli.cli import COMMANDS, build_app

        whole = get_command(build_app(COMMANDS))
        inner = {name: getattr(whole.commands[name], "commands", {}) for name in self.commands}  # type: ignore[attr-defined]
        return [*self.commands, *(f"{name}.{below}" for name, group in inner.items() for below in group)]

    def format_help(self, ctx: Any, formatter: Any) -> None:
        """Print the page; ``formatter`` stays empty, as with Typer's own rich help."""
        console = Console(highlight=False)
        console.print(f"\n[bold]Usage:[/bold] {ctx.command_path} COMMAND [OPTIONS] ...\n\n{self.help}\n")
        console.print(
            _table(
                "Commands",
                [(n, c.short_help or c.help or "") for n, c in self.commands.items()],
                console.width,
            )
        )
        options = [(", ".join(p.opts), getattr(p, "help", None) or "") for p in self.get_params(ctx)]
        console.print(_table("Options", options, console.width))
        console.print(_table("To begin with", EXAMPLES, console.width))
        console.print(f"[bold]{ctx.command_path} COMMAND --help[/bold] says everything about a command.")


def _table(title: str, rows: list[tuple[str, str]] | tuple[tuple[str, str], ...], width: int) -> Table:
    table = Table(title=title, title_justify="left", title_style="bold", box=box.SIMPLE, show_header=False)
    lines = [(name, " ".join(text.split("\n\n")[0].split())) for name, text in rows]
    if max(len(name) for name, _ in lines) > width // 2:  # no room beside the names, so below them
        table.add_column()
        for name, text in lines:
            table.add_row(f"[cyan]{name}[/cyan]\n  {text}")
        return table
    table.add_column(style="cyan", no_wrap=True)
    table.add_column()
    for name, text in lines:
        table.add_row(name, text)
    return table
