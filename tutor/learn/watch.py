"""`tutor watch`: checks a step again whenever it is saved, and does what single keys ask for.

Each check is a process of its own: a save can end it, and this one needs no MAX.
"""

import asyncio
import contextlib
import os
import signal
from collections.abc import Coroutine
from datetime import datetime
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.text import Text
from watchfiles import Change, awatch

from tutor import ROOT
from tutor.course import sources
from tutor.course.registry import Step
from tutor.errors import EnvironmentBrokenError
from tutor.learn import progress
from tutor.processes import command
from tutor.terminal.keyboard import Keyboard

KEYS = {"n": "next", "h": "hint", "l": "list", "r": "rerun", "s": "solution", "q": "quit"}
STEPS = ROOT / "steps"
MOMENT = 100  # milliseconds: an editor may write a file in several goes
GRACE = 5.0  # seconds for a check to end what it has started
CLEAR = "\x1b[m\x1b[2J\x1b[H"  # plain style, empty screen, first line

# SIGTERM ends it as Ctrl-C does, once there is something to put in order.
COMMAND = (
    "import signal; from tutor.__main__ import main; "
    "signal.signal(signal.SIGTERM, signal.default_int_handler); main()"
)


def watch(step: Step | None) -> None:
    """Watch a step, or the current one, until the learner quits."""
    if step is None:
        known = progress.standings()
        here = progress.find_current(known)
        if here is None:
            print(progress.what_next(known))
            return
        step = here.step
    session = Session(step)
    try:
        asyncio.run(session.run())
    except asyncio.CancelledError:
        if session.ended_by == signal.SIGINT:
            raise KeyboardInterrupt from None
        raise SystemExit(128 + session.ended_by) from None


