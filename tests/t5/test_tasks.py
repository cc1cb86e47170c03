"""Tasks as the paper writes them, and their scores against the reference packages."""

import json
import sys
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from c4build.errors import UsageError
from c4build.t5 import metrics, paper
from c4build.t5.examples import examples
from c4build.t5.tasks import LIST, SUITES, TASKS, suite_score, table_score, tasks_of


def pair(name, **example):
    return TASKS[name].pairs(example)[0]


# ---- formats: literal text in, literal text out


def test_single_sentence_tasks():
    assert pair("cola", sentence="They went.", label=0) == ("cola sentence: They went.", "unacceptable")
    assert pair("sst2", sentence="a joy", label=1) == ("sst2 sentence: a joy", "positive")
    assert pair("sst2", sentence="a joy", label="positive") == ("sst2 sentence: a joy", "positive")


def test_sentence_pairs_name_their_parts():
    assert pair("mrpc", sentence1="A.", sentence2="B.", label=1) == ("mrpc sentence1: A. sentence2: B.", "equivalent")
    assert pair("qqp", question1="A?", question2="B?", label=0) == ("qqp question1: A? question2: B?", "not_duplicate")
    assert pair("qnli", question="Q?", sentence="S.", label=0) == ("qnli question: Q? sentence: S.", "entailment")
    assert pair("rte", sentence1="A.", sentence2="B.", label=1) == ("rte sentence1: A. sentence2: B.", "not_entailment")
    assert pair("mnli", premise="P.", hypothesis="H.", label=2) == ("mnli hypothesis: H. premise: P.", "contradiction")


def test_there_are_26_scores_of_stsb():
    written = {pair("stsb", sentence1="", sentence2="", label=x)[1] for x in np.linspace(0, 5, 1001)}
    assert sorted(map(float, written)) == [pytest.approx(n / 5) for n in range(26)]


def test_superglue_formats():
    assert pair("boolq", passage="P.", question="q", label=1) == ("boolq passage: P. question: q", "True")
    assert pair("cb", premise="P.", hypothesis="H.", label=2) == ("cb hypothesis: H. premise: P.", "neutral")
    assert pair("copa", choice1="A.", choice2="B.", premise="P.", question="effect", label=1) == (
        "copa choice1: A. choice2: B. premise: P. question: effect", "choice2",
    )  # fmt: skip
    assert pair("wic", sentence1="A.", sentence2="B.", word="w", label=0, pos="N") == (
        "wic sentence1: A. sentence2: B. word: w", "False",
    )  # fmt: skip


def test_record_has_a_pair_for_each_answer_and_its_highlights_are_sentences():
    example = {
        "query": "@placeholder won.", "entities": ["Jonas", "Karla"], "answers": ["Jonas", "Karla"],
        "passage": "They ran.\n@highlight\nJonas was first\n@highlight\nKarla too",
    }  # fmt: skip
    text = "record query: @placeholder won. entities: Jonas, Karla passage: They ran. Jonas was first. Karla too"
    assert TASKS["record"].pairs(example) == [(text, "Jonas"), (text, "Karla")]


def test_wsc_marks_the_pronoun_and_is_trained_on_true_examples_only():
    example = {
        "text": "Tom told Ed that he, too, won.",
        "span1_text": "Tom",
        "span2_text": "he",
        "span2_index": 4,
        "label": 1,
    }
    assert TASKS["wsc"].pairs(example) == [("wsc: Tom told Ed that *he*, too, won.", "Tom")]
    assert TASKS["wsc"].train_filter(example) and not TASKS["wsc"].train_filter({**example, "label": 0})


GOLDEN = json.loads((Path(__file__).parent / "golden" / "texts" / "texts.json").read_text(encoding="utf-8"))


