"""What can go wrong in a way that a person can mend: one line, without a traceback."""


class C4BuildError(Exception):
    """Its text names the file or the option, and what to do."""


class UsageError(C4BuildError):
    """The command was wrong: exit code 2."""


class DamageError(C4BuildError):
    """An input cannot be read on from here: exit code 1."""


class OutputError(C4BuildError):
    """The output could not be written."""


class WorkerError(C4BuildError):
    """A worker process of this machine has died."""


class CountsError(C4BuildError):
    """Pages in are not pages out: a fault in c4build."""
