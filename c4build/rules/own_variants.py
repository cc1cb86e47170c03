"""Variants of one's own: a variant of the table, without some of its rules or with others."""

import re
from collections.abc import Iterable, Mapping

from c4build.rules.tables import PAGE_PHRASES, STEPS, VARIANTS, RuleError, RuleSet, Variant, read_toml

_DUPLICATES = "duplicates"  # the rule that takes out repeated lines or spans
RULES = (*STEPS, _DUPLICATES)
_NAME = re.compile(r"[A-Za-z][\w.-]{0,99}", re.ASCII)  # a folder's, and a config's of TFDS
_FORMULA = re.compile(r"\s*(?P<base>\S+)(?P<changes>(?:\s+[+-]\s*\w+)*)\s*")
_CHANGE = re.compile(r"([+-])\s*(\w+)")


def parse_variant(name: str, formula: str, known: Mapping[str, Variant] = VARIANTS) -> Variant:
    """The variant that a formula makes of one of `known`, as in `en - bad_words + language`. Raises RuleError."""
    where = f"variant {name} = {formula!r}"
    if not _NAME.fullmatch(name) or name in known:
        what = "is taken" if name in known else "must be letters, digits, _ . - and begin with a letter"
        raise RuleError(f"{where}: the name {what}")
    found = _FORMULA.fullmatch(formula)
    if not found:
        raise RuleError(f"{where}: write it as in 'en - bad_words'")
    if found["base"] not in known:
        raise RuleError(f"{where}: no variant is called {found['base']!r}: there are {', '.join(known)}")
    base, said = known[found["base"]], []
    rules = rules_of(base)
    for sign, rule in _CHANGE.findall(found["changes"]):
        if rule not in RULES:
            raise RuleError(f"{where}: no rule is called {rule!r}: there are {', '.join(RULES)}")
        rules = rules | {rule} if sign == "+" else rules - {rule}
        said.append(f"{'with' if sign == '+' else 'without'} {rule}")
    if _DUPLICATES in rules and "lines" not in rules:
        raise RuleError(
            f"{where}: duplicates are found among cleaned lines; take out `duplicates` with `lines`, or begin with en.noclean"
        )
    of_paper = ", ".join([base.paper_name, *said])
    steps, deduplicated = frozenset(rules & set(STEPS)), _DUPLICATES in rules
    return Variant(name, of_paper, steps, deduplicated, base.news_only, base.listed_urls_only)


def rules_of(variant: Variant) -> frozenset[str]:
    return variant.steps | ({_DUPLICATES} if variant.deduplicated else frozenset())


def own_variants(rules: str, given: Iterable[str]) -> list[Variant]:
    """Those of the table `variants` of the rules' TOML file, then those given as NAME=FORMULA. Raises RuleError.

    A formula may begin with the name of a variant before it.
    """
    table = read_toml(rules).get("variants", {}) if rules.endswith(".toml") else {}
    if not isinstance(table, dict) or not all(isinstance(formula, str) for formula in table.values()):
        raise RuleError(f'{rules}: write variants as in [variants] "no-bad-words" = "en - bad_words"')
    formulas = list(table.items())
    for one in given:
        name, equals, formula = one.partition("=")
        if not equals:
            raise RuleError(
                f"--variant {one}: write it as in NAME='en - bad_words'; --variants chooses from those that there are"
            )
        formulas.append((name.strip(), formula))
    known = dict(VARIANTS)
    for name, formula in formulas:
        known[name] = parse_variant(name, formula, known)
    return [variant for name, variant in known.items() if name not in VARIANTS]


def leave_one_out(rules: RuleSet) -> list[Variant]:
    """A variant for every rule of `en` that `rules` have: en without it.

    None for `lines`, which is many rules: each of them is a field of the rule set.
    """
    steps = {*rules.before, *rules.after, *(PAGE_PHRASES if rules.page_phrases_in_lines else ())}
    names = [rule for rule in RULES if rule != "lines" and (rule in steps or rule == _DUPLICATES)]
    return [parse_variant(f"en.without_{rule}", f"en - {rule}") for rule in names]
