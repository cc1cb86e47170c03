"""The tasks as text in and text out (the paper's section 2.3 and appendix D).

A task has a name, the fields that its examples must have (TFDS's own, so that a JSONL file with the same fields serves
as well), `pairs(example)` -> texts to train on, `score(predictions, examples)`, and what the paper's table takes from
the scores. A label may be its number or its name.
"""

import dataclasses
import re
from collections.abc import Callable

import numpy as np

from c4build.errors import UsageError
from c4build.t5 import metrics


@dataclasses.dataclass(frozen=True)
class Task:
    name: str
    suite: str  # "glue", "superglue", or its own name
    fields: dict  # field -> what it is
    pairs: Callable  # example -> list of (text in, text out)
    score: Callable | None  # (predictions, examples) -> {metric: percent}
    table: tuple  # the metrics whose mean is the task's number in the paper's table
    sample: dict
    tfds: str = ""
    validation: tuple = ("validation",)  # none: only trained on (DPR)
    beams: int = 1
    train_filter: Callable | None = None  # which examples are trained on


def label_text(example, labels) -> str:
    number = metrics.label_id(example["label"], labels)
    return "<unk>" if number == -1 else labels[number]  # TFDS's test splits have no labels


def fields_in_turn(prefix, names, labels):
    """`prefix name: value name: value` -> the label: GLUE's and most of SuperGLUE's form."""

    def pairs(example):
        parts = [f"{name}: {example[name]}" for name in names]
        return [(" ".join([prefix, *parts]), label_text(example, labels))]

    return pairs


def classification(name, suite, names, labels, score, sample, table=("accuracy",), prefix=None, tfds=None, **more):
    fields = dict.fromkeys(names, "text") | {"label": f"0 to {len(labels) - 1}, or one of {', '.join(labels)}"}
    if "idx" in sample:
        fields["idx"] = "which paragraph, question and answer it is"
    pairs = fields_in_turn(prefix or name, names, labels)
    benchmark = {"superglue": "super_glue"}.get(suite, suite)
    return Task(name, suite, fields, pairs, score(labels), table, sample, tfds or f"{benchmark}/{name}", **more)


def multirc_pairs(example):
    """As the others, without the markup that its paragraphs come with."""
    text, label = fields_in_turn("multirc", ["question", "answer", "paragraph"], TRUTH)(example)[0]
    return [(re.sub(r"</?b>", "", text.replace("<br>", " ")), label)]


def stsb_pairs(example):
    """The score to the nearest 0.2, so that it is one of 26 texts; in float32, as T5 rounds."""
    rounded = np.round(np.float32(example["label"]) * np.float32(5)) / np.float32(5)
    return [(f"stsb sentence1: {example['sentence1']} sentence2: {example['sentence2']}", f"{rounded:.1f}")]


# T5's own exceptions: where the pronoun is not the word that WSC's index names.
WSC_EXCEPTIONS = {
    'The boy continued to whip the pony , and eventually the pony threw him over. John laughed out quite loud. "Good for '
    'him," he said. ': "The boy continued to whip the pony , and eventually the pony threw him over. John laughed out quite "
    'loud. "Good for *{}* ," he said.',
    "When they had eventually calmed down a bit , and had gotten home, Mr. Farley put the magic pebble in an iron safe . "
    "Some day they might want to use it , but really for now, what more could they wish for?": "When they had eventually "
    "calmed down a bit , and had gotten home, Mr. Farley put the magic pebble in an iron safe . Some day they might want to "
    "use *{}* , but really for now, what more could they wish for?",
}


def mark_pronoun(text: str, pronoun: str, index: int) -> str:
    """The pronoun, the word `index` of the text, between asterisks; punctuation that sticks to it stays outside."""
    if text in WSC_EXCEPTIONS:
        return WSC_EXCEPTIONS[text].format(pronoun)
    words = text.split(" ")
    words[index] = words[index].replace(pronoun, f"*{pronoun}*", 1)
    return " ".join(words)


def wsc_pairs(example):
    text = mark_pronoun(example["text"], example["span2_text"], example["span2_index"])
    return [(f"wsc: {text}", example["span1_text"])]


def dpr_pairs(example):
    """Definite pronoun resolution, in the form of WSC: where the pronoun stands more than once, its first is meant."""
    marked = re.sub(rf" ({re.escape(example['pronoun'])})( |\.|,)", r" *\1*\2", example["sentence"], count=1)
    return [(f"wsc: {marked}", example["candidates"][metrics.label_id(example["label"], TRUTH)])]


def is_true(example) -> bool:
    return metrics.label_id(example["label"], ["False", "True"]) == 1


def record_pairs(example):
    """One pair for each right answer; the highlights of the article become sentences of the passage."""
    passage = re.sub(r"([.?!\"'])\n@highlight\n", r"\1 ", example["passage"]).replace("\n@highlight\n", ". ")
    text = f"record query: {example['query']} entities: {', '.join(example['entities'])} passage: {passage}"
    return [(text, answer) for answer in example["answers"] or ["<unk>"]]


