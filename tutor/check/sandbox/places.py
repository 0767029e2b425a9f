"""Where code under check may read and write: Landlock's rules, and how much its own /tmp can hold.

Both are Linux's, and hold for the calling thread and for those that it starts. So they come first.
"""

import contextlib
import ctypes
import os
import stat
import struct
import sys
from collections.abc import Iterable

PR_SET_NO_NEW_PRIVS = 38  # linux/prctl.h
CAPABILITIES = 0x20080522  # the version of struct __user_cap_header_struct
MS_REMOUNT, MS_NOSUID, MS_NODEV = 32, 2, 4  # linux/mount.h

# The calls of Landlock, the same on all machines that the seal knows, and what they take.
CREATE_RULESET, ADD_RULE, RESTRICT_SELF = 444, 445, 446
ASK_VERSION, PATH_BENEATH = 1, 1  # linux/landlock.h
EXECUTE, WRITE, READ, LIST = 1, 2, 4, 8  # of a file, of a file, of a file, of a folder
FIRST = (1 << 13) - 1  # all rights of its first version
LATER = {2: 1 << 13, 3: 1 << 14, 5: 1 << 15}  # move, truncate, control a device; by version
TO_READ, EVERYTHING = EXECUTE | READ | LIST, ~0
FOR_FILES = EXECUTE | WRITE | READ | LATER[3] | LATER[5]  # that a file can have, which is no folder


def landlock_version() -> int:
    """Which version of Landlock this kernel has; 0 if it has none, or it is switched off."""
    if sys.platform != "linux":
        return 0
    version: int = ctypes.CDLL(None).syscall(CREATE_RULESET, None, 0, ASK_VERSION)
    return max(0, version)


def confine(readable: Iterable[str], writable: Iterable[str], listable: Iterable[str]) -> None:
    """Leave this process nothing but these places, and what lies below; of the last, only names.

    Places that are not there are left out. Does nothing without Landlock; raises OSError if it
    fails.
    """
    version = landlock_version()
    if not version:
        return
    every = FIRST | sum(bit for since, bit in LATER.items() if since <= version)
    rules = call(CREATE_RULESET, struct.pack("Q", every), 8, 0)
    for places, rights in ((readable, TO_READ), (writable, EVERYTHING), (listable, LIST)):
        for place in places:
            with contextlib.suppress(FileNotFoundError, PermissionError):
                add_rule(rules, place, rights & every)
    check(ctypes.CDLL(None, use_errno=True).prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0))
    call(RESTRICT_SELF, rules, 0)
    os.close(rules)


def add_rule(rules: int, place: str, rights: int) -> None:
    """Allow this at a place and below."""
    opened = os.open(place, os.O_PATH | os.O_CLOEXEC)
    try:
        if not stat.S_ISDIR(os.fstat(opened).st_mode):
            rights &= FOR_FILES
        if rights:
            call(ADD_RULE, rules, PATH_BENEATH, struct.pack("=Qi", rights, opened), 0)
    finally:
        os.close(opened)


def bound(folder: str, size: int, entries: int) -> None:
    """Have a file system in memory hold no more than that, and give up the right to change this.

    This process needs the right for that: CAP_SYS_ADMIN in its namespaces. Raises OSError if it
    fails.
    """
    libc = ctypes.CDLL(None, use_errno=True)
    options = f"size={size},nr_inodes={entries}".encode()
    flags = MS_REMOUNT | MS_NOSUID | MS_NODEV
    check(libc.mount(None, folder.encode(), None, flags, options))
    check(libc.capset(struct.pack("Ii", CAPABILITIES, 0), bytes(24)))


def call(number: int, *given: object) -> int:
    """What a call of the kernel gives. Raises OSError if it fails."""
    return check(ctypes.CDLL(None, use_errno=True).syscall(number, *given))


def check(made: int) -> int:
    """The same. Raises OSError if it says so."""
    if made < 0:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
    return made
