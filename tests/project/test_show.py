"""`tutor show` in the terminal, as pictures in files, and what it refuses."""

import re
import shutil
import struct
from pathlib import Path
from types import SimpleNamespace
from xml.etree import ElementTree

import matplotlib as mpl
import numpy as np
import pytest

from tests.project.commands import SECONDS, assert_refused, run_child, run_here, start_child
from tests.project.courses import make_course, solve
from tests.project.terminals import in_terminal
from tests.project.tiers import partly
from tutor import ROOT
from tutor.course import sources
from tutor.course.registry import Step, all_steps, find_step
from tutor.engine import trees
from tutor.engine.generation import Engine
from tutor.show import observing
from tutor.show.tracing import Letters

SENTENCE = "The witch gave Hansel an apple."
COMMANDS = {
    "attention": ["show", "attention", SENTENCE],
    "one head": ["show", "attention", SENTENCE, "--layer", "3", "--head", "0"],
    "next": ["show", "next", "The king said to his", "--top", "3"],
    "shapes": ["show", "shapes", "7"],
}
SVG = "{http://www.w3.org/2000/svg}"
PNG = b"\x89PNG\r\n\x1a\n"
EIGHTHS = " ▏▎▍▌▋▊▉█"  # of a letter, that a bar has
MOST_PIXELS = 8000  # of a side of a picture


@pytest.fixture(autouse=True)
def columns(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "80")


def lines(*arguments: str) -> list[str]:
    finished = run_here(*arguments)
    assert (finished.code, finished.err) == (0, "")
    return [line.rstrip() for line in finished.out.splitlines()]


@pytest.mark.usefixtures("quick")
def test_attention_is_a_grid_of_percent() -> None:
    assert lines("show", "attention", SENTENCE, "--layer", "3", "--head", "0") == [
        "Layer 3 of fairy-tales, head 0",
        "         Th wi ga Ha an ap .",
        "    The 100",
        " ␣witch  92  8",
        "  ␣gave  84 10  7",
        "␣Hansel   2  · 96  1",
        "    ␣an   8  2 77  7  6",
        " ␣apple   1  · 92  2  4  1",
        "      .  10  1 56  1  2  2 27",
        "Percent that each row's token takes from each column's; · is less than 0.5.",
        "Layers are 0 to 5, heads 0 to 5: --layer, --head.",
    ]


@pytest.mark.usefixtures("quick")
def test_attention_without_a_choice_is_the_mean_in_the_last_layer(engine: Engine) -> None:
    shown = lines("show", "attention", SENTENCE)
    assert shown[0] == "Layer 5 of fairy-tales, the mean of its 6 heads"
    ids = engine.story(SENTENCE).prompt_ids
    mean = observing.attention_weights(engine.model, ids, 5).mean(axis=0)
    percents = [[int(each) for each in line.replace("·", "0").split()[1:]] for line in shown[2:9]]
    for row, weights in zip(percents, mean, strict=True):
        np.testing.assert_allclose(row, 100 * weights[: len(row)], atol=0.5)


@pytest.mark.full("looks into models")
@pytest.mark.usefixtures("quick")
def test_a_long_text_is_shown_as_far_as_it_fits() -> None:
    shown = lines("show", "attention", SENTENCE * 4)
    assert max(map(len, shown)) <= 80
    (count,) = re.findall(r"These are the first (\d+) of 28 tokens", "\n".join(shown))
    assert sum(bool(re.match(r" *\S+ +\d+", line)) for line in shown) == int(count)
    assert 20 <= int(count) < 28


@pytest.mark.full("looks into models")
@pytest.mark.filterwarnings("error:::tutor")  # matplotlib warns in the name of its caller
@pytest.mark.usefixtures("quick")
@pytest.mark.parametrize("text", ["王様は\n\t言った 🧚", "\x1b[31m[bold]$x$ \\", " "])
def test_any_text_can_be_shown(text: str, tmp_path: Path) -> None:
    for command in ("attention", "next"):
        shown = lines("show", command, text)
        assert "\x1b" not in "".join(shown)
        file = str(tmp_path / f"{command}.svg")
        assert lines("show", command, text, "--output", file) == [file]
        assert command == "attention" or "$x$" not in text or "$x$" in words(Path(file))


