"""The litmus language: a test is a text file that a person can paste into a mail and read aloud (docs/litmus-format.md)."""

from breakcow.litmus.errors import LitmusError
from breakcow.litmus.printer import item_text, to_text
from breakcow.litmus.program import program
from breakcow.litmus.reader import parse, parse_file
from breakcow.litmus.requirements import REQUIREMENTS, requirements

__all__ = ["REQUIREMENTS", "LitmusError", "item_text", "parse", "parse_file", "program", "requirements", "to_text"]
