"""Reddit submissions to the links that WebText is made of.

"...only uses content from webpages that were submitted to the content aggregation website Reddit and received a 'score'
of at least 3" (the T5 paper, section 3.4.1, on WebText-like).
"""

import math
import os
import re
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple
from urllib.parse import quote, urlsplit

import idna
import mmh3

from c4build.corpora.told import told_damages
from c4build.errors import UsageError
from c4build.flow.corpus import URLS
from c4build.flow.kit import Prepared, check_connections, transport
from c4build.flow.records import prepare
from c4build.flow.units import Found, Part, Recipe, Unit
from c4build.read.finding import find_files
from c4build.read.gz import Damage
from c4build.read.hosts import Transport
from c4build.read.paths import Input
from c4build.read.reddit import check_submissions, read_submissions
from c4build.rules.urls import normalize_url
from c4build.write.files import exists, is_local, join
from c4build.write.folder import ours_in
from c4build.write.metadata import Dataset

LEAST_SCORE = 3
_LONGEST_URL = 4096  # characters; what browsers take, twice
_LONGEST_HOST = 253  # characters of a name, by RFC 1035

# Why a submission is left out, in the order in which it is asked; the last is not a loss.
REASONS = (
    "broken_line", "no_url", "self_post", "no_score", "low_score", "bad_url", "not_web", "within_reddit", "media_host",
    "media_file", "kept",
)  # fmt: skip

REDDIT_HOSTS = frozenset(("reddit.com", "redd.it", "redditmedia.com", "reddituploads.com", "redditstatic.com"))

# Pictures, films and sound rather than pages: with all their subdomains.
MEDIA_HOSTS = frozenset((
    "imgur.com", "gfycat.com", "giphy.com", "instagram.com", "cdninstagram.com", "flickr.com", "staticflickr.com", "500px.com",
    "minus.com", "imgflip.com", "livememe.com", "quickmeme.com", "qkme.me", "memegenerator.net", "tinypic.com",
    "photobucket.com", "imageshack.us", "imageshack.com", "postimg.org", "postimg.cc", "sli.mg", "magaimg.net",
    "gyazo.com", "prntscr.com", "puu.sh", "twimg.com", "pinimg.com", "pinterest.com", "deviantart.com", "vidble.com",
    "youtube.com", "youtu.be", "youtube-nocookie.com", "youtubedoubler.com", "vimeo.com", "vid.me", "vine.co",
    "dailymotion.com", "liveleak.com", "streamable.com", "twitch.tv", "clips.twitch.tv", "oddshot.tv", "plays.tv",
    "gifyoutube.com", "redgifs.com", "bitchute.com", "tiktok.com", "coub.com", "soundcloud.com", "bandcamp.com",
    "spotify.com", "mixcloud.com", "clyp.it", "vocaroo.com",
))  # fmt: skip

MEDIA_ENDINGS = frozenset((
    "png", "jpg", "jpeg", "jpe", "gif", "gifv", "bmp", "webp", "svg", "tif", "tiff", "ico", "mp4", "m4v", "webm", "ogv",
    "mov", "avi", "wmv", "mkv", "flv", "3gp", "mp3", "m4a", "ogg", "oga", "wav", "wma", "flac", "pdf", "doc", "docx",
    "ppt", "pptx", "pps", "xls", "xlsx", "zip", "rar", "7z", "gz", "bz2", "xz", "tgz", "tar", "exe", "apk", "jar", "iso", "dmg",
))  # fmt: skip

_SPACE_AND_CONTROL = re.compile(r"[\x00-\x20\x7f]")
_ASCII = "".join(map(chr, range(0x21, 0x7F)))


class Link(NamedTuple):
    """What a submission comes to: `url` normalised as the pipeline does, where `reason` is "kept"."""

    reason: str
    url: str | None = None


def outbound_link(post: Any) -> Link:
    """The link of a submission (a decoded JSON object), or why it has none."""
    if not isinstance(post, dict):
        return Link("broken_line")
    if post.get("is_self") is True or _text(post.get("domain")).startswith("self."):
        return Link("self_post")
    url = post.get("url_overridden_by_dest") or post.get("url")
    if not isinstance(url, str) or not url.strip() or url.strip() in ("[deleted]", "[removed]"):
        return Link("no_url")
    score = post.get("score")
    if isinstance(score, bool) or not isinstance(score, (int, float)):
        return Link("no_score")
    if isinstance(score, float) and not math.isfinite(score):
        return Link("no_score")
    if score < LEAST_SCORE:
        return Link("low_score")
    return judge_url(url)


def _text(value: Any) -> str:
    return value if isinstance(value, str) else ""


