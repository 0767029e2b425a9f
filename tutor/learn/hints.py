"""The ladder of hints for a check: one rung further each time."""

from dataclasses import dataclass

from tutor.course.names import prose
from tutor.course.registry import Check, Step, find_step
from tutor.course.verdicts import Verdict
from tutor.learn import records
from tutor.learn.progress import find_current, standing, standings


@dataclass(frozen=True)
class Hint:
    """A hint for the check that failed first; `rung` counts from 1."""

    check: Check
    rung: int
    mistake: str | None  # that was recognized there, which is the best hint of all
    culprits: list[Step]  # other steps that it comes from, which are the place to look

    @property
    def text(self) -> str:
        return self.check.hints[self.rung - 1]


def tell(step: Step | None) -> str:
    """The next hint for a step, or for the current one, in words, and what it is about."""
    known = standing(step) if step else find_current(standings())
    if not known:
        return "All steps passed their last checks, so there is nothing to hint at."
    step, found = known.step, next_hint(known.step)
    name, check = step.label.capitalize(), f"tutor check {step.short}"
    if not found:
        if known.is_stale:
            return f"{name} passed before your last edits; {check} says whether it still does."
        return f"{name} passed its last check, so there is nothing to hint at."
    most = len(found.check.hints)
    lines = [f"{name}: {found.check.title}"]
    if found.mistake:
        lines.append(f"Mistake: {found.mistake}")
    if found.culprits:
        lines.append(
            f"It passes with the reference's {prose(found.culprits)} instead of yours, so look for "
            f"the mistake there, with tutor hint {found.culprits[0].short}"
        )
    lines.append(f"Hint {found.rung} of {most}: {found.text}")
    if found.rung == most:
        lines.append(
            f"That was the last one; to see the reference: tutor solution {step.short} --yes"
        )
    if known.verdict == "not checked":
        lines.append(f"You have not checked it yet; {check} says what is wrong.")
    elif known.is_stale:
        lines.append(f"This is about the last check, before your last edits; next: {check}")
    return "\n".join(lines)


def next_hint(step: Step) -> Hint | None:
    """The next hint, or the last one again; None if the step passed its last check."""
    kept = records.load(step)
    # What was found in a file that is gone, or a stub again, no longer helps.
    last = kept if standing(step).was_checked else records.Record()
    failed = [check for check in step.checks if last.checks.get(check.name) != Verdict.PASSED]
    if not failed:
        return None
    check = failed[0]
    rung = min(kept.hints.get(check.name, 0) + 1, len(check.hints))
    records.update(step, hints={**kept.hints, check.name: rung})
    return Hint(check, rung, last.mistake, [find_step(name) for name in last.culprits])
