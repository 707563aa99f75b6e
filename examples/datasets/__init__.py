"""The data sets of the examples: real data, from packages that carry them.

Each function reads its data anew and returns the parts to train on, to choose by and to test with: dicts of fields
with one entry per example, always the same for the same versions of the packages. A package that is missing is an
error of one line with the command that installs it; `told` runs an example so that a person sees just that line.
"""

from .days import dates
from .found import ROOT, NotInstalled, told
from .genes import BASES, LABELS, genome
from .images import digits
from .recordings import ACTIVITIES, basic_motions, japanese_vowels
from .scores import chorales
from .sentences import movie_reviews, python_docs
from .series import stocks, sunspots
from .words import KINDS, person_names, pronunciations

__all__ = ["ACTIVITIES", "BASES", "KINDS", "LABELS", "ROOT", "NotInstalled", "basic_motions", "chorales", "dates",
           "digits", "genome", "japanese_vowels", "movie_reviews", "person_names", "pronunciations", "python_docs",
           "stocks", "sunspots", "told"]
