"""What a learner reads about a check."""

import contextlib
import io
import re
from collections.abc import Iterator

from rich.console import Console, Group, RenderableType
from rich.padding import Padding
from rich.style import Style
from rich.table import Table
from rich.text import Text

from tutor import ROOT
from tutor.check.expectations import MismatchError, resized
from tutor.check.likeness import likeness
from tutor.check.results import Outcome, Result
from tutor.check.sandbox.errors import CodeError, ContractError, NotStartedError
from tutor.check.slips import slip
from tutor.course import sources
from tutor.course.names import prose
from tutor.course.pages import find_page
from tutor.course.registry import Check, Mistake, Step
from tutor.course.verdicts import Verdict
from tutor.errors import EnvironmentBrokenError

WRITE = "tutor generate --tree steps lets your own GPT-2 write"
OWN_TOKENS = "once your twelve steps are finished, tutor generate --tree steps uses your tokenizer"
MOST_PLACES = 3  # lines of the code that are shown for a crash


class Display:
    """Prints the checks as they end, then what they mean; keeps the error if that fails."""

    def __init__(self, console: Console) -> None:
        self.console = console
        self.error: OSError | None = None

    def begin(self, result: Result) -> None:
        self._print(heading(result), Text())

    def checked(self, outcome: Outcome) -> None:
        self._print(check_line(outcome.check, outcome))

    def searching(self) -> contextlib.AbstractContextManager[object]:
        """Say that the mistake is being looked for, on a terminal, as long as it is."""
        if not self.console.is_terminal:
            return contextlib.nullcontext()
        return self.console.status("Looking for the mistake …")

    def end(self, result: Result) -> None:
        reached = result.outcomes
        missing = [check for check in result.step.checks if check.name not in reached]
        self._print(*(check_line(check, None) for check in missing), Text(), summary(result))

    def _print(self, *parts: RenderableType) -> None:
        try:
            if not self.error:
                self.console.print(Group(*parts))
        except OSError as error:
            self.error = error


def plain(*parts: RenderableType) -> str:
    """The same as text for a pipe."""
    console = Console(file=io.StringIO(), width=80)
    for part in parts:
        console.print(part)
    file = console.file
    assert isinstance(file, io.StringIO)
    return file.getvalue()


def heading(result: Result) -> RenderableType:
    """Which file is checked, and which steps it does not use."""
    step = result.step
    file = (step.file(result.tree), "bold")
    parts = [Text.assemble("Checked ", file, f": {step.label}, {step.title}.")]
    for why in sorted(set(result.replaced.values())):
        steps = prose([step for step, reason in result.replaced.items() if reason == why])
        parts.append(Text(f"The reference stands in for {steps} ({why})."))
    return Group(*parts)


def check_line(check: Check, outcome: Outcome | None) -> RenderableType:
    """A check in one line, or as many as its title needs."""
    passed = outcome is not None and outcome.verdict is Verdict.PASSED
    verdict = outcome.verdict if outcome else Verdict.NOT_REACHED
    grid = Table.grid(padding=(0, 1), expand=True)
    grid.add_column(width=1, style=verdict.style)
    grid.add_column(ratio=1)
    grid.add_column(justify="right", style=verdict.style, no_wrap=True)
    points = f"{check.points if passed else 0}/{check.points}"
    grid.add_row(
        "✓" if passed else "✗" if outcome else "·",
        check.title,
        points if passed else f"{verdict} {points}",
    )
    return grid


def explain(result: Result, outcome: Outcome) -> RenderableType:
    """Why a check failed."""
    parts: list[RenderableType] = [
        Text(f"✗ {outcome.check.title}", style=f"bold {outcome.verdict.style}")
    ]
    parts += [Padding(part, (0, 0, 0, 2), expand=False) for part in reasons(result, outcome.error)]
    if outcome.output.strip():
        parts += [Padding(Text("Your code printed:"), (0, 0, 0, 2), expand=False)]
        parts += [Padding(Text(outcome.output.rstrip(), style="dim"), (0, 0, 0, 4), expand=False)]
    return Group(*parts)


def reasons(result: Result, error: BaseException | None) -> Iterator[RenderableType]:
    """What was expected and what came, or the line of the learner's that raised an error."""
    match error:
        case MismatchError():
            yield Text(f"{sentence(error.what)}{error.place}:")
            grid = Table.grid(padding=(0, 2))
            grid.add_row("  expected", Text(error.expected, style="green"))
            grid.add_row("  got", Text(error.got, style="red"))
            yield grid
        case EnvironmentBrokenError():
            yield Text(f"{error}.")
        case ContractError():
            yield Text(f"{sentence(error.message)}{'' if error.message.endswith('?') else '.'}")
        case NotStartedError() if error.places:
            yield Text("It is not written yet, or its last line still raises NotImplementedError.")
        case CodeError():
            yield Text(shortened(str(error)))
        case _:
            yield Text(f"The check cannot make sense of what came: {error!r}")
    if isinstance(error, CodeError):
        last = list(dict.fromkeys(error.places))[-MOST_PLACES:]
        for place in reversed(last):  # the one that failed stands below the error
            yield Text(f"{result.tree}/{place}:")
            yield Padding(Text(place.text, style="bold"), (0, 0, 0, 4), expand=False)
    if isinstance(error, CodeError) and (said := slip(error, sources.reference(result.step))):
        yield Text(said, style="bold yellow")
    if result.step.shapes and is_about_shapes(error):
        yield Text(f"Shapes on the way: {result.step.shapes}")


