"""Monthly stock prices as a distribution: a GRU says mean and spread of the next month's change, and is judged.

python examples/market.py [--quick] [--out DIR] [--seed N]

Prices are nearly a random walk: that of next month is best guessed by that of this month, which is called persistence.
The table shows how little there is to add to the guess itself. The spread is another matter, since calm and wild
months come in runs. And since the change is declared as drawn, the trained model also draws futures.
"""

from __future__ import annotations

import numpy as np

import tinygrad_rnn as tr
from tinygrad_rnn.examples.datasets import stocks
from tinygrad_rnn.examples.harness import Run, example, told

EQUATIONS = """
    x[t] = concat(z[t-1], abs(z[t-1]))                              # the change before, and how large it was
    u[t] = sigmoid(W_xu @ x[t] + W_hu @ h[t-1] + b_u)               # update gate
    r[t] = sigmoid(W_xr @ x[t] + W_hr @ h[t-1] + b_r)               # reset gate
    g[t] = tanh(W_xg @ x[t] + W_hg @ (r[t] * h[t-1]) + b_g)         # candidate
    h[t] = u[t] * h[t-1] + (1 - u[t]) * g[t]                        # hidden state
    d[t] = dropout(h[t], 0.2)
    m[t] = W_m @ d[t] + b_m                                         # mean of the change
    s[t] = exp(W_s @ d[t] + b_s)                                    # and its spread
    z[t] = normal(m[t], s[t])                                       # change of the logarithm of the price
"""
SHOWN = "AAPL"


@example(architecture="gated recurrent unit of 8 units that gives mean and spread", data="5 stocks in vega_datasets")
def main(run: Run) -> None:
    """Train on the early months, and judge mean and spread on the late ones beside simple guesses."""
    parts = stocks()
    symbols = list(parts[0]["symbol"])
    prices = [np.concatenate(whole) for whole in zip(*(part["price"] for part in parts), strict=True)]
    ends = np.cumsum([[len(price) for price in part["price"]] for part in parts], axis=0)  # of train, valid, test
    change = [np.diff(np.log(price)) for price in prices]
    units = np.array([c[: end - 1].std() for c, end in zip(change, ends[0], strict=True)])
    z = [(c / unit)[:, None] for c, unit in zip(change, units, strict=True)]  # in units of a stock's spread in training
    train, valid = ([one[a:b] for one, a, b in zip(z, start, end, strict=True)]
                    for start, end in ((0 * ends[0], ends[0] - 1), (ends[0] - 1, ends[1] - 1)))

    model = tr.equations(EQUATIONS, name="market", z=1, h=8)
    model.initialise(run.seed, {"W_m": 0.0, "W_s": 0.0})  # begins at persistence: mean 0 and spread 1
    run.say(model, "")
    history = model.fit({"z": train}, optimizer=tr.Adam(2e-3), epochs=run.pick(400, 2), valid={"z": valid}, clip=1.0,
                        patience=60, seed=run.seed, progress=False, on_epoch=run.epoch)
    run.curve({"training": history.loss, "validation": history.valid_loss}, what="nats per month")
    run.draw(model, "unrolled.svg", view="unrolled", steps=3)
    run.draw(model, "cell.svg", view="cell")

    tests = [slice(end - 1, None) for end in ends[1]]  # the state comes with all the months before
    said = [model.run(z=one[None], want=["m", "s"]) for one in z]
    mean, spread = (np.concatenate([tr.to_numpy(out[name])[0, test, 0] for out, test in zip(said, tests, strict=True)])
                    for name in ("m", "s"))
    new, recent, unit = (np.concatenate(values) for values in (
        [one[test, 0] for one, test in zip(z, tests, strict=True)],
        [spread_before(one[:, 0])[test] for one, test in zip(z, tests, strict=True)],
        [np.full(len(one[test]), unit) for one, test, unit in zip(z, tests, units, strict=True)]))
    shown = symbols.index(SHOWN)
    show(run, model, prices[shown], z[shown], units[shown], int(ends[1][shown]))
    run.figure("error of the change, in percent", 100 * rms(unit * (new - mean)),
               baseline=f"{100 * rms(unit * new):.2f}, persistence")
    run.figure("nats per month", nats(new, mean, spread),
               baseline=f"persistence: {nats(new, 0 * new, 1 + 0 * new):.3f} with a stock's spread in training, "
                        f"{nats(new, 0 * new, recent):.3f} with that of the last year")
    run.figure("share within two spreads", float((abs(new - mean) < 2 * spread).mean()),
               baseline=f"{(abs(new) < 2).mean():.3f}, persistence; 0.954 if normal")


def spread_before(values: np.ndarray, months: int = 12) -> np.ndarray:
    """The root mean square of the months before each; 1 where there are not so many."""
    return np.array([rms(values[k - months : k]) if k >= months else 1.0 for k in range(len(values))])


def rms(values: np.ndarray) -> float:
    """The root of the mean square."""
    return float(np.sqrt((values**2).mean()))


def nats(values: np.ndarray, mean: np.ndarray, spread: np.ndarray) -> float:
    """The mean of -log of the normal density."""
    return float((((values - mean) / spread) ** 2 / 2 + np.log(spread * np.sqrt(2 * np.pi))).mean())


def show(run: Run, model: tr.Model, price: np.ndarray, z: np.ndarray, unit: float, start: int) -> None:
    """The price of one stock, and futures that the model draws from `start` on."""
    prefix = np.tile(z[: start - 1], (run.pick(500, 20), 1, 1))
    drawn = model.run(z=prefix, steps=len(z), seed=run.seed, want=["z"])["z"]
    drawn = tr.to_numpy(drawn)[:, start - 1 :, 0]
    known = np.zeros((len(drawn), 1))
    futures = price[start - 1] * np.exp(unit * np.cumsum(np.hstack([known, drawn]), axis=1))
    months = np.arange(start - 1, len(price))
    with run.plot("futures.png", size=(8, 3.6)) as axes:
        for outer, shade in ((5, 0.15), (25, 0.3)):
            low, high = np.percentile(futures, (outer, 100 - outer), axis=0)
            axes.fill_between(months, low, high, color="#0067A5", alpha=shade, lw=0,
                              label=f"{100 - 2 * outer} % of drawn futures")
        axes.plot(price, color="black", lw=1.2, label=f"{SHOWN}, dollars")
        axes.axvline(start - 1, color="#888", lw=0.8, ls="--")
        axes.set(yscale="log", xlabel="months since January 2000")
        axes.legend(frameon=False)


if __name__ == "__main__":
    told(main)
