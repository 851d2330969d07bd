"""The frozen copies of a session's worker, to one of which a lost step goes back.

The newest copy and the one before it are kept: where the newest could not be made, the older one is
the state to go back to.
"""

from rlm_dspy.repl.launch import Launcher
from rlm_dspy.repl.peers import Peer

_KEPT = 2


class Copies:
    """The copies of one session.

    Attributes:
        current: Whether the newest is of the present state.
    """

    def __init__(self) -> None:
        self.current = False
        self._kept: list[Peer] = []  # oldest first

    def __bool__(self) -> bool:
        return bool(self._kept)

    @property
    def newest(self) -> Peer | None:
        """The newest copy, if there is one."""
        return self._kept[-1] if self._kept else None

    def keep(self, copy: Peer) -> None:
        """Keep a copy of the present state."""
        self._kept.append(copy)
        self.current = True
        while len(self._kept) > _KEPT:
            self._kept.pop(0).end()

    def thaw(self, launcher: Launcher) -> Peer | None:
        """Wake the newest that wakes; the others end."""
        self.current = False
        woken = None
        while self._kept and woken is None:
            copy = self._kept.pop()
            woken = copy if copy.thaw(launcher) else None
        self.end()
        return woken

    def end(self) -> None:
        """End them all."""
        while self._kept:
            self._kept.pop().end()

    def forget(self) -> None:
        """In a forked child: close descriptors, leave the parent's processes alone."""
        while self._kept:
            self._kept.pop().forget()
