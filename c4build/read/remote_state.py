"""What tells remote files from earlier ones of their names: their servers are asked, several at a time."""

import threading
from collections import Counter
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor

from c4build.read import attempts
from c4build.read.attempts import FetchError, ask_state
from c4build.read.hosts import Transport
from c4build.read.stores import SCHEMES, UNKNOWN, State

_ASKED_AT_ONCE = 10  # files
_TRIES = 3  # a file of a server that has not answered yet
_MOST_FAILURES = 3  # of a server that does not answer


def remote_states(paths: Iterable[str], settings: Transport | None = None) -> dict[str, State]:
    """The state of each address, `UNKNOWN` where its server does not say.

    A server that cannot be reached is soon asked no more.
    """
    settings = settings or attempts.DEFAULT
    hasty = settings._replace(tries=min(settings.tries, _TRIES))
    failed: Counter = Counter()  # by server
    answered: set[str] = set()
    lock = threading.Lock()

    def ask(path: str) -> State:
        scheme, _, rest = path.partition("://")
        server = f"{scheme}://{rest.partition('/')[0]}"
        if scheme not in SCHEMES or failed[server] >= _MOST_FAILURES:
            return UNKNOWN
        for patience in (hasty, settings):
            try:
                state = ask_state(path, patience)
                answered.add(server)
                return state
            except FetchError:  # opening the file says what is wrong with it
                if server not in answered:
                    break
        with lock:
            failed[server] += 1
        return UNKNOWN

    paths = list(paths)
    with ThreadPoolExecutor(_ASKED_AT_ONCE) as pool:
        return dict(zip(paths, pool.map(ask, paths)))