def judge_url(url: str) -> Link:
    """The URL in the pipeline's spelling, or why it is not one of a page elsewhere."""
    url = url.strip().replace("&amp;", "&").replace("&lt;", "<").replace("&gt;", ">")  # as Reddit escapes it
    if url.startswith("/") and not url.startswith("//"):
        return Link("within_reddit")
    if len(url) > _LONGEST_URL:
        return Link("bad_url")
    try:
        parts = urlsplit(url)
        host = parts.hostname or ""
        _ = parts.port  # raises where it is no number
    except ValueError:
        return Link("bad_url")
    if parts.scheme not in ("http", "https"):
        return Link("not_web" if parts.scheme else "bad_url")
    host = _ascii_host(host.rstrip(".")) or ""
    if "." not in host or len(host) > _LONGEST_HOST:
        return Link("bad_url")
    if _is_of(host, REDDIT_HOSTS):
        return Link("within_reddit")
    if _is_of(host, MEDIA_HOSTS):
        return Link("media_host")
    if parts.path.rpartition(".")[2].lower() in MEDIA_ENDINGS:
        return Link("media_file")
    return Link("kept", normalize_url(_as_crawled(parts, host)))


def _is_of(host: str, domains: frozenset[str]) -> bool:
    labels = host.split(".")
    return any(".".join(labels[at:]) in domains for at in range(len(labels) - 1))


def _ascii_host(host: str) -> str | None:
    """The host as Common Crawl writes it: lower case, other scripts by IDNA; None where it cannot be one."""
    if len(host) > _LONGEST_HOST:
        return None
    try:
        return host.lower() if host.isascii() else idna.encode(host, uts46=True).decode()
    except (idna.IDNAError, UnicodeError):
        return None


def _as_crawled(parts, host: str) -> str:
    """The URL as Common Crawl writes it: ASCII, without a fragment, without the scheme's own port."""
    port = (
        "" if parts.port is None or (parts.scheme, parts.port) in (("http", 80), ("https", 443)) else f":{parts.port}"
    )
    path = parts.path + (f"?{parts.query}" if parts.query else "")
    path = quote(_SPACE_AND_CONTROL.sub(lambda char: f"%{ord(char.group()):02X}", path), safe=_ASCII, errors="replace")
    return f"{parts.scheme}://{host}{port}{path}"


_SUBMISSIONS = (".zst", ".gz", ".bz2", ".xz", ".json", ".jsonl", ".ndjson")


class SubmissionsReader(NamedTuple):
    """Dumps of submissions to the links that count."""

    transport: Transport | None = None

    def settings(self) -> dict:
        return {"name": "webtext-urls"}

    def read(self, unit: Unit, note: Callable[[str, int], None], told: Callable[[int], None]):
        for source, _, _ in unit.parts:
            yield from told_damages(source, self._submissions(source, told), "submissions")

    def _submissions(self, source: Input, told):
        for entry in read_submissions(source, told, self.transport):
            if isinstance(entry, Damage):
                yield entry
                continue
            link = outbound_link(entry.post)
            if link.url is None:
                yield Found(link.reason)
            else:
                yield Found("kept", {"url": link.url}, mmh3.mmh3_x64_128_digest(link.url.encode()))


def prepare_webtext_urls(
    given: Sequence[str], out: str, overwrite: bool = False, max_connections: int = 10
) -> Prepared:
    """Plans the list of URLs for the file `out`; see `webtext_urls_file`. Raises UsageError."""
    if not out.endswith(".gz"):
        raise UsageError(f"--out {out}: the list is a gzip file, so its name must end in .gz")
    check_connections(max_connections)
    sources = find_files(given, _SUBMISSIONS, max_connections)
    check_submissions(sources[0])
    out = os.path.abspath(out) if is_local(out) else out
    home, _, name = out.rpartition("/")
    folder = join(home, ".c4build", "webtext-urls", name)
    if exists(out) and not ours_in(folder):
        raise UsageError(f"{out} is there, and c4build has no record of it: move it away, or give another --out")
    fetching = transport(home or "/", max_connections, [source.path for source in sources])
    recipe = Recipe(
        Dataset(
            name="webtext-urls",
            config=name,
            version="1.0.0",
            description="URLs shared on Reddit with a score of 3 or more.",
            citation="",
            homepage="",
            features=("url",),
        ),
        SubmissionsReader(fetching),
        tuple(reason for reason in REASONS if reason != "kept"),
        "submissions",
        "URLs shared on Reddit",
    )
    units = [Unit(source.name, (Part(source),)) for source in sources]
    return prepare(recipe, units, home or "/", URLS.name, None, overwrite, folder)
