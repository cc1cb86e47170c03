"""What the commands have in common: exit codes, how options are taken, what is for Beam, how many cores there are."""

import os
from collections.abc import Callable, Sequence
from functools import wraps
from inspect import Parameter, Signature, signature
from typing import Any, get_type_hints

import typer
from typer.core import TyperCommand

DAMAGED, WRONG, FAILED, INTERRUPTED = 1, 2, 3, 130
HANDED_OVER = "the job was handed over; run the same command again when it is done, to see what came of it"
THERE_ALREADY = "c4build: this very corpus is there already; nothing was done"
_DASHES = "--"
_FOR_BEAM = "What stands after -- goes to Beam untouched."
_UNKNOWN_FOR_BEAM = (
    "Options that are not listed here go to Beam untouched, each with the word behind it unless that begins with a "
    "dash: so name the inputs first. What stands after -- goes to Beam too."
)


class BeamCommand(TyperCommand):
    """A command whose `context.args` are options for Beam: what stands after --.

    With the setting `ignore_unknown_options` of its context, options that are not its own are for Beam, too.
    """

    def __init__(self, name: str | None, **settings: Any):
        super().__init__(name, **settings)
        self.epilog = _UNKNOWN_FOR_BEAM if self.context_settings.get("ignore_unknown_options") else _FOR_BEAM

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        place = args.index(_DASHES) if _DASHES in args else len(args)
        own, beam_options = args[:place], args[place + 1 :]
        if ctx.ignore_unknown_options:
            own, unknown = self._apart(ctx, own)
            beam_options = unknown + beam_options
        super().parse_args(ctx, own)
        ctx.args = beam_options
        return beam_options

    def _apart(self, context: Any, words: list[str]) -> tuple[list[str], list[str]]:
        """The words for this command, and the unknown options with the words behind them."""
        options = [option for option in self.get_params(context) if option.param_type_name == "option"]
        has_value = {
            name: not getattr(option, "is_flag", False)
            for option in options
            for name in option.opts + option.secondary_opts
        }
        own: list[str] = []
        unknown: list[str] = []
        place = 0
        while place < len(words):
            name, equals, _ = words[place].partition("=")
            behind = words[place + 1 : place + 2]
            is_two = _is_option(name) and not equals and has_value.get(name, not any(map(_is_option, behind)))
            to = unknown if _is_option(name) and name not in has_value else own
            to += words[place : place + 1 + is_two]
            place += 1 + is_two
        return own, unknown


def _is_option(word: str) -> bool:
    return word.startswith("-") and word != "-"


def beam_program(command: Callable, name: str) -> Callable[[Sequence[str] | None], int]:
    """A command of the command line as a program of its own, whose unknown options are for Beam.

    Args:
      command: the function of the command.
      name: of the module that is run.

    Returns:
      A function of the program's arguments, by default the process' own, that returns the exit code.
    """
    app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)
    app.command(cls=BeamCommand, context_settings={"ignore_unknown_options": True})(command)

    def run(argv: Sequence[str] | None = None) -> int:
        return app(args=argv, prog_name=f"python -m {name}", standalone_mode=False)

    return run


def asks_for(kind: Any, **fixed: Any) -> Callable[[Callable], Callable]:
    """A command that takes a `request` gets in its place a parameter for each field of the named tuple `kind`, but for
    those whose values are `fixed`."""

    def decorate(command: Callable) -> Callable:
        hints, defaults = get_type_hints(kind, include_extras=True), kind._field_defaults
        fields = [
            Parameter(name, Parameter.KEYWORD_ONLY, default=defaults.get(name, Parameter.empty), annotation=hints[name])
            for name in kind._fields
            if name not in fixed
        ]
        own = [one.replace(kind=Parameter.KEYWORD_ONLY) for one in signature(command).parameters.values()]
        parameters = fields + [one for one in own if one.name != "request"]

        def with_fields(**given: Any) -> Any:
            asked = {field.name: given.pop(field.name) for field in fields}
            return command(request=kind(**asked, **fixed), **given)

        expanded: Any = wraps(command)(with_fields)
        expanded.__signature__ = Signature(parameters)
        expanded.__annotations__ = {one.name: one.annotation for one in parameters}
        return expanded

    return decorate


class Interrupted(Exception):
    """A command that keeps nothing was interrupted."""


def keeps_nothing(command: Callable) -> Callable:
    """A command that starts anew after an interrupt."""

    @wraps(command)
    def run(*args: Any, **given: Any) -> Any:
        try:
            return command(*args, **given)
        except KeyboardInterrupt as error:
            raise Interrupted from error

    return run


def cores() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
