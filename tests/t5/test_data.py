"""Reading, the vocabulary, packing, and the place in the data."""

import gzip
import json
import pickle
from pathlib import Path

import numpy as np
import pyarrow
import pyarrow.parquet
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from small import make_corpus, make_vocabulary, story

from c4build.errors import UsageError
from c4build.t5 import records
from c4build.t5.data import Feed, corpus_rows, held_out_batches
from c4build.t5.packing import make_row, pack
from c4build.t5.records import corpus_files, corpus_folder, read_texts, text_example, write_tfrecords
from c4build.t5.rows import corrupter, ranges
from c4build.t5.sources import CorpusTokens, JoinedTexts, Stream
from c4build.t5.vocabulary import Vocabulary, sample_texts, train_vocabulary


@pytest.fixture(scope="module")
def corpus(tmp_path_factory):
    return make_corpus(tmp_path_factory.mktemp("data") / "c4" / "en", 90, shards=3)


@pytest.fixture(scope="module")
def vocabulary(corpus, tmp_path_factory):
    return make_vocabulary(tmp_path_factory.mktemp("vocabulary") / "v.model", [corpus])


# ---- records


def test_a_tfrecord_is_what_tensorflow_writes(tmp_path):
    tf = pytest.importorskip("tensorflow")
    texts = ["Zürich, 18 °C", "", "a" * 300]
    with tf.io.TFRecordWriter(str(tmp_path / "theirs.tfrecord")) as writer:
        for text in texts:
            feature = {
                "n": tf.train.Feature(int64_list=tf.train.Int64List(value=[1, -5])),
                "text": tf.train.Feature(bytes_list=tf.train.BytesList(value=[text.encode()])),
                "x": tf.train.Feature(float_list=tf.train.FloatList(value=[0.5])),
            }
            writer.write(tf.train.Example(features=tf.train.Features(feature=feature)).SerializeToString())
    assert [text for _, _, text in read_texts(tmp_path / "theirs.tfrecord")] == texts
    write_tfrecords(tmp_path / "ours.tfrecord", map(text_example, texts))
    for raw, text in zip(tf.data.TFRecordDataset(str(tmp_path / "ours.tfrecord")), texts):
        example = tf.train.Example.FromString(raw.numpy())
        assert example.features.feature["text"].bytes_list.value[0].decode() == text


@settings(max_examples=50)
@given(st.lists(st.text(max_size=300), max_size=8))
def test_texts_come_back_from_any_position(tmp_path_factory, texts):
    path = tmp_path_factory.mktemp("any") / "x.tfrecord"
    write_tfrecords(path, map(text_example, texts))
    found = list(read_texts(path))
    assert [text for _, _, text in found] == texts
    for number, (position, following, _) in enumerate(found):
        assert list(read_texts(path, position)) == found[number:]
        assert list(read_texts(path, following)) == found[number + 1 :]


def test_jsonl_and_parquet_give_the_same_texts_from_any_position(tmp_path):
    import pyarrow
    import pyarrow.parquet

    texts = [f"text {n} ä" for n in range(10)]
    lines = "".join(json.dumps({"text": text}) + "\n" for text in texts)
    (tmp_path / "a.jsonl").write_text(lines, encoding="utf-8")
    with gzip.open(tmp_path / "a.jsonl.gz", "wt", encoding="utf-8") as file:
        file.write(lines)
    pyarrow.parquet.write_table(pyarrow.table({"text": texts, "url": texts}), tmp_path / "a.parquet", row_group_size=4)
    for name in ("a.jsonl", "a.jsonl.gz", "a.parquet"):
        found = list(read_texts(tmp_path / name))
        assert [text for _, _, text in found] == texts
        assert list(read_texts(tmp_path / name, found[6][0])) == found[6:]


@pytest.mark.parametrize("at,what", [(3, "record header at byte 0"), (20, "record at byte 0")])
def test_a_damaged_record_is_named_by_file_and_byte(tmp_path, at, what):
    path = tmp_path / "c4-train.tfrecord-00000-of-00001"
    write_tfrecords(path, [text_example("hello")])
    data = bytearray(path.read_bytes())
    data[at] ^= 1
    path.write_bytes(data)
    with pytest.raises(records.DamagedRecord, match=f"{path}: damaged {what}"):
        list(read_texts(path))


