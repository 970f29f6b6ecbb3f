"""Any kernel in QEMU: where kernels come from, the machine that runs them, and the backend that talks to the agent inside."""

from breakcow.backend.vm.backend import VmBackend

__all__ = ["VmBackend"]
