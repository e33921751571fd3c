"""Files of options that people write: what is read, and what is refused in one line."""

import math

import pytest
import yaml

from options.saved import load_config
from options.test_options import TestOptions as Test
from options.train_options import TrainOptions
from tests.helpers import script
from util.errors import UserError

LAUGHS = "a: &a [x, x]\n" + "".join(
    f"{b}: &{b} [*{a}, *{a}]\n" for a, b in zip("abcdefghijkl", "bcdefghijklm", strict=True)
)
MERGE = "ngf: &n 8\n<<: {ndf: 8}\n"
# (content, words of the one line); "line N" where the fault stands.
BAD = [
    (LAUGHS, "line 2: b: a list in a list"),
    ("ngf: &a [*a]\n", r"line 1: ngf: no &a before \*a"),
    (MERGE, "line 2: '<<' is not the name of a flag"),
    ("ngf: 8\nname: [[[[a]]]]\n", "line 2: name: a list in a list"),
    ("name: " + "[" * 50000, "line 1: name: a list in a list"),
    ("a: " + "{" * 50000, "line 1: a: a mapping"),
    ("ngf: 8\nndf:\n  b: 1\n", "ndf: a mapping"),
    ("ngf: 8\nndf: 8\nngf: 9\n", "line 3: ngf a second time, after line 1"),
    ("1: 2\n", "line 1: '1' is not the name of a flag"),
    ("2024-01-01: 2\n", "line 1: '2024-01-01' is not the name of a flag"),
    ("? [a, b]\n: c\n", "line 1: a list, a mapping or an alias where the name of a flag belongs"),
    (
        "ngf: !!python/object/apply:os.system ['true']\n",
        "line 1: ngf: the tag !!python/object/apply:os.system is not accepted",
    ),
    ("ngf: !!binary aGFsbG8=\n", "line 1: ngf: the tag !!binary is not accepted"),
    ("ngf: !!timestamp 2024-01-01\n", "the tag !!timestamp is not accepted"),
    ("!!set {a, b}\n", "line 1: the tag !!set is not accepted"),
    ("- a\n", "accepted: YAML lines of the form"),
    ("just words\n", "accepted: YAML lines of the form"),
    ("ngf: 8\n---\nndf: 8\n", "line 2: a second document begins"),
    ("ngf: [8\n", r"not YAML \(line 2: "),
    ("ngf: *x\n", r"line 1: ngf: no &x before \*x"),
    ("ngf: 8\n\tndf: 8\n", r"not YAML \(line 2"),
    (b"ngf: 8\nname: \xff\xfe\n", r"not YAML \(line 2: not UTF-8\)"),
    ("ngf: 8\nname: a\x07\n", r"not YAML \(line 2: a character"),
    (b"\x89PNG\r\n\0\0", "not text, but some other kind of file"),
    ("# a\n" * 100000, "more than 256 KB"),
]


@pytest.mark.parametrize(("content", "words"), BAD, ids=range(len(BAD)))
def test_what_is_no_file_of_options_is_one_line(tmp_path, content, words):
    """Fault 100: the file, and the line where it is known; at once."""
    (tmp_path / "c.yaml").write_bytes(content if isinstance(content, bytes) else content.encode())
    with pytest.raises(UserError, match=words) as caught:
        TrainOptions().parse(["--dataroot", ".", "--config", "c.yaml"])
    assert str(caught.value).startswith("--config c.yaml: ") and "\n" not in str(caught.value)
    assert len(str(caught.value)) < 300


