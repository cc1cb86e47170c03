"""Rule sets and variants: tables of data that the code path reads and never asks by name."""

import dataclasses
import hashlib
import json
import tomllib
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

# Why a page is dropped. A reason's name is its counter's name and the word a person reads in the table.
# The index is what page files store: append only.
REASONS = (
    "kept",
    "damaged",
    "no_url",
    "no_content",
    "no_date",
    "too_long",
    "not_a_news_domain",
    "duplicate_url",
    "not_in_url_list",
    "lorem_ipsum",
    "curly_bracket",
    "bad_words",
    "too_few_sentences",
    "language_unknown",
    "language_unsure",
    "other_language",
    "nothing_left",
    "too_few_sentences_left",
    "excluded",
)
CODE = {name: code for code, name in enumerate(REASONS)}

# Steps that look for a phrase that drops the whole page: in its text, or in its lines (`RuleSet.page_phrases_in_lines`).
PAGE_PHRASES = ("lorem_ipsum", "curly_bracket")

# What TFDS's builder calls a policy line (`_POLICY_SUBSTRINGS` of c4_utils.py).
POLICY_PHRASES = ("terms of use", "privacy policy", "cookie policy", "uses cookies", "use of cookies", "use cookies")


@dataclass(frozen=True)
class RuleSet:
    """Everything that decides which text stays. Lengths are in code points, words are `str.split`'s.

    `before` and `after` name the steps a page takes before and after deduplication, in order; a variant takes those of
    them that it has. Steps: lorem_ipsum, curly_bracket, bad_words (each on the text as it then is), lines, sentences,
    language.
    """

    name: str
    version: str  # of the data set that is written
    records: str  # "warc": as WARC defines them; "tfds": as TFDS's builder cuts the text
    before: tuple[str, ...]
    after: tuple[str, ...]
    duplicates: str  # "lines" or "sentence_spans"
    # Which copies of a URL are compared: "all" of allowed length, or the "surviving" ones.
    newest_of: str
    end_marks: tuple[str, ...]
    refused_endings: tuple[str, ...]
    min_words_per_line: int
    min_sentences: int
    drop_lines_with: tuple[str, ...] = ("javascript",)
    # True: "lorem ipsum" and { drop the page only from a line that passed the tests before, in TFDS's order.
    page_phrases_in_lines: bool = False
    curly_brackets: tuple[str, ...] = ("{", "}")
    remove_citations: bool = False
    max_word_chars: int = 0  # 0: no limit
    # Not in the paper, but in the builder that made the released C4; it also bounds memory.
    max_page_chars: int = 190_000
    language: str = "en"
    min_language_probability: float = 0.99
    span_sentences: int = 3

    def to_json(self) -> dict:
        return dataclasses.asdict(self)


_PAPER = RuleSet(
    name="paper",
    version="1.0.0",
    records="warc",
    # Section 2.2: "we removed any page that contained" a listed word, lorem ipsum, a curly bracket: of the whole page.
    before=("lorem_ipsum", "curly_bracket", "bad_words", "lines", "sentences", "language"),
    after=("sentences_left",),
    duplicates="sentence_spans",
    newest_of="surviving",
    # Section 2.2: lines end in a period, exclamation mark, question mark, or end quotation mark.
    end_marks=(".", "!", "?", '"', "\u201d"),
    refused_endings=(),
    # The first version on arXiv: five sentences a page, three words a line.
    min_words_per_line=3,
    min_sentences=5,
)

RULE_SETS = {
    rules.name: rules
    for rules in (
        _PAPER,
        # The journal version: three sentences a page, five words a line, citation marks and policy notices removed.
        dataclasses.replace(
            _PAPER,
            name="paper-final",
            version="1.1.0",
            min_words_per_line=5,
            min_sentences=3,
            drop_lines_with=("javascript", *POLICY_PHRASES),
            remove_citations=True,
        ),
        RuleSet(
            name="c4-3.1.0",
            version="3.1.0",
            records="tfds",
            before=("lines", "sentences"),
            after=("sentences_left", "language", "bad_words"),
            duplicates="lines",
            newest_of="all",
            end_marks=(".", "?", "!", '"'),
            refused_endings=("...",),
            min_words_per_line=5,
            min_sentences=3,
            drop_lines_with=("javascript", *POLICY_PHRASES),
            page_phrases_in_lines=True,
            curly_brackets=("{",),
            remove_citations=True,
            max_word_chars=1000,
        ),
    )
}

