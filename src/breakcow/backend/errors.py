"""What can go wrong with a backend itself. Messages are sentences."""

from breakcow.backend.observation import Observation


class LostBackend(Exception):  # noqa: N818 - it is the backend that is lost
    """The machine or the agent is gone, or does not speak sense any more: start another.

    observations: of the program that ran, up to the loss. console: what the kernel printed since that program began; "" where none is kept.
    """

    observations: tuple[Observation, ...] = ()
    console: str = ""


class RunFailed(LostBackend):
    """The agent could not run the program and says why. It goes on, but whether it can run the next is not known."""


class Disturbed(RunFailed):
    """Memory of other processes, which KSM merges as well, kept the program from being what it says. The agent can run the next."""
