"""The parser of wikitext in a process of its own, which ends where one page takes too much time or memory.

The parser is compiled code that nothing can interrupt, its time grows with the square of some markup (`<ref ` over and
over), and very deep markup may end its process. So `to_text` is run by a child: a page goes there as a line of JSON, its
text comes back as another. The child's own timer of CPU time ends it within a page; the next page gets another child.
"""

import atexit
import json
import os
import resource
import select
import signal
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager

from c4build.errors import WorkerError
from c4build.rules.wikitext import RULES, WikiRules, WikitextError, to_text

PAGE_SECONDS = 15.0  # of CPU time; the longest articles take some three
_MEMORY = 1 << 30  # bytes of the child's address space; the longest articles take a tenth
_LOOK_UP = 10  # seconds after which an idle child sees whether its parent is there
_START = (
    "import sys, json; sys.path[:] = json.loads(sys.argv[1]); from c4build.corpora.parser_process import serve; serve()"
)


class _Child:
    """One child process. Not for two threads at a time."""

    def __init__(self):
        self._process = subprocess.Popen(
            [sys.executable, "-I", "-c", _START, json.dumps(sys.path)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            start_new_session=True,  # Ctrl-C is for the parent, which ends its children
        )
        assert self._process.stdin is not None and self._process.stdout is not None  # both are pipes
        self._questions, self._answers = self._process.stdin, self._process.stdout
        if self._answers.readline() != b"ready\n":
            raise WorkerError(f"the parser of wikitext could not be started ({sys.executable}: {self.end()})")

    def ask(self, question: bytes) -> bytes:
        """The child's answer; empty where it has died."""
        try:
            self._questions.write(question)
            self._questions.flush()
            answer = self._answers.readline()
        except OSError:
            return b""
        except BaseException:  # such as Ctrl-C: nobody will read what it answers
            self._process.kill()
            self.end()
            raise
        return answer if answer.endswith(b"\n") else b""

    def end(self) -> int:
        """Sees to it that the process has ended; returns the signal that did it as a negative number, or its exit code."""
        self.let_go()
        try:
            return self._process.wait(_LOOK_UP)
        except subprocess.TimeoutExpired:
            self._process.kill()
            return self._process.wait()

    def let_go(self):
        """Closes this side of the pipes, by which an idle child ends."""
        for pipe in (self._questions, self._answers):
            try:
                pipe.close()
            except OSError:
                pass


_idle: list[_Child] = []  # children of this process that nobody uses just now


def _forget():
    """In a process that was forked off: the children are its parent's."""
    for child in _idle:
        child.let_go()
    _idle.clear()


def _end_all():
    while _idle:
        _idle.pop().end()


os.register_at_fork(after_in_child=_forget)
atexit.register(_end_all)


class Parser:
    """`to_text` with a limit on the time of a page; see `parser`."""

    def __init__(self, seconds: float):
        self._seconds = seconds
        self._child: _Child | None = None

    def to_text(self, wikitext: str, rules: WikiRules, found: Counter) -> str:
        """As `rules.wikitext.to_text`. WikitextError also where a page took too long, or ended the parser."""
        question = json.dumps([rules.name, self._seconds, wikitext]).encode() + b"\n"
        for again in (False, True):  # a child that waited may have died of something else
            child, self._child = self._child or (_idle.pop() if _idle and not again else _Child()), None
            answer = child.ask(question)
            if answer:
                self._child = child
                text, counts, error = json.loads(answer)
                if error is not None:
                    raise WikitextError(error)
                found.update(counts)
                return text
            ended = child.end()
            if ended == -signal.SIGPROF:
                raise WikitextError(f"its markup takes more than {self._seconds:g} s of CPU time")
        raise WikitextError(f"its markup ends the parser (exit status {ended})")

    def give_back(self):
        """Keeps the child for who comes next."""
        if self._child is not None:
            _idle.append(self._child)
            self._child = None


@contextmanager
def parser(seconds: float = PAGE_SECONDS) -> Iterator[Parser]:
    """A parser for one thread. Its child process is started by the first page, and kept when this one is done."""
    lent = Parser(seconds)
    try:
        yield lent
    finally:
        lent.give_back()


def serve():
    """What a child does: answers each line on standard input until there are no more, or its parent is gone."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    parent = os.getppid()
    _limit_memory()
    answers, sys.stdout = sys.stdout.buffer, sys.stderr
    answers.write(b"ready\n")
    answers.flush()
    while os.getppid() == parent:
        if not select.select([0], [], [], _LOOK_UP)[0]:
            continue
        question = sys.stdin.buffer.readline()
        if not question:
            return
        try:
            answers.write(_answer(question))
            answers.flush()
        except BrokenPipeError:
            os._exit(0)  # the parent is gone


def _limit_memory():
    try:
        resource.setrlimit(resource.RLIMIT_AS, (_MEMORY, resource.getrlimit(resource.RLIMIT_AS)[1]))
    except (OSError, ValueError):
        pass  # a lower limit holds already, or the system has none


def _answer(question: bytes) -> bytes:
    rules, seconds, wikitext = json.loads(question)
    signal.setitimer(signal.ITIMER_PROF, seconds)  # SIGPROF, which nobody catches, ends the process
    found: Counter = Counter()
    answer: tuple[str, dict, str | None]
    try:
        answer = to_text(wikitext, RULES[rules], found), found, None
    except WikitextError as error:
        answer = "", {}, str(error)
    except Exception as error:
        answer = "", {}, f"the parser failed on it ({type(error).__name__}: {error})"
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0)
    return json.dumps(answer).encode() + b"\n"
