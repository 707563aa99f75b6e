"""The animation as pictures one after the other, in one file."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw

from ..writers import mpl as write_mpl
from ..writers.lines import head
from .rows import Cell, Row
from .scene import READOUT, Picture

WIDE = 1920  # pixels at most
BESIDE = 2.4  # what is taken with a line at either side


def drawn(picture: Picture) -> list[Image.Image]:
    """The picture three times: no cell with a gradient, all with theirs, and all marked as where it is now."""
    scenes = picture.scene(lit=False), picture.scene(lit=True), picture.scene(lit=True, now=True)
    images = []
    with tempfile.TemporaryDirectory() as folder:
        for k, scene in enumerate(scenes):
            file = Path(folder) / f"{k}.png"
            write_mpl.write(scene, file, "png")
            with Image.open(file) as image:
                images.append(image.convert("RGB"))
    size = images[0].size
    if size[0] > WIDE:
        size = WIDE, round(size[1] * WIDE / size[0])
    return [image.resize(size, Image.Resampling.LANCZOS) for image in images]


def frames(picture: Picture, images: list[Image.Image]) -> Iterator[Image.Image]:
    """The picture before the gradient starts and after each of its moves, every cell cut out of one of `drawn`."""
    before, after, now = images
    scale = before.width / picture.width
    yield before.copy()
    for turn in range(1, picture.turns + 1):
        frame = before.copy()
        for row in picture.rows:
            for cell in reversed(row.in_turn):
                if cell.turn <= turn:
                    parts = [(after, area) for area in _areas(picture, row, cell)]
                    if cell.turn == turn:
                        parts.append((now, _number_area(picture, row, cell)))
                    for source, area in parts:
                        at = _pixels(area, scale)
                        frame.paste(source.crop(at), at[:2])
            for cell in row.cells:  # last, as areas of arrows may touch them
                if cell.turn <= turn:
                    at = _pixels(_disc(picture, cell), scale)
                    size = at[2] - at[0], at[3] - at[1]
                    mask = Image.new("1", size)
                    ImageDraw.Draw(mask).ellipse((0, 0, size[0] - 1, size[1] - 1), fill=1)
                    frame.paste((now if cell.turn == turn else after).crop(at), at[:2], mask)
        yield frame


Area = tuple[float, float, float, float]  # left, top, right, bottom


def _areas(picture: Picture, row: Row, cell: Cell) -> Iterator[Area]:
    """Around the arrows on the gradient's way to the cell."""
    for wire in picture.gradient(row, cell):
        for (ax, ay), (bx, by) in pairwise(wire.points):
            yield min(ax, bx) - BESIDE, min(ay, by) - BESIDE, max(ax, bx) + BESIDE, max(ay, by) + BESIDE
        if wire.head:
            triangle, _ = head(wire.points, wire.width or 1.0)
            xs, ys = zip(*triangle, strict=True)
            yield min(xs) - 1, min(ys) - 1, max(xs) + 1, max(ys) + 1
    yield from ((note.x - 8, note.y - 3, note.x + 8, note.y + 3) for note in picture.dots(row, cell))


def _disc(picture: Picture, cell: Cell) -> Area:
    room = picture.room
    return cell.x - room, cell.y - room, cell.x + room, cell.y + room


def _pixels(area: Area, scale: float) -> tuple[int, int, int, int]:
    left, top, right, bottom = (round(v * scale) for v in area)
    return left, top, right, bottom


def _number_area(picture: Picture, row: Row, cell: Cell) -> Area:
    """What is above the cell."""
    y = picture.readout(row, cell).y
    return cell.x - picture.pitch / 2, y - READOUT / 2 + 2, cell.x + picture.pitch / 2, y + READOUT / 2 - 1


def write_gif(picture: Picture, file: Path, times: list[int]) -> None:
    """Draw the frames into a GIF that goes on for ever. times: milliseconds that each frame stays."""
    first, *rest = frames(picture, _in_one_palette(drawn(picture)))
    first.save(file, format="GIF", save_all=True, append_images=rest, duration=times, loop=0)


def _in_one_palette(images: list[Image.Image]) -> list[Image.Image]:
    """The images in 256 colours in all, those of areas exactly."""
    pixels = np.stack([np.asarray(image) for image in images]).astype(np.int32)
    colours, where, counts = np.unique(pixels @ (65536, 256, 1), return_inverse=True, return_counts=True)
    parts = np.stack([colours >> 16, colours >> 8 & 255, colours & 255], axis=1)
    palette = parts[_chosen(parts, counts)]
    nearest = np.concatenate([((block[:, None] - palette) ** 2).sum(axis=2).argmin(axis=1)
                              for block in np.array_split(parts, len(parts) // 1000 + 1)])
    found = []
    for numbers in nearest.astype(np.uint8)[where.reshape(pixels.shape[:3])]:
        image = Image.fromarray(numbers)
        image.putpalette(palette.astype(np.uint8).tobytes())
        found.append(image)
    return found


def _chosen(colours: np.ndarray, counts: np.ndarray) -> np.ndarray:
    """Which 256 colours: of each kind the most frequent, so that no hue is lost, then the most frequent of all."""
    order = np.argsort(-counts, kind="stable")
    _, firsts = np.unique(colours[order] >> 5, axis=0, return_index=True)
    best = np.concatenate([order[np.sort(firsts)], order])
    _, once = np.unique(best, return_index=True)
    return np.asarray(best[np.sort(once)][:256])


def write_apng(picture: Picture, file: Path, times: list[int]) -> None:
    """The same as an animated PNG, in all its colours."""
    first, *rest = frames(picture, drawn(picture))
    first.save(file, format="PNG", save_all=True, append_images=rest, duration=times, loop=0)
