"""Which networks learn over long times, and how gradients fade: adding, copying, clipping, 10,000 steps.

The adding problem (Hochreiter and Schmidhuber 1997): of T numbers two are marked, and their sum is wanted at the end.
The copy task: five symbols are read, nothing for a while, and then they are to be said. Four networks of equal size,
the relu network started at the identity (IRNN; Le, Jaitly and Hinton 2015), the gates of the LSTM and the GRU started
at memories of 1 to T steps (Tallec and Ollivier 2018, "Can recurrent neural networks warp time?", section 2).
"""

from __future__ import annotations

import gc
import time
import tracemalloc
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np

import tinygrad_rnn as tr
from tinygrad_rnn import backends
from tinygrad_rnn.examples.harness import Run, example, told
from tinygrad_rnn.viz.flow.flow import gradient_flow, gradient_norms

# model, its options, the biases that start at plus or minus the log of a time, and the learning rate
CELLS: dict[str, tuple[str, dict, dict, float]] = {
    "tanh RNN": ("rnn", {}, {}, 1e-3), "IRNN": ("rnn", {"nonlinearity": "relu"}, {}, 1e-3),
    "GRU": ("gru", {}, {"b_z": 1}, 5e-3), "LSTM": ("lstm", {}, {"b_f": 1, "b_i": -1}, 5e-3)}
SYMBOLS, KINDS = 5, 8
Maker = Callable[[np.random.Generator, int, int], dict[str, np.ndarray]]


