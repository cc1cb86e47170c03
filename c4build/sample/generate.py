"""Makes the sample: a WET file whose pages hit every rule from both sides, news domains, and URLs as Reddit shared them.

python -m c4build.sample.generate [FOLDER]
"""

import argparse
import base64
import gzip
import hashlib
import json
import pathlib

from c4build.rules.urls import in_validation, normalize_url
from c4build.sample.pages import NEWS_DOMAINS, Record, records


def shared_urls(pages: list[Record]) -> list[str]:
    """URLs of a third of the articles and of all of the validation split, as people type them."""
    spellings = ("{}", "http://{}", "https://www.{}", "{}/", "http://{}/?utm_source=share", "https://{}?ref=front")
    found = []
    for number, page in enumerate(pages):
        if number % 3 == 0 or in_validation(normalize_url(page.url)):
            plain = normalize_url(page.url)
            # A query starts at the first question mark: there is no other to put behind it.
            found.append(spellings[number % (4 if "?" in plain else len(spellings))].format(plain))
    # Normalising takes ?utm_ and all behind it away, but leaves a slash that stood before it.
    return [url.replace("/?", "?") for url in found] + ["https://nowhere.example.com/never-crawled", ""]


def wet_record(page: Record) -> bytes:
    body = page.body.encode()
    digest = "sha1:" + base64.b32encode(hashlib.sha1(body).digest()).decode()
    identifier = hashlib.md5(f"{page.url} {page.date}".encode() + body).hexdigest()
    head = ["WARC/1.0", "WARC-Type: conversion", f"WARC-Target-URI: {page.url}", f"WARC-Date: {page.date}"]
    head += [
        f"WARC-Record-ID: <urn:uuid:{identifier[:8]}-{identifier[8:12]}-{identifier[12:16]}-{identifier[16:20]}-{identifier[20:]}>"
    ]
    head += [f"WARC-Block-Digest: {digest}", "Content-Type: text/plain", f"Content-Length: {len(body)}"]
    return "\r\n".join(head).encode() + b"\r\n\r\n" + body + b"\r\n\r\n"


def warcinfo() -> bytes:
    info = (
        b"isPartOf: C4BUILD-SAMPLE\r\npublisher: c4build\r\ndescription: pages that hit every rule from both sides\r\n"
    )
    head = ["WARC/1.0", "WARC-Type: warcinfo", "WARC-Date: 2019-04-18T00:00:00Z", "WARC-Filename: sample.warc.wet.gz"]
    head += ["WARC-Record-ID: <urn:uuid:00000000-0000-4000-8000-000000000001>", "Content-Type: application/warc-fields"]
    return "\r\n".join([*head, f"Content-Length: {len(info)}"]).encode() + b"\r\n\r\n" + info + b"\r\n\r\n"


def wet_records() -> list[bytes]:
    """The records of the file, each to be compressed by itself."""
    return [warcinfo(), *map(wet_record, records())]


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", nargs="?", type=pathlib.Path, default=pathlib.Path(__file__).parent)
    folder = parser.parse_args().folder
    members = [gzip.compress(record, 9, mtime=0) for record in wet_records()]
    (folder / "sample.warc.wet.gz").write_bytes(b"".join(members))
    (folder / "realnews_domains.json").write_text(json.dumps(NEWS_DOMAINS, indent=1) + "\n")
    (folder / "webtext_urls.txt").write_text("".join(url + "\n" for url in shared_urls(records())))
    print(f"{len(members):,} records in {folder / 'sample.warc.wet.gz'}")


if __name__ == "__main__":
    main()
