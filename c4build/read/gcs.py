"""Google Cloud Storage by its JSON API, with the session and the credentials of Google's library.

Each method is one request, but for a part that is sent again: what of it has come is asked first.
"""

import base64
import json
import re
import uuid
from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import quote, urlencode

import google_crc32c
from requests.structures import CaseInsensitiveDict

from c4build.read.http import Http
from c4build.read.stores import Answer, Listing, bucket_and_key

_RECEIVED = re.compile(r"bytes=0-(\d+)")


class Google(Http):
    """Addresses that start with gs://."""

    def __init__(self, timeouts: tuple[float, float]):
        from google.auth.exceptions import TransportError
        from google.cloud.storage import Client

        client = Client()
        self.transient = (*Http.transient, TransportError)
        self._timeouts, self._endpoint = timeouts, client.api_endpoint
        self._session = self.signed(client._http)  # the library's own session, which knows who asks

    def get(self, path: str, start: int, version: str, seen: Mapping[str, str], last: bool = False) -> Answer:
        generation = version.removeprefix("GENERATION ") or seen.get("x-goog-generation", "")
        condition = f"&ifGenerationMatch={generation}" if generation else ""
        headers = {"Accept-Encoding": "gzip"}  # else what is stored with an encoding comes unpacked
        headers |= ({"Range": f"bytes={start}-"} if start else {}) | ({"Connection": "close"} if last else {})
        answer = self._send("GET", f"{self._object('/download', path)}?alt=media{condition}", headers)
        for name in ("ETag", "Last-Modified"):  # these change with what is noted beside the file, too
            answer.headers.pop(name, None)
        return answer

    def head(self, path: str) -> Answer:
        return self._of_object(self._ask("GET", self._object("", path) + "?fields=size,generation"))

    def list(self, prefix: str, deep: bool, after: str = "") -> Answer:
        """Lists up to 1,000 objects whose paths start with `prefix`; without `deep` those in folders below it as these."""
        bucket, key = bucket_and_key(prefix)
        options = {"prefix": key, "fields": "items(name,size),prefixes,nextPageToken", "maxResults": "1000"}
        options |= ({} if deep else {"delimiter": "/"}) | ({"pageToken": after} if after else {})
        answer = self._ask("GET", f"{self._bucket('', bucket)}?{urlencode(options)}")
        said, root = answer.said or {}, f"gs://{bucket}/"
        files = {root + entry["name"]: int(entry.get("size", 0)) for entry in said.get("items", ())}
        folders = [root + name for name in said.get("prefixes", ())]
        return answer._replace(said=Listing(files, folders, said.get("nextPageToken", "")))

    def put(self, path: str, data: bytes, replaces: str | None = None) -> Answer:
        """Writes an object; answers 412 where another is there than the version `replaces`, or one at all where that is ""."""
        bucket, key = bucket_and_key(path)
        options = {"uploadType": "multipart"}
        if replaces is not None:
            options["ifGenerationMatch"] = replaces.removeprefix("GENERATION ") or "0"
        checksum = base64.b64encode(google_crc32c.value(data).to_bytes(4, "big")).decode()  # the server compares it
        about = json.dumps({"name": key, "crc32c": checksum, "contentType": _TYPE}).encode()
        mark = uuid.uuid4().hex.encode()
        body = b"--%b\r\nContent-Type: application/json; charset=UTF-8\r\n\r\n%b\r\n--%b\r\nContent-Type: %b\r\n\r\n%b\r\n--%b--" % (
            mark, about, mark, _TYPE.encode(), data, mark,
        )  # fmt: skip
        headers = {"Content-Type": f"multipart/related; boundary={mark.decode()}"}
        return self._of_object(
            self._ask("POST", f"{self._bucket('/upload', bucket)}?{urlencode(options)}", headers, body)
        )

    def delete(self, path: str) -> Answer:
        return self._ask("DELETE", self._object("", path))

    # An object in parts

    def begin(self, path: str) -> Answer:
        """Begins an upload; `said` is what the other methods want."""
        bucket, key = bucket_and_key(path)
        options = urlencode({"uploadType": "resumable", "name": key})
        headers = {"Content-Type": "application/json; charset=UTF-8", "X-Upload-Content-Type": _TYPE}
        answer = self._ask("POST", f"{self._bucket('/upload', bucket)}?{options}", headers, b"{}")
        return answer._replace(said=answer.headers.get("Location"))

    def part(self, path: str, upload: str, number: int, start: int, data: bytes, last: bool, again: bool) -> Answer:
        """Sends a part, all but the last of a multiple of 256 KiB. `again`: some of it may have come."""
        stop = start + len(data)
        size = str(stop) if last else "*"
        if again:
            answer = self._ask("PUT", upload, {"Content-Range": f"bytes */{size}"})
            found = _RECEIVED.fullmatch(answer.headers.get("Range", ""))
            come = int(found[1]) + 1 if found else 0
            if answer.status != 308 or (come == stop and not last):
                return answer
            data, start = data[max(come - start, 0) :], max(come, start)
        said = self._ask("PUT", upload, {"Content-Range": f"bytes {start}-{stop - 1}/{size}"}, data)
        found = _RECEIVED.fullmatch(said.headers.get("Range", ""))
        short = said.status == 308 and (last or not found or int(found[1]) + 1 != stop)
        return said._replace(status=503, why="it did not take all of a part") if short else said

    def finish(self, path: str, upload: str, receipts: Sequence, again: bool) -> Answer:
        """Sees that the object was made, by its last part."""
        return self.head(path)

    def abort(self, path: str, upload: str) -> Answer:
        return self._ask("DELETE", upload)

    def _bucket(self, kind: str, bucket: str) -> str:
        return f"{self._endpoint}{kind}/storage/v1/b/{quote(bucket, safe='')}/o"

    def _object(self, kind: str, path: str) -> str:
        bucket, key = bucket_and_key(path)
        return f"{self._bucket(kind, bucket)}/{quote(key, safe='')}"

    def _of_object(self, answer: Answer) -> Answer:
        """What is said of an object in the body, as headers."""
        if answer.status != 200 or not answer.said:
            return answer
        headers = {"Content-Length": str(answer.said["size"]), "x-goog-generation": str(answer.said["generation"])}
        return answer._replace(headers=CaseInsensitiveDict(headers))

    def _ask(self, method: str, url: str, headers: Mapping[str, str] = {}, data: bytes = b"") -> Answer:
        """A request whose answer is read at once: `said` is the JSON in it, `why` the message where it is one of an error."""
        answer = self._send(method, url, headers, data=data)
        try:
            body = b"".join(iter(lambda: answer.read(1 << 16), b""))
        finally:
            answer.close()
        said = _json(body)
        error = said.get("error")
        why = error.get("message", "") if isinstance(error, dict) else ""
        return answer._replace(said=said, why=why if answer.status >= 400 else "")


_TYPE = "application/octet-stream"


def _json(body: bytes) -> dict[str, Any]:
    try:
        said = json.loads(body or b"{}")
    except ValueError:
        return {}
    return said if isinstance(said, dict) else {}