def spaced(text: str) -> str:
    """Blanks around ASCII's punctuation, and only single ones: RE2's [[:punct:]] and \\s, which T5 uses."""
    return re.sub(r"[\t\n\f\r ]+", " ", re.sub(r"([!-/:-@\[-`{-~])", r" \1 ", text))


def squad_pairs(example):
    """Trained on the first of the answers."""
    text = f"question: {spaced(example['question'])} context: {spaced(example['context'])}"
    return [(re.sub(" +", " ", text), spaced(metrics.answer_texts(example)[0]))]


def squad_score(predictions, examples):
    """The answers are spaced like the targets, so that "U.S." is met by "U . S ."."""
    return metrics.squad(predictions, [{"answers": [spaced(a) for a in metrics.answer_texts(e)]} for e in examples])


def translation(code, language, tfds):
    def pairs(example):
        return [(f"translate English to {language}: {example['en']}", example[code])]

    samples = {"de": "Das ist gut.", "fr": "C'est bon.", "ro": "Este bine."}
    fields = {"en": "text", code: "its translation"}
    sample = {"en": "That is good.", code: samples[code]}
    return Task(f"wmt_en{code}", f"en{code}", fields, pairs, metrics.bleu(code), ("bleu",), sample, tfds, beams=4)


ENTAILMENT = ["entailment", "not_entailment"]
TRUTH = ["False", "True"]
QNLI = {"question": "Who wrote the letter?", "sentence": "Clara wrote the letter on Monday.", "label": 0}
RTE = {"sentence1": "Felix sold his boat to Maria.", "sentence2": "Maria owns a boat.", "label": 0}
WSC = {
    "text": "The trophy does not fit into the suitcase because it is too large.",
    "span1_text": "The trophy", "span2_text": "it", "span1_index": 0, "span2_index": 9, "label": 1,
}  # fmt: skip
SPANS = {"span1_text": "a noun phrase", "span2_text": "the pronoun", "span2_index": "the pronoun's place in words"}

