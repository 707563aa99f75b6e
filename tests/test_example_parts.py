"""The parts of the examples that measure or make data, each against something said in another way."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import numpy as np
import pytest

import tinygrad_rnn as tr
from tinygrad_rnn.examples import chorales, clips, genes, market, own_cell, phonemes, sentiment, text


@pytest.mark.parametrize("a,b,expected", [
    ("kitten", "sitting", 3), ("", "abc", 3), ("abc", "", 3), ("flaw", "lawn", 2), ("same", "same", 0),
])
def test_edits(a, b, expected):
    assert phonemes.edits(a, b) == phonemes.edits(b, a) == expected


def test_errors_are_against_the_nearest_pronunciation():
    words = {"a": [["AH"], ["EY"]], "cats": [["K", "AE", "T", "S"]]}
    assert phonemes.errors([["EY"], ["K", "AH", "T"]], words) == (2 / 5, 1 / 2)


def test_a_clip_moves_as_it_says():
    picture = np.zeros((40, 8, 8), np.float32)
    picture[:, 3, 4] = 1
    found = clips.clips(picture, np.random.default_rng(0))
    assert found["x"].shape == (40, clips.FRAMES, 1, clips.FIELD, clips.FIELD)
    moves = list(clips.MOVES.values())
    for frames, direction in zip(found["x"][:, :, 0], found["direction"], strict=True):
        places = np.array([np.argwhere(frame)[0] for frame in frames])
        steps = (np.diff(places, axis=0) + clips.FIELD // 2) % clips.FIELD - clips.FIELD // 2
        assert (steps == steps[0]).all() and tuple(np.sign(steps[0])) == moves[direction]
    assert len(set(found["direction"].tolist())) == len(moves)


def test_codons_of_three_frames_and_their_labels():
    base = np.array([["ACGT".index(letter) for letter in "ATGGCA"]])
    found = genes.steps(base, np.arange(6)[None] % 3)

    def code(codon: str) -> int:
        return int("".join(str("ACGT".index(letter)) for letter in codon), 4)

    assert [found[name][0].tolist() for name in genes.FRAMES] == [
        [code("ATG"), code("GCA")], [code("TGG"), code("CAA")], [code("GGC"), code("AAT")]]
    assert [found[name][0].tolist() for name in genes.TAGS] == [[0, 0], [1, 1], [2, 2]]


def test_the_other_strand_is_the_complement_from_the_end_on():
    rng = np.random.default_rng(0)
    part = {"base": rng.integers(0, 4, 50), "label": rng.integers(0, 3, 50)}
    batch = next(genes.Genome(part, 12, 2, 0).epoch(0))
    there = "".join("ACGT"[b] for b in part["base"])
    turned = there[::-1].translate(str.maketrans("ACGT", "TGCA"))
    labels = ["".join(str(k) for k in part["label"]), "".join(str((0, 2, 1)[k]) for k in part["label"])[::-1]]
    for row, (letters, tags) in enumerate(zip((there, turned), labels, strict=True)):
        read = "".join("ACGT"[code // 16] for code in batch["p"][row])
        places = [k for k in range(len(letters) - 11) if letters[k : k + 12 : 3] == read]
        assert any(tags[k : k + 12 : 3] == "".join(map(str, batch["k1"][row])) for k in places)


def test_density_and_errors():
    values, mean, spread = np.array([0.5, -1.0, 2.0]), np.array([0.0, 0.0, 1.0]), np.array([1.0, 2.0, 0.5])
    from statistics import NormalDist

    expected = [-np.log(NormalDist(m, s).pdf(v)) for v, m, s in zip(values, mean, spread, strict=True)]
    assert market.nats(values, mean, spread) == pytest.approx(np.mean(expected))
    assert market.spread_before(np.arange(5.0), months=2).tolist() == pytest.approx(
        [1, 1, np.sqrt(0.5), np.sqrt(2.5), np.sqrt(6.5)])


def test_pairs_of_letters_have_the_entropy_that_counting_gives():
    ids = np.random.default_rng(0).choice(3, 20_000, p=[0.5, 0.25, 0.25])
    shares = np.array(list(Counter(ids.tolist()).values())) / len(ids)
    assert text.pair_bits(ids, ids, 3) == pytest.approx(-(shares * np.log2(shares)).sum(), abs=1e-3)


def test_a_carried_loss_is_that_of_one_long_stream():
    model = tr.graphs.rnn(inputs=5, hidden=4, outputs=5)
    ids = np.random.default_rng(0).integers(0, 5, 41)
    whole = model.run(x=ids[None, :-1], target=ids[None, 1:], want=["loss"])["loss"]
    assert own_cell.judged(model, tr.data.streams(ids, 1, 8)) == pytest.approx(whole / np.log(2), rel=1e-5)


def test_words_and_marks():
    assert sentiment.words("It's good, isn't it? 10/10!") == ["its", "good", ",", "isnt", "it", "?", "10", "/", "10",
                                                               "!"]


def test_music_is_what_was_drawn(tmp_path: Path):
    music = pytest.importorskip("music21")
    pitch = np.array([[72, 67, 0, 48], [72, 67, 64, 48], [74, 67, 64, 50], [74, 0, 64, 50]])
    chorales.sing(pitch, tmp_path / "a.mid")
    parts = music.converter.parse(tmp_path / "a.mid").parts
    heard = [[(note.offset, note.pitch.midi, note.quarterLength) for note in part.flatten().notes] for part in parts]
    assert heard == [[(0, 72, 1), (1, 74, 1)], [(0, 67, 1.5)], [(0.5, 64, 1.5)], [(0, 48, 1), (1, 50, 1)]]


def test_what_voices_do_alone_and_after_what_they_sang_before():
    chord, other = [60, 55, 50, 45], [62, 57, 53, 0]
    pieces = [np.array([chord, chord, chord, other] * 2000)]
    entropy = -(0.75 * np.log(0.75) + 0.25 * np.log(0.25))
    assert chorales.counted(pieces, pieces, False) == pytest.approx(4 * entropy, rel=0.01)
    after = -(2 * np.log(2 / 3) + np.log(1 / 3)) / 4  # of four steps three follow the chord, and one never varies
    assert chorales.counted(pieces, pieces, True) == pytest.approx(4 * after, rel=0.01)
    np.testing.assert_array_equal(chorales.classes(np.array([0, 60]), higher=2), [0, 60 + 2 - chorales.LOWEST + 1])
