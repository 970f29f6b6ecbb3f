"""Live snapshots on userfaultfd write-protection: an image of memory at one instant, while the program goes on writing. docs/snapshot.md
says how.
"""
