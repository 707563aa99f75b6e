"""Series of numbers over time, whose later part is held out."""

from __future__ import annotations

from typing import Any

import numpy as np

from tinygrad_rnn.data import grouped, read_table, split

from .found import Parts, package


def sunspots() -> Parts:
    """The mean number of sunspots of each year from 1700 to 2008: {"year": int64, "number": float64}.

    309 years, with statsmodels. Parts: 0.7, 0.15, 0.15, in order.
    """
    table = package("statsmodels.datasets.sunspots", "statsmodels").load_pandas().data
    data = {"year": np.array(table["YEAR"], np.int64), "number": np.array(table["SUNACTIVITY"], np.float64)}
    return split(data, 0.7, 0.15, 0.15)


def stocks() -> Parts:
    """Monthly prices of five stocks, 2000 to 2010: {"symbol": texts, "date": arrays of texts, "price": arrays (T,)}.

    MSFT, AMZN, IBM, GOOG (from August 2004) and AAPL, in dollars, with vega_datasets. Each part has all five: the
    first 0.7 of the months of each, the next 0.15, the last 0.15.
    """
    table = read_table(package("vega_datasets").data.stocks.filepath)
    train, valid, test = split_in_time(grouped(table, "symbol"), "symbol", 0.7, 0.15, 0.15)
    return train, valid, test


def split_in_time(series: dict[str, Any], by: str, *shares: float) -> tuple[dict[str, Any], ...]:
    """Groups of series, as `grouped` gives them, each group's cut in order by these shares."""
    cut = {name: [split(one, *shares) for one in many] for name, many in series.items() if name != by}
    return tuple({by: series[by], **{name: [parts[k] for parts in many] for name, many in cut.items()}}
                 for k in range(len(shares)))
