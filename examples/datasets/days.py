"""Dates as people write them, and as machines do."""

from __future__ import annotations

from datetime import date

import numpy as np

from tinygrad_rnn.data import split

from .found import Parts, package

LOCALES = ("en_US", "en_GB", "de_DE", "fr_FR", "es_ES", "it_IT", "nl_NL", "pt_BR", "sv_SE", "pl_PL")
STYLES = ("full", "long", "medium")
FIRST, LAST = date(1900, 1, 1), date(2099, 12, 31)


def dates(count: int = 10_000) -> Parts:
    """Dates drawn from 1900 to 2099: {"text": such as "venerdì 14 agosto 2026", "iso": "2026-08-14", "locale": texts}.

    The style, full, long or medium, and the locale are drawn too; babel writes the date, so that it differs a little
    between versions of the tables that it carries. The short style, which leaves the century open, is left out. All
    texts of a date are in one part. Parts: 0.8, 0.1, 0.1.
    """
    write = package("babel.dates", "babel").format_date
    rng = np.random.default_rng(0)
    days = [date.fromordinal(day) for day in rng.integers(FIRST.toordinal(), LAST.toordinal() + 1, count).tolist()]
    places, styles = rng.choice(LOCALES, count).tolist(), rng.choice(STYLES, count).tolist()
    texts = [write(day, format=style, locale=place) for day, style, place in zip(days, styles, places, strict=True)]
    iso = [day.isoformat() for day in days]
    return split({"text": texts, "iso": iso, "locale": places}, 0.8, 0.1, 0.1, seed=0, groups=iso)
