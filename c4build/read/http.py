"""HTTP servers, by requests; see `stores`."""

import functools
from collections.abc import Mapping
from http.client import HTTPException
from typing import Any

import requests
from requests.adapters import HTTPAdapter
from requests.exceptions import TooManyRedirects
from urllib3.exceptions import HTTPError

from c4build.read.stores import POOL, USER_AGENT, Answer

_AS_STORED = {"Accept-Encoding": "identity"}


class Http:
    """Addresses that start with http:// or https://."""

    transient: tuple = (OSError, HTTPError, HTTPException)  # those of requests are OSErrors
    permanent: tuple = (ValueError, TooManyRedirects)  # also where they are OSErrors: the address is wrong

    def __init__(self, timeouts: tuple[float, float]):
        self._timeouts = timeouts
        self._session = self.signed(requests.Session())

    @staticmethod
    def signed(session: requests.Session) -> requests.Session:
        session.headers["User-Agent"] = USER_AGENT
        for prefix in ("http://", "https://"):
            session.mount(prefix, HTTPAdapter(pool_maxsize=POOL))
        return session

    def get(self, path: str, start: int, version: str, seen: Mapping[str, str], last: bool = False) -> Answer:
        """Asks for the bytes from `start` on, of the file that was seen with these headers where it is still the same.

        Args:
          path: the address.
          start: the first byte.
          version: that of the file which is wanted, or empty.
          seen: headers that came with earlier bytes of it; empty if none did.
          last: the connection is to be closed behind the body.
        """
        headers = _AS_STORED | self._from(start, seen)
        if not last:
            return self._send("GET", path, headers)
        with self.signed(requests.Session()) as session:  # else the connection is kept, and used again as it is closed
            return self._send("GET", path, headers | {"Connection": "close"}, session)

    def head(self, path: str) -> Answer:
        """Asks for the headers alone."""
        return self._send("HEAD", path, _AS_STORED)

    def close_idle(self):
        """Closes the connections that are kept for another request; others can be made."""
        self._session.close()

    @staticmethod
    def _from(start: int, seen: Mapping[str, str]) -> dict[str, str]:
        if not start:
            return {}
        etag = seen.get("ETag", "")
        condition = etag if etag and not etag.startswith("W/") else seen.get("Last-Modified", "")  # RFC 9110, 13.1.5
        return {"Range": f"bytes={start}-"} | ({"If-Range": condition} if condition else {})

    def _send(
        self, method: str, url: str, headers: Mapping[str, str], session: Any = None, data: bytes = b""
    ) -> Answer:
        said = (session or self._session).request(
            method, url, data=data, headers=headers, timeout=self._timeouts, stream=True, allow_redirects=True
        )
        # `read1` hands on what has come: nothing of it is lost where the rest does not. Nothing is unpacked.
        read = functools.partial(said.raw.read1, decode_content=False)
        return Answer(said.status_code, said.headers, read, said.close)
