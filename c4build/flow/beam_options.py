"""What is asked of Beam on the command line: told before any work where Beam does not know it, or would drop it."""

import difflib
from collections.abc import Sequence

from apache_beam.options.pipeline_options import GoogleCloudOptions, PipelineOptions, StandardOptions

from c4build.errors import UsageError

# Runners whose options are Beam's own; that of a job server tells its options when it is asked.
_KNOWN_RUNNERS = (None, "DirectRunner", "DaskRunner", "DataflowRunner")


def check_options(options: Sequence[str], runner: str | None):
    """Fails with `UsageError` where an option is none of Beam's, or its value none that Beam takes.

    To be called once the runner is imported: some bring options of their own.
    """

    def look(parser):
        def fail(message: str):
            raise UsageError(f"{message}; options that are not c4build's own go to Beam")

        parser.error = fail
        unknown = parser.parse_known_args(list(options))[1]
        if runner not in _KNOWN_RUNNERS:
            return
        for word in unknown:
            if word.startswith("-") and word != "--":
                name = word.partition("=")[0]
                near = difflib.get_close_matches(name, parser._option_string_actions, 1, 0.8)
                raise UsageError(f"{name}: neither c4build nor Beam has such an option{_meant(near)}")

    PipelineOptions([]).get_all_options(add_extra_args_fn=look)


def is_waited_for(options: Sequence[str]) -> bool:
    """False where a job is only to be handed over: with --no_wait_until_finish, and where a template is made of it."""
    given = PipelineOptions(list(options))
    return not (
        given.view_as(StandardOptions).no_wait_until_finish or given.view_as(GoogleCloudOptions).template_location
    )


def _meant(near: list[str]) -> str:
    return f"; is {near[0]} meant?" if near else ""
