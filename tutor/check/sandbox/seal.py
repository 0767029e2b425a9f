"""Takes from a process, for good, what code under check has no use for.

No other process, no other program, no socket, no signal to others, and no limit raised again: the
kernel answers such calls with an error. This is a seccomp filter of Linux, which needs no rights,
and holds for all threads.
"""

import ctypes
import errno
import os
import platform
import struct
import sys

PR_SET_DUMPABLE, PR_SET_NO_NEW_PRIVS = 4, 38  # linux/prctl.h
SECCOMP_SET_MODE_FILTER, SECCOMP_FILTER_FLAG_TSYNC = 1, 1  # linux/seccomp.h; of all threads
PR_SET_PDEATHSIG = 1  # linux/prctl.h
F_SETOWN, F_SETSIG, F_SETOWN_EX = 8, 10, 15  # asm-generic/fcntl.h: whom input signals, and how
FIOSETOWN, SIOCSPGRP = 0x8901, 0x8902  # asm-generic/sockios.h: the same
LOAD, IF_EQUAL, IF_AT_LEAST, IF_ANY_BIT, RETURN = 0x20, 0x15, 0x35, 0x45, 0x06  # linux/filter.h
NUMBER, ARCHITECTURE, ARGUMENTS = 0, 4, 16  # offsets in struct seccomp_data, linux/seccomp.h
ALLOW, REFUSE, KILL = 0x7FFF0000, 0x00050000, 0x80000000
X32 = 0x40000000  # the bit of x86-64's second set of calls
CLONE_THREAD = 0x00010000

# By machine: what the kernel calls it, and the numbers of its calls, as in asm/unistd.h.
MACHINES = {"x86_64": 0xC000003E, "aarch64": 0xC00000B7}
CALLS = {  # x86_64, aarch64; None where there is no such call
    "fork": (57, None),
    "vfork": (58, None),
    "execve": (59, 221),
    "execveat": (322, 281),
    "socket": (41, 198),
    "ptrace": (101, 117),
    "process_vm_readv": (310, 270),
    "process_vm_writev": (311, 271),
    "kill": (62, 129),
    "tkill": (200, 130),
    "rt_sigqueueinfo": (129, 138),
    "rt_tgsigqueueinfo": (297, 240),
    "pidfd_open": (434, 434),
    "pidfd_send_signal": (424, 424),
    "setrlimit": (160, 164),
    "unshare": (272, 97),
    "setns": (308, 268),
    "mount": (165, 40),
    "umount2": (166, 39),
    "pivot_root": (155, 41),
    "chroot": (161, 51),
    "open_tree": (428, 428),
    "move_mount": (429, 429),
    "fsopen": (430, 430),
    "fsconfig": (431, 431),
    "fsmount": (432, 432),
    "fspick": (433, 433),
    "mount_setattr": (442, 442),
    "setsid": (112, 157),
    "setpgid": (109, 154),
    "setpriority": (141, 140),
    "sched_setscheduler": (144, 119),
    "sched_setattr": (314, 274),
    "ioprio_set": (251, 30),
    "shmget": (29, 194),
    "msgget": (68, 186),
    "semget": (64, 190),
    "mq_open": (240, 180),
    "memfd_create": (319, 279),
    "memfd_secret": (447, 447),
    "add_key": (248, 217),
    "request_key": (249, 218),
    "keyctl": (250, 219),
    "bpf": (321, 280),
    "perf_event_open": (298, 241),
    "userfaultfd": (323, 282),
    "io_setup": (206, 0),
    "io_uring_setup": (425, 425),
}
CLONE, CLONE3, TGKILL, PRLIMIT = (56, 220), (435, 435), (234, 131), (302, 261)
PRCTL, FCNTL, IOCTL = (157, 167), (72, 25), (16, 29)
SOCKETPAIR, SCHED_SETAFFINITY = (53, 199), (203, 122)
SOCK_STREAM, SOCK_NONBLOCK, SOCK_CLOEXEC = 1, 0o4000, 0o2000000  # bits/socket_type.h
STREAMS = [SOCK_STREAM | a | b for a in (0, SOCK_NONBLOCK) for b in (0, SOCK_CLOEXEC)]
SECCOMP = 317, 277

Instruction = tuple[int, int, int, int]  # code, jump if true, jump if false, value


def is_possible() -> bool:
    """Whether this system and machine have such filters, as far as this module knows them."""
    return sys.platform == "linux" and platform.machine() in MACHINES