@pytest.mark.parametrize("name", [task.name for task in LIST if not task.name.startswith("demo")])
def test_texts_in_and_out_are_those_of_t5s_own_preprocessors(name):
    """texts.json was written by them (make_texts.py beside it)."""
    found = [line for line in GOLDEN["texts"] if line["task"] == name]
    assert found
    for line in found:
        assert [list(pair) for pair in TASKS[name].pairs(line["example"])] == line["pairs"], line["example"]


def test_the_data_sets_are_t5s_own():
    assert [TASKS[f"wmt_en{code}"].tfds for code in ("de", "fr", "ro")] == [
        "wmt_t2t_translate/de-en", "wmt15_translate/fr-en", "wmt16_translate/ro-en",
    ]  # fmt: skip


@pytest.mark.parametrize("task", [task for task in LIST if task.tfds != "-"], ids=lambda task: task.name)
def test_tfds_has_every_tasks_fields_and_labels(task):
    """Of the builders' own descriptions: nothing is downloaded."""
    tfds = pytest.importorskip("tensorflow_datasets")
    features = tfds.builder(task.tfds, try_gcs=False).info.features
    assert set(task.fields) <= set(features), set(features)
    if "one of" in task.fields.get("label", "") and hasattr(features["label"], "names"):
        assert task.fields["label"].endswith(f"one of {', '.join(features['label'].names)}")


def test_summaries_and_translations():
    assert pair("cnn_dailymail", article="A.", highlights="B.") == ("summarize: A.", "B.")
    assert pair("wmt_ende", en="Good.", de="Gut.") == ("translate English to German: Good.", "Gut.")
    assert pair("wmt_enfr", en="Good.", fr="Bon.")[0] == "translate English to French: Good."
    assert pair("wmt_enro", en="Good.", ro="Bun.")[0] == "translate English to Romanian: Good."


@pytest.mark.parametrize("task", [task for task in LIST if task.validation], ids=lambda task: task.name)
def test_every_tasks_own_target_scores_full_marks(task):
    sample = dict(task.sample)
    assert set(task.fields) <= set(sample)
    other = dict(sample)
    if task.name == "stsb":
        other["label"] = 0.0
    elif isinstance(sample.get("label"), int) and task.name != "wsc":
        other["label"] = 0 if sample["label"] else 1
    scored = [sample, other]
    if task.name == "cb":
        scored.append({**sample, "label": 2})
    texts = [task.pairs(example)[0][1] for example in scored]
    if task.name.startswith("wmt"):
        texts, scored = texts * 3, scored * 3
    scores = task.score(texts, scored)
    if task.name not in ("wmt_ende", "wmt_enfr", "wmt_enro"):  # four-grams of three words do not exist
        assert table_score(task, {"validation": scores}) == pytest.approx(100)
    wrong = task.score(["qqq zzz"] * len(scored), scored)
    assert table_score(task, {"validation": wrong}) <= 0.001


# ---- metrics against the reference packages

labels = st.lists(st.tuples(st.integers(0, 1), st.integers(0, 1)), min_size=2, max_size=50)


@given(labels)
def test_two_class_metrics_are_sklearns(outcomes):
    sklearn = pytest.importorskip("sklearn.metrics")
    truth, predicted = map(list, zip(*outcomes))
    made = [{"label": label} for label in truth]
    names = ["not_equivalent", "equivalent"]
    scores = TASKS["mrpc"].score([names[p] for p in predicted], made)
    assert scores["f1"] == pytest.approx(100 * sklearn.f1_score(truth, predicted, zero_division=0.0))
    assert scores["accuracy"] == pytest.approx(100 * sklearn.accuracy_score(truth, predicted))
    names = ["unacceptable", "acceptable"]
    assert TASKS["cola"].score([names[p] for p in predicted], made)["matthews"] == pytest.approx(
        100 * sklearn.matthews_corrcoef(truth, predicted)
    )