def adding(rng: np.random.Generator, count: int, steps: int) -> dict[str, np.ndarray]:
    """x[t] = (a number from 0 to 1, 1 where it is marked); one mark is in each half. The target is the sum."""
    x = np.zeros((count, steps, 2), np.float32)
    x[..., 0] = rng.random((count, steps))
    for first in (0, steps // 2):
        x[np.arange(count), rng.integers(first, first + steps // 2, count), 1] = 1
    return {"x": x, "target": (x[..., 0] * x[..., 1]).sum(axis=1)[:, None]}


def copying(rng: np.random.Generator, count: int, delay: int) -> dict[str, np.ndarray]:
    """Symbols 0 to 7, blanks (8) for `delay` steps, of which the last asks for them (9), then blanks; the target is
    blank until then."""
    symbols = rng.integers(0, KINDS, (count, SYMBOLS))
    x, target = np.full((2, count, delay + 2 * SYMBOLS), KINDS)
    x[:, :SYMBOLS], x[:, -SYMBOLS - 1], target[:, -SYMBOLS:] = symbols, KINDS + 1, symbols
    return {"x": x, "target": target}


@dataclass
class Fresh:
    """New examples in every batch of 32; an epoch is so many batches."""

    make: Maker
    steps: int
    seed: int
    batches: int

    def __len__(self) -> int:
        return self.batches

    def __iter__(self) -> Iterator[dict[str, np.ndarray]]:
        return self.epoch(0)

    def epoch(self, number: int) -> Iterator[dict[str, np.ndarray]]:
        """The batches of one epoch, drawn by its number."""
        rng = np.random.default_rng([self.seed, number])
        for _ in range(self.batches):
            yield self.make(rng, 32, self.steps)


def network(label: str, steps: int, seed: int, hidden: int = 64, **sizes: Any) -> tr.Model:
    """One of CELLS, its biases for memories of 1 to `steps` steps."""
    name, options, biases, _ = CELLS[label]
    model = tr.graphs.MODELS[name](hidden=hidden, seed=seed, **options, **sizes)
    times = np.log(np.random.default_rng(seed).uniform(1, steps, hidden))
    for bias, sign in biases.items():
        model.weights[bias] = sign * times
    return model


SUM: dict[str, Any] = {"inputs": 2, "outputs": 1, "head": "linear_last"}
COPY: dict[str, Any] = {"inputs": KINDS + 2, "outputs": KINDS + 1, "head": "softmax"}


@example(architecture="tanh RNN, IRNN, GRU and LSTM of 64 units", data="made: the adding problem and the copy task",
         full="adding over 100, 200 and 400 steps, copying over 20, 50 and 100; about half an hour")
def main(run: Run) -> None:
    """How gradients fade, then the tasks that need long memory, clipping, and 10,000 steps in little memory."""
    fading(run)
    for steps in run.pick((100, 200, 400) if run.args.full else (200,), (20,)):
        added(run, steps)
    for delay in run.pick((20, 50, 100) if run.args.full else (20,), (5,)):
        copied(run, delay)
    clipped(run, run.pick(100, 20))
    remembered(run, run.pick(10_000, 400))
    run.draw(network("LSTM", 200, run.seed, **SUM), "lstm.svg", view="unrolled", steps=4)


def fading(run: Run) -> None:
    """How much of the gradient at the last step arrives at the first, before any training."""
    steps = run.pick(200, 40)
    models = {label: network(label, steps, run.seed, **SUM) for label in CELLS}
    data, state = adding(np.random.default_rng(run.seed), 32, steps), {"LSTM": "c"}
    gradient_flow(models, data, run.out / "gradient.png", state=state, title="untrained, 64 units, adding problem")
    norms = {label: gradient_norms(model, data, state=state.get(label, "h")) for label, model in models.items()}
    left = {label: norm[0] / norm[-1] for label, norm in norms.items()}
    run.say(f"gradient left after {steps} steps: " + ", ".join(f"{label} {x:.1e}" for label, x in left.items()))


def trained(run: Run, label: str, model: tr.Model, make: Maker, steps: int, updates: int, clip: float | None = 1.0,
            rate: float | None = None) -> tuple[dict, Any]:
    """Train on fresh examples; the examples that it is tested with, and the history."""
    test = make(np.random.default_rng([run.seed, 1]), run.pick(1000, 50), steps)
    each = run.pick(100, 2)
    lr = tr.Cosine(rate or CELLS[label][3], updates)
    history = model.fit(Fresh(make, steps, run.seed, each), valid=test, epochs=max(1, updates // each), clip=clip,
                        optimizer=tr.Adam(lr), seed=run.seed, progress=False, on_epoch=run.epoch)
    return test, history


def added(run: Run, steps: int) -> None:
    """The adding problem, by all four."""
    updates = run.pick(4000 if run.args.full else 1500, 2)
    curves = {label: trained(run, label, network(label, steps, run.seed, **SUM), adding, steps, updates)[1].valid_loss
              for label in CELLS}
    error = {label: values[-1] for label, values in curves.items()}
    for label in ("LSTM", "GRU", "IRNN"):
        run.figure(f"adding, {steps} steps, {label}, squared error", error[label], below=0.01,
                   baseline=f"0.167, always 1; {error['tanh RNN']:.3f}, tanh RNN",
                   published="solved, Le et al. 2015" if steps <= 200 and label != "GRU" else None)
    run.curve(curves, f"adding_{steps}.png", what="squared error", log=True, levels={"always 1": 1 / 6})


def copied(run: Run, delay: int) -> None:
    """The copy task, by all but the IRNN."""
    updates = run.pick(10_000 if run.args.full else 4000, 2)
    curves, right = {}, {}
    for label in ("tanh RNN", "GRU", "LSTM"):
        model = network(label, delay + SYMBOLS, run.seed, **COPY)
        test, history = trained(run, label, model, copying, delay, updates, rate=2 * CELLS[label][3])
        said = tr.to_numpy(model.run(x=test["x"], want=["y"])["y"]).argmax(-1)
        curves[label], right[label] = history.valid_loss, np.mean((said == test["target"])[:, -SYMBOLS:])
    for label in ("LSTM", "GRU"):
        run.figure(f"copying after {delay} steps, {label}, symbols right", right[label], at_least=0.99,
                   baseline=f"0.125, by chance; {right['tanh RNN']:.3f}, tanh RNN")
    level = SYMBOLS * np.log(KINDS) / (delay + 2 * SYMBOLS)
    run.curve(curves, f"copying_{delay}.png", what="nats per step", log=True, levels={"by chance": level})


def clipped(run: Run, steps: int) -> None:
    """The IRNN, whose gradients explode, with and without clipping of their norm."""
    found = {}
    for words, clip in (("clipped to norm 1", 1.0), ("not clipped", None)):
        model = network("IRNN", steps, run.seed, **SUM)
        found[words] = trained(run, "IRNN", model, adding, steps, run.pick(1000, 2), clip, rate=5e-3)[1]
    last = {words: history.valid_loss[-1] for words, history in found.items()}
    run.figure(f"IRNN, {steps} steps, clipped, squared error", last["clipped to norm 1"], below=0.01,
               baseline=f"{last['not clipped']:.3f}, not clipped")
    with run.plot("clipping.png", columns=2, size=(8, 3.2)) as ((errors, norms),):
        for words, history in found.items():
            errors.semilogy(range(1, len(history.rows) + 1), history.valid_loss, label=words)
            norms.semilogy([row["gradient_norm"] for row in history.steps], lw=0.7, label=words)
        errors.set(xlabel="epoch of 100 updates", ylabel="squared error")
        norms.set(xlabel="update", ylabel="norm of the gradient, before clipping")
        errors.legend(frameon=False)


def remembered(run: Run, steps: int) -> None:
    """The gradient over very many steps, with all of them kept and with memory="sqrt"."""
    model = network("LSTM", steps, run.seed, hidden=32, **SUM)
    data, found = adding(np.random.default_rng(run.seed), 4, steps), {}

    def gradient(memory: str | None) -> dict[str, np.ndarray]:
        return {name: tr.to_numpy(grad) for name, grad in model.value_and_grad(data, memory=memory)[1].items()}

    for memory in (None, "sqrt"):
        found[memory] = measured(partial(gradient, memory))
    (whole, most, slow), (parts, least, slower) = found.values()
    apart = max(np.abs(whole[name] - parts[name]).max() / np.abs(whole[name]).max() for name in whole)
    run.say(f"LSTM over {steps} steps: {slow:.1f} s with all steps kept, {slower:.1f} s with memory=\"sqrt\"; the "
            f"gradients differ by {apart:.0e} of the greatest")
    run.figure(f"memory for {steps} steps, MB, sqrt", least, below=most / 5, baseline=f"{most:.0f}, all steps kept")


def measured(work: Callable[[], Any]) -> tuple[Any, float, float]:
    """What the work gives, how many MB it takes, of the host at most, of a GPU what it keeps, and seconds."""
    gc.collect()  # so that nothing of before becomes free within
    free = backends.current().free_memory
    before, started = free(), time.monotonic()
    tracemalloc.start()
    result = work()
    most = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    return result, (most if tr.backend() == "numpy" else before - free()) / 1e6, time.monotonic() - started


if __name__ == "__main__":
    told(main)