STEPS = ("lorem_ipsum", "curly_bracket", "bad_words", "lines", "sentences", "language", "sentences_left")


@dataclass(frozen=True)
class Variant:
    """One corpus of the ablation: which pages, which steps."""

    name: str
    paper_name: str
    steps: frozenset[str]
    deduplicated: bool = True
    news_only: bool = False
    listed_urls_only: bool = False

    @property
    def raw(self) -> bool:
        """True where the text stays as it was read."""
        return "lines" not in self.steps


_ALL = frozenset(STEPS)


def bits_where(holds: Callable[[Variant], bool], variants: Iterable[Variant]) -> int:
    """The variants of which something holds, a bit each: variant i of the sequence is `1 << i`."""
    return sum(1 << bit for bit, variant in enumerate(variants) if holds(variant))


VARIANTS = {
    variant.name: variant
    for variant in (
        Variant("en", "C4", _ALL),
        Variant("en.noblocklist", "C4 without the bad-word filter", _ALL - {"bad_words"}),
        Variant("en.noclean", "C4, unfiltered", frozenset({"language"}), deduplicated=False),
        Variant("realnewslike", "RealNews-like", _ALL, news_only=True),
        Variant("webtextlike", "WebText-like", _ALL, listed_urls_only=True),
    )
}


DROPPED_BY = {  # reasons that each step gives
    "lorem_ipsum": ("lorem_ipsum",),
    "curly_bracket": ("curly_bracket",),
    "bad_words": ("bad_words",),
    "lines": ("lorem_ipsum", "curly_bracket"),  # where phrases are looked for in lines
    "sentences": ("too_few_sentences",),
    "language": ("language_unknown", "language_unsure", "other_language"),
    "sentences_left": ("nothing_left", "too_few_sentences_left"),
}


def reasons_in_order(rules: Mapping) -> tuple[str, ...]:
    """Why a page is dropped, in the order in which a cleaned page meets the rules (those of `RuleSet.to_json`)."""
    before, after = ([reason for step in rules[when] for reason in DROPPED_BY[step]] for when in ("before", "after"))
    copies = ["duplicate_url", "not_in_url_list"]
    # Where all copies of a URL are compared, an older one counts as such, whatever else is wrong with it.
    by_rule = [*copies, *before, *after] if rules["newest_of"] == "all" else [*before, *copies, *after]
    as_read = [reason for reason in REASONS[1:] if reason not in by_rule]
    return tuple(dict.fromkeys([*as_read, *by_rule]))


class RuleError(ValueError):
    """A rule set, a variant or a setting that does not exist or does not fit."""


def load_rules(name: str, settings: tuple[str, ...] = ()) -> RuleSet:
    """The rule set called `name`, or that of the TOML file `name`, with `name=value` settings put over it.

    A TOML file gives `base = "paper"` and any field of `RuleSet`; see docs/rules.md. A rule set that differs from its base
    has the base's name with a `+`, and a version of its own, unless it names them itself.
    """
    if name in RULE_SETS:
        rules, changes = RULE_SETS[name], {}
    elif name.endswith(".toml"):
        changes = read_toml(name)
        changes.pop("variants", None)  # see `own_variants`
        base = changes.pop("base", "paper")
        if base not in RULE_SETS:
            raise RuleError(f"{name}: base = {base!r} is not one of {', '.join(RULE_SETS)}")
        rules = RULE_SETS[base]
    else:
        raise RuleError(f"no rules called {name!r}: give one of {', '.join(RULE_SETS)}, or a .toml file")
    for setting in settings:
        key, equals, value = setting.partition("=")
        if not equals:
            raise RuleError(f"--set {setting}: write it as name=value")
        changes[key.strip()] = _parse(value.strip())
    values = {key: _checked(rules, key, value) for key, value in changes.items()}
    values = {key: value for key, value in values.items() if value != getattr(rules, key)}
    if not values:
        return rules
    if "name" not in changes:
        values["name"] = rules.name + "+"
    if "version" not in changes:
        values["version"] = own_version(rules.version, {"base": rules.name, **values})
    changed = dataclasses.replace(rules, **values)
    _check(changed)
    return changed


