"""What lies on top of a folder or archive: the submissions of a class, or the files of one.

One rule for both tells a class from a submission. In doubt it is a class, in which nothing is lost.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import PurePosixPath
from typing import Literal

from tutor.grade.submissions.names import ARCHIVE, owner_of, stem_of, step_of, why_not

LITTER = (  # what systems leave behind, and services put beside what was handed in
    *("thumbs.db", "desktop.ini", "__macosx"),
    *("index.html", "submission_metadata.yml"),
)
CLONE = ("pixi.toml", "pyproject.toml", "solutions", ".git")  # beside the steps of one learner
HANDED_IN = (".py", ".ipynb")
LINK = "is a link, and none is followed; put there what it leads to"
NO_FILE = "is neither a file nor a folder; take it out of the class"
HIDDEN = "is hidden, since its name begins with a dot; rename it"
NOBODY = "does not say whose it is; put it into a folder with the name of its learner"
UNFINISHED = "is a download"


@dataclass(frozen=True)
class Top:
    """A file or folder on top of a folder or archive."""

    path: PurePosixPath  # from the folder or archive
    is_folder: bool
    look: Callable[[], Iterable[PurePosixPath]]  # for files in it, by their paths from it
    fault: str = ""
    is_repository: bool = False

    @property
    def name(self) -> str:
        return self.path.name

    @property
    def is_archive(self) -> bool:
        return not self.is_folder and bool(ARCHIVE.search(self.name))

    @property
    def kind(self) -> Literal["folder", "archive", "repository", "file"]:
        if self.is_repository:
            return "repository"
        return "folder" if self.is_folder else "archive" if self.is_archive else "file"

    @property
    def learner(self) -> tuple[str, str]:
        """Whose it is by its name, and the number that a service has for them."""
        if owner := owner_of(self.name):
            return owner.learner, owner.number
        if not self.is_folder and (named := step_of(self.name)):
            return named.before, ""
        return without_suffix(self.name), ""

    @property
    def is_bare(self) -> bool:
        """Whether it is a step, or the folder of the steps, that does not say whose."""
        if self.is_folder:
            return self.name.lower() == "steps"
        return bool(step_of(self.name)) and not self.learner[0]

    @cached_property
    def inside(self) -> tuple[PurePosixPath, ...]:
        return tuple(self.look())

    @property
    def has_steps(self) -> bool:
        """Whether steps are in it, as in what a learner hands in."""
        is_damaged = self.is_archive and not self.inside
        return self.is_repository or is_damaged or any(step_of(p.name) for p in self.inside)

    @property
    def has_work(self) -> bool:
        """Whether anything is in it that a learner may have handed in."""
        if not self.is_folder:
            return self.is_archive or bool(step_of(self.name))
        names = [path.name for path in self.inside]
        return any(name.endswith(HANDED_IN) or ARCHIVE.search(name) for name in names)

    @property
    def problem(self) -> str:
        """Why it is no submission, if it is none."""
        why, named = why_not(self.name), step_of(self.name)
        if self.fault:
            return self.fault
        if self.is_folder:
            return why if why.startswith(UNFINISHED) else ""
        if named and self.is_bare:
            return NOBODY if named.is_python else why
        return "" if named or self.is_archive or owner_of(self.name) else why


def without_suffix(name: str) -> str:
    """The name of an archive or repository without what says so."""
    return ARCHIVE.sub("", name).removesuffix(".git") or name


def is_litter(name: str) -> bool:
    """Whether something is there for a system, and nobody's."""
    return name.lower() in LITTER or name.startswith("._") or name == ".git"


def is_class(tops: Sequence[Top], names: Iterable[str], *, is_folder: bool) -> bool:
    """Whether these belong to several learners; `names` are those of all that lies there.

    Any folder is one of a class unless steps lie in it at once, while an archive has to hold the
    work of two. Where steps do, others must have some, too.
    """
    if any(owner_of(top.name) for top in tops):
        return True
    if not any(top.is_bare for top in tops):
        if is_folder:
            return True
        working = [top for top in tops if top.has_work]
        is_by_step = all(top.is_folder and step_of(f"{top.name}.py") for top in working)
        return len({top.learner for top in working}) > 1 and not is_by_step
    if {*CLONE} & {*names}:
        return False
    return any(is_somebodys(top) for top in tops if not top.is_bare)


def is_somebodys(top: Top) -> bool:
    """Whether a file or folder beside steps is another learner's submission."""
    is_packed_steps = top.is_archive and stem_of(top.name).lower() == "steps"
    return (top.is_folder or top.is_archive) and not is_packed_steps and top.has_steps


def by_learner(tops: Iterable[Top]) -> dict[tuple[str, str, str], list[Top]]:
    """Those that are submissions, by learner, number, and a name where it stays by itself.

    So does a repository; an archive may have been handed in again.
    """
    given = list(tops)
    known = {top.learner for top in given}
    found: dict[tuple[str, str, str], list[Top]] = {}
    for top in given:
        earlier = stem_of(top.name), ""
        is_again = top.is_archive and not owner_of(top.name) and earlier in known
        key = earlier if is_again else top.learner
        if top.is_repository:
            found[*key, top.name] = [top]
        else:
            found.setdefault((*key, ""), []).append(top)
    return found
