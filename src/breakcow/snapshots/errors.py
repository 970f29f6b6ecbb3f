"""What can go wrong with a snapshot, each as a sentence."""


class SnapshotError(RuntimeError):
    """There is no image: nothing stands under its final name. The message is a sentence that says why."""


class LostError(SnapshotError):
    """Memory was discarded, moved or unmapped before it was copied, or was written past its protection."""


class UntrustedKernelError(SnapshotError):
    """This kernel, or this program's rights, cannot give an exact image."""


class BadFileError(ValueError):
    """The file is not an image, or not whole. The message is a sentence."""


class PrivilegeWarning(UserWarning):
    """The snapshot works, but system calls that store into the memory meanwhile fail with EFAULT; the message says how to mend it."""