def words(file: Path) -> str:
    """All text in an SVG; where spaces matter, they do not break."""
    drawn = ElementTree.fromstring(file.read_bytes())  # noqa: S314 (it is our own)
    assert drawn.tag == f"{SVG}svg"
    texts = ["".join(text.itertext()) for text in drawn.iter(f"{SVG}text")]
    assert not [text for text in texts if "  " in text]
    return " ".join(" ".join(texts).split())


@pytest.mark.full("looks into models")
@pytest.mark.usefixtures("quick")
@pytest.mark.parametrize("share", [1 / 7, 2000.0, -0.5, np.nan])
def test_attention_that_is_none_is_told(share: float, monkeypatch: pytest.MonkeyPatch) -> None:
    weights = np.full((6, 7, 7), share)  # the first sums to 1, but looks ahead
    monkeypatch.setattr(observing, "attention_weights", lambda *_: weights)
    if np.isnan(share):
        assert_refused(run_here("show", "attention", SENTENCE), "layer 5", "not finite")
    else:
        shown = lines("show", "attention", SENTENCE)
        assert {len(line) for line in shown[2:9]} == {len("␣Hansel ") + 7 * 3}
        assert shown[-1] == "Some rows do not sum to 1, or look ahead: see tutor check 7."


@pytest.mark.usefixtures("quick")
def test_next_has_the_likeliest_tokens_and_all_others(engine: Engine) -> None:
    title, head, *rows = lines("show", "next", "The king said to his", "--top", "3")
    assert title == "What fairy-tales expects after “The king said to his”, by temperature"
    assert head.split() == ["0.5", "0.8", "1", "1.5"]
    logits = observing.next_logits(engine.model, engine.story("The king said to his").prompt_ids)
    order = np.argsort(-logits)
    tokens = [engine.tokenizer.decode([token]) for token in order[:3]]
    assert [row.split()[0] for row in rows[:3]] == [token.replace(" ", "␣") for token in tokens]
    assert rows[3].startswith("4,093 others")
    for column, temperature in enumerate((0.5, 0.8, 1.0, 1.5)):
        shown = [float(re.findall(r"([\d.]+)%", row)[column]) for row in rows]
        shares = observing.softmax(logits, temperature)
        expected = [*shares[order[:3]], 1 - shares[order[:3]].sum()]
        np.testing.assert_allclose(shown, 100 * np.array(expected), atol=0.051)


@pytest.mark.usefixtures("quick")
def test_bars_are_as_long_as_their_shares() -> None:
    _, _, *rows = lines("show", "next", "The king said to his", "--temperature", "0.5")
    shares = [float(share) for row in rows for share in re.findall(r"([\d.]+)%", row)]
    lengths = [sum(EIGHTHS.find(letter) for letter in row if letter in EIGHTHS) for row in rows]
    scale = lengths[0] / shares[0]
    assert lengths[0] > 100
    np.testing.assert_allclose(lengths, scale * np.array(shares), atol=1)


@pytest.mark.full("looks into models")
@pytest.mark.usefixtures("quick")
def test_temperatures_that_do_not_fit_beside_go_below() -> None:
    given = [str(value) for value in (0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7)]
    options = [word for value in given for word in ("--temperature", value)]
    shown = lines("show", "next", "The king said to his", "--top", "1", *options)
    assert max(map(len, shown)) <= 80
    heads = [line.split() for line in shown[1:] if "%" not in line]
    assert [value for head in heads for value in head] == given
    assert len(heads) == 2
    rows = "".join(line for line in shown if "%" in line and "others" not in line)
    shares = [float(share) for share in re.findall(r"([\d.]+)%", rows)]
    assert shares == sorted(shares, reverse=True)
    assert len(set(shares)) == len(given)


def test_shapes_are_a_tree_of_modules() -> None:
    assert lines("show", "shapes", "10") == [
        "Step 10, Language-model head: solutions/solution_10.py",
        "module or operation                   in → out                weights",
        "MaxGPT2LMHeadModel                    [B, T] → [B, T, V]",
        "  transformer: MaxGPT2Model           [B, T] → [B, T, C]",
        "    wte: Embedding                    [B, T] → [B, T, C]      [V, C]",
        "    wpe: Embedding                    [T] → [T, C]            [1024, C]",
        "    h: Sequential                     [B, T, C] → [B, T, C]",
        "      h.0 … h.11: GPT2Block           [B, T, C] → [B, T, C]",
        "        ln_1: LayerNorm               [B, T, C] → [B, T, C]   [C], [C]",
        "        attn: GPT2MultiHeadAttention  [B, T, C] → [B, T, C]",
        "          c_attn: Linear              [B, T, C] → [B, T, 3C]  [3C, C], [3C]",
        "          c_proj: Linear              [B, T, C] → [B, T, C]   [C, C], [C]",
        "        ln_2: LayerNorm               [B, T, C] → [B, T, C]   [C], [C]",
        "        mlp: GPT2MLP                  [B, T, C] → [B, T, C]",
        "          c_fc: Linear                [B, T, C] → [B, T, L]   [L, C], [L]",
        "          c_proj: Linear              [B, T, L] → [B, T, C]   [C, L], [C]",
        "    ln_f: LayerNorm                   [B, T, C] → [B, T, C]   [C], [C]",
        "  lm_head: Linear                     [B, T, C] → [B, T, V]   [V, C]",
        "B batch, T tokens, C = 768, V = 50257, L = 3072, as in GPT-2 small",
    ]


