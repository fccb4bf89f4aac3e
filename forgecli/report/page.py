"""One HTML page that holds all it shows and asks nothing of the network."""

from __future__ import annotations

import base64
from collections.abc import Iterable, Sequence
from html import escape
from pathlib import Path

import cv2

from forgecli.atomic import atomic_writer
from forgecli.console import printable
from forgecli.report.marks import Image

_QUALITY = 88

_STYLE = """
:root { color-scheme: light; }
body { font: 15px/1.5 system-ui, sans-serif; color: #222; background: #fff;
       max-width: 76rem; margin: 2rem auto; padding: 0 1.5rem; }
h1 { font-size: 1.6rem; margin: 0 0 .2rem; overflow-wrap: anywhere; }
h2 { font-size: 1.15rem; margin: 2.4rem 0 .6rem; padding-bottom: .2rem;
     border-bottom: 1px solid #ddd; }
p { margin: .4rem 0; max-width: 60rem; overflow-wrap: anywhere; }
p.lead { color: #555; }
.row { display: flex; flex-wrap: wrap; gap: 1rem 2rem; align-items: flex-start; }
table { border-collapse: collapse; margin: .4rem 0 1rem; font-variant-numeric: tabular-nums; }
th, td { padding: .18rem .8rem .18rem 0; text-align: right; vertical-align: top;
         overflow-wrap: anywhere; }
th { font-weight: 600; border-bottom: 1px solid #ccc; }
th:first-child, td:first-child { text-align: left; }
table.text th, table.text td { text-align: left; }
tr:nth-child(even) td { background: #f7f7f7; }
figure { margin: .4rem 0 1rem; }
figure img { max-width: 100%; height: auto; }
figcaption { color: #555; font-size: .9rem; overflow-wrap: anywhere; }
.strip { display: grid; grid-template-columns: repeat(3, minmax(0, 1fr)); gap: .4rem .6rem;
         margin-bottom: 1.6rem; }
.strip figure { margin: 0; }
.strip img { width: 100%; max-height: 30rem; object-fit: contain; object-position: left top; }
details { margin: .4rem 0; }
summary { cursor: pointer; }
"""

_POLICY = "default-src 'none'; img-src data:; style-src 'unsafe-inline'"


class Page:
    """A page being put together. All text is data: it is escaped, markup in it is shown.

    Args:
        title: of the page.
        lead: a sentence below the title.
    """

    def __init__(self, title: str, lead: str = "") -> None:
        self._title = title
        self._parts: list[str] = [f"<h1>{_text(title)}</h1>"]
        if lead:
            self._parts.append(f'<p class="lead">{_text(lead)}</p>')

    def chapter(self, heading: str) -> None:
        """Begin a chapter."""
        self._parts.append(f"<h2>{_text(heading)}</h2>")

    def text(self, sentence: str) -> None:
        """Add a paragraph."""
        self._parts.append(f"<p>{_text(sentence)}</p>")

    def table(
        self,
        header: Sequence[str],
        rows: Iterable[Sequence[str]],
        *,
        words: bool = False,
        summary: str = "",
    ) -> None:
        """Add a table.

        Args:
            words: all columns to the left; else all but the first to the right, as numbers are.
            summary: if there is one, the table is folded away behind it.
        """
        head = "".join(f"<th>{_text(name)}</th>" for name in header)
        body = "".join(
            "<tr>" + "".join(f"<td>{_text(cell)}</td>" for cell in row) + "</tr>" for row in rows
        )
        kind = ' class="text"' if words else ""
        table = f"<table{kind}><tr>{head}</tr>{body}</table>"
        if summary:
            table = f"<details><summary>{_text(summary)}</summary>{table}</details>"
        self._parts.append(table)

    def plots(self, plots: Iterable[tuple[str, str]]) -> None:
        """Add plots, side by side where there is room.

        Args:
            plots: SVG text and what it shows, for those who cannot see it and as a caption.
        """
        figures = "".join(
            _figure(_data("image/svg+xml", svg.encode()), caption) for svg, caption in plots
        )
        self._parts.append(f'<div class="row">{figures}</div>')

    def strip(self, pictures: Iterable[tuple[Image, str]]) -> None:
        """Add pictures side by side, three to a line.

        Args:
            pictures: uint8 (h, w, 3), RGB, and captions.
        """
        figures = "".join(
            _figure(_data("image/jpeg", _jpeg(picture)), caption) for picture, caption in pictures
        )
        self._parts.append(f'<div class="strip">{figures}</div>')

    def html(self) -> str:
        """The whole document."""
        body = "\n".join(self._parts)
        return (
            '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
            f'<meta http-equiv="Content-Security-Policy" content="{_POLICY}">\n'
            '<meta name="viewport" content="width=device-width">\n'
            f"<title>{_text(self._title)}</title>\n<style>{_STYLE}</style>\n</head>\n"
            f"<body>\n{body}\n</body>\n</html>\n"
        )

    def write(self, file: Path) -> None:
        """Write the document. An existing file is replaced.

        Raises:
            OutputError: it cannot be written.
        """
        with atomic_writer(file) as text:
            text.write(self.html())


def _text(text: str) -> str:
    return escape(printable(text, keep="\n"))


def _figure(source: str, caption: str) -> str:
    said = _text(caption)
    return f'<figure><img src="{source}" alt="{said}"><figcaption>{said}</figcaption></figure>'


def _data(kind: str, content: bytes) -> str:
    return f"data:{kind};base64,{base64.b64encode(content).decode('ascii')}"


def _jpeg(picture: Image) -> bytes:
    _, packed = cv2.imencode(
        ".jpg", cv2.cvtColor(picture, cv2.COLOR_RGB2BGR), [cv2.IMWRITE_JPEG_QUALITY, _QUALITY]
    )
    return packed.tobytes()