def test_a_cut_off_shard_and_a_line_without_text_are_named(tmp_path):
    path = tmp_path / "x.tfrecord"
    write_tfrecords(path, [text_example("hello")])
    path.write_bytes(path.read_bytes()[:-2])
    with pytest.raises(records.DamagedRecord, match="damaged record at byte 0"):
        list(read_texts(path))
    (tmp_path / "x.jsonl").write_text('{"text": "a"}\n{"words": "b"}\n')
    with pytest.raises(records.DamagedRecord, match="x.jsonl: no JSON object with `text` at byte 14"):
        list(read_texts(tmp_path / "x.jsonl"))


def test_a_folder_stands_for_its_newest_version(tmp_path):
    for version in ("1.9.0", "1.10.0"):
        folder = tmp_path / "en" / version
        folder.mkdir(parents=True)
        write_tfrecords(folder / "c4-train.tfrecord-00000-of-00001", [text_example(version)])
    assert corpus_folder(tmp_path / "en").name == "1.10.0"
    with pytest.raises(UsageError, match="no such folder"):
        corpus_folder(tmp_path / "de")


def test_two_corpora_in_a_folder_are_not_guessed_between(tmp_path):
    for variant in ("en", "en.noclean"):
        (tmp_path / variant / "1.0.0").mkdir(parents=True)
        write_tfrecords(tmp_path / variant / "1.0.0" / "c4-train.tfrecord-00000-of-00001", [])
    with pytest.raises(UsageError, match="holds several corpora"):
        corpus_folder(tmp_path)


def test_splits_are_those_the_pipeline_wrote(corpus):
    names = {part: [file.name for file in corpus_files(corpus, part)[0]] for part in ("train", "validation")}
    assert names["train"] == [f"c4-train.tfrecord-0000{n}-of-00003" for n in range(3)]
    assert names["validation"] == ["c4-validation.tfrecord-00000-of-00001"]


@pytest.mark.parametrize("length, fewest, most", [(20, 150, 250), (2000, 3, 25)])
@pytest.mark.parametrize(
    "empty",
    [None, "all-validation.jsonl", "all-validation.tfrecord-0", "all-validation.json.gz", "all-validation.parquet"],
)
def test_without_a_validation_split_one_text_in_a_hundred_is_held_out_and_more_of_a_small_corpus(
    length, fewest, most, empty, tmp_path, vocabulary
):
    texts = [f"text number {n} ".ljust(length, ".") for n in range(1000)]
    (tmp_path / "all-train.jsonl").write_text("".join(json.dumps({"text": text}) + "\n" for text in texts))
    if empty and empty.endswith(".parquet"):
        pyarrow.parquet.write_table(pyarrow.table({"text": pyarrow.array([], pyarrow.string())}), tmp_path / empty)
    elif empty:
        (tmp_path / empty).write_bytes(gzip.compress(b"") if empty.endswith(".gz") else b"")
    parts = {
        part: [d["origins"][0] for d in CorpusTokens(tmp_path, vocabulary, part, epochs=1)]
        for part in ("train", "validation")
    }
    assert len(parts["train"]) + len(parts["validation"]) == 1000
    assert not set(parts["train"]) & set(parts["validation"])
    assert fewest < len(parts["validation"]) < most


# ---- vocabulary


def test_the_vocabulary_has_t5s_ids(vocabulary):
    assert [vocabulary.model.id_to_piece(n) for n in range(3)] == ["<pad>", "</s>", "<unk>"]
    assert (vocabulary.pieces, vocabulary.size, vocabulary.first_sentinel) == (100, 200, 199)
    assert vocabulary.encode("<extra_id_0>") == [199] and vocabulary.encode("<extra_id_99>") == [100]


