"""Writes texts.json: what the preprocessors of the package `t5` make of the hand-written examples below.

    python make_texts.py PATH/TO/text-to-text-transfer-transformer

Needs TensorFlow, babel and gin-config, and a checkout of T5's code; the package itself is not a dependency of the trainer.
Of seqio, which T5's file imports, only the decorator `map_over_dataset` is used here, and stands below.
"""

import functools
import importlib.util
import json
import sys
import types
from pathlib import Path

import tensorflow as tf

BOY = (
    'The boy continued to whip the pony , and eventually the pony threw him over. John laughed out quite loud. "Good for him,"'
    " he said. "
)
PEBBLE = (
    "When they had eventually calmed down a bit , and had gotten home, Mr. Farley put the magic pebble in an iron safe . Some "
    "day they might want to use it , but really for now, what more could they wish for?"
)

PAIRS = [
    ('Dr. Müller\'s "test" - ok?', "It costs <b>5</b> $,<br> doesn't it?"),
    ("", " two  blanks "),
    ("„Ja“ – sagt er…", "a\tb\nc"),
]
IDX = {"idx": 7}

EXAMPLES = {
    "cola": [{"sentence": a, "label": n % 2, **IDX} for n, (a, _) in enumerate(PAIRS)] + [{"sentence": "x", "label": -1, **IDX}],
    "sst2": [{"sentence": b, "label": n % 2, **IDX} for n, (_, b) in enumerate(PAIRS)],
    "mrpc": [{"sentence1": a, "sentence2": b, "label": n % 2, **IDX} for n, (a, b) in enumerate(PAIRS)],
    "stsb": [
        {"sentence1": "A flute.", "sentence2": "A drum.", "label": label, **IDX}
        for label in (0.0, 0.1, 0.3, 0.5, 0.7, 0.9, 1.1, 1.3, 1.5, 1.7, 1.9, 2.1, 2.3, 2.5, 2.7, 2.9, 3.1, 3.25, 3.3, 3.5, 3.7, 3.9,
                      4.1, 4.3, 4.5, 4.7, 4.75, 4.9, 5.0, 2.333, 1.6, 3.8)
    ],
    "qqp": [{"question1": a, "question2": b, "label": n % 2, **IDX} for n, (a, b) in enumerate(PAIRS)],
    "mnli": [{"premise": a, "hypothesis": b, "label": n, **IDX} for n, (a, b) in enumerate(PAIRS)],
    "qnli": [{"question": a, "sentence": b, "label": n % 2, **IDX} for n, (a, b) in enumerate(PAIRS)],
    "rte": [{"sentence1": a, "sentence2": b, "label": n % 2, **IDX} for n, (a, b) in enumerate(PAIRS)],
    "boolq": [{"question": a, "passage": b, "label": n % 2, **IDX} for n, (a, b) in enumerate(PAIRS)],
    "cb": [{"premise": a, "hypothesis": b, "label": n, **IDX} for n, (a, b) in enumerate(PAIRS)],
    "copa": [
        {"premise": a, "choice1": b, "choice2": "It rained.", "question": ["cause", "effect"][n % 2], "label": n % 2, **IDX}
        for n, (a, b) in enumerate(PAIRS)
    ],
    "multirc": [
        {
            "paragraph": "<b>Sent 1: </b>Emma bought a lamp.<br><b>Sent 2: </b>It <i>broke</i> .<br>", "question": "What <b>did</b> Emma buy?",
            "answer": "a lamp<br>", "label": label, "idx": {"paragraph": 0, "question": 3, "answer": label},
        }
        for label in (0, 1)
    ],
    "record": [
        {
            "passage": passage, "query": "@placeholder won the race .", "entities": ["Jonas", "Karla Böhm"], "answers": answers,
            "idx": {"passage": 1, "query": 2},
        }
        for passage, answers in [
            ("They ran.\n@highlight\nJonas was first\n@highlight\nKarla too", ["Jonas", "Karla Böhm"]),
            ('"Yes!"\n@highlight\nWho?\n@highlight\nHe\'s \'in\'\n@highlight\nno', ["Jonas"]), ("Nothing.", []),
        ]
    ],
    "superglue_rte": [{"premise": a, "hypothesis": b, "label": n % 2, **IDX} for n, (a, b) in enumerate(PAIRS)],
    "wic": [
        {"sentence1": a, "sentence2": b, "word": "bank", "label": n % 2, "start1": 0, "end1": 1, "start2": 0, "end2": 1, "pos": "N", **IDX}
        for n, (a, b) in enumerate(PAIRS)
    ],
    "wsc": [
        {"text": text, "span1_text": first, "span1_index": 0, "span2_text": second, "span2_index": index, "label": label, **IDX}
        for text, first, second, index, label in [
            ("Mitchell asked Tom if he could lend some money.", "Tom", "he", 4, 1),
            ("Mark told Pete many lies about himself, which Pete included in his book. He should have been more truthful.", "Mark",
             "He", 13, 1),
            ("Mitchell  asked Tom if he could , if he would .", "Mitchell", "he", 5, 0),
            (BOY, "the pony", "him", 12, 0), (PEBBLE, "The magic pebble", "it", 32, 1),
        ]
    ],
    "dpr": [
        {"sentence": sentence, "pronoun": pronoun, "candidates": ["the bird", "The cat's owner"], "label": label}
        for sentence, pronoun, label in [
            ("Bob asked Tom if he can lend some money.", "he", 1), ("The cat chased the bird until it, tired, fled from it.", "it", 0),
            ("The man saw him.", "him", 1), ("He said that he, he alone, won.", "he", 0), ("It ran.", "It", 0),
        ]
    ],
    "squad": [
        {"id": "1", "title": "t", "question": question, "context": context, "answers": {"text": answers, "answer_start": [0] * len(answers)}}
        for question, context, answers in [
            ("Who's there?", "It's (only) me.", ["only me.", "me"]), ("What costs $5?", "A  U.S. “lamp” – costs $5,\nor €4…", ["$5"]),
            ("Où ?", "Zürich: 18 °C _today_; a^b `c` ~ {d} | e\\f", ["18 °C"]), ("x", "a b　c\x0bd", ["“b”"]),
        ]
    ],
    "cnn_dailymail": [{"article": "(CNN) -- One.\nTwo .", "highlights": "One .\nTwo .", "id": "1"}],
    "wmt_ende": [{"en": "That is  good.", "de": "Das ist „gut“."}],
    "wmt_enfr": [{"en": "Why ?", "fr": "Pourquoi ?"}],
    "wmt_enro": [{"en": "Good.", "ro": "Bună ziua."}],
}  # fmt: skip

