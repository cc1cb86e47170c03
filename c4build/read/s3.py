"""S3 and what speaks as it does, by boto3, which finds credentials, region and endpoint. Each method is one request."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from requests.structures import CaseInsensitiveDict

from c4build.read.http import Http
from c4build.read.stores import POOL, USER_AGENT, Answer, Listing, bucket_and_key


class S3:
    """Addresses that start with s3://."""

    permanent: tuple = Http.permanent

    def __init__(self, timeouts: tuple[float, float]):
        import boto3
        from botocore.config import Config
        from botocore.exceptions import ClientError, HTTPClientError, IncompleteReadError

        self.transient = (*Http.transient, HTTPClientError, IncompleteReadError)
        self._answered = ClientError
        connect, read = timeouts
        self._client = boto3.client(
            "s3",
            config=Config(
                connect_timeout=connect,
                read_timeout=read,
                max_pool_connections=POOL,
                user_agent_extra=USER_AGENT,
                retries={"total_max_attempts": 1},
            ),
        )

    def get(self, path: str, start: int, version: str, seen: Mapping[str, str], last: bool = False) -> Answer:
        etag = version.removeprefix("ETAG ") or seen.get("ETag", "")
        options = ({"Range": f"bytes={start}-"} if start else {}) | ({"IfMatch": etag} if etag else {})
        return self._send(self._client.get_object, path, **options)

    def head(self, path: str) -> Answer:
        return self._send(self._client.head_object, path)

    def list(self, prefix: str, deep: bool, after: str = "") -> Answer:
        """Lists up to 1,000 objects whose paths start with `prefix`; without `deep` those in folders below it as these."""
        bucket, key = bucket_and_key(prefix)
        options = ({} if deep else {"Delimiter": "/"}) | ({"ContinuationToken": after} if after else {})
        answer = self._ask(self._client.list_objects_v2, Bucket=bucket, Prefix=key, **options)
        said, root = answer.said, f"s3://{bucket}/"
        files = {root + entry["Key"]: entry["Size"] for entry in said.get("Contents", ())}
        folders = [root + entry["Prefix"] for entry in said.get("CommonPrefixes", ())]
        return answer._replace(said=Listing(files, folders, said.get("NextContinuationToken", "")))

    def put(self, path: str, data: bytes, replaces: str | None = None) -> Answer:
        """Writes an object; answers 412 where another is there than the version `replaces`, or one at all where that is ""."""
        condition = {} if replaces is None else {"IfNoneMatch": "*"}
        if replaces:
            condition = {"IfMatch": replaces.removeprefix("ETAG ")}
        return self._send(self._client.put_object, path, Body=data, **condition)

    def delete(self, path: str) -> Answer:
        return self._send(self._client.delete_object, path)

    # An object in parts

    def begin(self, path: str) -> Answer:
        """Begins an upload; `said` is what the other methods want."""
        answer = self._send(self._client.create_multipart_upload, path)
        return answer._replace(said=answer.said.get("UploadId"))

    def part(self, path: str, upload: str, number: int, start: int, data: bytes, last: bool, again: bool) -> Answer:
        """Sends a part, the first of which has the number 0; `said` is its receipt."""
        options = {"UploadId": upload, "PartNumber": number + 1, "Body": data}
        answer = self._send(self._client.upload_part, path, **options)
        return answer._replace(said=answer.said.get("ETag"))

    def finish(self, path: str, upload: str, receipts: Sequence[str], again: bool) -> Answer:
        """Makes the object of its parts. `again`: it may be made already."""
        parts = [{"PartNumber": number, "ETag": receipt} for number, receipt in enumerate(receipts, 1)]
        answer = self._send(
            self._client.complete_multipart_upload, path, UploadId=upload, MultipartUpload={"Parts": parts}
        )
        if again and answer.why == "NoSuchUpload":
            there = self.head(path)
            if there.headers.get("ETag", "").strip('"').endswith(f"-{len(receipts)}"):
                return there
        return answer

    def abort(self, path: str, upload: str) -> Answer:
        return self._send(self._client.abort_multipart_upload, path, UploadId=upload)

    def uploads(self, prefix: str) -> Answer:
        """Up to 1,000 uploads below a prefix that were not finished: `said` is a list of (path, upload)."""
        bucket, key = bucket_and_key(prefix)
        answer = self._ask(self._client.list_multipart_uploads, Bucket=bucket, Prefix=key)
        found = [(f"s3://{bucket}/{entry['Key']}", entry["UploadId"]) for entry in answer.said.get("Uploads", ())]
        return answer._replace(said=found)

    def _send(self, ask: Callable[..., Any], path: str, **options) -> Answer:
        bucket, key = bucket_and_key(path)
        return self._ask(ask, Bucket=bucket, Key=key, **options)

    def _ask(self, ask: Callable[..., Any], **options) -> Answer:
        try:
            said = ask(**options)
        except self._answered as error:
            said = error.response
        how, body = said["ResponseMetadata"], said.get("Body")
        read, close = (body.read, body.close) if body is not None else (lambda size: b"", lambda: None)
        why = said.get("Error", {}).get("Code", "")
        return Answer(how["HTTPStatusCode"], CaseInsensitiveDict(how["HTTPHeaders"]), read, close, why, said)