def test_what_is_no_label_is_wrong_in_f1_too():
    made = [{"label": 1}, {"label": 1}, {"label": 0}]
    scores = TASKS["mrpc"].score(["equivalent", "nonsense", "nonsense"], made)
    # true positive 1, false negative 1, false positive 1
    assert scores == {"f1": pytest.approx(50.0), "accuracy": pytest.approx(100 / 3)}


@given(st.lists(st.tuples(st.floats(0, 5), st.floats(0, 5)), min_size=3, max_size=30))
def test_correlations_are_scipys_and_never_nan(outcomes):
    truth, predicted = zip(*outcomes)
    scores = metrics.correlations([f"{p:.1f}" for p in predicted], [{"label": t} for t in truth])
    assert all(np.isfinite(value) or np.ptp(truth) < 1e-6 for value in scores.values())


def test_multirc_counts_whole_questions():
    made = [{"label": n % 2, "idx": {"paragraph": 0, "question": n // 2, "answer": n}} for n in range(4)]
    scores = TASKS["multirc"].score(["False", "True", "False", "False"], made)
    assert scores["em"] == 50.0
    assert scores["f1"] == pytest.approx(200 / 3)  # precision 1, recall 1/2


@pytest.mark.parametrize(
    "written,answers,em,f1",
    [
        ("The Eiffel Tower!", ["eiffel tower"], 100, 100),
        ("Paris", ["London", "paris."], 100, 100),
        ("in the city of Paris", ["Paris"], 0, 40),
        ("", ["Paris"], 0, 0),
        ("U . S .", ["U.S."], 100, 100),
    ],
)
def test_squads_rules(written, answers, em, f1):
    scores = TASKS["squad"].score([written], [{"answers": {"text": answers}}])
    assert (scores["em"], scores["f1"]) == (em, pytest.approx(f1))


@pytest.mark.parametrize(
    "written,referent,same",
    [
        ("Tom", "Tom", True), ("the Trophy", "trophy", True), ("bunny", "the fuzzy bunny", True),
        ("Bob", "Bob's hat", False), ("the", "the dog", False), ("cat", "dog", False),
    ],
)  # fmt: skip
def test_what_counts_as_the_same_referent(written, referent, same):
    assert metrics.same_referent(written, referent) is same


def test_wsc_scores_whether_the_phrase_was_meant():
    made = [
        {"span1_text": "the cat", "label": 1},
        {"span1_text": "the cat", "label": 0},
        {"span1_text": "the cat", "label": 0},
    ]
    assert TASKS["wsc"].score(["cat", "dog", "cat"], made)["accuracy"] == pytest.approx(200 / 3)


def test_rouge_and_bleu_are_the_packages_own():
    from rouge_score.rouge_scorer import RougeScorer

    sacrebleu = pytest.importorskip("sacrebleu")
    written, truth = "the bridge is closed on Friday", "the bridge was closed on Friday night"
    scores = TASKS["cnn_dailymail"].score([written], [{"highlights": truth}])
    expected = RougeScorer(["rouge2"]).score(truth, written)["rouge2"].fmeasure
    assert scores["rouge2"] == pytest.approx(100 * expected) and 30 < scores["rouge2"] < 80
    got = TASKS["wmt_ende"].score([written], [{"de": truth}])["bleu"]
    assert got == pytest.approx(sacrebleu.corpus_bleu([written], [[truth]], tokenize="intl").score) and got > 10


# ---- averages


def test_averages_are_taken_as_the_paper_takes_them():
    scores = {
        "mrpc": {"validation": {"f1": 90.0, "accuracy": 80.0}},
        "mnli": {"validation_matched": {"accuracy": 80.0}, "validation_mismatched": {"accuracy": 82.0}},
        "cola": {"validation": {"matthews": 50.0}},
    }
    assert suite_score(scores) == pytest.approx((85 + 81 + 50) / 3)


def test_each_task_counts_at_its_own_best_checkpoint():
    from c4build.t5.scoring import take_best

    def scores(mrpc, cola, em, f1):
        return {
            "mrpc": {"validation": {"f1": mrpc, "accuracy": mrpc}},
            "cola": {"validation": {"matthews": cola}},
            "squad": {"validation": {"em": em, "f1": f1}},
        }

    best = None
    for step, found in [(100, scores(50, 20, 40, 70)), (200, scores(80, 10, 45, 60)), (300, scores(60, 10, 10, 10))]:
        best = take_best(best, step, found)
    assert best["steps"] == {"mrpc": 200, "cola": 100, "squad": 100}
    # SQuAD's checkpoint is that with the best mean of both metrics, though the table takes exact match alone.
    assert best["scores"] == scores(80, 20, 40, 70)
    assert best["score"] == pytest.approx((80 + 20 + 40) / 3)
    assert (best["step"], best["mean"]) == (200, pytest.approx((80 + 10 + 45) / 3))  # as a whole: to predict, to export
    assert take_best(best, 400, scores(80, 20, 30, 40)) == best  # no better: nothing is written


def test_the_suites_are_those_of_the_paper():
    assert [task.name for task in SUITES["glue"]] == "cola sst2 mrpc stsb qqp mnli qnli rte".split()
    assert [
        task.name for task in SUITES["superglue"]
    ] == "boolq cb copa multirc record superglue_rte wic wsc dpr".split()
    assert [task.name for task in tasks_of("squad")] == ["squad"]
    with pytest.raises(UsageError, match="no task 'sqad'"):
        tasks_of("sqad")


def test_the_papers_rows_have_a_number_for_every_column():
    assert all(
        len(row) == len(paper.COLUMNS) == 7 for row in [*paper.ROWS.values(), paper.DEVIATION, paper.NOT_PRETRAINED]
    )
    assert paper.paper_row("Wikipedia + TBC")["SGLUE"] == 73.24


# ---- examples from files


def test_examples_are_read_from_a_folder_of_jsonl(tmp_path):
    lines = [{"sentence": f"s{n}", "label": n % 2} for n in range(3)]
    path = tmp_path / "sst2" / "train.jsonl"
    path.parent.mkdir()
    path.write_text("\n".join(map(json.dumps, lines)) + "\n\n")
    found = examples(TASKS["sst2"], "train", tmp_path)
    assert [found[n] for n in range(len(found))] == lines
    assert [found[n] for n in (2, 0)] == [lines[2], lines[0]]
    with pytest.raises(UsageError, match="neither .*sst2/validation.jsonl nor .*validation.jsonl"):
        examples(TASKS["sst2"], "validation", tmp_path)


def test_a_missing_field_is_named(tmp_path):
    (tmp_path / "train.jsonl").write_text('{"text": "a", "label": 1}\n')
    with pytest.raises(UsageError, match="example 0 has no sentence, which sst2 needs"):
        examples(TASKS["sst2"], "train", tmp_path)[0]


def test_the_demo_tasks_ship_and_can_be_made_again(tmp_path):
    from c4build.t5.demo_tasks import make
    from c4build.t5.examples import DEMO

    make.main(tmp_path)
    for name, examples_of in (("demo_mood", 3000), ("demo_where", 1000)):
        for split, count in (("train", examples_of), ("validation", 120)):
            assert (tmp_path / name / f"{split}.jsonl").read_bytes() == (DEMO / name / f"{split}.jsonl").read_bytes()
            assert len(examples(TASKS[name], split)) == count
    train, validation = (
        set((DEMO / "demo_mood" / f"{s}.jsonl").read_text().splitlines()) for s in ("train", "validation")
    )
    assert not train & validation


def test_a_missing_package_of_tfds_is_named_with_what_installs_it(monkeypatch):
    monkeypatch.setitem(sys.modules, "tensorflow_datasets", None)
    with pytest.raises(UsageError, match=r"pip install 'c4build\[tasks\]', or name a folder with train.jsonl"):
        examples(TASKS["squad"], "train")
