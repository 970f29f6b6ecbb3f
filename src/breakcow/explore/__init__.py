"""Exhaustive exploration of the specification."""
