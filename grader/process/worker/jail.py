"""The walls around an attempt's process, put up in that process before it reads a line of the attempt (Linux).

Landlock says which files there are for it, seccomp which system calls. Both hold for whatever the process starts, and
nothing takes them down again. What cannot be done raises OSError: then no attempt may run.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import platform
import struct
import sys
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from groundup.grader.process.worker.system_calls import NEWEST, REFUSED, TOLD_APART

ARCHITECTURES = {"x86_64": (0, 0xC000003E), "aarch64": (1, 0xC00000B7)}  # column of the table, the kernel's name
NOBODY = 65534
PR_SET_PDEATHSIG, PR_SET_KEEPCAPS, PR_GET_SECCOMP, PR_SET_SECCOMP, PR_SET_NO_NEW_PRIVS = 1, 8, 21, 22, 38
PR_SET_PTRACER = 0x59616D61
CAP_DAC_READ_SEARCH = 1 << 2
SECCOMP_MODE_FILTER = 2

# Landlock's calls have the same number everywhere, and no function in libc.
CREATE_RULESET, ADD_RULE, RESTRICT_SELF = 444, 445, 446
EXECUTE, WRITE_FILE, READ_FILE, READ_FOLDER, REMOVE_FOLDER, REMOVE_FILE, _, MAKE_FOLDER = (1 << n for n in range(8))
MAKE_FILE, _, MAKE_PIPE, _, MAKE_LINK, MOVE, TRUNCATE, DEVICE_IOCTL = (
    1 << n for n in range(8, 16)
)  # _: sockets, devices
FILE_RIGHTS_OF_ABI = {1: 13, 2: 14, 3: 15, 4: 15}  # from 5 on all 16
READ = READ_FILE | READ_FOLDER
WORK = (
    READ | WRITE_FILE | TRUNCATE | REMOVE_FOLDER | REMOVE_FILE | MAKE_FOLDER | MAKE_FILE | MAKE_PIPE | MAKE_LINK | MOVE
)
ON_FILES = EXECUTE | WRITE_FILE | READ_FILE | TRUNCATE | DEVICE_IOCTL  # the others are rights on what a folder holds
BIND_AND_CONNECT_TCP = ABSTRACT_SOCKETS_AND_SIGNALS = 0b11

# Berkeley packet filter, as seccomp speaks it: a word of (number, architecture, address, six arguments) at an offset.
LOAD, AND, EQUAL, ABOVE, RETURN = 0x20, 0x54, 0x15, 0x25, 0x06
NUMBER, ARCHITECTURE, ARGUMENTS = 0, 4, 16
ALLOW, KILL = (RETURN, 0x7FFF0000), (RETURN, 0x80000000)
NOT_PERMITTED, NOT_THERE = (RETURN, 0x50000 | 1), (RETURN, 0x50000 | 38)  # EPERM, ENOSYS
CLONE_THREAD, TRUNCATES_AS_READER, WRITES_OR_TRUNCATES = 0x10000, 0o1000, 0o1003
UNIX, INTERNET, INTERNET_6, NETLINK, STREAM, KIND = 1, 2, 10, 16, 1, 0xF
SETS_OWNER = (8, 10, 15)  # fcntl F_SETOWN, F_SETSIG, F_SETOWN_EX: have the kernel send signals to others
TERMINAL_INPUT = (0x5412, 0x541C, 0x8901, 0x8902)  # ioctl TIOCSTI, TIOCLINUX; FIOSETOWN, SIOCSPGRP set an owner too

_libc = ctypes.CDLL(None, use_errno=True)


@dataclass(frozen=True)
class Walls:
    """What an attempt's process may do. Everything else, it may not."""

    read: Sequence[str]
    """Files and folders to read, with what is in them."""
    list: Sequence[str]
    """Folders whose names it may list, with those in them."""
    work: Sequence[str]
    """Folders in which it may do anything but execute, and files to read and write."""
    talk: bool = False
    """Whether it may start threads and use sockets of TCP, as the ranks of a lab do."""


def landlock_abi() -> int:
    """Return the version of Landlock that this kernel has; 0 where it has none."""
    try:
        return _landlock(CREATE_RULESET, None, 0, 1)
    except OSError:
        return 0


