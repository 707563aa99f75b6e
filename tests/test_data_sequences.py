"""Sequences of different lengths: padded, in buckets, and straight into `fit`."""

from __future__ import annotations

import itertools
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import tinygrad_rnn as tr
from tinygrad_rnn.data import bucketed, padded

TAGGER = """
    h[t] = tanh(U @ h[t-1] + W @ x[t] + b)
    y[t] = softmax(V @ h[t])
    loss = mean(cross_entropy(y[t], target[t]))
"""
PAIRS = """
    e[s] = tanh(A @ source[s] + B @ e[s-1])
    h[t] = tanh(U @ h[t-1] + W @ x[t] + e[S])
    y[t] = softmax(V @ h[t])
    loss = mean(cross_entropy(y[t], target[t]))
"""


def tagger(seed: int = 0) -> tr.Model:
    return tr.equations(TAGGER, x=5, h=4, y=5, dtype="float64").initialise(seed)


def texts(count: int, longest: int = 20, seed: int = 0) -> list[np.ndarray]:
    rng = np.random.default_rng(seed)
    return [rng.integers(0, 5, rng.integers(1, longest + 1)) for _ in range(count)]


def test_padding_by_hand() -> None:
    found = padded({"x": [[1, 2, 3], [4]], "label": [7, 8], "weight": np.array([[0.5, 1], [2, 3]])})
    assert found["x"].tolist() == [[1, 2, 3], [4, 0, 0]] and found["x"].dtype == np.int64
    assert found["lengths"].tolist() == [3, 1]
    assert found["label"].tolist() == [7, 8] and found["weight"].tolist() == [[0.5, 1], [2, 3]]


def test_padding_of_features_and_with_any_value() -> None:
    x = [np.ones((2, 3), np.float32), np.ones((4, 3), np.float32)]
    found = padded({"x": x, "k": [[1, 1], [1, 1, 1, 1]]}, fill={"x": np.nan})
    assert found["x"].shape == (2, 4, 3) and found["x"].dtype == np.float32
    assert np.isnan(found["x"][0, 2:]).all() and (found["x"][1] == 1).all()
    assert found["k"].tolist() == [[1, 1, 0, 0], [1, 1, 1, 1]]


def test_several_ranges() -> None:
    link = [np.full((2, 3), 1), np.full((4, 1), 2)]
    found = padded({"source": [[1, 2, 3], [4]], "x": [[5, 6], [1, 2, 3, 4]], "link": link},
                   over={"source": "s", "link": ("t", "s")}, fill=-1)
    assert {i: n.tolist() for i, n in found["lengths"].items()} == {"s": [3, 1], "t": [2, 4]}
    assert found["link"][0].tolist() == [[1, 1, 1], [1, 1, 1], [-1, -1, -1], [-1, -1, -1]]
    assert found["link"][1].tolist() == [[2, -1, -1]] * 4


def test_examples_as_dicts() -> None:
    rows = ({"x": x, "label": len(x)} for x in ([1, 2], [3]))
    found = padded(rows)
    assert found["x"].tolist() == [[1, 2], [3, 0]] and found["label"].tolist() == [2, 1]


def test_a_padded_loss_is_that_of_the_sequences_alone() -> None:
    model, xs = tagger(), texts(7)
    data = padded({"x": xs, "target": [x[::-1] for x in xs]}, fill=-1)
    loss, grads = model.value_and_grad(**data)
    alone = [model.value_and_grad(x=x[None], target=x[None, ::-1]) for x in xs]
    steps = [len(x) for x in xs]
    assert loss == pytest.approx(np.average([one for one, _ in alone], weights=steps), rel=1e-12)
    for name in grads:
        expected = np.average([g[name] for _, g in alone], axis=0, weights=steps)
        np.testing.assert_allclose(grads[name], expected, rtol=1e-12, atol=1e-12)


@given(st.lists(st.integers(1, 30), min_size=1, max_size=80), st.integers(1, 9), st.integers(1, 6))
def test_every_epoch_holds_every_example_once(lengths: list[int], batch: int, buckets: int) -> None:
    xs = [np.full(n, k) for k, n in enumerate(lengths)]
    data = bucketed({"x": xs, "k": np.arange(len(xs))}, batch, buckets=buckets, fill=-1)
    for epoch in range(2):
        batches = list(data.epoch(epoch))
        assert len(batches) == len(data)
        assert len({b["x"].shape for b in batches}) <= buckets + 1
        assert sorted(k for b in batches for k in b["k"].tolist()) == list(range(len(xs)))
        for b in batches:
            for row, k, n in zip(b["x"], b["k"], b["lengths"], strict=True):
                assert row[:n].tolist() == xs[k].tolist() and (row[n:] == -1).all()


def test_an_epoch_repeats_itself_and_no_other() -> None:
    xs = texts(200)
    orders = [[b["x"].tolist() for b in bucketed({"x": xs}, 8, seed=seed).epoch(k)]
              for seed, k in ((0, 0), (0, 0), (0, 1), (1, 0))]
    assert orders[0] == orders[1] and orders[0] != orders[2] and orders[0] != orders[3]
    still = bucketed({"x": xs}, 8, seed=None)
    lengths = [np.concatenate([b["lengths"] for b in still.epoch(k)]).tolist() for k in (0, 5)]
    assert lengths[0] == lengths[1] == sorted(map(len, xs))


def test_buckets_save_padding() -> None:
    xs = texts(1000, longest=100)
    positions = sum(map(len, xs))
    assert sum(b["x"].size for b in bucketed({"x": xs}, 20)) < 1.15 * positions
    assert padded({"x": xs})["x"].size > 1.8 * positions


