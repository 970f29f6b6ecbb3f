"""What to run, where, and what to think of what was seen."""
