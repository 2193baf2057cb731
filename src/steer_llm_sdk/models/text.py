"""A text that grows piece by piece, `TextPieces`; and one without halves of characters."""

from __future__ import annotations

import threading

# Pieces that are kept apart before they are joined.
_MOST_PIECES = 256
# A block of fewer characters still grows: so a text that is read piece by piece is kept in few.
_SMALL_BLOCK = 1024


def without_lone_surrogates(text: str) -> str:
    """Return a text with U+FFFD for each half of a character, for which UTF-8 has no bytes.

    A name of a file that is not UTF-8 has such, and what a model writes may have.
    """
    if text.isascii():
        return text
    return text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")


class TextPieces:
    """A text that grows piece by piece. One thread may add to it while another reads it.

    The pieces are joined now and then, so that a million of them take the memory of their text.

    Args:
        text: What it begins with.

    Attributes:
        pieces: The latest pieces, in order; always the same list. Whoever adds many of them may
            append to it directly, and calls `join` now and then.
    """

    __slots__ = ("_blocks", "_joined", "_lock", "pieces")

    def __init__(self, text: str = "") -> None:
        self.pieces: list[str] = [text] if text else []
        self._blocks: list[str] = []  # what has been joined, before the pieces
        self._joined = 0  # characters in the blocks
        self._lock = threading.Lock()

    def append(self, piece: str) -> None:
        """Add a piece at the end."""
        if piece:
            self.pieces.append(piece)
            self.join()

    def join(self) -> None:
        """Join the latest pieces into one block, when there are many."""
        if len(self.pieces) > _MOST_PIECES:
            with self._lock:
                self._join()

    def take(self) -> str:
        """Remove the whole text, and return it."""
        text = str(self)
        with self._lock:
            self.pieces.clear()
            self._blocks.clear()
            self._joined = 0
        return text

    def text_since(self, mark: int) -> tuple[str, int]:
        """Return the text from `mark` on, and the next mark. It costs what is new only.

        Args:
            mark: What an earlier call gave, a number of characters; 0 for all of the text.
        """
        with self._lock:
            self._join()
            start, found = self._joined, []
            for block in reversed(self._blocks):
                if start <= mark:
                    break
                start -= len(block)
                found.append(block)
            return "".join(reversed(found))[max(0, mark - start) :], self._joined

    def __str__(self) -> str:
        with self._lock:
            self._join()
            blocks = self._blocks
            if len(blocks) > 1:
                blocks[:] = ["".join(blocks)]
            return blocks[0] if blocks else ""

    def __len__(self) -> int:
        with self._lock:
            return self._joined + sum(map(len, self.pieces))

    def __bool__(self) -> bool:
        return bool(self.pieces or self._blocks)

    def __reduce__(self) -> tuple[type[TextPieces], tuple[str]]:
        return TextPieces, (str(self),)

    def _join(self) -> None:
        pieces = self.pieces
        count = len(pieces)  # more may be added meanwhile, behind them
        if count:
            block = "".join(pieces[:count])
            del pieces[:count]
            self._joined += len(block)
            if self._blocks and len(self._blocks[-1]) < _SMALL_BLOCK:
                block = self._blocks.pop() + block
            self._blocks.append(block)
