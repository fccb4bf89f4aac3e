"""A page holds all it shows, and names of files cannot act in it."""

from __future__ import annotations

import re
from html.parser import HTMLParser
from pathlib import Path

import numpy as np

from forgecli.report.page import Page

EVIL = "<img src=x onerror=alert(1)>\"'&\x1b[31m\udcff</title>.png"


class Tags(HTMLParser):
    """All tags with their attributes, and the text between them."""

    def __init__(self, document: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.words = ""
        self.feed(document)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        self.words += data


def made() -> Page:
    page = Page(EVIL, EVIL)
    page.chapter(EVIL)
    page.text(EVIL)
    page.table((EVIL, "b"), [(EVIL, "1")], summary=EVIL, words=True)
    page.plots([("<svg xmlns='http://www.w3.org/2000/svg'/>", EVIL)])
    page.strip([(np.zeros((4, 6, 3), np.uint8), EVIL)])
    return page


def test_names_are_shown_and_do_nothing(tmp_path: Path) -> None:
    made().write(tmp_path / "page.html")
    document = Tags((tmp_path / "page.html").read_text(encoding="utf-8"))
    images = [attributes for tag, attributes in document.tags if tag == "img"]
    assert len(images) == 2  # the two that were added, none from the name
    assert all(set(image) == {"src", "alt"} for image in images)
    assert document.words.count("<img src=x onerror=alert(1)>") == 10
    assert "\x1b" not in document.words
    assert not {"script", "link", "iframe"} & {tag for tag, _ in document.tags}


def test_nothing_comes_from_elsewhere() -> None:
    html = made().html()
    sources = re.findall(r'src="([^"]*)"', html)
    assert [source.split(";")[0] for source in sources] == ["data:image/svg+xml", "data:image/jpeg"]
    assert "default-src 'none'" in html
    assert "url(" not in html and "@import" not in html
