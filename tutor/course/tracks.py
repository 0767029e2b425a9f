"""The tracks: steps that belong together, with points of their own."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Track:
    """A row of steps, and how its steps are called: step_07, s07, 7; engine_02, e02, e2."""

    name: str  # of the track itself, as in --track engine
    title: str
    length: int
    word: str  # before a number in the name of a file, and in prose
    letter: str  # before a number in a pixi task
    short: str  # before a number in a command
    computes: bool = True  # on MAX, which takes a second to start


STEPS = Track("steps", "GPT-2 from scratch", 12, word="step", letter="s", short="")
ENGINE = Track("engine", "Make it fast", 7, word="engine", letter="e", short="e")
MODERN = Track("modern", "From GPT-2 to Llama", 9, word="modern", letter="m", short="m")
TEXT = Track("text", "From text to tokens", 2, word="text", letter="t", short="t", computes=False)
TRACKS = (STEPS, ENGINE, MODERN, TEXT)


def find_track(name: str) -> Track:
    """The track of this name. Raises KeyError if there is none."""
    return {track.name: track for track in TRACKS}[name]
