"""A stranger's Markdown as a small, closed set of rich text: our own whitelist. Without Qt.

What is not on the list (raw HTML, pictures, other schemes than http and https) leaves at most its words.
Every piece of the output is either a tag of ours or escaped text.
"""

from __future__ import annotations

import html
import re
from collections.abc import Iterator
from urllib.parse import urlsplit

TEXT_MAX = 100_000
"""Characters that are rendered; more is cut, and the page says so."""
LINE_MAX = 4_000
"""Characters of one line that are looked into for emphasis and links."""
BLOCKS_MAX = 3_000
NEST_MAX = 4
"""Emphasis inside emphasis inside …"""
URL_MAX = 1_000
CELLS_MAX = 20

_INLINE = re.compile(
    r"`(?P<code>[^`\n]{1,500})`"
    r"|!\[(?P<alt>[^\[\]\n]{0,200})\]\([^()\s]{0,1000}[^()\n]{0,200}\)"
    r"|\[(?P<label>[^\[\]\n]{1,300})\]\((?P<url>[^()\s]{1,1000})[^()\n]{0,200}\)"
    r"|\*\*(?P<strong>[^\s*][^\n]{0,1000}?)\*\*"
    r"|~~(?P<gone>[^~\n]{1,500})~~"
    r"|(?<![\w*])\*(?P<em>[^\s*][^*\n]{0,500})\*(?![\w*])"
    r"|(?<!\w)_(?P<em2>[^\s_][^_\n]{0,500})_(?!\w)"
    r"|(?P<bare>https?://[^\s<>()\[\]`\"']{1,1000})"
)
_TAG = re.compile(r"</?[a-zA-Z!][^<>\n]{0,300}>")
_HEADING = re.compile(r"(#{1,6})\s+(\S.*?)\s*#*\s*$")
_RULE = re.compile(r"\s{0,3}([-*_])(?:\s*\1){2,}\s*$")
_ITEM = re.compile(r"(\s{0,12})(?:[-*+]|(\d{1,9})[.)])\s+(\S.*)$")
_FENCE = re.compile(r"\s{0,3}(```+|~~~+)")


def link_host(url: str) -> str:
    """The host of a link that may be opened, as it will be resolved (punycode); empty for any other."""
    if len(url) > URL_MAX or not url.isprintable() or any(sign in url for sign in "\\ "):
        return ""
    try:
        parts = urlsplit(url)
        host = (parts.hostname or "").encode("idna").decode("ascii")
        port = parts.port
    except (ValueError, UnicodeError):
        return ""
    # A name and password before the host only ever serve to hide it.
    if parts.scheme not in ("http", "https") or not host or "@" in parts.netloc:
        return ""
    return f"{host}:{port}" if port else host


def to_rich_text(text: str) -> str:
    """Rich text for QTextDocument: p, h1-h4, b, i, s, code, pre, a, ul, ol, li, blockquote, hr, table."""
    cut = len(text) > TEXT_MAX
    lines = text[:TEXT_MAX].replace("\r\n", "\n").replace("\r", "\n").replace("\t", "    ").split("\n")
    blocks: list[str] = []
    for block in _blocks(lines):
        blocks.append(block)
        if len(blocks) >= BLOCKS_MAX:
            cut = True
            break
    if cut:
        blocks.append("<p><i>The rest of this text is too long to show.</i></p>")
    return "\n".join(blocks)


def _blocks(lines: list[str]) -> Iterator[str]:
    at = 0
    while at < len(lines):
        line = lines[at]
        fence = _FENCE.match(line)
        heading = _HEADING.match(line[:LINE_MAX])
        if not line.strip():
            at += 1
        elif fence:
            at, block = _code(lines, at, fence.group(1)[0] * 3)
            yield block
        elif heading:
            level = min(4, len(heading.group(1)))
            yield f"<h{level}>{_inline(heading.group(2))}</h{level}>"
            at += 1
        elif _RULE.match(line[:LINE_MAX]):
            yield "<hr>"
            at += 1
        elif line.lstrip().startswith(">"):
            at, block = _quote(lines, at)
            yield block
        elif _ITEM.match(line[:LINE_MAX]):
            at, block = _list(lines, at)
            yield block
        elif "|" in line and at + 1 < len(lines) and _is_ruler(lines[at + 1]):
            at, block = _table(lines, at)
            yield block
        else:
            at, block = _paragraph(lines, at)
            yield block


