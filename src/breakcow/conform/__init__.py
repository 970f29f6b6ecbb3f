"""The specification held to real kernels by programs that nobody wrote."""
