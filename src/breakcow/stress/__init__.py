"""Stress: many processes at random under ksmd at full speed, on a real kernel, with the promises that hold under concurrency checked."""

from breakcow.stress.run import Finding, Options, Run, Stressed, Summary

__all__ = ["Finding", "Options", "Run", "Stressed", "Summary"]