def test_a_vocabulary_may_have_more_sentinels_for_denser_rows(vocabulary):
    dense = Vocabulary(vocabulary.path, 158)
    assert (dense.pieces, dense.size, dense.first_sentinel) == (100, 258, 257)
    assert (
        dense.encode("<extra_id_0><extra_id_157>") == [257, 100]
        and dense.decode([257, 100]) == "<extra_id_0> <extra_id_157>"
    )
    assert pickle.loads(pickle.dumps(dense)).size == 258
    assert 99 not in vocabulary.encode("<extra_id_100>")  # no sentinel: a text like any other
    with pytest.raises(
        UsageError,
        match="replace_spans of 50% of 512 tokens takes 158 sentinels, there are 100: ask for --sentinels 158",
    ):
        corrupter(vocabulary, "replace_spans", 512, 0.5)
    assert corrupter(dense, "replace_spans", 512, 0.5)[1] == 512


def test_transformers_reads_the_same_ids_from_the_file(vocabulary, tmp_path):
    transformers = pytest.importorskip("transformers")
    (tmp_path / "spiece.model").write_bytes(Path(vocabulary.path).read_bytes())
    (tmp_path / "config.json").write_text('{"model_type": "t5"}')
    theirs = transformers.T5Tokenizer.from_pretrained(tmp_path)
    assert len(theirs) == vocabulary.size
    for text in ["Anna lost a lamp", "Anna <extra_id_0> a <extra_id_1> at", "<extra_id_99> on Friday.", "a  b"]:
        assert theirs(text).input_ids == [*vocabulary.encode(text), 1]


def test_text_goes_to_ids_and_back(vocabulary):
    text = "On Monday Anna lost a lamp at the harbour."
    assert vocabulary.decode(vocabulary.encode(text)) == text
    mixed = vocabulary.encode("Anna <extra_id_3> lamp")
    assert vocabulary.decode([*mixed, 1, 5, 6, 0]) == "Anna <extra_id_3> lamp"
    assert pickle.loads(pickle.dumps(vocabulary)).encode(text) == vocabulary.encode(text)


def test_a_sample_too_small_for_the_size_is_refused_unless_fewer_will_do(corpus, tmp_path):
    with pytest.raises(UsageError, match="could not make 30000 pieces"):
        train_vocabulary([corpus], tmp_path / "v.model", 30000)
    assert train_vocabulary([corpus], tmp_path / "v.model", 30000, strict=False).pieces < 1000


def test_a_sample_keeps_the_proportions_of_its_corpora_ten_to_one_to_one_to_one(tmp_path):
    for name, length, count in (("en", 400, 3000), ("de", 100, 2000), ("fr", 900, 300), ("ro", 50, 10)):
        lines = [json.dumps({"text": f"{name} {n} ".ljust(length, ".")}) + "\n" for n in range(count)]
        (tmp_path / f"{name}.jsonl").write_text("".join(lines))
    names = [tmp_path / f"{name}.jsonl" for name in ("en", "de", "fr", "ro")]
    said = []
    texts = list(sample_texts(names, 130_000, [10, 1, 1, 1], said.append))
    assert len(set(texts)) == len(texts)  # none is read twice to make up a share
    of = {name: sum(len(text) for text in texts if text.startswith(name)) for name in ("en", "de", "fr", "ro")}
    assert of["en"] / of["de"] == pytest.approx(10, rel=0.02) and of["en"] / of["fr"] == pytest.approx(10, rel=0.1)
    assert of["ro"] == 500 and said == [f"{names[3]} has only 500 characters, not the 10,000 of its share"]
    assert 130_000 <= sum(of.values()) < 131_000
    twice = list(sample_texts([names[0], names[0], names[1]], 3_000))  # a corpus named twice counts twice
    assert len(set(twice)) == len(twice) and sum(len(text) for text in twice if text.startswith("en")) == 2_000


def test_a_vocabulary_with_other_special_ids_is_refused(corpus, tmp_path):
    import io
    import random

    import sentencepiece

    model = io.BytesIO()
    rng = random.Random(0)
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=iter([story(rng) for _ in range(50)]), model_writer=model, vocab_size=90, minloglevel=2
    )
    (tmp_path / "v.model").write_bytes(model.getvalue())
    with pytest.raises(UsageError, match="T5 has them at 0, 1 and 2"):
        Vocabulary(tmp_path / "v.model")