@pytest.mark.usefixtures("quick")
@pytest.mark.parametrize(
    "step",
    partly("looks into models", all_steps(), [*map(find_step, ("1", "7", "11"))].__contains__),
    ids=lambda step: step.name,
)
def test_the_shapes_of_every_step_fit(step: Step) -> None:
    shown = lines("show", "shapes", step.short)
    assert max(map(len, shown)) <= 80
    assert "…  " not in "\n".join(shown)  # nothing is cut


def test_shapes_have_the_sizes_of_a_model() -> None:
    folder = str(ROOT / "models" / "fairy-tales")
    shown = lines("show", "shapes", "4", "--model", folder)
    assert shown[2].endswith("[B, T, C] → [B, T, C]")
    assert " ".join(shown[-2:]).startswith("  c_proj: Linear")
    assert "C = 192, L = 768" in " ".join(shown)


def test_a_size_that_could_have_two_letters_stays_a_number() -> None:
    sizes = {"vocab_size": 32000, "hidden_size": 2048, "intermediate_size": 5632}
    heads = {"num_attention_heads": 32, "num_key_value_heads": 4, "head_dim": 64}
    letters = Letters.of_llama(SimpleNamespace(**sizes, **heads))  # TinyLlama's
    assert letters.name(["B", 32, "T", 64, 256, 2048]) == "[B, 32, T, D, GD, C]"
    assert letters.legend("[B, 32, T, D]") == ["H = D/2 = 32", "D = 64"]
    heads["num_key_value_heads"] = 8
    assert Letters.of_llama(SimpleNamespace(**sizes, **heads)).name([8, 4]) == "[G, 4]"
    heads["num_attention_heads"] = 64  # as many heads in a group as there are groups
    assert Letters.of_llama(SimpleNamespace(**sizes, **heads)).name([64, 8]) == "[64, 8]"
    positions = 1024  # as many as the model is wide
    medium = SimpleNamespace(
        n_embd=1024, n_head=16, n_positions=positions, n_inner=4096, vocab_size=7
    )
    assert Letters.of(medium).name([1024, 3072, 4096, 64]) == "[1024, 3C, L, D]"


def test_experts_are_not_taken_for_groups() -> None:
    shown = lines("show", "shapes", "m9", "--model", str(ROOT / "models" / "llama-tales"))
    (top,) = (line for line in shown if "top_k" in line)
    assert top.endswith("→ 2 [B, T, 2]")
    assert "G = K = 2" in " ".join(shown)


@pytest.mark.full("looks into models")
@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("m3", ""),
        ("3", ""),
        ("m5", "modern 05 uses modern 01, 02 and 04, and steps/modern_01.py is not finished; see "),
        (
            "m4",
            "modern 04 uses modern 01, and steps/modern_01.py is not finished; see tutor check m1",
        ),
    ],
)
def test_own_steps_need_only_those_that_they_use(name: str, said: str, tmp_path: Path) -> None:
    root = make_course(tmp_path)
    solve(root, name)
    finished = run_child("show", "shapes", name, "--tree", "steps", course=root)
    if said:
        assert_refused(finished, said)
    else:
        assert (finished.code, finished.err) == (0, "")
        assert find_step(name).file("steps") in finished.out


