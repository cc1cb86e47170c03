"""What a person reads on standard error while a command runs: a line for each thing begun, and now and then how far it is."""

import sys
import time

EVERY = 10.0  # seconds between two lines about one thing


def say(line: str) -> None:
    print(f"c4build: {line}", file=sys.stderr, flush=True)


def silent(line: str) -> None:
    pass


class Pace:
    """Whether it is time for a line again: `if pace(): say(...)`."""

    def __init__(self, every: float = EVERY):
        self.every = every
        self.last = time.monotonic()

    def __call__(self) -> bool:
        if time.monotonic() - self.last < self.every:
            return False
        self.last = time.monotonic()
        return True