def close() -> None:
    """Keep other processes of this user out of the memory of this one, where Linux can do so."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_DUMPABLE, 0, 0, 0, 0)


def seal() -> None:
    """Apply the filter to this process. Raises OSError if that fails."""
    code = b"".join(struct.pack("=HBBI", *instruction) for instruction in program())
    text = ctypes.create_string_buffer(code, len(code))
    # struct sock_fprog: how many instructions, and where they are.
    given = struct.pack("HP", len(code) // 8, ctypes.addressof(text))
    libc = ctypes.CDLL(None, use_errno=True)
    number = SECCOMP[list(MACHINES).index(platform.machine())]
    if libc.prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) or libc.syscall(
        number, SECCOMP_SET_MODE_FILTER, SECCOMP_FILTER_FLAG_TSYNC, given
    ):
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))


def program() -> list[Instruction]:
    """The filter for this machine: a call runs down it to the first return."""
    machine = platform.machine()
    column = list(MACHINES).index(machine)
    refused = [numbers[column] for numbers in CALLS.values()]
    no_such_call, refuse = REFUSE | errno.ENOSYS, REFUSE | errno.EPERM
    return [
        (LOAD, 0, 0, ARCHITECTURE),
        (IF_EQUAL, 1, 0, MACHINES[machine]),
        (RETURN, 0, 0, KILL),
        (LOAD, 0, 0, NUMBER),
        (IF_AT_LEAST, 0, 1, X32),
        (RETURN, 0, 0, refuse),
        *(
            step
            for number in refused
            if number is not None
            for step in on(number, (RETURN, 0, 0, refuse))
        ),
        # Its flags are in memory, where a filter cannot look; the C library then takes clone.
        *on(CLONE3[column], (RETURN, 0, 0, no_such_call)),
        *on(CLONE[column], *refuse_unless((ARGUMENTS, (IF_ANY_BIT, 1, 0, CLONE_THREAD)))),
        *on(TGKILL[column], *refuse_unless((ARGUMENTS, (IF_EQUAL, 1, 0, os.getpid())))),
        *on(PRLIMIT[column], *refuse_unless(*both_halves_are_zero(2))),
        *on(PRCTL[column], *refuse_if(0, PR_SET_PDEATHSIG)),
        *on(FCNTL[column], *refuse_if(1, F_SETOWN, F_SETSIG, F_SETOWN_EX)),
        *on(IOCTL[column], *refuse_if(1, FIOSETOWN, SIOCSPGRP)),
        *on(SOCKETPAIR[column], *allow_if(1, *STREAMS)),  # no datagrams
        *on(SCHED_SETAFFINITY[column], *allow_if(0, 0, os.getpid())),
        (RETURN, 0, 0, ALLOW),
    ]


def on(number: int, *steps: Instruction) -> list[Instruction]:
    """What is done for the call of this number only."""
    return [(IF_EQUAL, 0, len(steps), number), *steps]


def both_halves_are_zero(argument: int) -> list[tuple[int, Instruction]]:
    """Where the halves of an argument of 64 bits are, and the test of each."""
    offset = ARGUMENTS + 8 * argument
    return [(offset, (IF_EQUAL, 1, 0, 0)), (offset + 4, (IF_EQUAL, 1, 0, 0))]


def refuse_unless(*tests: tuple[int, Instruction]) -> list[Instruction]:
    """Refuse a call unless what lies at each offset passes the test, which then skips one."""
    steps: list[Instruction] = []
    for offset, test in tests:
        steps += [(LOAD, 0, 0, offset), test, (RETURN, 0, 0, REFUSE | errno.EPERM)]
    return [*steps, (RETURN, 0, 0, ALLOW)]


def allow_if(argument: int, *values: int) -> list[Instruction]:
    """Refuse a call unless an argument, a number of 32 bits, is one of these."""
    tests = (step for value in values for step in on(value, (RETURN, 0, 0, ALLOW)))
    refuse = (RETURN, 0, 0, REFUSE | errno.EPERM)
    return [(LOAD, 0, 0, ARGUMENTS + 8 * argument), *tests, refuse]


def refuse_if(argument: int, *values: int) -> list[Instruction]:
    """Refuse a call whose argument, a number of 32 bits, is one of these."""
    refuse = (RETURN, 0, 0, REFUSE | errno.EPERM)
    tests = (step for value in values for step in on(value, refuse))
    return [(LOAD, 0, 0, ARGUMENTS + 8 * argument), *tests, (RETURN, 0, 0, ALLOW)]