def has_seccomp() -> bool:
    """Whether the kernel filters system calls, and the table has them for this processor."""
    known = platform.machine() in ARCHITECTURES and sys.maxsize > 1 << 32 and sys.byteorder == "little"
    return known and _libc.prctl(PR_GET_SECCOMP, 0, 0, 0, 0) >= 0


def give_up_privileges(needed: Iterable[str]) -> None:
    """Become nobody where this is root's process, and drop every capability, for good.

    One is kept where nobody could not reach what is ``needed``, such as a clone in /root: to read any file. Of the
    files that there are, Landlock decides.
    """
    _prctl(PR_SET_NO_NEW_PRIVS, 1)
    held = _permitted_capabilities()
    if os.geteuid() == 0:
        _prctl(PR_SET_KEEPCAPS, 1)
        with contextlib.suppress(OSError):  # root of a container that may not: without capabilities a user like others
            os.setgroups([])
            os.setresgid(NOBODY, NOBODY, NOBODY)
            os.setresuid(NOBODY, NOBODY, NOBODY)
    reachable = all(os.access(path, os.R_OK) for path in needed)
    _set_capabilities(0 if reachable else held & CAP_DAC_READ_SEARCH)


def enter(walls: Walls) -> None:
    """Put the walls up around this process, for good, and see that they stand."""
    _prctl(PR_SET_NO_NEW_PRIVS, 1)
    _restrict_files(walls)
    _set_filter(_filter(talk=walls.talk, pid=os.getpid()))
    _see_that_they_stand()


def _restrict_files(walls: Walls) -> None:
    abi = landlock_abi()
    known = (1 << FILE_RIGHTS_OF_ABI.get(abi, 16)) - 1
    attributes = struct.pack(
        "<QQQ", known, 0 if abi < 4 or walls.talk else BIND_AND_CONNECT_TCP,
        ABSTRACT_SOCKETS_AND_SIGNALS if abi >= 6 else 0,
    )[: 8 if abi < 4 else 16 if abi < 6 else 24]  # fmt: skip
    ruleset = _landlock(CREATE_RULESET, attributes, len(attributes), 0)
    try:
        for paths, rights in (walls.read, READ), (walls.list, READ_FOLDER), (walls.work, WORK):
            for path in paths:
                _allow(ruleset, path, rights & known)
        _landlock(RESTRICT_SELF, ruleset, 0)
    finally:
        os.close(ruleset)


def _allow(ruleset: int, path: str, rights: int) -> None:
    try:
        there = os.open(path, os.O_PATH | os.O_CLOEXEC)
    except (FileNotFoundError, PermissionError):  # what is not there, or out of reach anyway, needs no rule
        return
    try:
        rights &= -1 if os.path.isdir(path) else ON_FILES  # noqa: PTH112
        if rights:
            _landlock(ADD_RULE, ruleset, 1, struct.pack("<Qi", rights, there), 0)
    finally:
        os.close(there)