@pytest.fixture(scope="module")
def course(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the course without its references, all steps solved."""
    root = tmp_path_factory.mktemp("course")
    shutil.copytree(ROOT / "tutor", root / "tutor")
    shutil.copytree(ROOT / "steps", root / "steps")
    (root / "solutions").mkdir()
    (root / "models").symlink_to(ROOT / "models")
    for step in all_steps():
        (root / step.file("steps")).write_text(sources.reference(step, "steps"))
    return root


@pytest.mark.full("looks into models")
@pytest.mark.usefixtures("quick")
@pytest.mark.parametrize("name", COMMANDS)
def test_own_steps_show_the_same(name: str, course: Path) -> None:
    finished = run_child(*COMMANDS[name], "--tree", "steps", course=course)
    assert (finished.code, finished.err) == (0, "")
    expected = run_here(*COMMANDS[name]).out.replace("solutions/solution_", "steps/step_")
    assert finished.out == expected


@pytest.mark.parametrize("name", COMMANDS)
def test_steps_that_are_not_finished_are_refused(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(trees, "ROOT", tmp_path)
    finished = run_here(*COMMANDS[name], "--tree", "steps")
    assert_refused(finished, "steps/step_01.py is not there", "tutor check 1")


@pytest.mark.full("looks into models")
def test_a_crash_in_a_step_is_told_with_its_line(course: Path, tmp_path: Path) -> None:
    own = tmp_path / "own"
    shutil.copytree(course, own, symlinks=True)
    file = own / "steps" / "step_07.py"
    file.write_text(
        file.read_text().replace(
            "        batch, length, width", "        1 / 0\n        batch, length, width"
        )
    )
    for name in COMMANDS:
        finished = run_child(*COMMANDS[name], "--tree", "steps", course=own)
        assert_refused(finished, "steps/step_07.py, line ", "ZeroDivisionError")


# Files


@pytest.mark.full("looks into models")
@pytest.mark.usefixtures("quick")
@pytest.mark.parametrize("name", COMMANDS)
def test_a_png_is_one_and_the_same_each_time(name: str, tmp_path: Path) -> None:
    files = [tmp_path / "first.png", tmp_path / "second.PNG"]
    for file in files:
        assert lines(*COMMANDS[name], "--output", str(file)) == [str(file)]
    first, second = (file.read_bytes() for file in files)
    assert first == second
    assert first.startswith(PNG)
    width, height = struct.unpack(">II", first[16:24])
    assert 300 <= width <= MOST_PIXELS
    assert 200 <= height <= MOST_PIXELS


@pytest.mark.full("looks into models")
@pytest.mark.usefixtures("quick")
@pytest.mark.parametrize(
    ("name", "wanted"),
    [
        ("attention", ["␣Hansel", "head 5", "Layer 5 of fairy-tales"]),
        ("one head", ["␣Hansel", "head 0", "Layer 3 of fairy-tales"]),
        ("next", ["␣wife", "4,093 others", "49.4%", "temperature 0.8"]),
        ("shapes", ["c_attn: Linear", "[B, H, T, T]", "C = 768"]),
    ],
)
def test_an_svg_has_the_words_as_text(name: str, wanted: list[str], tmp_path: Path) -> None:
    files = [tmp_path / "first.svg", tmp_path / "second.svg"]
    for file in files:
        lines(*COMMANDS[name], "--output", str(file))
    assert files[0].read_bytes() == files[1].read_bytes()
    text = words(files[0])
    for word in wanted:
        assert word in text


@pytest.mark.full("looks into models")
@pytest.mark.usefixtures("quick")
@pytest.mark.parametrize(("name", "count"), [("attention", 6), ("one head", 1)])
def test_each_head_has_its_panel(name: str, count: int, tmp_path: Path) -> None:
    file = tmp_path / "heads.svg"
    lines(*COMMANDS[name], "--output", str(file))
    assert len(re.findall(r">head \d<", file.read_text())) == count


def test_a_file_that_is_no_picture_is_refused_before_all_else() -> None:
    for name in COMMANDS:
        for file in ("picture.gif", "picture", "."):
            finished = run_here(*COMMANDS[name], "--model", "/nowhere", "--output", file)
            assert_refused(finished, "--output must end in .png or .svg", f"but is {file}")


@pytest.mark.full("looks into models")
@pytest.mark.usefixtures("quick")
def test_a_file_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / "folder.png").mkdir()
    for file in (tmp_path / "nowhere" / "picture.png", tmp_path / "folder.png"):
        assert_refused(run_here(*COMMANDS["next"], "--output", str(file)), str(file))


def test_without_matplotlib_a_file_says_how_to_get_it(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr("tutor.show.pictures.find_spec", lambda _: None)
    finished = run_here(*COMMANDS["shapes"], "--output", str(tmp_path / "shapes.png"))
    assert (finished.code, finished.out) == (3, "")
    assert re.fullmatch(r"tutor: .* matplotlib.* `uv sync` .*\n", finished.err)


@pytest.mark.full("looks into models")
def test_a_style_of_the_user_changes_nothing(tmp_path: Path) -> None:
    files = [tmp_path / "plain.png", tmp_path / "styled.png"]
    lines(*COMMANDS["shapes"], "--output", str(files[0]))
    with mpl.rc_context({"figure.facecolor": "red", "font.size": 30}):
        lines(*COMMANDS["shapes"], "--output", str(files[1]))
    assert files[0].read_bytes() == files[1].read_bytes()


# What is refused


@pytest.mark.usefixtures("quick")
@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["attention"], "Missing argument 'TEXT'"),
        (["attention", ""], "prompt is empty"),
        (["next", ""], "prompt is empty"),
        (["attention", "\x01" * 257], "257 tokens"),
        (["next", "\x01" * 257], "257 tokens"),
        (["attention", "a", "--layer", "6"], "--layer must be 0 to 5, but is 6"),
        (["attention", "a", "--layer", "-1"], "--layer must be 0 to 5, but is -1"),
        (["attention", "a", "--head", "6"], "--head must be 0 to 5, but is 6"),
        (["attention", "a", "--head", "x"], "'--head'"),
        (["next", "a", "--temperature", "0"], "--temperature must be above 0, but is 0"),
        (["next", "a", "--temperature", "nan"], "--temperature must be above 0, but is nan"),
        (["next", "a", "--temperature", "inf"], "--temperature must be above 0, but is inf"),
        (["next", "a", "--top", "0"], "'--top'"),
        (["shapes"], "Missing argument 'N'"),
        (["shapes", "13"], "'13' is not a step"),
        (["shapes", "7", "--model", "/nowhere"], "--model '/nowhere'"),
        (["heads"], "No such command 'heads'"),
    ],
)
def test_bad_arguments_are_refused_in_one_line(arguments: list[str], words: str) -> None:
    assert_refused(run_here("show", *arguments), words)


def test_sizes_that_cannot_be_are_refused(tmp_path: Path) -> None:
    for file in (ROOT / "models" / "fairy-tales").iterdir():
        (tmp_path / file.name).symlink_to(file)
    config = (tmp_path / "config.json").read_text().replace('"n_head": 6', '"n_head": 7')
    (tmp_path / "config.json").unlink()
    (tmp_path / "config.json").write_text(config)
    finished = run_here("show", "shapes", "7", "--model", str(tmp_path))
    assert_refused(finished, str(tmp_path), "n_head")


def test_show_alone_lists_what_there_is() -> None:
    finished = run_here("show")
    assert finished.code == 0
    for name in ("attention", "next", "shapes", "Examples:"):
        assert name in finished.out


# Terminals


@pytest.mark.full("looks into models")
@pytest.mark.parametrize("setting", ["", "1"])
def test_colours_are_for_terminals_that_want_them(setting: str) -> None:
    environment = {"COLORTERM": "truecolor", **({"NO_COLOR": setting} if setting else {})}
    with in_terminal(*COMMANDS["one head"], course=ROOT, **environment) as (terminal, child):
        text = terminal.wait_for("--layer, --head.")
        assert child.wait() == 0
    shades = re.findall(rb"48;2;(\d+);(\d+);(\d+)", terminal.written)
    assert bool(shades) is not bool(setting)
    assert " ␣witch  92  8" in text
    if shades:  # and a legend tells what they mean
        assert re.search(r"^ +1 +5 +10 +25 +50 +100$", text, re.MULTILINE)
        by_weight = re.findall(rb"48;2;(\d+);\d+;\d+m *(\d+)", terminal.written)
        reds = dict(sorted((int(weight), int(red)) for red, weight in by_weight))
        assert list(reds.values()) == sorted(reds.values())


@pytest.mark.full("looks into models")
def test_text_from_standard_input_is_read() -> None:
    finished = run_child("show", "next", "-", "--top", "1", stdin=b"The king said to his\n")
    assert finished.code == 0
    assert "“The king said to his”" in finished.out
    assert "␣wife" in finished.out


@pytest.mark.full("looks into models")
def test_a_reader_that_goes_away_ends_it_quietly() -> None:
    with start_child("show", "shapes", "7") as child:
        assert child.stdout
        assert child.stderr
        child.stdout.close()
        assert child.wait(SECONDS) == 0
        assert child.stderr.read() == b""
