"""Who executes a litmus test: the specification, this machine's kernel, or a kernel in a virtual machine."""