@pytest.mark.parametrize(
    ("value", "words"),
    [
        ("9" * 5000, "--ngf '?9{50,}.* accepted: a whole number from 1 up"),
        ("9" * 400, "--ngf '?9{50,}.* accepted: a whole number"),
        (".inf", "--ngf 'inf': accepted: a whole number"),
        (".nan", "--ngf 'nan': accepted: a whole number"),
        ("1.5", "--ngf '1.5': accepted: a whole number"),
        ("2024-13-45", "--ngf '2024-13-45': accepted"),
        ("2024-01-01", "--ngf '2024-01-01': accepted"),
        ("true", "--ngf 'True': accepted"),
        ("0x1_0", "--ngf '0x1_0': accepted"),
        ("12:30:45", "--ngf '12:30:45': accepted"),
    ],
)
def test_a_value_of_another_kind_is_refused_by_the_flag(tmp_path, value, words):
    """Fault 100: numbers without end, NaN for a whole number, odd dates."""
    (tmp_path / "c.yaml").write_text(f"ngf: {value}\n")
    with pytest.raises(UserError, match=f"^c.yaml: {words}") as caught:
        TrainOptions().parse(["--dataroot", ".", "--config", "c.yaml"])
    assert len(str(caught.value)) < 300


@pytest.mark.parametrize("flag", ["--ngf", "--lr", "--lambda_A", "--n_epochs", "--cache_gb"])
@pytest.mark.parametrize("digits", [400, 5000])
def test_a_number_without_end_is_one_short_line_on_the_command_line_too(flag, digits):
    """Fault 100: the neighbours of a file."""
    with pytest.raises(UserError) as caught:
        TrainOptions().parse(["--dataroot", ".", flag, "9" * digits])
    assert flag in str(caught.value) and len(str(caught.value)) < 300


@pytest.mark.parametrize("content", [row[0] for row in BAD if isinstance(row[0], str)][:6])
def test_the_same_of_a_runs_own_options(tmp_path, content):
    """Fault 100: train_opt.yaml, wherever it is read; the message names that file."""
    run = tmp_path / "checkpoints" / "r"
    run.mkdir(parents=True)
    (run / "train_opt.yaml").write_text(content)
    for options, more in ((TrainOptions(), ["--continue_train"]), (Test(), [])):
        with pytest.raises(UserError, match=r"^checkpoints/r/train_opt.yaml: "):
            options.parse(["--dataroot", ".", "--name", "r", *more])
    (run / "metrics.jsonl").write_text('{"images": 1, "G": 1}\n')
    assert script("scripts/plot.py").main(["r"]) == 2


def test_a_word_stays_the_word_that_was_written(tmp_path):
    """Fault 100, the other way round: YAML 1.1 made a date, a number to base 8 or 60, or false of
    these."""
    words = ["010", "2024-01-01", "12:30:45", "off", "no", "1_000", "1.50", "0x10", "1e3", "y"]
    for word in words:
        (tmp_path / "c.yaml").write_text(f"name: {word}\n")
        assert TrainOptions().parse(["--dataroot", ".", "--config", "c.yaml"]).name == word
    (tmp_path / "c.yaml").write_text(
        "cache: off\nno_flip: yes\nlr: 1e-3\nngf: &n 8\nndf: *n\nmax_dataset_size: .inf\n"
    )
    opt = TrainOptions().parse(["--dataroot", ".", "--config", "c.yaml"])
    assert (opt.cache, opt.no_flip, opt.lr, opt.ndf) == ("off", True, 0.001, 8)
    assert opt.max_dataset_size == math.inf


def test_what_yaml_writes_is_read_back_as_it_was(tmp_path):
    """Fault 100: of a run's own options nothing changes."""
    values = {"a": 1, "b": -2.5, "c": 1e-05, "d": math.inf, "e": True, "f": "010", "g": "off",
              "h": "2024-01-01", "i": [1, 2.0, "x"], "j": "", "k": "null", "l": "a: b # c",
              "m": "ä\n\u2028", "n": 1e22, "o": 2**53, "p": "1e3", "q": "*x", "r": []}  # fmt: skip
    (tmp_path / "c.yaml").write_text(yaml.safe_dump(values, allow_unicode=True))
    assert load_config(tmp_path / "c.yaml") == values
    for text in ("", "# nothing\n", "---\n", "{}\n", "\ufeff"):
        (tmp_path / "c.yaml").write_text(text)
        assert load_config(tmp_path / "c.yaml") == {}
