"""An HTML file read with the standard library's parser, strictly."""

from html.parser import HTMLParser

VOID = {"meta", "br", "hr", "img", "link", "input"}
POINTERS = {"src", "srcset", "href", "xlink:href", "data", "action", "poster"}


class Reader(HTMLParser):
    """Elements, texts and attributes; refuses tags that are not closed in order."""

    def __init__(self, text):
        super().__init__()
        self.open, self.tags, self.pointers, self.ids = [], [], [], []
        self.attributes, self.texts = [], {}
        self.feed(text)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        self.attributes.append((tag, dict(attrs)))
        self.pointers += [value for name, value in attrs if name in POINTERS]
        self.ids += [value for name, value in attrs if name == "id"]
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.handle_starttag(tag, attrs)
        if tag not in VOID:
            self.open.pop()

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        for tag in set(self.open):
            self.texts.setdefault(tag, []).append(data)

    def text(self, tag):
        """All text inside of elements of this kind."""
        return "".join(self.texts.get(tag, []))

    def of(self, tag):
        """The attributes of all elements of this kind."""
        return [attributes for name, attributes in self.attributes if name == tag]


def require_self_contained(text):
    """No element that fetches, nothing that runs, no address but of the file itself."""
    reader = Reader(text)
    assert not {"script", "link", "iframe", "object", "embed", "base", "form"} & set(reader.tags)
    assert all(pointer.startswith(("#", "data:image/png;base64,")) for pointer in reader.pointers)
    assert "http:" not in text
    assert "https:" not in text
    assert "@import" not in text
    assert text.count("url(") == text.count("url(#")
    assert not any(name.startswith("on") for _, each in reader.attributes for name in each)
    return reader
