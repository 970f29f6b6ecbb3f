"""A test as one plain C file that a maintainer compiles, runs and reads."""

from breakcow.reproducer.assemble import NoReproducerError, reproducer

__all__ = ["NoReproducerError", "reproducer"]
