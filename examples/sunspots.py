"""Sunspots a year ahead, with an interval: a recurrent network that says a mean and a deviation.

Each year's number is a draw from a normal distribution that the network gives of all years before, so one model is
trained by its likelihood, forecasts one year ahead, and draws whole futures. It sees square roots of the numbers, whose
scatter is about even, and says how the next one differs from the last.
"""

from __future__ import annotations

from typing import Any

import numpy as np

import tinygrad_rnn as tr
from tinygrad_rnn.examples import datasets
from tinygrad_rnn.examples.harness import Run, example, told

EQUATIONS = """
    z[t] = sigmoid(W_z @ y[t-1] + U_z @ h[t-1] + b_z)           # update gate
    r[t] = sigmoid(W_r @ y[t-1] + U_r @ h[t-1] + b_r)           # reset gate
    g[t] = tanh(W_g @ y[t-1] + U_g @ (r[t] * h[t-1]) + b_g)     # candidate
    h[t] = z[t] * h[t-1] + (1 - z[t]) * g[t]
    d[t] = dropout(h[t], 0.2)
    m[t] = y[t-1] + V_m @ d[t] + b_m                            # mean
    s[t] = exp(V_s @ d[t] + b_s)                                # deviation
    y[t] = normal(m[t], s[t])
"""
CYCLES = 44  # years of a stretch to train on, four cycles
SIGMAS = 1.645  # on either side hold 90 % of a normal distribution
AHEAD = 22


@example(architecture="gated recurrent unit of 32 units, normal output", data="309 years of sunspots, with statsmodels")
def main(run: Run) -> None:
    """Choose how long to train, forecast the last years one by one, and draw futures."""
    parts = datasets.sunspots()
    numbers, years = (np.concatenate([part[name] for part in parts]) for name in ("number", "year"))
    first, second = len(parts[0]["year"]), len(parts[0]["year"]) + len(parts[1]["year"])
    roots = np.sqrt(numbers)
    mean, scale = roots[:first].mean(), roots[:first].std()
    y = ((roots - mean) / scale)[:, None]

    # How long to train is chosen on the middle years; then the network learns anew from all before the last ones.
    tried = fitted(run, y[:first], {"y": y[None, first - 12 : second]}, epochs=run.pick(400, 2))
    best = int(np.argmin(tried[1].valid_loss)) + 1
    model, _ = fitted(run, y[:second], None, epochs=best)
    run.say(f"{best} epochs, by the years {years[first]} to {years[second - 1]}")

    out = model.run(y=y[None], want=["m", "s"])
    m, s = (tr.to_numpy(out[name])[0, second:, 0] for name in ("m", "s"))
    m, s = m * scale + mean, s * scale
    low, high = ((np.maximum(m + side * SIGMAS * s, 0)) ** 2 for side in (-1, 1))
    forecast, actual = m**2 + s**2, numbers[second:]  # the mean of a square
    last, lines = error(numbers[second - 1 : -1], actual), error(autoregression(numbers, second), actual)
    squared = error(autoregression(roots, second) ** 2, actual)
    run.figure("error a year ahead", error(forecast, actual), below=min(last, lines),
               baseline=f"{last:.3g} the last year's; {lines:.4g} AR(9), {squared:.4g} AR(9) of roots")
    run.figure("share of years in their 90 % interval", np.mean((low <= actual) & (actual <= high)), at_least=0.8,
               baseline=0.9)

    run.curve({"training": tried[1].loss, "validation": tried[1].valid_loss}, what="-log likelihood")
    with run.plot("forecast.png", rows=2, size=(8, 5.2)) as ((above,), (below,)):
        plot(above, years[second:], actual, forecast, (low, high))
        above.set(title="each year forecast from all before it, and its 90 % interval", ylabel="sunspots")
        drawn = np.maximum(paths(model, y[:second], run)[:, second:, 0] * scale + mean, 0) ** 2
        plot(below, years[second : second + AHEAD], actual[:AHEAD], np.median(drawn, axis=0),
             np.quantile(drawn, [0.05, 0.95], axis=0))
        below.plot(years[second : second + AHEAD], drawn[:3].T, color="#1f4e9c", lw=0.6, alpha=0.6)
        below.set(title=f"{AHEAD} years drawn after {years[second - 1]}: the middle, 90 % of all, and three of them",
                  ylabel="sunspots")
    run.draw(model, "folded.svg")
    run.draw(model, "unrolled.svg", view="unrolled", steps=3)


def fitted(run: Run, y: np.ndarray, valid: dict | None, epochs: int) -> tuple[tr.Model, Any]:
    """A new network trained on all stretches of the series, and the history of it."""
    model = tr.equations(EQUATIONS, name="sunspots", y=1, h=32).initialise(run.seed)
    history = model.fit({"y": tr.data.windows(y, CYCLES)}, valid=valid, epochs=epochs, patience=40 if valid else None,
                        clip=1.0, optimizer=tr.Adam(1e-3), seed=run.seed, progress=False, on_epoch=run.epoch)
    return model, history


def paths(model: tr.Model, y: np.ndarray, run: Run) -> np.ndarray:
    """Many futures after the series, each drawn year by year, the series itself before them."""
    count = run.pick(1000, 20)
    given = np.repeat(y[None], count, axis=0)
    return tr.to_numpy(model.run(y=given, steps=len(y) + AHEAD, seed=run.seed, want=["y"])["y"])


def autoregression(series: np.ndarray, known: int, order: int = 9) -> np.ndarray:
    """y[t] = c + sum over k of a[k] y[t-k], by least squares on what is known, for each year after it."""
    from statsmodels.tsa.ar_model import AutoReg

    constant, *slopes = AutoReg(series[:known], order).fit().params
    before = np.lib.stride_tricks.sliding_window_view(series, order)[known - order : -1]
    return constant + before[:, ::-1] @ slopes


def error(forecast: np.ndarray, actual: np.ndarray) -> float:
    """The root of the mean squared error."""
    return float(np.sqrt(np.mean((forecast - actual) ** 2)))


def plot(axes: Any, years: np.ndarray, actual: np.ndarray, middle: np.ndarray, band: tuple) -> None:
    """The years as observed and as forecast, with the interval."""
    axes.fill_between(years, *band, color="#1f4e9c", alpha=0.15, lw=0)
    axes.plot(years, middle, color="#1f4e9c", label="forecast")
    axes.plot(years, actual, "o", color="#c2410c", ms=3.5, label="observed")
    axes.set_ylim(0, 200)
    axes.legend(frameon=False, loc="upper left", ncols=2)


if __name__ == "__main__":
    told(main)
