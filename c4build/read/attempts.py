"""Requests that are tried again: THE loop in which that happens, for HTTP, S3 and Google Cloud Storage alike.

A request is sent again after a refusal (429), an error of the server (5xx), a connection that is reset or stalls, and
whatever else a caller finds wrong (`Again`): after a second at least, longer each time, by chance within bounds (else
all readers come back at once), and as late as the server asks (Retry-After).
"""

import http
import time
from collections.abc import Callable
from typing import BinaryIO, TypeVar

from c4build.errors import printable
from c4build.read.hosts import Transport, backoff, count, host_of
from c4build.read.stores import UNKNOWN, Answer, State, state_in, store_of

DEFAULT = Transport()
_T = TypeVar("_T")


class InputError(Exception):
    """The input cannot be read on from `offset`, a number of bytes."""

    def __init__(self, message: str, offset: int):
        super().__init__(message)
        self.offset = offset


class FetchError(InputError):
    """A remote file that its server did not give: no damage of the file, the next run may get it."""

    status = 0  # of the server's answer, where that is why


class ThrottledError(FetchError):
    """The server gives this machine nothing more for now: no use in asking for other files."""


class Again(Exception):
    """This try was in vain; another may not be. `error` is raised where it is not."""

    def __init__(self, why: str, asked: float = 0, error: type[InputError] = FetchError):
        super().__init__(why)
        self.asked, self.error = asked, error


class Attempts:
    """The requests about one file: sent, counted, and sent again until there are too many in a row in vain.

    Args:
      path: of the file.
      settings: how to ask, else `DEFAULT`.
      doing: what is done, as errors say it.
    """

    def __init__(self, path: str, settings: Transport | None, doing: str = "opened"):
        self.settings, self._doing = settings or DEFAULT, doing
        self.requests = self.refusals = self._in_vain = 0
        self.begun = self._progressed = False  # some of the file has come: ever, by this try
        try:
            self.host = host_of(path, bounded=self.settings.most_connections > 0)
            self.store = store_of(path, (self.settings.connect_timeout, self.settings.read_timeout))
        except Exception as error:
            raise self.failure(error) from error

    def run(self, act: Callable[[], _T]) -> _T:
        """What `act` returns, tried until it does.

        Raises:
          InputError: another try is of no use.
          FetchError: there were too many.
        """
        while True:
            try:
                return act()
            except (InputError, MemoryError):
                raise
            except Again as again:
                wait = self._after(again, again)
            except self.store.permanent as error:
                raise self.failure(error) from error
            except self.store.transient as error:
                wait = self._after(Again(reason(error)), error)
            except Exception as error:  # the libraries raise what they like
                raise self.failure(error) from error
            # No exception is kept in this frame: with its traceback it would keep the frame, and so an open body.
            time.sleep(wait)

    def _after(self, vain: Again, cause: Exception) -> float:
        """Seconds to wait after a try in vain."""
        self._in_vain = 0 if self._progressed else self._in_vain + 1
        self._progressed = False
        if self._in_vain >= self.settings.tries:
            raise self.failure(vain, vain.error) from cause
        count("retries", self.settings)
        if vain.error is ThrottledError:
            return 0  # all wait together, in `enter`
        return backoff(max(self._in_vain, 1), self.settings, vain.asked)

    def progressed(self):
        """Some of the file has come: this try was not in vain, and the count of those begins anew."""
        self._progressed = self.begun = True

    def failure(self, why: Exception, error: type[InputError] = FetchError) -> InputError:
        """What to raise where it is not tried again."""
        if error is ThrottledError:
            return ThrottledError(f"{why}: wait an hour, then run again with fewer connections", 0)
        if error is InputError:
            return InputError(str(why), 0)
        return self._not_fetched(why)

    def _not_fetched(self, why: Exception) -> FetchError:
        times = f" ({self._in_vain} tries in a row)" if self._in_vain > 1 else ""
        return FetchError(f"cannot be {'read on' if self.begun else self._doing}: {reason(why)}{times}", 0)

    def refused(self, answer: Answer) -> FetchError:
        """What to raise for an answer that is final."""
        error = self._not_fetched(OSError(status_of(answer)))
        error.status = answer.status
        return error

    def ask(self, send: Callable[[], Answer]) -> tuple[Answer, BinaryIO | None]:
        """Sends a request as soon as the host lets it. Returns the answer, good or not, and the slot to give back."""
        if self.host.given_up:
            raise self.failure(Again(self._throttled()), ThrottledError)
        slot = self.host.enter(self.settings)
        sent = time.monotonic()
        self.requests += 1
        count("requests", self.settings)
        answer = None
        try:
            answer = send()
            self._check_refusal(answer, sent)
        except BaseException:
            if answer is not None:
                answer.close()
            self.host.leave(slot)
            raise
        return answer, slot

    def answer_to(self, send: Callable[[], Answer]) -> Answer:
        """The answer to a request, as `ask` sends it, whose body does not matter."""
        answer, slot = self.ask(send)
        answer.close()
        self.host.leave(slot)
        return answer

    def _throttled(self) -> str:
        return f"{self.host.name} answers 403, its way to slow down who asks too much"

    def _check_refusal(self, answer: Answer, sent: float):
        status, name = answer.status, status_of(answer)
        if status in (403, 429, 503):
            self.refusals += 1
            count("refusals", self.settings)
        asked = seconds_asked(answer.headers.get("Retry-After", ""))
        if status == 403 and self.host.throttles:
            again = Again(self._throttled(), error=ThrottledError)
            if self.host.refused(sent, self.settings, asked):
                raise self.failure(again, ThrottledError)
            raise again
        if status == 429 or (status >= 500 and status != 501):  # 501: it never will
            raise Again(name, asked)
        self.host.answered(sent)


def status_of(answer: Answer) -> str:
    """What a server has answered, in words."""
    phrases = {status.value: status.phrase for status in http.HTTPStatus}
    why = "" if answer.why in ("", str(answer.status)) else f" ({answer.why})"
    return f"the server answers {answer.status} {phrases.get(answer.status, '')}".rstrip() + why


def seconds_asked(text: str) -> float:
    """What Retry-After says, in seconds or as a date; 0 where it says nothing that can be understood."""
    from urllib3.util import Retry

    try:
        return Retry().parse_retry_after(text) if text else 0
    except Exception:  # there is no telling what a server writes there
        return 0


def reason(error: Exception) -> str:
    """What an error says, on one line."""
    from requests import RequestException
    from urllib3.exceptions import HTTPError, MaxRetryError

    if isinstance(error, RequestException) and error.args and isinstance(error.args[0], HTTPError):
        error = error.args[0]  # which says the same, without so many words around
    if isinstance(error, MaxRetryError) and error.reason:
        error = error.reason
    if isinstance(error, HTTPError) and error.args and isinstance(error.args[0], str):
        return printable(error.args[0])
    return printable(getattr(error, "strerror", None) or str(error) or type(error).__name__)


def ask_state(path: str, settings: Transport | None = None) -> State:
    """The state of a remote file, `UNKNOWN` where its server does not say.

    Raises:
      FetchError: the server does not answer.
    """
    attempts = Attempts(path, settings)

    def ask() -> State:
        answer = attempts.answer_to(lambda: attempts.store.head(path))
        return state_in(answer.headers) if answer.status == 200 else UNKNOWN

    return attempts.run(ask)
