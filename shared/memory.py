"""Memory that nothing is kept in any more, given back to the system."""

import ctypes

# glibc alone keeps so much, and has a way to ask for it.
_trim = getattr(ctypes.CDLL(None), "malloc_trim", None)


def give_back_memory() -> None:
    """Let the system have what is free within the process, after work that took much at once. Blocks for a moment.

    Measured: a reader that took over 100,000 offers had 80 of its 160 MB only because it once needed them.
    """
    if _trim is not None:
        _trim(0)