@given(st.lists(st.tuples(st.integers(1, 9), st.integers(1, 9)), min_size=1, max_size=12), st.integers(1, 3),
       st.integers(1, 4))
def test_no_other_borders_pad_less(lengths: list[tuple[int, int]], batch: int, buckets: int) -> None:
    data = {"x": [np.ones(n) for n, _ in lengths], "z": [np.ones(n) for _, n in lengths]}
    found = bucketed(data, batch, buckets=buckets, over={"x": "t", "z": "s"}, seed=None)
    order = np.concatenate(found.buckets)
    sizes = np.array(lengths)[order]
    assert (np.diff(sizes.sum(axis=1)) >= 0).all()
    inside = range(batch, len(lengths), batch)
    least = min(sum(len(part) * part.max(axis=0).sum() for part in np.split(sizes, borders))
                for count in range(buckets) for borders in map(list, itertools.combinations(inside, count)))
    assert sum(b["x"].size + b["z"].size for b in found) == least


def test_very_many_batches_are_cut_coarsely() -> None:
    xs = [np.zeros(1 + k % 40, np.int8) for k in range(6000)]
    found = bucketed({"x": xs}, 2)
    assert len(found) == 3000 and all(len(rows) % 2 == 0 for rows in found.buckets)
    assert sum(b["x"].size for b in found) < 1.12 * sum(map(len, xs))


def test_fit_takes_lists_of_different_lengths() -> None:
    xs = texts(60)
    data = {"x": xs, "target": [np.roll(x, 1) for x in xs]}
    one, other = tagger(), tagger()
    seen = one.fit(data, epochs=2, batch_size=16, valid=data, progress=False)
    assert seen.valid_loss[1] < seen.valid_loss[0]
    assert other.fit(bucketed(data, 16), epochs=2, valid=data, progress=False).loss == seen.loss


def test_fit_takes_two_ranges() -> None:
    model = tr.equations(PAIRS, source=5, x=5, h=4, y=5)
    source, target = texts(40, seed=1), texts(40, seed=2)
    data = bucketed({"source": source, "x": target, "target": target}, 8, over={"source": "s"})
    loss = model.fit(data, epochs=4, optimizer=tr.Adam(0.02), progress=False).loss
    assert loss[-1] < loss[0]


class Stopped(Exception):
    pass


def test_training_goes_on_in_the_middle_of_a_shuffled_epoch(tmp_path: Path) -> None:
    xs = texts(50)
    data = bucketed({"x": xs, "target": xs}, 8, seed=3)

    class Failing:
        """The second epoch stops after three batches."""

        def __iter__(self):
            return iter(data)

        def epoch(self, number):
            for k, batch in enumerate(data.epoch(number)):
                if number == 1 and k == 3:
                    raise Stopped
                yield batch

    whole, cut = tagger(), tagger()
    expected = whole.fit(data, epochs=3, progress=False)
    with pytest.raises(Stopped):
        cut.fit(Failing(), epochs=3, progress=False, checkpoint=tmp_path / "c.safetensors")
    cut = tagger(seed=9)
    found = cut.fit(data, epochs=3, progress=False, checkpoint=tmp_path / "c.safetensors", resume=True)
    assert found.loss == expected.loss
    assert all((cut.weights[name] == whole.weights[name]).all() for name in whole.weights)


@pytest.mark.parametrize(
    ("make", "kind", "message"),
    [
        (lambda: padded({"x": [[1, 2], []]}), ValueError, "example 1 of x is empty"),
        (lambda: padded({"x": [[1, 2]], "y": [[1]]}), ValueError, r'y has 1 steps and x has 2.*over={"y": "s"'),
        (lambda: padded({"x": [[1]], "y": [1, 2]}), ValueError, "different numbers of examples: x 1, y 2"),
        (lambda: padded({}), ValueError, "no examples"),
        (lambda: padded([]), ValueError, "no examples"),
        (lambda: padded({"x": [np.ones((2, 3)), np.ones((2, 4))]}), ValueError, r"example 1 of x has shape \(2, 4\)"),
        (lambda: padded({"x": [["a", "b"]]}), TypeError, "example 0 of x holds <U1, not numbers; encode it first"),
        (lambda: padded({"x": [[[1], [1, 2]]]}), ValueError, "example 0 of x is not an array"),
        (lambda: padded({"x": [[1]], "lengths": [1]}), ValueError, '"lengths" is taken from the sequences'),
        (lambda: padded({"x": [[1]]}, over={"z": "s"}), KeyError, "over= names the field 'z'; the data have x"),
        (lambda: padded({"x": [[1]]}, over={"x": ("t", "s")}), ValueError, r"shape \(1,\); a sequence has 2 axes"),
        (lambda: padded({"x": [[1]], "k": 3}), TypeError, "k is a single value"),
        (lambda: padded("abc"), TypeError, "dict of fields or an iterable of examples, dicts, not str"),
        (lambda: padded([1, 2]), TypeError, "an example is a dict"),
        (lambda: padded([{"x": [1]}, {"y": [1]}]), ValueError, "example 1 has the fields y, the first has x"),
        (lambda: bucketed({"x": [[1]]}, 0), ValueError, "batch must be at least 1"),
        (lambda: bucketed({"x": [[1]]}, 1, buckets=0), ValueError, "buckets must be at least 1"),
        (lambda: tagger().fit({"x": [[1], [2, 3]], "target": [[1], [2]]}), ValueError, "tr.data.bucketed"),
    ],
)
def test_mistakes_are_told(make, kind: type[Exception], message: str) -> None:
    with pytest.raises(tr.Error, match=message) as caught:
        make()
    assert isinstance(caught.value, kind)
