"""Remote files that are read here and there, in few requests.

Whoever reads a table asks for its end, then goes on from its start, and leaves a little out here and there. The
first request is for the whole file, and stays open while the end is fetched by a second one, once; what is left out is
read over where that costs less than a request. Who knows the end already says how large the file is: then the first
request is for what is read first, and no other is needed.
"""

from c4build.read.hosts import Transport
from c4build.read.stores import State
from c4build.read.transport import RemoteFile, SeekableFile

_SKIPPED = 1 << 20  # bytes that are read over, at most: some 10 ms of a fast connection, as a request takes
_TAIL = 1 << 18  # bytes at the end that are kept; a footer is smaller


class SoughtFile(SeekableFile):
    """A remote file's bytes as they are stored, also out of their order. Raises as `RemoteFile` does.

    Args:
      path: its address.
      settings: how to fetch it.
      size: bytes, where that is known: then nothing is asked for before something is read.
    """

    def __init__(self, path: str, settings: Transport | None = None, size: int = -1):
        self._path, self._settings, self._size = path, settings, size
        self._opened: RemoteFile | None = None
        if size < 0:
            self._open(0)
        self._tail: bytes | None = None  # the bytes from `_tail_start` to the end, once they were fetched
        self._tail_start = 0

    @property
    def state(self) -> State:
        """What is known of the file by now."""
        return self._opened.state if self._opened else State(self._size, "")

    def readinto(self, buffer) -> int:
        data = self._some(len(buffer))
        buffer[: len(data)] = data
        self._place += len(data)
        return len(data)

    def close(self):
        opened: RemoteFile | None = getattr(self, "_opened", None)
        if not self.closed and opened:
            opened.close()
        super().close()

    def _open(self, start: int) -> RemoteFile:
        self._opened = RemoteFile(self._path, settings=self._settings, start=start)
        return self._opened

    def _some(self, size: int) -> bytes:
        """Up to `size` of the next bytes, none at the end only."""
        front = self._opened or self._open(self._place)
        if self._tail is None and self._place != front.tell():
            self._keep_tail(front)
        if self._tail is not None:
            if self._place >= self._tail_start:
                start = self._place - self._tail_start
                return self._tail[start : start + size]
            size = min(size, self._tail_start - self._place)
        ahead = self._place - front.tell()
        if 0 < ahead <= _SKIPPED:
            front.read(ahead)
        elif ahead:
            front.seek(self._place)
        return front.read(size)

    def _keep_tail(self, front: RemoteFile):
        """Fetches the end of the file where the next bytes are there, or there is little of it left."""
        state, place = front.state, front.tell()
        if place <= self._place and 0 <= state.size - place <= _SKIPPED:
            self._tail, self._tail_start = front.read(), place
        elif self._place >= state.size - _TAIL >= 0 and abs(self._place - place) > _TAIL:
            with RemoteFile(self._path, state, self._settings, state.size - _TAIL) as file:
                self._tail, self._tail_start = file.read(), state.size - _TAIL