TRUTH = ["False", "True"]
ENTAILMENT = ["entailment", "not_entailment"]
LABELS = {  # as the builders of tensorflow_datasets have them
    "cola": ["unacceptable", "acceptable"], "sst2": ["negative", "positive"], "mrpc": ["not_equivalent", "equivalent"],
    "qqp": ["not_duplicate", "duplicate"], "mnli": ["entailment", "neutral", "contradiction"], "qnli": ENTAILMENT,
    "rte": ENTAILMENT, "boolq": TRUTH, "cb": ["entailment", "contradiction", "neutral"], "copa": ["choice1", "choice2"],
    "multirc": TRUTH, "superglue_rte": ENTAILMENT, "wic": TRUTH,
}  # fmt: skip
FEATURES = {"multirc": ("question", "answer", "paragraph"), "wic": ("sentence1", "sentence2", "word")}


def map_over_dataset(function=None, *, num_seeds=None):
    """As seqio's: a function of one example becomes a function of a dataset."""
    if function is None:
        return functools.partial(map_over_dataset, num_seeds=num_seeds)

    @functools.wraps(function)
    def wrapped(dataset, *arguments, **more):
        return dataset.map(lambda example: function(example, *arguments, **more))

    return wrapped


def load(checkout):
    seqio = types.ModuleType("seqio")
    seqio.map_over_dataset = map_over_dataset
    seqio.preprocessors, seqio.Feature = types.SimpleNamespace(rekey=None, tokenize=None), object
    sys.modules["seqio"] = seqio
    spec = importlib.util.spec_from_file_location(
        "t5_preprocessors", Path(checkout) / "t5" / "data" / "preprocessors.py"
    )
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def of(t5, name):
    """The preprocessor that T5's tasks.py and glue_utils.py take for a task."""
    if name in LABELS:
        benchmark = "rte" if name == "superglue_rte" else name
        return functools.partial(
            t5.glue, benchmark_name=benchmark, label_names=LABELS[name], feature_names=FEATURES.get(name)
        )
    if name.startswith("wmt_en"):
        return functools.partial(t5.translate, source_language="en", target_language=name[-2:])
    return {
        "stsb": t5.stsb, "record": t5.record, "squad": t5.squad, "wsc": t5.wsc_simple, "dpr": t5.definite_pronoun_resolution_simple,
        "cnn_dailymail": functools.partial(t5.summarize, article_key="article", summary_key="highlights"),
    }[name]  # fmt: skip


def tensors(value):
    if isinstance(value, dict):
        return {name: tensors(item) for name, item in value.items()}
    if isinstance(value, float):
        return tf.constant(value, tf.float32)
    return tf.constant(value, tf.string) if value == [] else tf.constant(value)


def dataset(example):
    return tf.data.Dataset.from_tensors(tensors(example))


def main(checkout):
    t5 = load(checkout)
    found = []
    for name, examples in EXAMPLES.items():
        for example in examples:
            made = of(t5, name)(dataset(example))
            pairs = [[e["inputs"].decode(), e["targets"].decode()] for e in made.as_numpy_iterator()]
            found.append({"task": name, "example": example, "pairs": pairs})
    lengths = [
        [inputs, rate, span, *t5.random_spans_helper(inputs, rate, span, 1, 1)]
        for inputs in (64, 128, 512, 1024)
        for rate in (0.1, 0.15, 0.25, 0.5)
        for span in (2.0, 3.0, 5.0, 10.0)
    ]
    out = {"texts": found, "span_lengths": lengths}
    Path(__file__).with_name("texts.json").write_text(
        json.dumps(out, ensure_ascii=False, indent=1) + "\n", encoding="utf-8"
    )


if __name__ == "__main__":
    main(sys.argv[1])
