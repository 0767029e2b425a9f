"""Chooses among the files of a submission: which folder, and which file for each step.

What is left is told, if it is named like a step.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import PurePosixPath

from tutor.course.names import Name
from tutor.grade.submissions.entries import UnreadableError, spelled
from tutor.grade.submissions.names import (
    ARCHIVE,
    OTHER,
    Spelling,
    age_of,
    mentioned,
    owner_of,
    stem_of,
    step_of,
    why_not,
)

MOST_TOLD = 4  # of the files that are none, where there is no step
MOST_NOTES = 20
LONGEST_SHOWN = 160  # characters of a path in a note
LONGEST_NAME = 200  # bytes, from the folder with the steps
SOLUTIONS = ("solutions", "tests")  # folders of the course, whose files are named like steps, too


@dataclass(frozen=True)
class Found:
    """What a submission holds: Python files, what keeps one from being read, and what is none."""

    python: dict[PurePosixPath, bytes]
    faults: dict[PurePosixPath, str]
    others: dict[PurePosixPath, str]

    @property
    def steps(self) -> dict[PurePosixPath, Spelling]:
        """The files that are named like a step; those that cannot be read only if all are such."""
        found = {path: named for path in self.python if (named := step_of(path.name))}
        return {path: found[path] for path in found if not self.faults[path]} or found


def is_importable(path: PurePosixPath) -> bool:
    """Whether a path from the folder with the steps is that of a module; any system can hold it."""
    parts = path.with_suffix("").parts
    is_module = path.suffix == ".py" and all(map(str.isidentifier, parts))
    return is_module and len(str(path).encode()) <= LONGEST_NAME


def choose_folders(found: Found, notes: list[str]) -> list[PurePosixPath]:
    """The folder with the steps: one of that name, or else the one that lies highest.

    Several, if each has other steps; of archives of one name, the one that was handed in last.
    """
    folders: dict[PurePosixPath, set[Name]] = defaultdict(set)
    for path, named in found.steps.items():
        folders[path.parent].add(named.step)
    if not folders:
        raise UnreadableError(without_steps(found))
    ranks = {place: (place.name.lower() != "steps", len(place.parts)) for place in folders}
    first = min(ranks.values())
    best = sorted(place for place in folders if ranks[place] == first)
    if sum(len(folders[place]) for place in best) == len({s for p in best for s in folders[p]}):
        return best
    archives = {
        place: [part for part in place.parts if ARCHIVE.search(part) or owner_of(part)]
        for place in best
    }
    ages = {place: [age_of(part) for part in archives[place]] for place in best}
    newest = max(best, key=lambda place: ages[place])
    names = {tuple(map(stem_of, archives[place])) for place in best}
    if len(names) == 1 and list(ages.values()).count(ages[newest]) == 1:
        older = [place for place in best if place != newest]
        notes += [f"{shown(newest)} was graded, and not the older {shown(old)}." for old in older]
        return [newest]
    both = " and ".join(map(shown, best[:2]))
    raise UnreadableError(
        f"it holds steps in {both}; one of them has to go, or, if these are a class, name it alone"
    )


def without_steps(found: Found) -> str:
    """Why there is nothing to grade, and what there is instead."""
    whys = {path: why or why_no_step(path.name) for path, why in found.others.items()}
    whys |= {path: why_no_step(path.name) for path in found.python}
    known = [f"{shown(path)} {why}" for path, why in sorted(whys.items()) if why != OTHER]
    return "; ".join(
        ["it holds no file named like a step, such as steps/step_01.py", *known[:MOST_TOLD]]
    )


def why_no_step(name: str) -> str:
    """Why a file is none that can be graded, and what to do about it."""
    if ARCHIVE.search(name):
        return "is an archive in another, and was not opened; unpack it"
    why, step = why_not(name), mentioned(name)
    if step and name.endswith(".py"):
        return f"was not taken for {step.label}; call it {step}.py"
    return f"is no Python file; save it as {step}.py" if step and why == OTHER else why


def choose_steps(
    beside: Mapping[PurePosixPath, PurePosixPath], notes: list[str]
) -> dict[PurePosixPath, Name]:
    """Which file is which step; of several of one step the newest, by what their names say."""
    candidates: dict[Name, dict[PurePosixPath, Spelling]] = defaultdict(dict)
    for path in beside:
        if len(path.parts) == 1 and (named := step_of(path.name)):
            candidates[named.step][path] = named
    chosen: dict[PurePosixPath, Name] = {}
    for step, files in candidates.items():
        plain = {path: files[path] for path in files if not files[path].before} or files
        last = max(named.age for named in plain.values())
        newest = [path for path in plain if plain[path].age == last]
        exact = [path for path in newest if path.name == f"{step}.py"] or newest
        if len({named.before for named in plain.values()}) > 1 or len(exact) > 1:
            names = " and ".join(shown(beside[path]) for path in sorted(plain))
            notes.append(f"{step.label.capitalize()} is there as {names}; keep one, as {step}.py.")
            continue
        (path,) = exact
        chosen[path] = step
        name = shown(beside[path])
        others = [shown(beside[other]) for other in sorted(plain.keys() - {path})]
        notes += [f"{name} was graded, and not {other}." for other in others]
        if plain[path].is_late:
            notes.append(f"{name} was handed in late.")
        elif path.name != f"{step}.py" and not owner_of(path.name):
            notes.append(f"{name} was read as {step}.py.")
    return chosen


def tell_of_others(
    found: Found,
    folders: Iterable[PurePosixPath],
    steps: Mapping[PurePosixPath, Name],
    notes: list[str],
) -> None:
    """Note what is named like a step that is not graded, and what it would take."""
    every = {path: mentioned(path.name) for path in (*found.others, *found.python)}
    for path, step in every.items():
        if not step or step in steps.values() or path.parent.name in SOLUTIONS:
            continue
        if path in found.others and path.parent in folders:
            notes.append(f"{shown(path)} {found.others[path] or why_no_step(path.name)}.")
        elif path.parent in folders and is_importable(PurePosixPath(path.name)):
            if not step_of(path.name):
                notes.append(f"{shown(path)} {why_no_step(path.name)}.")
        elif step_of(path.name) and not any(map(path.is_relative_to, folders)):
            why = found.faults[path] or "lies apart from the other steps"
            notes.append(f"{shown(path)} {why}; it was left out.")


def shown(path: PurePosixPath) -> str:
    """A path that can be part of a line."""
    return shorten(spelled(str(path)))


def shorten(text: str) -> str:
    """The text, or its beginning and its end."""
    half = LONGEST_SHOWN // 2
    return text if len(text) <= LONGEST_SHOWN else f"{text[:half]}…{text[-half:]}"


def bounded(notes: list[str]) -> list[str]:
    """As many of them as anybody reads."""
    more = len(notes) - MOST_NOTES
    return notes if more <= 0 else [*notes[:MOST_NOTES], f"And so on, {more} times more."]