# ---- packing

sizes = st.lists(st.tuples(st.integers(1, 32), st.integers(1, 16)), max_size=40)


@given(sizes)
def test_every_example_is_packed_once_whole_and_with_its_own_segment(lengths):
    examples = [(np.full(n, 10 + k), np.full(m, 10 + k)) for k, (n, m) in enumerate(lengths)]
    groups = pack(examples, 32, 16)
    assert sorted(i for group in groups for i in group) == list(range(len(examples)))
    for group in groups:
        row = make_row([examples[i] for i in group], 32, 16)
        for side in ("input", "target"):
            for segment, i in enumerate(group, 1):
                mine = row[f"{side}s"][row[f"{side}_segments"] == segment]
                assert list(mine) == list(examples[i][side == "target"])
            assert (row[f"{side}s"][row[f"{side}_segments"] == 0] == 0).all()


@given(sizes)
def test_no_two_rows_could_be_one(lengths):
    examples = [(np.ones(n), np.ones(m)) for n, m in lengths]
    groups = pack(examples, 32, 16)
    totals = [np.sum([(len(examples[i][0]), len(examples[i][1])) for i in group], 0) for group in groups]
    for a in range(len(totals)):
        for b in range(a):
            assert not (totals[a] + totals[b] <= (32, 16)).all()


def test_an_example_longer_than_a_row_is_refused():
    with pytest.raises(ValueError, match="33 inputs and 2 targets in rows of 32 and 16"):
        pack([(np.ones(33), np.ones(2))], 32, 16)


# ---- the place in the data


