"""Initial values: their laws, the rule that is chosen, and independent streams."""

from __future__ import annotations

import hashlib
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tinygrad_rnn import Error
from tinygrad_rnn.models.initialise import (
    Constant,
    Glorot,
    GlorotNormal,
    He,
    Identity,
    Normal,
    Ones,
    Orthogonal,
    Uniform,
    Zeros,
    check_rules,
    initial,
    stream,
)


def rng() -> np.random.Generator:
    return np.random.default_rng(0)


@pytest.mark.parametrize(
    ("law", "std", "limit"),
    [
        (Normal(0.3), 0.3, None),
        (Uniform(0.3), 0.3 / math.sqrt(3), 0.3),
        (Glorot(), math.sqrt(2 / 500), math.sqrt(6 / 500)),
        (GlorotNormal(), math.sqrt(2 / 500), None),
        (He(), math.sqrt(2 / 300), None),
    ],
)
@pytest.mark.parametrize("stack", [(), (3,)])
def test_mean_spread_and_limit(law, std: float, limit: float | None, stack: tuple[int, ...]) -> None:
    value = law(rng(), (*stack, 200, 300))
    assert value.shape == (*stack, 200, 300) and value.dtype == np.float64
    assert abs(value.mean()) < 5 * std / math.sqrt(value.size)
    assert value.std() == pytest.approx(std, rel=0.02)
    if limit is not None:
        assert 0.99 * limit < np.abs(value).max() <= limit
    else:
        assert np.abs(value).max() > 3 * std


@given(st.integers(1, 12), st.integers(1, 12), st.integers(0, 3), st.floats(0.1, 3))
def test_orthogonal_rows_or_columns(outputs: int, inputs: int, stack: int, gain: float) -> None:
    shape = (stack, outputs, inputs) if stack else (outputs, inputs)
    value = Orthogonal(gain)(rng(), shape)
    assert value.shape == shape
    for w in value.reshape(-1, outputs, inputs):
        gram = w @ w.T if outputs <= inputs else w.T @ w
        np.testing.assert_allclose(gram, gain**2 * np.eye(min(outputs, inputs)), atol=1e-12 * gain**2)


def test_orthogonal_is_uniform_and_not_only_up_to_signs() -> None:
    """Of a uniform rotation or reflection of the plane the determinant is +1 or -1 and each entry +-, half the time."""
    draws = np.stack([Orthogonal()(rng_, (2, 2)) for rng_ in map(np.random.default_rng, range(400))])
    assert abs(np.sign(np.linalg.det(draws)).mean()) < 0.2
    assert np.abs(np.sign(draws).mean(axis=0)).max() < 0.2
    stacked = Orthogonal()(rng(), (2, 4, 4))
    assert not np.allclose(stacked[0], stacked[1])


def test_plain_values() -> None:
    assert np.array_equal(Zeros()(rng(), (2, 3)), [[0, 0, 0], [0, 0, 0]])
    assert np.array_equal(Ones()(rng(), (2,)), [1, 1])
    assert np.array_equal(Constant(2)(rng(), ()), 2)
    assert np.array_equal(Identity(0.5)(rng(), (2, 3)), [[0.5, 0, 0], [0, 0.5, 0]])
    assert np.array_equal(Identity()(rng(), (2, 1, 1)), [[[1]], [[1]]])


def test_the_policy_without_rules() -> None:
    assert np.array_equal(initial("b", (5,)), np.zeros(5))
    assert initial("s", ()) == 0.0
    recurrent = initial("U", (5, 5), recurrent=True)
    np.testing.assert_allclose(recurrent @ recurrent.T, np.eye(5), rtol=1e-12, atol=1e-12)
    fed = initial("W", (50, 70))
    assert 0.9 * math.sqrt(6 / 120) < np.abs(fed).max() <= math.sqrt(6 / 120)
    assert np.array_equal(initial("b", (3, 5), stacked=1), np.zeros((3, 5)))
    assert np.linalg.matrix_rank(initial("U", (3, 5, 5), recurrent=True, stacked=1)).tolist() == [5, 5, 5]


