"""Restricts an attempt's process with Landlock and seccomp, before it reads a line of the attempt (Linux).

Landlock restricts the accessible files, seccomp the system calls. Child processes inherit both, and neither can be
lifted again. A failure raises OSError, and then no attempt may run.
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

ARCHITECTURES = {"x86_64": (0, 0xC000003E), "aarch64": (1, 0xC00000B7)}  # column of the table, AUDIT_ARCH number
NOBODY = 65534
PR_SET_PDEATHSIG, PR_SET_KEEPCAPS, PR_GET_SECCOMP, PR_SET_SECCOMP, PR_SET_NO_NEW_PRIVS = 1, 8, 21, 22, 38
PR_SET_PTRACER = 0x59616D61
CAP_DAC_READ_SEARCH = 1 << 2
SECCOMP_MODE_FILTER = 2

# Landlock's system calls have the same number on every architecture, and no libc wrapper.
CREATE_RULESET, ADD_RULE, RESTRICT_SELF = 444, 445, 446
EXECUTE, WRITE_FILE, READ_FILE, READ_FOLDER, REMOVE_FOLDER, REMOVE_FILE, _, MAKE_FOLDER = (1 << n for n in range(8))
MAKE_FILE, _, MAKE_PIPE, _, MAKE_LINK, MOVE, TRUNCATE, DEVICE_IOCTL = (
    1 << n for n in range(8, 16)
)  # _: sockets, devices
FILE_RIGHTS_OF_ABI = {1: 13, 2: 14, 3: 15, 4: 15}  # 16 from ABI 5 on
READ = READ_FILE | READ_FOLDER
WORK = (
    READ | WRITE_FILE | TRUNCATE | REMOVE_FOLDER | REMOVE_FILE | MAKE_FOLDER | MAKE_FILE | MAKE_PIPE | MAKE_LINK | MOVE
)
ON_FILES = EXECUTE | WRITE_FILE | READ_FILE | TRUNCATE | DEVICE_IOCTL  # the others apply to folder contents
BIND_AND_CONNECT_TCP = ABSTRACT_SOCKETS_AND_SIGNALS = 0b11

# Classic BPF as used by seccomp: LOAD takes an offset into (number, architecture, address, six arguments).
LOAD, AND, EQUAL, ABOVE, RETURN = 0x20, 0x54, 0x15, 0x25, 0x06
NUMBER, ARCHITECTURE, ARGUMENTS = 0, 4, 16
ALLOW, KILL = (RETURN, 0x7FFF0000), (RETURN, 0x80000000)
NOT_PERMITTED, NOT_THERE = (RETURN, 0x50000 | 1), (RETURN, 0x50000 | 38)  # EPERM, ENOSYS
CLONE_THREAD, TRUNCATES_AS_READER, WRITES_OR_TRUNCATES = 0x10000, 0o1000, 0o1003
UNIX, INTERNET, INTERNET_6, NETLINK, STREAM, KIND = 1, 2, 10, 16, 1, 0xF
# The other commands of fcntl set locks, leases, owners that get signals, notices of changed folders, sizes of pipes.
DESCRIPTOR_COMMANDS = (0, 1, 2, 3, 4, 1030)  # F_DUPFD, F_GETFD, F_SETFD, F_GETFL, F_SETFL, F_DUPFD_CLOEXEC
# The others of ioctl set flags and versions of files, type into terminals, and drive devices and file systems.
DEVICE_COMMANDS = (0x5401, 0x5413, 0x541B, 0x5421, 0x5450, 0x5451)  # TCGETS, TIOCGWINSZ, FIONREAD, FIONBIO, FION/CLEX
MOUNT_FLAGS = 32 | 2 | 4  # MS_REMOUNT, MS_NOSUID, MS_NODEV

_libc = ctypes.CDLL(None, use_errno=True)


@dataclass(frozen=True)
class Walls:
    """What an attempt's process may do; everything else is refused."""

    read: Sequence[str]
    """Readable files, and folders with their contents."""
    list: Sequence[str]
    """Folders that it may list, with their subfolders."""
    work: Sequence[str]
    """Folders in which it may do anything but execute files; and files that it may read and write."""
    talk: bool = False
    """Whether it may start threads and use TCP sockets, as the ranks of a lab do."""


def landlock_abi() -> int:
    """Return the Landlock ABI version of this kernel; 0 if it has no Landlock."""
    try:
        return _landlock(CREATE_RULESET, None, 0, 1)
    except OSError:
        return 0


def has_seccomp() -> bool:
    """Whether the kernel supports seccomp filters, and the table of system calls covers this architecture."""
    known = platform.machine() in ARCHITECTURES and sys.maxsize > 1 << 32 and sys.byteorder == "little"
    return known and _libc.prctl(PR_GET_SECCOMP, 0, 0, 0, 0) >= 0


def give_up_privileges(needed: Iterable[str]) -> None:
    """Permanently drop every capability; a process of root also switches to user nobody.

    If nobody could not read the ``needed`` files (a clone in /root, say), the capability to read any file is kept.
    Landlock still restricts which files can be read.
    """
    _prctl(PR_SET_NO_NEW_PRIVS, 1)
    held = _permitted_capabilities()
    if os.geteuid() == 0:
        _prctl(PR_SET_KEEPCAPS, 1)
        with contextlib.suppress(OSError):  # not permitted in some containers; root without capabilities
            os.setgroups([])
            os.setresgid(NOBODY, NOBODY, NOBODY)
            os.setresuid(NOBODY, NOBODY, NOBODY)
    reachable = all(os.access(path, os.R_OK) for path in needed)
    _set_capabilities(0 if reachable else held & CAP_DAC_READ_SEARCH)


