"""Ctrl-C ends a command with exit code 130 and says nothing, whatever it is doing."""

import os
import subprocess
import sys

import pytest

from tests.project.commands import HEAR, SECONDS
from tests.project.tiers import partly
from tutor import ROOT

# The signal comes while the main thread is in C for minutes, as it is when MAX compiles.
PRELUDE = f"""
import hashlib, os, threading, time
from tutor import runtime
from tutor.engine import generation, loops, start
from tutor.terminal import interrupts
{HEAR}

def send(): os.kill(os.getpid(), signal.SIGINT)

def compute(*_, **__):
    threading.Timer(0.2, send).start()
    hashlib.pbkdf2_hmac("sha256", b"", b"", 10**9)
"""


def run(code: str, *arguments: str) -> tuple[int, str, str]:
    finished = subprocess.run(
        [sys.executable, "-c", PRELUDE + code, *arguments],
        cwd=ROOT,
        env=dict(os.environ),  # MAX changes the environment behind it
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=SECONDS,
        check=False,
    )
    return finished.returncode, finished.stdout, finished.stderr.strip()


WORK = ("runtime.activate", "start.load_engine", "loops.make_loop")


@pytest.mark.parametrize("work", partly("commands in odd situations", WORK, WORK[:1].__contains__))
def test_a_command_ends_at_once_while_max_gets_ready(work: str) -> None:
    code = f"generation.make_loop = {work} = compute; from tutor.__main__ import main; main()"
    assert run(code, "generate", "Once") == (130, "", "")


def test_work_that_is_held_is_finished_first() -> None:
    code = """
with interrupts.trapped(), interrupts.held():
    send()
    print("whole", flush=True)
print("never")
"""
    assert run(code) == (130, "whole\n", "")


def test_items_come_whole_and_no_more_are_made() -> None:
    code = """
def items():
    for item in range(9):
        if item == 2: send()
        yield item

with interrupts.trapped():
    for item in interrupts.between(items()): print(item, flush=True)
"""
    assert run(code) == (130, "0\n1\n", "")
    assert run(code.replace("== 2", "== 10")) == (0, "".join(f"{n}\n" for n in range(9)), "")


@pytest.mark.parametrize("place", ["contextlib.nullcontext()", "interrupts.held(0.5)"])
def test_a_command_that_goes_on_is_ended(place: str) -> None:
    code = f"""
import contextlib
interrupts._patience = 0.5
with interrupts.trapped():
    while True:
        with contextlib.suppress(KeyboardInterrupt), {place}:
            send()
            while True: time.sleep(0.01)
"""
    assert run(code) == (130, "", "")


def test_what_has_to_be_put_in_order_is() -> None:
    code = """
with interrupts.trapped():
    try:
        send()
        time.sleep(60)
    finally:
        send()  # once more, as from a program that passes it on
        print("in order", flush=True)
"""
    assert run(code) == (130, "in order\n", "")


def test_an_interrupt_that_is_ignored_stays_ignored() -> None:
    code = """
signal.signal(signal.SIGINT, signal.SIG_IGN)
with interrupts.trapped(), interrupts.held(0):
    send()
    time.sleep(0.2)
print("done")
"""
    assert run(code) == (0, "done\n", "")
