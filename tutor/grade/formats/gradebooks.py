"""Points for the grade books of Canvas and Moodle, as a file that these import.

Learners are told by the numbers that the services put into the names of what was downloaded.

Canvas  Gradebook, Import: Student, ID, …, a column for each assignment, and its points possible
Moodle  Assignment, Upload grading worksheet: one row for each Identifier
"""

from collections.abc import Callable, Iterable, Iterator, Sequence

from tutor.course.names import in_order, prose
from tutor.course.tracks import TRACKS, Track
from tutor.course.verdicts import Verdict
from tutor.grade.formats.texts import table
from tutor.grade.grades import Grade

STUDENT = ("Student", "ID", "SIS User ID", "SIS Login ID", "Section")
MOODLE = (
    *("Identifier", "Full name", "Grade", "Maximum grade"),
    *("Last modified (grade)", "Feedback comments"),
)


def canvas(grades: Sequence[Grade]) -> dict[str, bytes]:
    """A column for each track; whoever could not be graded has no row, and keeps what is there."""
    read = [grade for grade in grades if grade.was_read]
    tracks = tracks_of(read)
    possible = [max(grade.max_points(track) for grade in read) for track in tracks]
    rows: list[Sequence[str | int]] = [
        (*STUDENT, *(title_of(read, track) for track in tracks)),
        ("    Points Possible", *[""] * (len(STUDENT) - 1), *possible),
    ]
    for grade in read:
        points = (grade.points(track) if grade.of_track(track) else "" for track in tracks)
        rows.append((grade.learner, grade.number, "", "", "", *points))
    return {"canvas.csv": table(rows)}


def moodle(grades: Sequence[Grade]) -> dict[str, bytes]:
    """A file for each track, which is an assignment; whoever could not be graded has no row."""
    read = [grade for grade in grades if grade.was_read]
    return {
        f"moodle-{track.name}.csv": table([MOODLE, *moodle_rows(read, track)])
        for track in tracks_of(read)
    }


def moodle_rows(grades: Iterable[Grade], track: Track) -> Iterator[Sequence[str | int]]:
    """The rows of a track."""
    for grade in grades:
        if grade.of_track(track):
            who = f"Participant {grade.number}" if grade.number else ""
            points, most = grade.points(track), grade.max_points(track)
            yield who, grade.learner, points, most, "", remarks(grade, track)


def remarks(grade: Grade, track: Track) -> str:
    """Which steps of a track have not passed, and the mistakes in them that are known."""
    missed = [step for step in grade.of_track(track) if step.verdict != Verdict.PASSED]
    said = [f"{step.name and step.name.label}: {step.mistake or step.verdict}" for step in missed]
    return "\n".join(said or ["All has passed."])


def tracks_of(grades: Iterable[Grade]) -> list[Track]:
    """The tracks of which anything was graded."""
    found = {step.name.track for grade in grades for step in grade.steps if step.name}
    return [track for track in TRACKS if track in found]


def title_of(grades: Iterable[Grade], track: Track) -> str:
    """What an assignment is called: after its track, or the steps of it that were graded."""
    names = {step.name for grade in grades for step in grade.of_track(track) if step.name}
    return track.title if len(names) == track.length else f"{track.title}: {prose(in_order(names))}"


GRADE_BOOKS: dict[str, Callable[[Sequence[Grade]], dict[str, bytes]]] = {
    "canvas": canvas,
    "moodle": moodle,
}
