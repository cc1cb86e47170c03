"""Scores of predicted texts, in percent, as the paper takes them (section 2.3).

Each metric is a function of (predictions, examples): the texts that the model wrote, and the task's own examples in the
same order. It returns names and numbers. A text that is no label at all is a wrong answer.
"""

import collections
import re
import string

import numpy as np


def class_ids(predictions, examples, labels):
    """(predicted ids, true ids); -1 for a text that is no label."""
    predicted = [labels.index(text.strip()) if text.strip() in labels else -1 for text in predictions]
    return np.array(predicted), np.array([label_id(example["label"], labels) for example in examples])


def label_id(label, labels) -> int:
    """A label may be its number or its name."""
    return labels.index(label) if isinstance(label, str) else int(label)


def against(predicted, truth):
    """Two classes: what is no label becomes the wrong one, so that F1 pays for it."""
    return np.where(predicted < 0, 1 - truth, predicted)


def accuracy(labels):
    def score(predictions, examples):
        predicted, truth = class_ids(predictions, examples, labels)
        return {"accuracy": 100 * float(np.mean(predicted == truth))}

    return score


def f1_and_accuracy(labels):
    """MRPC and QQP: F1 of the second label."""

    def score(predictions, examples):
        from sklearn.metrics import f1_score

        predicted, truth = class_ids(predictions, examples, labels)
        f1 = f1_score(truth, against(predicted, truth), zero_division=0.0)
        return {"f1": 100 * float(f1), "accuracy": 100 * float(np.mean(predicted == truth))}

    return score


def mean_f1_and_accuracy(labels):
    """CB: the mean of the classes' F1."""

    def score(predictions, examples):
        from sklearn.metrics import f1_score

        predicted, truth = class_ids(predictions, examples, labels)
        f1 = f1_score(truth, predicted, labels=range(len(labels)), average="macro", zero_division=0.0)
        return {"f1": 100 * float(f1), "accuracy": 100 * float(np.mean(predicted == truth))}

    return score


def matthews(labels):
    """CoLA."""

    def score(predictions, examples):
        from sklearn.metrics import matthews_corrcoef

        predicted, truth = class_ids(predictions, examples, labels)
        return {"matthews": 100 * float(matthews_corrcoef(truth, predicted))}

    return score


def number(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        return -1.0


def correlations(predictions, examples):
    """STS-B: Pearson's and Spearman's. Predictions that are all alike correlate with nothing: 0."""
    from scipy.stats import pearsonr, spearmanr

    predicted = np.array([number(text) for text in predictions])
    truth = np.array([float(example["label"]) for example in examples])
    if len(set(predicted)) < 2 or len(set(truth)) < 2:
        return {"pearson": 0.0, "spearman": 0.0}
    return {
        "pearson": 100 * float(pearsonr(truth, predicted).statistic),
        "spearman": 100 * float(spearmanr(truth, predicted).statistic),
    }


def multirc(predictions, examples):
    """F1 over all answers, and the share of questions with every answer judged rightly."""
    from sklearn.metrics import f1_score

    predicted, truth = class_ids(predictions, examples, ["False", "True"])
    questions = collections.defaultdict(list)
    for example, right in zip(examples, predicted == truth):
        questions[example["idx"]["paragraph"], example["idx"]["question"]].append(right)
    f1 = f1_score(truth, against(predicted, truth), zero_division=0.0)
    return {"f1": 100 * float(f1), "em": 100 * float(np.mean([all(rights) for rights in questions.values()]))}


def normal(text: str) -> str:
    """SQuAD's rules: lower case, no punctuation, no articles, single blanks."""
    text = "".join(letter for letter in text.lower() if letter not in string.punctuation)
    return " ".join(re.sub(r"\b(a|an|the)\b", " ", text).split())


def overlap(prediction: str, answer: str) -> float:
    """F1 of the words of two normalised texts."""
    ours, theirs = normal(prediction).split(), normal(answer).split()
    common = sum((collections.Counter(ours) & collections.Counter(theirs)).values())
    if not common:
        return 0.0
    precision, recall = common / len(ours), common / len(theirs)
    return 2 * precision * recall / (precision + recall)


def squad(predictions, examples):
    """Exact match and F1, the better over an example's answers."""
    exact, f1 = [], []
    for prediction, example in zip(predictions, examples):
        answers = answer_texts(example)
        exact.append(max((normal(prediction) == normal(answer) for answer in answers), default=False))
        f1.append(max((overlap(prediction, answer) for answer in answers), default=0.0))
    return {"em": 100 * float(np.mean(exact)), "f1": 100 * float(np.mean(f1))}


def answer_texts(example) -> list[str]:
    """TFDS nests SQuAD's answers under `text`; a plain list will do."""
    answers = example["answers"]
    return list(answers["text"] if isinstance(answers, dict) else answers)


DETERMINERS = set(
    "a an few her his each every many much my our some that the their these this those which whose your".split()
)


def same_referent(prediction: str, referent: str) -> bool:
    """Whether two noun phrases mean the same: one's words are among the other's, determiners and case aside."""

    def words(text):
        return [word for word in text.strip().lower().split() if word not in DETERMINERS]

    ours, theirs = words(prediction), words(referent)
    if not ours or ("'" in " ".join(ours)) != ("'" in " ".join(theirs)):
        return False
    return set(ours) <= set(theirs) or set(theirs) <= set(ours)


def referents(find):
    """WSC and WNLI: the example's label says whether `find(example)` is what the pronoun means."""

    def score(predictions, examples):
        right = [
            same_referent(prediction, find(example)) == (label_id(example["label"], ["False", "True"]) == 1)
            if prediction.strip()
            else False
            for prediction, example in zip(predictions, examples)
        ]
        return {"accuracy": 100 * float(np.mean(right))}

    return score


def rouge(predictions, examples):
    """CNN/DailyMail: ROUGE-1, -2 and -L F; a sentence a line for the last."""
    from rouge_score.rouge_scorer import RougeScorer

    def lines(text):
        return text.replace(" . ", " .\n")

    scorer = RougeScorer(["rouge1", "rouge2", "rougeLsum"])
    scores = [scorer.score(lines(e["highlights"]), lines(p)) for p, e in zip(predictions, examples)]
    return {
        short: 100 * float(np.mean([score[name].fmeasure for score in scores]))
        for short, name in (("rouge1", "rouge1"), ("rouge2", "rouge2"), ("rougeL", "rougeLsum"))
    }


def bleu(language):
    """WMT, by sacrebleu with the `intl` tokens, exponential smoothing."""

    def score(predictions, examples):
        import sacrebleu

        truth = [[example[language] for example in examples]]
        return {"bleu": float(sacrebleu.corpus_bleu(list(predictions), truth, tokenize="intl").score)}

    return score