def bound_entries(folder: str, size: int, most: int) -> bool:
    """Limit the file system in memory at ``folder`` to ``most`` files and folders; return whether the kernel did.

    An empty file takes none of its ``size`` bytes, and yet kernel memory.
    """
    options = f"size={size},nr_inodes={most}".encode()
    done: int = _libc.mount(b"tmpfs", folder.encode(), None, ctypes.c_ulong(MOUNT_FLAGS), options)
    return done == 0


def enter(walls: Walls) -> None:
    """Restrict this process permanently, and verify the restrictions."""
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
    except (FileNotFoundError, PermissionError):  # a missing or inaccessible path needs no rule
        return
    try:
        rights &= -1 if os.path.isdir(path) else ON_FILES  # noqa: PTH112
        if rights:
            _landlock(ADD_RULE, ruleset, 1, struct.pack("<Qi", rights, there), 0)
    finally:
        os.close(there)


def _filter(*, talk: bool, pid: int) -> list[tuple[int, ...]]:
    """Return the BPF program run on each system call: instructions (code, operand, jump if true, jump if false)."""
    column, architecture = ARCHITECTURES[platform.machine()]
    number = {name: numbers[column] for name, numbers in (REFUSED | TOLD_APART).items()}
    program: list[tuple[int, ...]] = [
        (LOAD, ARCHITECTURE), (EQUAL, architecture, 1, 0), KILL,  # 32-bit calls have other numbers
        (LOAD, NUMBER), (ABOVE, NEWEST, 0, 1), NOT_THERE,  # x32 calls have higher numbers, too
    ]  # fmt: skip

    def judge(name: str, *then: tuple[int, ...]) -> None:
        if (called := number[name]) is not None:
            program.extend([(EQUAL, called, 0, len(then)), *then])

    def one_of(argument: int, allowed: Iterable[int], mask: int | None = None) -> list[tuple[int, ...]]:
        """Allow the call if the lower half of its argument is in ``allowed``, else refuse it."""
        masked = [] if mask is None else [(AND, mask)]
        tests = [step for value in allowed for step in ((EQUAL, value, 0, 1), ALLOW)]
        return [(LOAD, ARGUMENTS + 8 * argument), *masked, *tests, NOT_PERMITTED]

    def none_of(argument: int, refused: Iterable[int], mask: int | None = None) -> list[tuple[int, ...]]:
        return [NOT_PERMITTED if step == ALLOW else step for step in one_of(argument, refused, mask)[:-1]] + [ALLOW]

    for name in REFUSED:
        judge(name, NOT_PERMITTED)
    judge("clone3", NOT_THERE)  # a filter cannot read its flags; libc falls back to clone
    judge("openat2", NOT_THERE)
    judge("clone", *(one_of(0, [CLONE_THREAD], CLONE_THREAD) if talk else [NOT_PERMITTED]))
    for name, flags in ("open", 1), ("openat", 2):  # older Landlock versions allow a reader to truncate files
        judge(name, *none_of(flags, [TRUNCATES_AS_READER], WRITES_OR_TRUNCATES))
    for name in "kill", "tgkill", "rt_sigqueueinfo", "rt_tgsigqueueinfo":
        judge(name, *one_of(0, [pid]))
    judge("prlimit64", *one_of(0, [0, pid]))
    judge("prctl", *none_of(0, [PR_SET_PDEATHSIG, PR_SET_PTRACER]))
    judge("ioctl", *one_of(1, DEVICE_COMMANDS))
    judge("fcntl", *one_of(1, DESCRIPTOR_COMMANDS))
    # A datagram socket of a pair could still send to any path; a stream socket stays connected to its peer.
    judge("socketpair", *one_of(1, [STREAM], KIND))
    if talk:
        of_streams = one_of(1, [STREAM], KIND)
        families = ((EQUAL, NETLINK, 0, 1), ALLOW, (EQUAL, INTERNET, 2, 0), (EQUAL, INTERNET_6, 1, 0), NOT_PERMITTED)
        judge("socket", (LOAD, ARGUMENTS), *families, *of_streams)
    else:
        for name in "socket", "bind", "connect", "listen", "accept", "accept4", "sendmmsg", "flock":
            judge(name, NOT_PERMITTED)  # the ranks of a lab may: they meet at a file that they lock
    return [*program, ALLOW]


def _set_filter(program: Sequence[tuple[int, ...]]) -> None:
    steps = b"".join(
        struct.pack("<HBBI", code, *(jumps or (0, 0)), operand & 0xFFFFFFFF) for code, operand, *jumps in program
    )
    buffer = ctypes.create_string_buffer(steps, len(steps))
    described = ctypes.create_string_buffer(struct.pack("<HxxxxxxQ", len(program), ctypes.addressof(buffer)))
    _prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, ctypes.addressof(described))


def _see_that_they_stand() -> None:
    """Verify that two operations are refused; both are harmless if they succeed."""
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
