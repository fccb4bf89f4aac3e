"""Connected components of a batch of masks on a GPU: eight launches, no wait, no sort.

The algorithm is described in ``components.cu``. What comes out of it are the pieces (runs within a
column) of the components that are large enough, in column-major order, each with the number of its
component's first piece; `kernels.grouped.group` makes `kernels.components.Components` of them.

It has run on the host, as C++ and block by block. On a GPU it has not run yet.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from kernels.cuda.batch import MOST, Table, word_count
from kernels.cuda.device import Buffer, Device, Scalar, Stream, pointer

_THREADS = 256  # as in sums.cuh
_CHUNK = 8 * _THREADS
_BLOCKS = 128  # for each picture, where a block takes as many pieces as there are
_LONGEST = 2**31 - 1  # positions are int32
_OF_PIECES = ("count_starts", "list_pieces")  # in pieces.cu, the others in components.cu

FOUND_BYTES = 8
"""Of each picture, before the copied pieces: uint32 pieces, uint32 copied pieces."""

PIECE_BYTES = 12
"""Of a copied piece: int32 start, int32 length, int32 first piece of the component."""


class ComponentFinder:
    """The buffers of one lane. What it finds stays until the next batch.

    Args:
        images: pictures of a batch, at most.
        words: uint32 words of a batch, at most, as `kernels.cuda.batch.place` counts them.
        most: pieces of a picture, at most. One of more is not done, see `found`.
        connectivity: 4 or 8.

    Raises:
        ValueError: another connectivity, or a number that is out of range.
        MemoryError: the device has not so much.
    """

    def __init__(
        self, device: Device, *, images: int, words: int, most: int, connectivity: int = 4
    ) -> None:
        if connectivity not in (4, 8):
            raise ValueError(f"connectivity is 4 or 8. Got: {connectivity}")
        if not 1 <= images <= MOST:
            raise ValueError(f"a batch has 1 to {MOST} pictures. Got: {images}")
        if not 1 <= most < 2**30 or words < 1:
            raise ValueError(f"no room for pieces or words. Got: {most}, {words}")
        self.images, self.words, self.most, self.connectivity = images, 0, most, connectivity
        self._device = device
        self.reserve(words)
        self._piece_chunks = device.allocate(4 * images * self._chunks_of_pieces)
        pieces = 4 * images * most
        self._starts, self._ends = device.allocate(pieces), device.allocate(pieces)
        self._parents, self._areas = device.allocate(pieces), device.allocate(pieces)
        self._found = device.allocate(FOUND_BYTES * images)
        self._copied = device.allocate(PIECE_BYTES * images * most)

    def reserve(self, words: int) -> None:
        """Make room for this many words. Only while no batch is under way.

        Raises:
            MemoryError: the device has not so much; then there is as much room as before.
        """
        firsts = self._device.allocate(4 * (words + self.images))
        chunks = self._device.allocate(4 * (words // _CHUNK + 1 + self.images))
        self._firsts, self._word_chunks, self.words = firsts, chunks, words

    @property
    def found(self) -> Buffer:
        """uint32 (N, 2): a picture's number of pieces, and of those that were copied.

        Where the first is over `most`, the picture was not done, and the second is 0.
        """
        return self._found

    @property
    def copied(self) -> Buffer:
        """int32 (k, 3): start, length and component of each copied piece.

        A start is a column-major position, column * H + row. A component is the number of its first
        piece among all pieces of the picture. Pictures follow one another without a gap, so k is
        the sum of the second column of `found`.
        """
        return self._copied

    @property
    def _chunks_of_pieces(self) -> int:
        return -(-self.most // _CHUNK)

    def enqueue(self, stream: Stream, words: Buffer, table: Table, images: Buffer) -> None:
        """Give a batch to a stream; returns at once.

        Args:
            words: the masks, uint32, where the table says; see `kernels.cuda.batch.word_count`.
            table: the same on the host, for the sizes of grids.
            images: the table on the device.

        Raises:
            ValueError: more pictures or words than there is room for, pictures that are empty, not
                one after the other, or of 2**31 pixels or more.
        """
        self.check(table)
        number = len(table)
        if not number:
            return
        chunks = max(-(-_words_in(row) // _CHUNK) for row in table)
        most, reach = np.uint32(self.most), np.int32(self.connectivity == 8)
        batch, packed, firsts = pointer(images), pointer(words), pointer(self._firsts)
        word_chunks, piece_chunks = pointer(self._word_chunks), pointer(self._piece_chunks)
        starts, ends = pointer(self._starts), pointer(self._ends)
        parents, areas = pointer(self._parents), pointer(self._areas)
        found, copied = pointer(self._found), pointer(self._copied)

        def launch(kernel: str, blocks: int, *arguments: Scalar) -> None:
            source = "pieces" if kernel in _OF_PIECES else "components"
            self._device.launch(
                source, kernel, (blocks, number), _THREADS, (batch, *arguments), stream
            )

        blocks, parts = min(-(-self.most // _THREADS), _BLOCKS), self._chunks_of_pieces
        launch("count_starts", chunks, packed, word_chunks)
        launch("list_pieces", chunks, packed, word_chunks, most, firsts, starts, ends, parents,
               areas, found)  # fmt: skip
        launch("hang", blocks, most, found, firsts, starts, ends, parents, reach)
        launch("shorten", blocks, most, found, parents)
        launch("join", blocks, most, found, firsts, starts, ends, parents, reach)
        launch("measure", blocks, most, found, starts, ends, parents, areas)
        launch("count_kept", parts, most, parents, areas, piece_chunks, found)
        launch("copy_kept", parts, most, starts, ends, parents, areas, piece_chunks, found, copied)

    def check(self, table: Table) -> None:
        """See `enqueue`, which raises what this raises."""
        if len(table) > self.images:
            raise ValueError(f"there is room for {self.images} pictures. Got: {len(table)}")
        end = 0
        for row in table:
            height, width, offset = (int(row[key]) for key in ("height", "width", "word_offset"))
            if height < 1 or width < 1 or height * width > _LONGEST:
                raise ValueError(f"a picture has 1 to {_LONGEST} pixels. Got: {height} x {width}")
            if offset < end:
                raise ValueError(f"words of one picture begin after another's. Got: {offset}")
            end = offset + _words_in(row)
        if end > self.words:
            raise ValueError(f"there is room for {self.words} words. Got: {end}")


def split(found: NDArray[np.uint32], copied: NDArray[np.int32]) -> list[NDArray[np.int32]]:
    """What was downloaded, by picture: views of `copied`.

    Args:
        found: uint32 (N, 2).
        copied: int32 (at least k, 3).
    """
    ends = np.cumsum(found[:, 1], dtype=np.int64)
    starts = ends - found[:, 1]
    return [copied[start:end] for start, end in zip(starts.tolist(), ends.tolist(), strict=True)]


def words_of(table: Table) -> int:
    """uint32 words up to the end of the last picture of a table."""
    return max((int(row["word_offset"]) + _words_in(row) for row in table), default=0)


def _words_in(row: np.void) -> int:
    return word_count(int(row["height"]), int(row["width"]))
