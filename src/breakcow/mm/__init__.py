"""The executable specification of anonymous-page sharing, in the kernel's own files and functions.

Every rule is a plain function over a duck-typed state (`schema.State`, or the compiled record of the same layout): small integers, for,
while, if; no exceptions, no containers, no I/O. What differs between kernels is asked of `s.kernel`, never of a version.
"""
