"""Weights of PyTorch's nn.RNN, nn.LSTM and nn.GRU by the names that they have here, and back."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

import numpy as np

from tinygrad_rnn import to_numpy
from tinygrad_rnn.errors import BadValue
from tinygrad_rnn.keywords import told

GATES = {4: "ifgo", 3: "rzg", 1: "h"}  # in the order of the rows: of an LSTM, a GRU (its n is g here), and an RNN
PARTS = {"ih": "x", "hh": "h"}  # W_xi reads x, W_hi the h before
DIRECTIONS = {"": "_f", "_reverse": "_b"}


class _Layer(NamedTuple):
    """One direction of one layer. there, here: what its names end with."""

    there: str
    here: str
    gates: str

    def blocks(self) -> Iterator[tuple[int, str, str, str]]:
        """Of each block of rows its number, ih or hh, and the names of its matrix and of its bias here."""
        for part, reads in PARTS.items():
            for k, gate in enumerate(self.gates):
                apart = part == "hh" and self.gates == "rzg" and gate == "g"  # within the product with r
                yield k, part, f"W_{reads}{gate}{self.here}", f"b_{'h' * apart}{gate}{self.here}"


@told
def from_torch(state: Mapping[str, Any], prefix: str = "") -> dict[str, np.ndarray]:
    """The weights of an nn.RNN, nn.LSTM or nn.GRU, as a model of the same layers names them.

    state: its `state_dict()`, or that of a module that has it under the name `prefix`. The rows of a matrix are those
    of the gates i, f, g, o, or r, z, g; its two biases add up, but for those of g of a GRU, b_g and b_hg.

        model = tr.graphs.lstm(inputs=27, hidden=64, layers=2)
        model.weights |= tr.graphs.from_torch(torch_lstm.state_dict())

    The models are `lstm`, `rnn` (of either nonlinearity), `gru(reset="after")` and `projection` (of proj_size), and
    `stack` of these cells ("lstm", "rnn", "gru_after"), also `both_ways` where it is bidirectional.
    Raises BadValue where state holds no such weights.
    """
    arrays = {key.removeprefix(prefix): value for key, value in state.items() if key.startswith(prefix)}
    found: dict[str, np.ndarray] = {}
    for layer in _theirs(arrays):
        for k, part, matrix, bias in layer.blocks():
            found[matrix] = _block(arrays[f"weight_{part}_{layer.there}"], k, layer.gates)
            ours = f"bias_{part}_{layer.there}"
            if ours in arrays:
                found[bias] = found.get(bias, 0) + _block(arrays[ours], k, layer.gates)
            else:
                found.setdefault(bias, np.zeros(len(found[matrix])))
        if f"weight_hr_{layer.there}" in arrays:
            found[f"W_mh{layer.here}"] = np.array(to_numpy(arrays[f"weight_hr_{layer.there}"]))
    return found


@told
def to_torch(weights: Mapping[str, Any]) -> dict[str, np.ndarray]:
    """The same the other way: what `load_state_dict` of an nn.RNN, nn.LSTM or nn.GRU takes, as NumPy arrays.

    weights: `model.weights`; those that are of no such layer, such as a head's, are left out. One of the two biases
    that PyTorch keeps is zero.

        torch_lstm.load_state_dict({k: torch.from_numpy(w) for k, w in tr.graphs.to_torch(model.weights).items()})

    Raises BadValue where there are no layers of these kinds.
    """
    found: dict[str, np.ndarray] = {}
    for layer in _ours(weights):
        for part in PARTS:
            blocks = [(matrix, bias) for _, its, matrix, bias in layer.blocks() if its == part]
            found[f"weight_{part}_{layer.there}"] = np.concatenate([to_numpy(weights[matrix]) for matrix, _ in blocks])
            found[f"bias_{part}_{layer.there}"] = np.concatenate([
                to_numpy(weights[bias]) if part == "ih" or bias.startswith("b_hg") else
                np.zeros(len(weights[bias]), weights[bias].dtype) for _, bias in blocks])
        if f"W_mh{layer.here}" in weights:
            found[f"weight_hr_{layer.there}"] = np.array(to_numpy(weights[f"W_mh{layer.here}"]))
    return found


def _theirs(arrays: Mapping[str, Any]) -> list[_Layer]:
    places = [m for key in arrays if (m := re.fullmatch(r"weight_ih_l(\d+)(_reverse)?", key))]
    if not places:
        raise BadValue("these are no weights of an nn.RNN, nn.LSTM or nn.GRU, which has weight_ih_l0; they have "
                       f"{', '.join(list(arrays)[:6]) or 'no such prefix'}")
    both, several = any(m[2] for m in places), any(m[1] != "0" for m in places)
    found = []
    for m in places:
        there = f"l{m[1]}{m[2] or ''}"
        hidden = arrays.get(f"weight_hr_{there}", arrays[f"weight_hh_{there}"]).shape[1]
        here = DIRECTIONS[m[2] or ""] * both + str(int(m[1]) + 1) * several
        found.append(_Layer(there, here, GATES[arrays[m[0]].shape[0] // hidden]))
    return found


def _ours(weights: Mapping[str, Any]) -> list[_Layer]:
    found = []
    for gates in GATES.values():
        for name in weights:
            m = re.fullmatch(rf"W_x{gates[0]}(_[fb])?(\d*)", name)
            if not m:
                continue
            way = "_reverse" if m[1] == "_b" else ""
            layer = _Layer(f"l{int(m[2] or 1) - 1}{way}", name[4:], gates)
            if all(matrix in weights and bias in weights for _, _, matrix, bias in layer.blocks()):
                found.append(layer)
    if not found:
        raise BadValue("there is no layer of an LSTM, of an RNN or of a GRU with reset=\"after\" among "
                       f"{', '.join(list(weights)[:6])}")
    return found


def _block(rows: Any, k: int, gates: str) -> np.ndarray:
    return np.split(to_numpy(rows), len(gates))[k]