LIST = [
    classification(
        "cola", "glue", ["sentence"], ["unacceptable", "acceptable"], metrics.matthews,
        {"sentence": "The book was read by Olga.", "label": 1}, ("matthews",),
    ),
    classification(
        "sst2", "glue", ["sentence"], ["negative", "positive"], metrics.accuracy,
        {"sentence": "a warm and funny film", "label": 1},
    ),
    classification(
        "mrpc", "glue", ["sentence1", "sentence2"], ["not_equivalent", "equivalent"], metrics.f1_and_accuracy,
        {"sentence1": "The price rose by a tenth.", "sentence2": "It got ten percent dearer.", "label": 1},
        ("f1", "accuracy"),
    ),
    Task(
        "stsb", "glue", {"sentence1": "text", "sentence2": "text", "label": "0.0 to 5.0"}, stsb_pairs,
        metrics.correlations, ("pearson", "spearman"),
        {"sentence1": "A man plays a flute.", "sentence2": "A man plays music.", "label": 3.25}, "glue/stsb",
    ),
    classification(
        "qqp", "glue", ["question1", "question2"], ["not_duplicate", "duplicate"], metrics.f1_and_accuracy,
        {"question1": "How do I learn to swim?", "question2": "How can I learn swimming?", "label": 1},
        ("f1", "accuracy"),
    ),
    classification(
        "mnli", "glue", ["hypothesis", "premise"], ["entailment", "neutral", "contradiction"], metrics.accuracy,
        {"premise": "The shop closed at noon.", "hypothesis": "The shop was open all day.", "label": 2},
        validation=("validation_matched", "validation_mismatched"),
    ),
    classification("qnli", "glue", ["question", "sentence"], ENTAILMENT, metrics.accuracy, QNLI),
    classification("rte", "glue", ["sentence1", "sentence2"], ENTAILMENT, metrics.accuracy, RTE),
    classification(
        "boolq", "superglue", ["passage", "question"], TRUTH, metrics.accuracy,
        {"passage": "Rye is a grass grown for its grain.", "question": "is rye a grass", "label": 1},
    ),
    classification(
        "cb", "superglue", ["hypothesis", "premise"], ["entailment", "contradiction", "neutral"],
        metrics.mean_f1_and_accuracy,
        {"premise": "I doubt that Nils paid.", "hypothesis": "Nils paid.", "label": 1}, ("f1", "accuracy"),
    ),
    classification(
        "copa", "superglue", ["choice1", "choice2", "premise", "question"], ["choice1", "choice2"], metrics.accuracy,
        {
            "choice1": "It had rained.", "choice2": "It was noon.", "premise": "The street was wet.",
            "question": "cause", "label": 0,
        },
    ),
    Task(
        "multirc", "superglue",
        {
            "question": "text", "answer": "text", "paragraph": "text", "label": "0 to 1, or one of False, True",
            "idx": "which paragraph, question and answer it is",
        },
        multirc_pairs, metrics.multirc, ("f1", "em"),
        {
            "question": "What did Emma buy?", "answer": "a lamp", "paragraph": "<b>Sent 1: </b>Emma bought a lamp.<br>",
            "label": 1, "idx": {"paragraph": 0, "question": 0, "answer": 0},
        },
        "super_glue/multirc",
    ),
    Task(
        "record", "superglue",
        {"query": "text with @placeholder", "passage": "text", "entities": "list", "answers": "list"},
        record_pairs, metrics.squad, ("f1", "em"),
        {
            "query": "@placeholder won the race.", "passage": "Two met again.\n@highlight\nJonas beat Karla",
            "entities": ["Jonas", "Karla"], "answers": ["Jonas"],
        },
        "super_glue/record",
    ),
    classification(
        "superglue_rte", "superglue", ["hypothesis", "premise"], ENTAILMENT, metrics.accuracy,
        {"hypothesis": RTE["sentence2"], "premise": RTE["sentence1"], "label": 0}, prefix="rte",
        tfds="super_glue/rte",
    ),
    classification(
        "wic", "superglue", ["sentence1", "sentence2", "word"], TRUTH, metrics.accuracy,
        {"sentence1": "He sat on the bank.", "sentence2": "She went to the bank.", "word": "bank", "label": 0},
    ),
    Task(
        "wsc", "superglue", {"text": "text", **SPANS, "label": "1 if the pronoun means the phrase, else 0"}, wsc_pairs,
        metrics.referents(lambda e: e["span1_text"]), ("accuracy",), WSC, "super_glue/wsc.fixed", train_filter=is_true,
    ),
    Task(
        "dpr", "superglue",
        {"sentence": "text", "pronoun": "text", "candidates": "two noun phrases", "label": "0 or 1, which of them"}, dpr_pairs,
        None, (), {"sentence": "Bob asked Tom if he can pay.", "pronoun": "he", "candidates": ["Bob", "Tom"], "label": 1},
        "definite_pronoun_resolution", validation=(),
    ),
    Task(
        "squad", "squad", {"question": "text", "context": "text", "answers": "list, or {\"text\": list}"}, squad_pairs,
        squad_score, ("em",),
        {"question": "Where did Anna go?", "context": "Anna went to the harbour.", "answers": {"text": ["the harbour"]}},
        "squad/v1.1",
    ),
    Task(
        "cnn_dailymail", "cnndm", {"article": "text", "highlights": "its summary"},
        lambda e: [(f"summarize: {e['article']}", e["highlights"])], metrics.rouge, ("rouge2",),
        {"article": "The bridge was closed on Friday. Boats still pass.", "highlights": "Bridge closed."},
        "cnn_dailymail", beams=4,
    ),
    translation("de", "German", "wmt_t2t_translate/de-en"),
    translation("fr", "French", "wmt15_translate/fr-en"),
    translation("ro", "Romanian", "wmt16_translate/ro-en"),
    classification(
        "demo_mood", "demo_mood", ["sentence"], ["negative", "positive"], metrics.accuracy,
        {"sentence": "the soup was not good at all", "label": 0}, tfds="-",
    ),
    Task(
        "demo_where", "demo_where", {"question": "text", "context": "text", "answers": "list"}, squad_pairs,
        squad_score, ("f1",),
        {"question": "Where is Anna?", "context": "Anna is in the garden.", "answers": ["the garden"]}, "-",
    ),
]  # fmt: skip
TASKS = {task.name: task for task in LIST}
SUITES = {suite: [task for task in LIST if task.suite == suite] for suite in dict.fromkeys(task.suite for task in LIST)}


def tasks_of(name: str) -> list[Task]:
    """A task, or the tasks of a suite ("glue", "superglue"): fine-tuned together, as the paper does. WNLI is in neither: the
    paper leaves it out of training and of its averages; SuperGLUE is trained with DPR, which is not scored."""
    if name in TASKS:
        return [TASKS[name]]
    if name in SUITES:
        return SUITES[name]
    raise UsageError(f"no task {name!r}; there are {', '.join(TASKS)} and the suites glue and superglue")


def table_score(task: Task, scores: dict) -> float:
    """The task's number in the paper's table: the mean of its metrics (and of MNLI's two validation sets)."""
    return float(np.mean([scores[split][metric] for split in scores for metric in task.table]))


def group_score(scores: dict) -> float:
    """{split: metrics} -> the mean of all of a task's metrics, by which its best checkpoint is chosen."""
    return float(np.mean([value for found in scores.values() for value in found.values()]))


def suite_score(scores: dict) -> float:
    """{task: {split: metrics}} -> the mean of the tasks' numbers."""
    return float(np.mean([table_score(TASKS[name], found) for name, found in scores.items()]))