def _code(lines: list[str], at: int, fence: str) -> tuple[int, str]:
    inside = []
    at += 1
    while at < len(lines) and not lines[at].lstrip().startswith(fence):
        inside.append(html.escape(lines[at][:LINE_MAX], quote=True))
        at += 1
    return at + 1, f"<pre>{chr(10).join(inside)}</pre>"


def _quote(lines: list[str], at: int) -> tuple[int, str]:
    inside = []
    while at < len(lines) and lines[at].lstrip().startswith(">"):
        inside.append(_inline(lines[at].lstrip().lstrip("> ")))
        at += 1
    return at, f"<blockquote><p>{'<br>'.join(inside)}</p></blockquote>"


def _list(lines: list[str], at: int) -> tuple[int, str]:
    """Two levels; what is deeper joins the second one."""
    parts: list[str] = []
    open_tags: list[tuple[str, int]] = []
    while at < len(lines):
        item = _ITEM.match(lines[at][:LINE_MAX])
        if item is None:
            if lines[at].startswith("  ") and lines[at].strip() and parts:
                parts.append(" " + _inline(lines[at].strip()))
                at += 1
                continue
            break
        indent = len(item.group(1))
        tag = "ol" if item.group(2) else "ul"
        if not open_tags or (indent >= open_tags[-1][1] + 2 and len(open_tags) < 2):
            open_tags.append((tag, indent))
            parts.append(f"<{tag}>")
        elif len(open_tags) == 2 and indent < open_tags[-1][1]:
            parts.append(f"</{open_tags.pop()[0]}>")
        parts.append(f"<li>{_inline(item.group(3))}</li>")
        at += 1
    while open_tags:
        parts.append(f"</{open_tags.pop()[0]}>")
    return at, "".join(parts)


def _is_ruler(line: str) -> bool:
    return "-" in line and "|" in line and not line.strip().strip("|:- ")


def _cells(line: str, tag: str) -> str:
    cells = line.strip().strip("|").split("|")[:CELLS_MAX]
    return "<tr>" + "".join(f"<{tag}>{_inline(cell.strip())}</{tag}>" for cell in cells) + "</tr>"


def _table(lines: list[str], at: int) -> tuple[int, str]:
    rows = [_cells(lines[at], "th")]
    at += 2
    while at < len(lines) and "|" in lines[at]:
        rows.append(_cells(lines[at], "td"))
        at += 1
    return at, f"<table>{''.join(rows)}</table>"


def _paragraph(lines: list[str], at: int) -> tuple[int, str]:
    inside: list[str] = []
    while at < len(lines) and lines[at].strip():
        line = lines[at][:LINE_MAX]
        starts_other = _HEADING.match(line) or _FENCE.match(line) or _ITEM.match(line) or _RULE.match(line)
        if inside and starts_other:
            break
        inside.append(_inline(line.strip()) + ("<br>" if line.endswith("  ") else ""))
        at += 1
    return at, f"<p>{' '.join(inside)}</p>"


def _inline(text: str, depth: int = 0) -> str:
    """One line: emphasis, code, links. Everything else is escaped."""
    rest = "" if len(text) <= LINE_MAX else text[LINE_MAX:]
    text = _TAG.sub("", text[:LINE_MAX])
    if depth >= NEST_MAX:
        return html.escape(text + rest)
    parts: list[str] = []
    last = 0
    for found in _INLINE.finditer(text):
        parts.append(html.escape(text[last : found.start()]))
        parts.append(_piece(found, depth))
        last = found.end()
    parts.append(html.escape(text[last:] + rest))
    return "".join(parts)


def _piece(found: re.Match[str], depth: int) -> str:
    kind = found.lastgroup
    value = found.group(kind) if kind else ""
    match kind:
        case "code":
            return f"<code>{html.escape(value)}</code>"
        case "strong":
            return f"<b>{_inline(value, depth + 1)}</b>"
        case "em" | "em2":
            return f"<i>{_inline(value, depth + 1)}</i>"
        case "gone":
            return f"<s>{_inline(value, depth + 1)}</s>"
        case "alt":
            return f"<i>{html.escape(value)}</i>" if value else ""
        case "url":
            label = html.escape(found.group("label"))
            return _link(value, label)
        case _:
            return _link(value, html.escape(value))


def _link(url: str, label: str) -> str:
    return f'<a href="{html.escape(url, quote=True)}">{label}</a>' if link_host(url) else label
