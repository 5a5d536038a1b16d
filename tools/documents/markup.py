"""Plain text, Markdown and reStructuredText become lines that know whether they are a heading or code."""

from collections.abc import Iterator, Sequence
from dataclasses import replace

from tools.documents.document import Line, Text

_LONGEST_HEADING = 200
_RST_RULES = frozenset("=-`:'\"~^_*+#<>.!$%&(),/;?@[\\]{|}")
_MARKDOWN_BLOCKS = ("-", "*", "+", ">", "|", "#", "=")


def plain_text(source: str) -> Text:
    """Read text without markup."""
    return Text(_numbered(source))


def markdown_text(source: str) -> Text:
    """Read Markdown: `#` and underlined headings, fenced code, and a title in the front matter."""
    lines = _numbered(source)
    after, title = _front_matter(lines)
    head = [replace(line, role="code") for line in lines[:after]]
    return Text([*head, *_with_underlined(list(_with_fences(lines[after:])))], title)


def rst_text(source: str) -> Text:
    """Read reStructuredText: underlined headings, whose depth is the order in which their styles come up."""
    lines = _numbered(source)
    styles: list[tuple[str, bool]] = []
    for index in range(1, len(lines)):
        title, under = lines[index - 1], lines[index]
        if not _is_rst_heading(title.text, under.text):
            continue
        above = lines[index - 2] if index > 1 else None
        overlined = above is not None and above.text.rstrip() == under.text.rstrip()
        if not overlined and above is not None and above.text.strip():
            continue
        style = (under.text[0], overlined)
        if style not in styles:
            styles.append(style)
        lines[index - 1] = _heading(title, styles.index(style) + 1, title.text)
        lines[index] = replace(under, role="rule")
        if above is not None and overlined:
            lines[index - 2] = replace(above, role="rule")
    return Text(lines)


def _numbered(source: str) -> list[Line]:
    # Only real line breaks count: `splitlines` would also break at form feeds and the like.
    text = source.replace("\r\n", "\n").replace("\r", "\n")
    return [Line(number, line) for number, line in enumerate(text.split("\n"), start=1)]


def _heading(line: Line, level: int, words: str) -> Line:
    heading = " ".join(words.replace("`", "").replace("*", "").split())
    return replace(line, role="heading", level=level, heading=heading) if heading else line


def _front_matter(lines: Sequence[Line]) -> tuple[int, str]:
    """Give the number of lines that the front matter takes, and the title it names."""
    if lines[0].text.rstrip() != "---":
        return 0, ""
    title = ""
    for index, line in enumerate(lines[1:], start=1):
        if line.text.rstrip() in ("---", "..."):
            return index + 1, title
        key, _, value = line.text.partition(":")
        if key.strip().lower() == "title":
            title = value.strip().strip("\"'")
    return 0, ""


def _with_fences(lines: Sequence[Line]) -> Iterator[Line]:
    """Mark fenced code, and headings that begin with `#` outside of it."""
    fence = ""
    for line in lines:
        stripped = line.text.strip()
        if fence:
            yield replace(line, role="code")
            if stripped.startswith(fence) and not stripped.strip(fence[0]):
                fence = ""
        elif stripped.startswith(("```", "~~~")):
            fence = stripped[: len(stripped) - len(stripped.lstrip(stripped[0]))]
            yield replace(line, role="code")
        else:
            yield _with_hashes(line)


def _with_hashes(line: Line) -> Line:
    indent = len(line.text) - len(line.text.lstrip(" "))
    words = line.text.strip().lstrip("#")
    level = len(line.text.strip()) - len(words)
    if indent <= 3 and 1 <= level <= 6 and words[:1] in (" ", "\t") and len(words) <= _LONGEST_HEADING:
        return _heading(line, level, words.strip().rstrip("#"))
    return line


def _with_underlined(lines: list[Line]) -> list[Line]:
    """Mark headings that are underlined with `=` or `-`."""
    for index in range(1, len(lines)):
        title, under = lines[index - 1], lines[index]
        rule = under.text.rstrip()
        is_rule = len(rule) >= 3 and rule[0] in "=-" and not rule.strip(rule[0]) and under.role == "text"
        starts = index == 1 or not lines[index - 2].text.strip()
        words = title.text.strip()
        is_title = title.role == "text" and 0 < len(words) <= _LONGEST_HEADING
        if is_rule and starts and is_title and not words.startswith(_MARKDOWN_BLOCKS):
            lines[index - 1] = _heading(title, 1 if rule[0] == "=" else 2, words)
            lines[index] = replace(under, role="rule")
    return lines


def _is_rst_heading(title: str, under: str) -> bool:
    rule = under.rstrip()
    is_rule = len(rule) >= 3 and rule[0] in _RST_RULES and not rule.strip(rule[0])
    words = title.strip()
    return is_rule and 0 < len(words) <= min(len(rule), _LONGEST_HEADING) and bool(words.strip(rule[0]))
