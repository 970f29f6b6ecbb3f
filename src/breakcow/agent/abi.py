"""Numbers of the Linux system call interface on x86-64, and the one place where this process makes raw system calls."""

import ctypes
import errno
import mmap
import os

PAGE = 4096

READ, PREAD64, PWRITE64, OPEN, CLOSE, MMAP, MPROTECT, MUNMAP = 0, 17, 18, 2, 3, 9, 10, 11
RT_SIGACTION, IOCTL, MREMAP, MADVISE, CLONE, WRITE, EXIT_GROUP, PRCTL = 13, 16, 25, 28, 56, 1, 231, 157
VMSPLICE, PIPE2, PROCESS_VM_READV, PROCESS_VM_WRITEV, USERFAULTFD = 278, 293, 310, 311, 323
DUP2, EXECVE = 33, 59
TEE, IO_URING_SETUP, IO_URING_ENTER, IO_URING_REGISTER, PIDFD_OPEN, PIDFD_GETFD = 276, 425, 426, 427, 434, 438

O_RDWR, O_WRONLY, O_CLOEXEC, O_NONBLOCK = os.O_RDWR, os.O_WRONLY, os.O_CLOEXEC, os.O_NONBLOCK
PROT_READ, PROT_RW, PROT_EXEC = 1, 3, 4
MAP_PRIVATE, MAP_ANONYMOUS, MAP_FIXED_NOREPLACE = 0x02, 0x20, 0x100000
MREMAP_MAYMOVE, MREMAP_FIXED = 1, 2
MADV_DONTNEED, MADV_MERGEABLE, MADV_UNMERGEABLE, MADV_COLD = 4, 12, 13, 20
MADV_DONTFORK, MADV_DOFORK, MADV_HUGEPAGE = 10, 11, 14
MADV_PAGEOUT, MADV_POPULATE_READ, MADV_POPULATE_WRITE = 21, 22, 23
CLONE_PARENT, CLONE_PARENT_SETTID, SIGCHLD = 0x8000, 0x100000, 17
PR_SET_PDEATHSIG, PR_SET_THP_DISABLE, PR_SET_NAME, PR_SET_MEMORY_MERGE = 1, 41, 15, 67
SA_SIGINFO, SA_RESTORER = 4, 0x04000000

_libc = ctypes.CDLL(None, use_errno=True)
_libc.syscall.restype = ctypes.c_long
_libc.syscall.argtypes = [ctypes.c_long] * 7
_NOTHING = (0,) * 6


def syscall(number: int, *arguments: int) -> int:
    """One system call of this process: its result, or OSError with its errno."""
    result = int(_libc.syscall(number, *arguments, *_NOTHING[len(arguments) :]))
    if result == -1:
        code = ctypes.get_errno()
        raise OSError(code, os.strerror(code))
    return result


def address_of(buffer: bytearray | mmap.mmap) -> int:
    """Where the bytes of a buffer lie."""
    return ctypes.addressof(ctypes.c_char.from_buffer(buffer))


def ioctl(fd: int, number: int, argument: bytearray) -> str:
    """ioctl(2) on `fd` with the structure in `argument`, in place: "ok" or the errno's name."""
    try:
        syscall(IOCTL, fd, number, address_of(argument))
    except OSError as error:
        return errno_name(error.errno)
    return "ok"


def errno_name(code: int | None) -> str:
    """The name of an errno, as the observation has it."""
    return errno.errorcode.get(code or 0, f"E{code}")
