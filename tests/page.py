"""A page of HTML as tests look at it."""

from __future__ import annotations

from collections import Counter
from html.parser import HTMLParser

HOSTILE = "<script>alert('x')</script><img src=x onerror=alert(1)>"
VOID = {"br", "hr", "img", "input", "link", "meta"}


class Page(HTMLParser):
    """Makes sure that tags are balanced, and keeps what stands where."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: Counter[str] = Counter()
        self.attributes: list[tuple[str, str, str]] = []
        self.text: list[str] = []
        self.ids: list[str] = []
        self.feed(html)
        self.close()
        assert not self.open

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags[tag] += 1
        self.attributes += [(tag, name, value or "") for name, value in attrs]
        self.ids += [value or "" for name, value in attrs if name == "id"]
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.handle_starttag(tag, attrs)
        if tag not in VOID:
            self.open.pop()

    def handle_endtag(self, tag: str) -> None:
        if tag not in VOID:
            # scikit-learn 1.8 draws pipelines with <metadata_routing> and the like, never closed.
            while "_" in self.open[-1] and self.open[-1] != tag:
                self.open.pop()
            assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text.append(data)

    @property
    def words(self) -> str:
        return " ".join(" ".join(self.text).split())
