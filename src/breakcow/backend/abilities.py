"""What a backend says of itself."""

import msgspec


class Abilities(msgspec.Struct, frozen=True):
    """release: uname release or the profile's. abilities: requirement word -> "" if met, else a sentence. notes: what else to tell."""

    release: str
    abilities: dict[str, str]
    notes: tuple[str, ...] = ()