class Session:
    """What is watched, and what happens meanwhile."""

    def __init__(self, step: Step) -> None:
        self.step, self.has_passed = step, False
        self.console = Console(highlight=False)
        self.events = asyncio.Queue[str | Exception]()
        self.keyboard = Keyboard(self.events.put_nowait)
        self.check: asyncio.Task[None] | None = None
        self.later: list[str] = []  # keys that wait for the check to end
        self.ended_by = 0  # a signal
        self.is_lent = False  # the terminal, with its keys, to another command

    async def run(self) -> None:
        """Check, and do what the learner asks for, until that is to quit."""
        self.heed_signals()
        following = self.beside(self.follow_saves())
        try:
            await self.start_check()
            while True:
                with self.keyboard.listening():
                    key = await self.listen()
                if key == "q":
                    return
                self.say("")
                await self.call("solution", self.step.short, takes_keys=True)
                self.show_keys()
        finally:
            following.cancel()
            await self.end_check()

    def heed_signals(self) -> None:
        """Have a signal end this in good order, unless it is ignored, as under nohup."""
        task = asyncio.current_task()
        assert task

        def stop(number: int) -> None:
            if number == signal.SIGINT and self.is_lent:
                return  # Ctrl-C is for the other command
            self.ended_by = number
            task.cancel()

        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            if signal.getsignal(number) != signal.SIG_IGN:
                asyncio.get_running_loop().add_signal_handler(number, stop, number)

    def beside(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        """Start work whose errors become events."""

        async def finish() -> None:
            try:
                await work
            except Exception as error:
                self.events.put_nowait(error)

        return asyncio.create_task(finish())

    async def listen(self) -> str:
        """Do what events ask for, up to a key that needs the terminal, or ends all."""
        while True:
            event = await self.events.get()
            is_checking = self.check and not self.check.done()
            match event:
                case Exception():
                    raise event
                case "r" | "saved":
                    await self.start_check()
                case "q":
                    return event
                case str() if is_checking:
                    self.later.append(event)
                case "s":
                    return event
                case "n":
                    await self.go_on()
                case "h":
                    self.say("")
                    await self.call("hint", self.step.short)
                    self.show_keys()
                case "l":
                    self.say("")
                    self.show_all()
                    self.show_keys()
                case _:
                    self.show_keys()

    async def follow_saves(self) -> None:
        """Tell of each save of the step, or of another that it uses."""
        try:
            while True:
                changes = awatch(*folders(), watch_filter=None, step=MOMENT, recursive=False)
                async with contextlib.aclosing(changes):
                    async for found in changes:
                        moved = {Path(name) for kind, name in found if kind != Change.modified}
                        if self.concerns({Path(name) for _, name in found}) or STEPS in moved:
                            self.events.put_nowait("saved")
                        if STEPS in moved:
                            break  # it may be another folder now
        except (OSError, RuntimeError) as error:
            raise EnvironmentBrokenError(
                f"steps/ cannot be watched: {error}; try WATCHFILES_FORCE_POLLING=1 tutor watch"
            ) from None

    def concerns(self, files: set[Path]) -> bool:
        """Whether the step is one of these files, or uses one."""
        used = [ROOT / each.file("steps") for each in sources.used(self.step)]
        return not {file.resolve() for file in files}.isdisjoint(file.resolve() for file in used)

    async def start_check(self) -> None:
        """Check the step, from the beginning if that is under way."""
        is_first = self.check is None
        await self.end_check()
        if not is_first:
            self.clear()
        self.check = self.beside(self.check_step())

    async def end_check(self) -> None:
        """End the check that is under way, if there is one."""
        if self.check:
            self.check.cancel()
            await asyncio.wait([self.check])

    async def check_step(self) -> None:
        """Show what `tutor check` shows, and how to go on."""
        self.has_passed = False
        step, file = self.step, self.step.file("steps")
        if (ROOT / file).is_file():
            if self.console.is_terminal:
                self.console.print("Checking …", style="dim", end="\r")  # the check writes over it
            self.has_passed = await self.call("check", step.short) == 0
            self.show_time()
        else:
            how = f"tutor reset {step.short} writes the exercise"
            self.say(f"Waiting for {file}, which is missing: {how}.\n")
        self.show_keys()
        for key in self.later:
            self.events.put_nowait(key)
        self.later = []

    async def go_on(self) -> None:
        """Take the next step, once this one has passed."""
        if not self.has_passed:
            self.say(f"\n{self.step.label.capitalize()} has not passed yet.")
        elif self.step.following:
            self.step = self.step.following
            await self.start_check()
            return
        else:
            self.say(
                "\nThat was the last step. Let your own GPT-2 write: tutor generate --tree steps"
            )
        self.show_keys()

    async def call(self, *arguments: str, takes_keys: bool = False) -> int:
        """Run a `tutor` command on this terminal; its exit code."""
        child = await asyncio.create_subprocess_exec(
            *command(COMMAND, *arguments),
            env=dict(os.environ),
            stdin=None if takes_keys else asyncio.subprocess.DEVNULL,
            start_new_session=not takes_keys,  # so that Ctrl-C is for this process alone
        )
        try:
            self.is_lent = takes_keys
            return await child.wait()
        finally:
            self.is_lent = False
            await end(child)

    def show_all(self) -> None:
        """Print all steps."""
        self.console.print(progress.overview(progress.standings(), self.console.width))

    def say(self, text: str) -> None:
        """Print a line."""
        self.console.print(Text(text))

    def show_time(self) -> None:
        """Print when it was checked, and what comes next."""
        now, following = datetime.now().astimezone().strftime("%H:%M:%S"), self.step.following
        if not self.has_passed:
            file = self.step.file("steps")
            self.say(f"\nChecked at {now}, and again each time you save {file}.")
        elif following:
            how = "Press n" if self.keyboard.is_there else f"tutor watch {following.short}"
            self.say(f"\nPassed at {now}. {how} for {following.label}, {following.title}.")
        else:
            self.say(f"\nPassed at {now}. That was the last step.")

    def show_keys(self) -> None:
        """Print what can be pressed."""
        if self.keyboard.is_there:
            keys = [part for key, name in KEYS.items() for part in ((key, "bold"), f" {name}   ")]
            self.console.print(Text.assemble(*keys))
        else:
            hint = f"tutor hint {self.step.short}"
            self.say(f"No keyboard here. Press Ctrl-C to stop; for a hint, run {hint} elsewhere.")

    def clear(self) -> None:
        """Begin a new screen, where there is one."""
        if self.console.is_terminal and not self.console.is_dumb_terminal:
            self.console.file.write(CLEAR)
        else:
            self.say("")


def folders() -> set[Path]:
    """Where a save can be seen: in steps/, in what its links lead to, and if it is replaced."""
    found = {ROOT, *(file.resolve().parent for file in STEPS.glob("*.py"))}
    return found | {STEPS} if STEPS.is_dir() else found


async def end(child: asyncio.subprocess.Process) -> None:
    """End a process that has not ended yet."""
    if child.returncode is None:
        child.terminate()
        try:
            await asyncio.wait_for(child.wait(), GRACE)
        except TimeoutError:
            child.kill()
            await child.wait()