def _filter(*, talk: bool, pid: int) -> list[tuple[int, ...]]:
    """Return the program that is asked about every system call: instructions (code, operand, jump if, jump if not)."""
    column, architecture = ARCHITECTURES[platform.machine()]
    number = {name: numbers[column] for name, numbers in (REFUSED | TOLD_APART).items()}
    program: list[tuple[int, ...]] = [
        (LOAD, ARCHITECTURE), (EQUAL, architecture, 1, 0), KILL,  # a 32-bit call has another table
        (LOAD, NUMBER), (ABOVE, NEWEST, 0, 1), NOT_THERE,  # x32 calls lie above, too
    ]  # fmt: skip

    def judge(name: str, *then: tuple[int, ...]) -> None:
        if (called := number[name]) is not None:
            program.extend([(EQUAL, called, 0, len(then)), *then])

    def one_of(argument: int, allowed: Iterable[int], mask: int | None = None) -> list[tuple[int, ...]]:
        """Allow the call if the argument's lower half is one of those; else refuse it."""
        masked = [] if mask is None else [(AND, mask)]
        tests = [step for value in allowed for step in ((EQUAL, value, 0, 1), ALLOW)]
        return [(LOAD, ARGUMENTS + 8 * argument), *masked, *tests, NOT_PERMITTED]

    def none_of(argument: int, refused: Iterable[int], mask: int | None = None) -> list[tuple[int, ...]]:
        return [NOT_PERMITTED if step == ALLOW else step for step in one_of(argument, refused, mask)[:-1]] + [ALLOW]

    for name in REFUSED:
        judge(name, NOT_PERMITTED)
    judge("clone3", NOT_THERE)  # its flags are out of a filter's sight; libc goes on with clone
    judge("openat2", NOT_THERE)
    judge("clone", *(one_of(0, [CLONE_THREAD], CLONE_THREAD) if talk else [NOT_PERMITTED]))
    for name, flags in ("open", 1), ("openat", 2):  # older Landlocks let a reader cut files short
        judge(name, *none_of(flags, [TRUNCATES_AS_READER], WRITES_OR_TRUNCATES))
    for name in "kill", "tgkill", "rt_sigqueueinfo", "rt_tgsigqueueinfo":
        judge(name, *one_of(0, [pid]))
    for name in "prlimit64", "sched_setaffinity":
        judge(name, *one_of(0, [0, pid]))
    judge("prctl", *none_of(0, [PR_SET_PDEATHSIG, PR_SET_PTRACER]))
    judge("ioctl", *none_of(1, TERMINAL_INPUT))
    judge("fcntl", *none_of(1, SETS_OWNER))
    # A pair of datagram sockets could still be sent to any path; one of streams is joined for good.
    judge("socketpair", *one_of(1, [STREAM], KIND))
    if talk:
        of_streams = one_of(1, [STREAM], KIND)
        families = ((EQUAL, NETLINK, 0, 1), ALLOW, (EQUAL, INTERNET, 2, 0), (EQUAL, INTERNET_6, 1, 0), NOT_PERMITTED)
        judge("socket", (LOAD, ARGUMENTS), *families, *of_streams)
    else:
        for name in "socket", "bind", "connect", "listen", "accept", "accept4", "sendmmsg":
            judge(name, NOT_PERMITTED)
    return [*program, ALLOW]


def _set_filter(program: Sequence[tuple[int, ...]]) -> None:
    steps = b"".join(
        struct.pack("<HBBI", code, *(jumps or (0, 0)), operand & 0xFFFFFFFF) for code, operand, *jumps in program
    )
    buffer = ctypes.create_string_buffer(steps, len(steps))
    described = ctypes.create_string_buffer(struct.pack("<HxxxxxxQ", len(program), ctypes.addressof(buffer)))
    _prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, ctypes.addressof(described))


def _see_that_they_stand() -> None:
    """Try two things that are harmless where they succeed, and have to be refused."""
    try:
        os.close(os.open("/", os.O_RDONLY))
    except PermissionError:
        if _libc.unshare(0) != 0:
            return
    raise OSError("the kernel took the rules and does not follow them")


def _permitted_capabilities() -> int:
    head, data = _capability_head(), ctypes.create_string_buffer(24)
    if _libc.capget(head, data):
        raise _error("capget")
    _, low, _, _, high, _ = struct.unpack("<6I", data.raw)
    return int(low | high << 32)


def _set_capabilities(which: int) -> None:
    low, high = which & 0xFFFFFFFF, which >> 32
    if _libc.capset(_capability_head(), struct.pack("<6I", low, low, 0, high, high, 0)):
        raise _error("capset")


def _capability_head() -> bytes:
    return struct.pack("<Ii", 0x20080522, 0)


def _prctl(option: int, *arguments: int) -> None:
    values = [ctypes.c_ulong(value) for value in (*arguments, 0, 0, 0, 0)[:4]]
    if _libc.prctl(option, *values):
        raise _error(f"prctl {option}")


def _landlock(number: int, *arguments: int | bytes | None) -> int:
    values = [ctypes.c_long(a) if isinstance(a, int) else a for a in arguments]
    answer: int = _libc.syscall(ctypes.c_long(number), *values)
    if answer < 0:
        raise _error("Landlock")
    return answer


def _error(what: str) -> OSError:
    number = ctypes.get_errno()
    return OSError(number, f"{what}: {os.strerror(number)}")
