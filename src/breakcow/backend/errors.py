"""What can go wrong with a backend itself. Messages are sentences."""


class LostBackend(Exception):  # noqa: N818 - it is the backend that is lost
    """The machine or the agent is gone, or does not speak sense any more: start another."""


class RunFailed(LostBackend):
    """The agent could not run the program and says why. It goes on, but whether it can run the next is not known."""
