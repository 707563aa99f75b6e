"""How a product is divided: what a block has of it, and of that a thread.

A thread has a micro tile of rows and columns, or shares one with others, each with some of the numbers to add.
"""

from __future__ import annotations

from dataclasses import dataclass

THREADS = 512  # of a block
MICRO = 4  # rows and columns of a product that one thread has
CHUNK = 8192  # numbers of the state that lie in shared memory at a time, at most
DEEP = 8  # numbers that a thread adds up at least, before more threads share a micro tile


@dataclass(frozen=True)
class Tile:
    """A product of a matrix (rows, inner) with the state (inner, columns), and the part of it that a block does.

    The rows are `stacked` times as many as there are `units`, as those of all gates are. A block has the rows of `each`
    units, in all the stack, and `width` columns. turned: does the matrix lie by columns? vector: how many numbers of
    the state one load takes; its rows begin, and end, at a multiple of that. first: the block that has the first part.
    """

    kind: str
    stacked: int
    units: int
    columns: int
    inner: int
    each: int
    width: int
    turned: bool
    vector: int = 1
    first: int = 0

    @property
    def rows(self) -> int:
        """Of a block."""
        return self.stacked * self.each

    @property
    def height(self) -> int:
        """The rows of a block, and as many without use as make whole micro tiles."""
        return -(-self.rows // MICRO) * MICRO

    @property
    def across(self) -> int:
        """How many parts there are beside each other."""
        return -(-self.columns // self.width)

    @property
    def parts(self) -> int:
        """How many parts there are, one for a block."""
        return -(-self.units // self.each) * self.across

    @property
    def held(self) -> int:
        """Numbers of the matrix that a block keeps, zeros behind them."""
        return self.height * self.depth

    @property
    def chunks(self) -> int:
        """In how many chunks the state passes through shared memory."""
        return -(-self.inner // max(CHUNK // self.width // self.groups * self.groups, self.groups))

    @property
    def chunk(self) -> int:
        """Rows of the state in a chunk; all threads of a group have as many of them."""
        return -(-self.inner // (self.chunks * self.groups)) * self.groups

    @property
    def depth(self) -> int:
        """The rows of all chunks: inner, and as many of zeros as make whole chunks."""
        return self.chunk * self.chunks

    @property
    def micro(self) -> int:
        """Micro tiles of a block."""
        return (self.height // MICRO) * (self.width // MICRO)

    @property
    def groups(self) -> int:
        """How many threads share a micro tile, each with some of what is summed: a power of two."""
        return 1 << max(min(THREADS // self.micro, self.inner // DEEP), 1).bit_length() - 1

    @property
    def scratch(self) -> int:
        """Numbers beside: a chunk of the state, then the parts of the sums."""
        return max(self.chunk * self.width, self.groups * self.height * self.width)

    @property
    def at_once(self) -> bool:
        """Has each thread one unit and column at most?"""
        return self.each * self.width <= THREADS
