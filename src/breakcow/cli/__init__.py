"""The command line: one file a command; nothing below knows about terminals or arguments."""
