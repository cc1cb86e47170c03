"""Croissant metadata of the corpora in a folder: JSON-LD by the format of MLCommons, version 1.0."""

import json
from collections.abc import Sequence
from typing import Any

from c4build.page import FEATURES
from c4build.report.gather import Corpus, Gathered
from c4build.report.loading import Config, configs
from c4build.report.own import UNSEALED
from c4build.write.metadata import C4_CITATION

CROISSANT = "croissant.json"
_KINDS = {"json": "application/jsonlines", "parquet": "application/x-parquet"}
_JSON_FIELDS = ("text", "timestamp", "url")  # of web pages, as allenai/c4 has them
_CONTEXT = {
    "@language": "en",
    "@vocab": "https://schema.org/",
    "citeAs": "cr:citeAs",
    "column": "cr:column",
    "conformsTo": "dct:conformsTo",
    "cr": "http://mlcommons.org/croissant/",
    "rai": "http://mlcommons.org/croissant/RAI/",
    "data": {"@id": "cr:data", "@type": "@json"},
    "dataType": {"@id": "cr:dataType", "@type": "@vocab"},
    "dct": "http://purl.org/dc/terms/",
    "equivalentProperty": "cr:equivalentProperty",
    "examples": {"@id": "cr:examples", "@type": "@json"},
    "extract": "cr:extract",
    "field": "cr:field",
    "fileProperty": "cr:fileProperty",
    "fileObject": "cr:fileObject",
    "fileSet": "cr:fileSet",
    "format": "cr:format",
    "includes": "cr:includes",
    "isLiveDataset": "cr:isLiveDataset",
    "jsonPath": "cr:jsonPath",
    "key": "cr:key",
    "md5": "cr:md5",
    "parentField": "cr:parentField",
    "path": "cr:path",
    "recordSet": "cr:recordSet",
    "references": "cr:references",
    "regex": "cr:regex",
    "repeated": "cr:repeated",
    "replace": "cr:replace",
    "samplingRate": "cr:samplingRate",
    "sc": "https://schema.org/",
    "separator": "cr:separator",
    "source": "cr:source",
    "subField": "cr:subField",
    "transform": "cr:transform",
}


def make_croissant(gathered: Gathered) -> bytes:
    """The metadata: a set of files and one of records for each split that is JSONL or Parquet; of others the files alone."""
    known = configs(gathered.corpora)
    files, records = [], []
    for corpus in gathered.corpora:
        if config := known.get(corpus.place):
            for split, pattern in config.splits.items():
                files.append(_files(f"{config.name}/{split}/files", pattern, _KINDS[config.kind]))
                records.append(_records(config, split, _fields(corpus, config)))
        else:
            kind = "application/x-tfrecord" if corpus.manifest["format"] == "tfrecord" else "application/octet-stream"
            files.append(_files(f"{corpus.place}/files", f"{corpus.place}/*.{corpus.manifest['format']}-*-of-*", kind))
    metadata = {
        "@context": _CONTEXT,
        "@type": "sc:Dataset",
        "conformsTo": "http://mlcommons.org/croissant/1.0",
        "identifier": UNSEALED,
        "name": "c4build-corpora",
        "description": ", ".join(dict.fromkeys(group.title for group in gathered.groups)) + ", made by c4build.",
        "datePublished": max(corpus.manifest["started"] for corpus in gathered.corpora)[:10],
        "version": _version(gathered.corpora),
        **_of_the_web(gathered),
        "distribution": files,
        "recordSet": records,
    }
    return json.dumps(metadata, indent=1).encode() + b"\n"


def _of_the_web(gathered: Gathered) -> dict[str, Any]:
    if not any("variant" in group.said for group in gathered.groups):
        return {}
    return {
        "url": "https://commoncrawl.org/",
        "license": "https://commoncrawl.org/terms-of-use",
        "citeAs": C4_CITATION,
    }


def _version(corpora: Sequence[Corpus]) -> str:
    """That of all corpora, where they have one in common."""
    versions = {corpus.place.rpartition("/")[2] for corpus in corpora}
    return versions.pop() if len(versions) == 1 else "1.0.0"


def _files(name: str, pattern: str, kind: str) -> dict[str, Any]:
    return {"@type": "cr:FileSet", "@id": name, "name": name, "encodingFormat": kind, "includes": pattern}


def _records(config: Config, split: str, fields: Sequence[str]) -> dict[str, Any]:
    name = f"{config.name}/{split}"
    return {
        "@type": "cr:RecordSet",
        "@id": name,
        "name": name,
        "field": [
            {
                "@type": "cr:Field",
                "@id": f"{name}/{field}",
                "name": f"{name}/{field}",
                "dataType": "sc:DateTime" if field == "timestamp" else "sc:Text",
                "source": {"fileSet": {"@id": f"{name}/files"}, "extract": {"column": field}},
            }
            for field in fields
        ],
    }


def _fields(corpus: Corpus, config: Config) -> Sequence[str]:
    if "variant" in corpus.manifest:
        return _JSON_FIELDS if config.kind == "json" else FEATURES
    return [str(name) for name in corpus.manifest["rules"].get("features", ["text"])]