def feed_of(corpora, vocabulary, streams=1, only=None, workers=0, **more):
    corrupt, width = corrupter(vocabulary, "span_corruption", 32)
    rows = {
        index: corpus_rows(
            corpora, [1 / len(corpora)] * len(corpora), vocabulary, corrupt, (32, width),
            stream=Stream(index, streams), shuffle=20, window=6, **more,
        )
        for index in (range(streams) if only is None else only)
    }  # fmt: skip
    return Feed(rows, 8 // streams, workers=workers)


def take(feed, count):
    return [next(feed) for _ in range(count)]


def same(left, right):
    return all(
        (a[0][name] == b[0][name]).all() and a[1:] == b[1:] for a, b in zip(left, right, strict=True) for name in a[0]
    )


def test_joined_texts_are_cut_into_full_pieces_that_may_hold_parts_of_several(corpus, vocabulary):
    texts = list(CorpusTokens(corpus, vocabulary, epochs=2))
    assert 128 < len(texts) < 256
    pieces = list(JoinedTexts(CorpusTokens(corpus, vocabulary, epochs=2), 50))
    groups = [np.concatenate([text["tokens"] for text in group]) for group in (texts[:128], texts[128:])]
    expected = [group[start : start + 50] for group in groups for start in range(0, len(group), 50)]
    assert len(pieces) == len(expected) and all(np.array_equal(a["tokens"], b) for a, b in zip(pieces, expected))
    assert [len(piece["tokens"]) for piece in pieces].count(50) >= len(pieces) - 2
    assert pieces[0]["origins"] == texts[0]["origins"]
    first = len(texts[0]["tokens"])  # the piece in which the first text ends and the second begins
    assert first % 50 and pieces[first // 50]["origins"] == texts[0]["origins"] + texts[1]["origins"]


def test_a_feed_of_joined_texts_goes_on_where_it_was(corpus, vocabulary):
    whole = feed_of([corpus], vocabulary, join=True)
    expected = take(whole, 12)
    assert np.mean([(batch["input_segments"] > 0).mean() for batch, _, _ in expected]) > 0.97
    for stop in (1, 4, 7):
        part, other = feed_of([corpus], vocabulary, join=True), feed_of([corpus], vocabulary, join=True)
        take(part, stop)
        other.restore(json.loads(json.dumps(part.state())))
        assert same(take(other, 12 - stop), expected[stop:])
        part.close(), other.close()
    whole.close()


@pytest.mark.parametrize("stop", [1, 2, 5, 9, 17])
@pytest.mark.parametrize("many", [False, True])
def test_a_feed_restored_anywhere_goes_on_with_the_same_batches(corpus, vocabulary, tmp_path, stop, many):
    corpora = [corpus, make_corpus(tmp_path / "more", 40, shards=1, seed=5)] if many else [corpus]
    whole = feed_of(corpora, vocabulary, streams=2)
    expected = take(whole, stop + 6)
    part = feed_of(corpora, vocabulary, streams=2)
    assert same(take(part, stop), expected[:stop])
    state = json.loads(json.dumps(part.state()))
    other = feed_of(corpora, vocabulary, streams=2)
    other.restore(state)
    assert same(take(other, 6), expected[stop:])
    for feed in (whole, part, other):
        feed.close()


@pytest.mark.parametrize("join", [False, True])
@pytest.mark.parametrize("streams", [1, 2])
def test_repeats_are_of_what_was_trained_on_not_of_what_was_read_ahead(corpus, vocabulary, streams, join):
    """The window that is shuffled holds ten times the corpus's 400 tokens: so far ahead it is read."""
    feed = feed_of([corpus], vocabulary, streams=streams, limit=400, join=join)
    trained = 0
    for arrays, _, repeats in take(feed, 60):  # noqa: B007
        trained += sum(
            ((arrays[side] > 1) & (arrays[side] < vocabulary.pieces)).sum() for side in ("inputs", "targets")
        )
    assert trained / 400 > 20
    assert repeats == pytest.approx(trained / 400 - 1, rel=0.1)
    feed.close()


def test_two_worker_processes_read_every_text_and_go_on_where_they_were(corpus, vocabulary):
    """Without help grain's workers end in UnparsedFlagAccessError, since its flags are parsed by absl's `app.run` alone."""
    whole = feed_of([corpus], vocabulary, workers=2)
    expected = take(whole, 12)
    whole.close()
    part = feed_of([corpus], vocabulary, workers=2)
    assert same(take(part, 5), expected[:5])
    state = json.loads(json.dumps(part.state()))
    part.close()
    other = feed_of([corpus], vocabulary, workers=2)
    other.restore(state)
    assert same(take(other, 7), expected[5:])
    other.close()
    known = {document["origins"][0][:2] for document in CorpusTokens(corpus, vocabulary, epochs=1)}
    files = set()
    for origin in (origin for _, origins, _ in expected for origin in origins):
        file, _, places = origin.rpartition("@")
        files.add(file)
        assert {(file, int(place)) for place in places.split("-")} <= known
    assert len(files) > 1  # each worker has files of its own


def test_where_the_texts_of_a_batch_stand_is_said_in_ranges(corpus, vocabulary):
    assert ranges([[("b", 7, 7)], [("a", 4, 9), ("b", 2, 3)], [("a", 6, 6)]]) == [("a", 4, 9), ("b", 2, 7)]
    feed = feed_of([corpus], vocabulary)
    batches = take(feed, 6)
    feed.close()
    for _, origins, _ in batches:
        files = [origin.rpartition("@")[0] for origin in origins]
        assert files == sorted(set(files))
    assert any("-" in origin.rpartition("@")[2] for _, origins, _ in batches for origin in origins)


def test_a_place_that_an_older_versions_workers_counted_in_rows_is_refused(corpus, vocabulary):
    feed = feed_of([corpus], vocabulary, workers=1)
    with pytest.raises(UsageError, match="was counted by an older c4build's --workers, in rows: .* with --from-hf"):
        feed.restore({"0": {"rows": {}, "repeats": 0.0}})
    feed.close()


def test_the_order_of_files_is_drawn_once_an_epoch(corpus, vocabulary, monkeypatch):
    drawn = []
    draw = np.random.default_rng
    monkeypatch.setattr(np.random, "default_rng", lambda seed: drawn.append(seed) or draw(seed))
    texts = list(CorpusTokens(corpus, vocabulary, epochs=3))
    assert len(texts) == 270 and drawn == [[0, 0], [0, 1], [0, 2]]


def test_damage_met_by_a_worker_process_is_said_as_by_a_thread(tmp_path, vocabulary):
    folder = make_corpus(tmp_path / "c4", 40, shards=2)
    file = sorted(folder.rglob("*train*"))[1]
    file.write_bytes(file.read_bytes()[:-3])
    for workers in (0, 2):
        feed = feed_of([folder], vocabulary, workers=workers)
        with pytest.raises(records.DamagedRecord, match=f"{file}: damaged record at byte") as error:
            take(feed, 100)
        assert "\n" not in str(error.value)
        feed.close()


@pytest.mark.parametrize("shards", [1, 4])
def test_streams_share_a_corpus_without_gap_or_repeat(tmp_path, vocabulary, shards):
    folder = make_corpus(tmp_path / "c", 50, shards=shards)
    texts = sorted(text for file in corpus_files(folder, "train")[0] for _, _, text in read_texts(file))
    for count in (1, 2, 3):
        found = [
            vocabulary.decode(document["tokens"])
            for index in range(count)
            for document in CorpusTokens(folder, vocabulary, stream=Stream(index, count), epochs=1)
        ]
        assert sorted(found) == sorted(text.replace("\n", " ") for text in texts)


def test_a_host_of_one_stream_has_its_rows_of_the_whole_batch(corpus, vocabulary):
    both, second = feed_of([corpus], vocabulary, 2), feed_of([corpus], vocabulary, 2, only=[1])
    for (whole, _, _), (mine, _, _) in zip(take(both, 4), take(second, 4)):
        assert (whole["inputs"][4:] == mine["inputs"]).all()
    both.close(), second.close()


@given(st.integers(50, 900))
@settings(max_examples=15, deadline=None)
def test_a_truncated_corpus_is_its_first_tokens_again_and_again(corpus, vocabulary, limit):
    documents = list(CorpusTokens(corpus, vocabulary, limit=limit, epochs=3))
    tokens = [token for document in documents for token in document["tokens"].tolist()]
    epochs = [tokens[:limit], tokens[limit : 2 * limit], tokens[2 * limit :]]
    assert epochs[0] == epochs[1] == epochs[2] and len(epochs[0]) == limit
    assert sum(document["repeats"] for document in documents) == pytest.approx(2)
    longer = [t for d in CorpusTokens(corpus, vocabulary, limit=limit + 100, epochs=1) for t in d["tokens"].tolist()]
    assert longer[:limit] == epochs[0]


def test_mixing_rates_are_kept(corpus, vocabulary, tmp_path):
    other = make_corpus(tmp_path / "other", 60, seed=8)
    _corrupt, _width = corrupter(vocabulary, "span_corruption", 32)
    import grain

    sources = [CorpusTokens(folder, vocabulary) for folder in (corpus, other)]
    mixed = iter(grain.IterDataset.mix(sources, [0.8, 0.2]))
    origins = [next(mixed)["origins"][0][0] for _ in range(500)]
    assert np.mean([str(other) in origin for origin in origins]) == pytest.approx(0.2, abs=0.02)


def test_held_out_text_is_the_validation_split_once_and_always_the_same(corpus, vocabulary):
    corrupt, width = corrupter(vocabulary, "span_corruption", 32)
    first, second = (list(held_out_batches(corpus, vocabulary, corrupt, (32, width), 4, None)) for _ in range(2))
    assert all((a[name] == b[name]).all() for a, b in zip(first, second, strict=True) for name in a)
    texts = sum(1 for _ in CorpusTokens(corpus, vocabulary, "validation", epochs=1))
    assert texts == 9 and sum(len(np.unique(row)) - (0 in row) for b in first for row in b["input_segments"]) >= texts


def test_an_empty_corpus_says_so(tmp_path, vocabulary):
    write_tfrecords(tmp_path / "c4-train.tfrecord-00000-of-00001", [])
    with pytest.raises(UsageError, match="no text in the train split"):
        next(iter(CorpusTokens(tmp_path, vocabulary)))