def test_rules_choose_by_name_then_by_the_last_pattern() -> None:
    array = np.arange(3.0)
    rules = {"b_f": 1, "b_*": 2, "b_[gi]": Constant(3), "b_o": array}
    chosen = {name: initial(name, (3,), rules=rules).tolist() for name in ("b_f", "b_h", "b_g", "b_o", "c")}
    assert chosen == {"b_f": [1, 1, 1], "b_h": [2, 2, 2], "b_g": [3, 3, 3], "b_o": [0, 1, 2], "c": [0, 0, 0]}


def test_an_initial_array_is_a_copy() -> None:
    array = np.zeros(3)
    initial("b", (3,), rules={"b": array})[0] = 7
    assert array[0] == 0


def test_streams_are_reproducible_and_independent() -> None:
    same, again = initial("W", (4, 4), seed=3), initial("W", (4, 4), seed=3)
    assert np.array_equal(same, again)
    values = [initial(name, (4, 4), seed=seed) for name in ("W", "V", "W_xi", "W_ix") for seed in (0, 1, 2**40)]
    for i, a in enumerate(values):
        for b in values[:i]:
            assert abs(np.corrcoef(a.ravel(), b.ravel())[0, 1]) < 0.9
            assert not np.isin(a, b).any()


def test_the_stream_of_a_name_is_fixed() -> None:
    """A seed in a report keeps its meaning: NumPy's own words for seed 5 and the SHA-256 of the name."""
    digest = hashlib.sha256(b"W").digest()
    words = [int.from_bytes(digest[i : i + 4], "little") for i in range(0, 32, 4)]
    expected = np.random.default_rng(np.random.SeedSequence(5, spawn_key=words)).standard_normal(3)
    assert np.array_equal(stream(5, "W").standard_normal(3), expected)


def test_every_rule_must_match_a_weight() -> None:
    names = ["W_x", "W_h", "b_f"]
    check_rules({"b_f": 1, "W_*": Glorot()}, names)
    with pytest.raises(Error, match=r"no weight matches the rule 'b_F'; did you mean 'b_f'\?; weights: W_x, W_h, b_f"):
        check_rules({"b_F": 1}, names)
    with pytest.raises(KeyError, match=r"no weight matches the rule 'U_\*'"):
        check_rules({"U_*": 1}, names)
    with pytest.raises(TypeError, match="not by 3"):
        check_rules({3: 1}, names)


@pytest.mark.parametrize(
    ("make", "kind", "message"),
    [
        (lambda: Constant("1"), TypeError, "value is a number, not '1'"),
        (lambda: Constant(math.inf), ValueError, "value must be finite"),
        (lambda: Normal(-1), ValueError, "std must be at least 0"),
        (lambda: Uniform(-1), ValueError, "limit must be at least 0"),
        (lambda: Orthogonal("2"), TypeError, "gain is a number"),
        (lambda: initial("b", (3,), rules={"b": Glorot()}), ValueError, r"Glorot\(\) is for .* not for shape \(3,\)"),
        (lambda: initial("b", (3,), rules={"b": "large"}), TypeError, "the rule for b is .* not 'large'"),
        (lambda: initial("b", (3,), rules={"b": [1, 2]}), ValueError, r"b has shape \(2,\); \(3,\) was expected"),
        (lambda: initial("b", (2,), rules={"b": [1, math.nan]}), ValueError, "b is not finite"),
        (lambda: initial("b", (2,), rules={"b": lambda rng, shape: 1.0}), ValueError, r"b has shape \(\)"),
        (lambda: initial("b", (2,), seed=-1), ValueError, "seed must be at least 0, not -1"),
        (lambda: initial("b", (2,), seed=0.5), TypeError, "seed is a whole number, not 0.5"),
    ],
)
def test_mistakes_are_told(make, kind: type[Exception], message: str) -> None:
    with pytest.raises(Error, match=message) as caught:
        make()
    assert isinstance(caught.value, kind)
