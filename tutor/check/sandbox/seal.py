"""Takes from a process, for good, what code under check has no use for.

No other process, no other program, no socket, no signal to others, no limit raised again, and no
rights, owners and times of files changed: the kernel answers such calls with an error. This is a
seccomp filter of Linux, which needs no rights, and holds for all threads.

It lists what is refused. A list of what is allowed would be tighter, but it would have to follow
each version of the C library, of Python, NumPy and MAX on every machine, and a call that one of
them makes only now and then would cost a learner points. Calls newer than this list are refused.
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
NEWEST = 466  # the last call that was looked at when this was written
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
    "splice": (275, 76),
    "tee": (276, 77),
    "vmsplice": (278, 75),
    # What Landlock leaves alone: who owns a file, who may use it, and what is noted of it.
    "chmod": (90, None),
    "fchmod": (91, 52),
    "fchmodat": (268, 53),
    "fchmodat2": (452, 452),
    "chown": (92, None),
    "fchown": (93, 55),
    "lchown": (94, None),
    "fchownat": (260, 54),
    "utime": (132, None),
    "utimes": (235, None),
    "futimesat": (261, None),
    "utimensat": (280, 88),
    "setxattr": (188, 5),
    "lsetxattr": (189, 6),
    "fsetxattr": (190, 7),
    "setxattrat": (463, 463),
    "removexattr": (197, 14),
    "lremovexattr": (198, 15),
    "fremovexattr": (199, 16),
    "removexattrat": (466, 466),
    "mknod": (133, None),
    "mknodat": (259, 33),
    "name_to_handle_at": (303, 264),
    "open_by_handle_at": (304, 265),
    "inotify_init": (253, None),
    "inotify_init1": (294, 26),
    "fanotify_init": (300, 262),
    # What is for debuggers, and for whoever runs the machine.
    "pidfd_getfd": (438, 438),
    "process_madvise": (440, 440),
    "process_mrelease": (448, 448),
    "kcmp": (312, 272),
    "migrate_pages": (256, 238),
    "move_pages": (279, 239),
    "personality": (135, 92),
    "modify_ldt": (154, None),
    "syslog": (103, 116),
    "quotactl": (179, 60),
    "quotactl_fd": (443, 443),
    "acct": (163, 89),
    "swapon": (167, 224),
    "swapoff": (168, 225),
    "reboot": (169, 142),
    "kexec_load": (246, 104),
    "kexec_file_load": (320, 294),
    "init_module": (175, 105),
    "finit_module": (313, 273),
    "delete_module": (176, 106),
    "iopl": (172, None),
    "ioperm": (173, None),
    "sethostname": (170, 161),
    "setdomainname": (171, 162),
    "settimeofday": (164, 170),
    "clock_settime": (227, 112),
    "adjtimex": (159, 171),
    "clock_adjtime": (305, 266),
    "vhangup": (153, 58),
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
        (IF_AT_LEAST, 0, 1, NEWEST + 1),  # x86-64's second set of calls among them
        (RETURN, 0, 0, no_such_call),
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
