"""Strangers' Markdown: what is on the whitelist is rendered, everything else is words; hostile input is cheap."""

from __future__ import annotations

import re
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from icworkshop_gui.gui.markdown import BLOCKS_MAX, LINE_MAX, TEXT_MAX, URL_MAX, link_host, to_rich_text

OURS = {"p", "h1", "h2", "h3", "h4", "b", "i", "s", "code", "pre", "a", "ul", "ol", "li", "blockquote", "hr", "br"}
OURS |= {"table", "tr", "th", "td"}


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("# One", "<h1>One</h1>"),
        ("###### Six", "<h4>Six</h4>"),
        ("a **b** *c* `d` ~~e~~", "<p>a <b>b</b> <i>c</i> <code>d</code> <s>e</s></p>"),
        ("one\ntwo\n\nthree", "<p>one two</p>\n<p>three</p>"),
        ("- a\n- b", "<ul><li>a</li><li>b</li></ul>"),
        ("1. a\n2. b", "<ol><li>a</li><li>b</li></ol>"),
        ("- a\n  - b\n- c", "<ul><li>a</li><ul><li>b</li></ul><li>c</li></ul>"),
        ("> a\n> b", "<blockquote><p>a<br>b</p></blockquote>"),
        ("```\n<b>\n```", "<pre>&lt;b&gt;</pre>"),
        ("---", "<hr>"),
        (
            "| a | b |\n|---|---|\n| 1 | 2 |",
            "<table><tr><th>a</th><th>b</th></tr><tr><td>1</td><td>2</td></tr></table>",
        ),
        ("[x](https://e.org)", '<p><a href="https://e.org">x</a></p>'),
        ("see https://e.org/a now", '<p>see <a href="https://e.org/a">https://e.org/a</a> now</p>'),
        ("snake_case_name and 2*3*4", "<p>snake_case_name and 2*3*4</p>"),
        ("![a tank](https://e.org/t.png)", "<p><i>a tank</i></p>"),
    ],
)
def test_whitelist(source: str, expected: str) -> None:
    assert to_rich_text(source) == expected


@pytest.mark.parametrize(
    "source",
    [
        "<script>alert(1)</script>",
        "<img src=x onerror=alert(1)>",
        '[x](javascript:alert(1)) and [y](file:///etc/passwd "t")',
        '[x](https://e.org/"onclick="alert(1))',
        "<a href='https://e.org'>x</a>",
        "[a](data:text/html;base64,xx)",
        "<!-- hidden --><style>p{}</style>",
    ],
)
def test_nothing_else_gets_through(source: str) -> None:
    for tag in re.findall(r"<[^>]*>", to_rich_text(source)):
        name = re.fullmatch(r'</?([a-z0-9]+)>|<a href="https?://[^"]*">', tag)
        assert name is not None, tag
        assert name.group(1) is None or name.group(1) in OURS


@given(st.text(alphabet=st.sampled_from("[]()*_`~#>-|!<a b\n1.:/hts&\"'")))
def test_any_text_gives_only_our_tags(source: str) -> None:
    rendered = to_rich_text(source)
    assert set(re.findall(r"<\/?([a-zA-Z0-9]*)", rendered)) <= OURS
    assert not re.search(r"&(?!amp;|lt;|gt;|quot;|#x27;)", rendered)


def test_text_limit() -> None:
    assert "too long" not in to_rich_text("a" * TEXT_MAX)
    assert "too long" in to_rich_text("a" * (TEXT_MAX + 1))


def test_block_limit() -> None:
    assert to_rich_text("a\n\n" * (BLOCKS_MAX + 10)).count("<p>a</p>") == BLOCKS_MAX


def test_line_limit_keeps_the_words() -> None:
    line = "x" * LINE_MAX + "**tail**"
    assert "**tail**" not in to_rich_text(line[:LINE_MAX])
    assert to_rich_text("`" + line).count("x") == LINE_MAX - 1


@pytest.mark.parametrize("part", ["[", "[a](", "**a", "*a ", "`", "- ", "> ", "| ", "<a", "~~a", "_a ", "![", "#"])
def test_hostile_text_is_cheap(part: str) -> None:
    begin = time.process_time()
    to_rich_text(part * (TEXT_MAX // len(part)))
    to_rich_text((part + "\n") * (TEXT_MAX // (len(part) + 1)))
    assert time.process_time() - begin < 2.0


@pytest.mark.parametrize(
    ("url", "host"),
    [
        ("https://example.org/a?b#c", "example.org"),
        ("http://example.org:8080/", "example.org:8080"),
        ("https://bücher.example/", "xn--bcher-kva.example"),
        ("https://user:pass@example.org/", ""),
        ("ftp://example.org/", ""),
        ("https:///nothing", ""),
        ("https://example.org/\u202egpj", ""),
        ("https://exa mple.org/", ""),
        ("https://example.org\\@evil.example/", ""),
        ("https://example.org:99999999/", ""),
        ("https://e.org/" + "a" * URL_MAX, ""),
        ("not a link", ""),
    ],
)
def test_hosts(url: str, host: str) -> None:
    assert link_host(url) == host