def read_toml(name: str) -> dict:
    """What a TOML file of rules says. Raises RuleError."""
    try:
        with open(name, "rb") as file:
            return tomllib.load(file)
    except OSError as error:
        raise RuleError(f"cannot read the rules {name}: {error.strerror}") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise RuleError(f"{name} is not valid TOML: {error}") from error


def own_version(base: str, changes: Mapping) -> str:
    """A version for what differs from the version `base` by `changes`, the same for the same changes: 1.0.0 -> 1.0.482913057.

    TFDS wants three numbers. The last is a digest, so that what is not the same hardly ever meets in one folder.
    """
    said = hashlib.sha256(json.dumps(changes, sort_keys=True).encode()).digest()
    major, minor, _ = base.split(".")
    return f"{major}.{minor}.{1 + int.from_bytes(said[:8], 'big') % 999_999_999}"


def _parse(value: str):
    try:
        return json.loads(value)
    except json.JSONDecodeError:
        return value


def _checked(rules: RuleSet, key: str, value):
    fields = {field.name for field in dataclasses.fields(RuleSet)}
    if key not in fields:
        raise RuleError(f"no rule is called {key!r}: there are {', '.join(sorted(fields))}")
    old = getattr(rules, key)
    if isinstance(old, tuple) and isinstance(value, list) and all(isinstance(item, str) for item in value):
        return tuple(value)
    if isinstance(old, float) and type(value) is int:
        return float(value)
    if type(value) is not type(old):
        kind = "a list of strings" if isinstance(old, tuple) else type(old).__name__
        raise RuleError(f"{key} = {value!r}: it must be {kind}, as in {old!r}")
    return value


def _check(rules: RuleSet):
    choices = {
        "records": ("warc", "tfds"),
        "duplicates": ("lines", "sentence_spans"),
        "newest_of": ("all", "surviving"),
    }
    for key, allowed in choices.items():
        if getattr(rules, key) not in allowed:
            raise RuleError(f"{key} = {getattr(rules, key)!r}: it must be one of {', '.join(allowed)}")
    for key in ("before", "after"):
        for step in getattr(rules, key):
            if step not in STEPS:
                raise RuleError(f"{key}: no step is called {step!r}: there are {', '.join(STEPS)}")
    if "lines" in rules.after or "lines" not in rules.before:
        raise RuleError("the step `lines` must stand in `before`: deduplication needs cleaned lines")
    for mark in (*rules.end_marks, *rules.curly_brackets):
        if len(mark) != 1:
            raise RuleError(f"end_marks and curly_brackets hold single characters, not {mark!r}")
    if len(rules.version.split(".")) != 3 or not rules.version.replace(".", "").isdigit():
        raise RuleError(f"version = {rules.version!r}: TFDS wants three numbers, as in 1.0.0")
    for key in ("min_words_per_line", "min_sentences", "max_word_chars", "span_sentences", "max_page_chars"):
        if getattr(rules, key) < (0 if key == "max_word_chars" else 1):
            raise RuleError(f"{key} = {getattr(rules, key)}: it is too small")
    if not 0 <= rules.min_language_probability <= 1:
        raise RuleError("min_language_probability lies between 0 and 1")


def choose_variants(names: Sequence[str], own: Sequence[Variant] = ()) -> tuple[Variant, ...]:
    """The variants called `names`, each once, in the order of the table, then all of one's own. Raises RuleError."""
    known = {**VARIANTS, **{variant.name: variant for variant in own}}
    for name in names:
        if name not in known:
            raise RuleError(f"no variant is called {name!r}: there are {', '.join(known)}")
    if not names:
        raise RuleError(f"name at least one variant of {', '.join(known)}")
    return tuple(variant for variant in known.values() if variant.name in names or variant in own)
