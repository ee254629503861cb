"""How often a process looks for garbage that only a look finds."""

import gc
from typing import Final

#: New objects between two looks; nearly all go with their last reference. At Python's 700 the looks
#: take a tenth of the processor time of a worker that executes graphs.
_NEW_OBJECTS: Final = 10_000


def collect_seldom() -> None:
    """Look for cycles seldom, and from now on among what is made later alone.

    Call it in a process of one's own, once it has loaded what stays; again after loading more.
    """
    gc.freeze()
    gc.set_threshold(_NEW_OBJECTS, 10, 10)