def sentence(text: str) -> str:
    """The text with a capital letter in front, unless it begins with a name."""
    first = text.partition(" ")[0]
    return f"{text[:1].upper()}{text[1:]}" if first.isalpha() else text


def is_about_shapes(error: BaseException | None) -> bool:
    """Whether the shapes on the way help to understand it."""
    if isinstance(error, MismatchError):
        return "shape" in error.what and not error.says
    return isinstance(error, CodeError) and "shape" in error.message.lower()


def shortened(message: str, lines: int = 6, width: int = 300) -> str:
    """The first lines of a message, none too long; of one by MAX, what it says in plain words."""
    if operation := re.search(r"Failed to create op '(\w+)'", message):
        reason = message.partition("Diagnostics:\n")[2] or message.rpartition("\n\n")[2]
        first, *_ = [*reason.strip().splitlines(), "it does not say why"]
        first = first.partition(" Insert an explicit rebind")[0]
        first = re.sub(r"#mosh<ape(\[.*?\])> : !mosh.ape", r"\1", first)
        message = f"MAX cannot build this {operation[1]}: {first}"
    message = re.sub("An error occurred in kernel.*\n", "", message.partition("Fusion info")[0])
    kept = [line[:width] + " …" * (len(line) > width) for line in message.splitlines()]
    return "\n".join(kept[:lines] + ["…"] * (len(kept) > lines))


def summary(result: Result) -> RenderableType:
    """The first failure explained, the points, and what to do next."""
    parts: list[RenderableType] = []
    if result.failures:
        first = result.failures[0]
        parts += [explain(result, first), *cause(result), Text()]
    step, verdict = result.step, result.verdict
    passed = len(result.outcomes) - len(result.failures)
    said = "checks pass" if result.failures else "checks"  # or 6 are taken for the wrong ones
    counts = f"{passed} of {len(step.checks)} {said}, {result.points} of {step.points} points"
    parts += [Text.assemble((f"{verdict}".capitalize(), verdict.style), f": {counts}.")]
    parts += [Text(f"Advice: {words}") for words in result.advice]
    if result.tree == "steps":
        parts += [Text(what_next(result))]
    return Group(*parts)


def cause(result: Result) -> Iterator[RenderableType]:
    """The mistake that it is, or the other step that it comes from."""
    if result.culprits:
        found = (
            f"It passes with the reference's {prose(result.culprits)} in place of yours: "
            "look for the mistake there."
        )
        yield Padding(Text(found), (0, 0, 0, 2), expand=False)
    if mistake := result.mistake:
        text = Text.assemble(("Mistake: ", "bold"), (mistake.says, "bold yellow"))
        yield Padding(Group(text, *more_on(result.step, mistake)), (0, 0, 0, 2), expand=False)
    elif not result.culprits and (like := result.said or looks_like(result.failures[0])):
        yield Padding(Text(like, style="bold yellow"), (0, 0, 0, 2), expand=False)


def more_on(step: Step, mistake: Mistake) -> Iterator[Text]:
    """Where the book says more about a mistake: a link, where the terminal knows links."""
    chapter = ROOT / step.chapter
    if chapter.is_file() and mistake.is_in(chapter.read_text(encoding="utf-8")):
        address, shown = find_page(step.name, mistake.anchor)
        place = shown or f"tutor book {step.short} --mistake {mistake.anchor}"
        yield Text(f"More on it: {place}", style=Style(dim=True, link=address or None))


def looks_like(outcome: Outcome) -> str:
    """What came instead of what was expected, in a sentence, if that is plain."""
    error = outcome.error
    if not isinstance(error, MismatchError):
        return ""
    if error.says or not error.numbers:
        return error.says
    got, expected, _ = error.numbers
    like = likeness(*error.numbers, error.stages)
    return like or resized(list(got.shape), list(expected.shape))


def what_next(result: Result) -> str:
    """What to do next."""
    step = result.step
    file = step.file(result.tree)
    match result.verdict:
        case Verdict.PASSED:
            written = f"{WRITE}; or " if "generates" in step.roles else ""
            if not (later := step.following):
                return f"Next: {WRITE if step.track.computes else OWN_TOKENS}."
            return f"Next: {written}{later.label}, {later.title}, in {later.file('steps')}."
        case Verdict.BROKEN:
            return "Next: tutor doctor says what is wrong with this machine."
        case Verdict.NOT_STARTED if result.points:
            return f"Next: continue with the TODOs of {file}{line_of(result.failures[0])}."
        case Verdict.NOT_STARTED if not (ROOT / step.chapter).exists():
            return f"Next: fill in the first TODO of {file}."
        case Verdict.NOT_STARTED:
            return f"Next: tutor read {step.short}, then fill in the first TODO of {file}."
    if result.culprits:
        return f"Next: tutor check {result.culprits[0].short}"
    return f"Next: fix {file}, then tutor check {step.short}. For a hint: tutor hint {step.short}"


def line_of(outcome: Outcome) -> str:
    """Where the code of a failed check ended, as words to go on with."""
    places = outcome.error.places if isinstance(outcome.error, CodeError) else []
    return f", above line {places[-1].line}" if places else ""
