"""All commands in the order of a model's life, and what ``facerec --help`` shows of them.

A command's module is imported only when that command is asked for, so that ``facerec --help`` stays as fast
with twenty commands as with one. Typer's own rich help imports a Markdown renderer that is not needed here
and takes as long as all the rest.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from importlib import import_module
from typing import Annotated, Any

import typer
from rich import box
from rich.console import Console
from rich.table import Table
from typer.main import get_command

from facerec_cli.cli.group import CONTEXT, Group

EXAMPLES = (
    ("facerec verify a.jpg b.jpg", "one person or two?"),
    ("facerec embed photos/ -o embeddings.npy", "photos to vectors"),
    ("facerec verify pairs.txt --report report.html", "how good is the model?"),
)


# name -> (where its function or its group of commands is, the line that `facerec --help` shows)
COMMANDS: Mapping[str, tuple[str, str]] = {
    "embed": (
        "facerec_cli.cli.embed:embed",
        "Turn photos into embeddings: one row for every face, and a status for every photo.",
    ),
    "verify": ("facerec_cli.cli.verify:verify", "Measure a model on labeled pairs, or compare two photos."),
    "gallery": ("facerec_cli.cli.gallery:app", "Enroll people, look after them, and remove them."),
    "identify": (
        "facerec_cli.cli.identify:identify",
        "Find the people of a gallery on photos, or measure how good such a search is.",
    ),
    "cluster": (
        "facerec_cli.cli.cluster:cluster",
        "Put the faces of photos together by person, without knowing who they are.",
    ),
    "review": (
        "facerec_cli.cli.review:review",
        "Look at groups of faces, or a gallery, on one page, and carry out what was decided.",
    ),
    "compare": (
        "facerec_cli.cli.compare:compare",
        "Compare models on the same labeled pairs or searches, with an interval of their difference over "
        "people.",
    ),
    "train": (
        "facerec_cli.cli.train:train",
        "Train a face recognition network, or adapt one to your own photos.",
    ),
    "study": (
        "facerec_cli.cli.study:study",
        "Compare losses on your own photos: train each with several seeds, judge by people never trained on.",
    ),
    "export": (
        "facerec_cli.cli.export:export",
        "Write a checkpoint as an ONNX file that carries its manifest and is proved to compute the same.",
    ),
    "models": ("facerec_cli.cli.models:app", "List, show, add, pull, remove and check models."),
    "data": (
        "facerec_cli.cli.data:app",
        "Look at training data, check it, convert it, align it, mine it, make verification sets of it.",
    ),
    "bench": (
        "facerec_cli.cli.bench:bench",
        "Measure images a second on this machine, and recommend threads and batch size.",
    ),
    "doctor": (
        "facerec_cli.cli.doctor:doctor",
        "Say what works on this machine, and how to mend what does not.",
    ),
}


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


def build_app(loaded: Iterable[str] = COMMANDS) -> typer.Typer:
    """The program, with the commands in ``loaded`` imported and the others known by name and help only."""
    app = typer.Typer(
        name="facerec",
        cls=Front,
        help="Train face recognition models on hard samples, export them to ONNX, embed photos, "
        "and verify pairs with an error rate you can trust.",
        no_args_is_help=True,
        pretty_exceptions_enable=False,
        context_settings=CONTEXT,
    )
    app.callback()(_root)
    imported = set(loaded)
    for name, (place, line) in COMMANDS.items():
        if name not in imported:
            app.command(name, help=line)(_not_loaded)
            continue
        module, _, attribute = place.partition(":")
        target = getattr(import_module(module), attribute)
        if isinstance(target, typer.Typer):
            app.add_typer(target, name=name)
        else:
            app.command(name)(target)
    return app


def _version(asked: bool) -> None:
    if asked:
        from facerec_cli.cli.console import result
        from facerec_cli.runtime import version_report

        result(version_report())
        raise typer.Exit


def _root(
    version: Annotated[
        bool,
        typer.Option("--version", callback=_version, is_eager=True, help="Show the versions that matter."),
    ] = False,
) -> None: ...


def _not_loaded() -> None:
    """Stand in for a command that this call did not ask for."""
    raise AssertionError("main() loads the command that it runs")


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
