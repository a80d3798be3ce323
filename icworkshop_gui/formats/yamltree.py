"""YAML from strangers, read as plain trees: text, lists and maps, nothing else.

A scalar stays the text that was written (`version: 1.10` is not a number), so that what it means is decided
where it is used. Anchors, aliases, tags, double keys and more than one document are errors: a manifest needs
none of them, and each has been used to make two readers see two things, or one reader run out of memory.
"""

from __future__ import annotations

import re

from icworkshop_gui.core.errors import FormatError

Tree = None | str | list["Tree"] | dict[str, "Tree"]

DEPTH_MAX = 16
"""Lists and maps inside each other."""
NODES_MAX = 1_000_000
"""Scalars, lists and maps in all."""

_NULLS = frozenset({"", "~", "null", "Null", "NULL"})

_PLAIN = re.compile(r"[a-z][a-z0-9_/-]*", re.ASCII)
_RESERVED = frozenset({"true", "false", "null", "yes", "no", "on", "off", "y", "n"})
_ESCAPED = re.compile('["\\\\]|[^ -~\u00a0-\u2027\u202a-\ud7ff\ue000-\ufefe\uff00-\ufffd\U00010000-\U0010ffff]')


def parse_yaml(data: bytes, *, size_max: int) -> Tree:
    """The one document in `data`, UTF-8. FormatError says what is wrong with it."""
    if len(data) > size_max:
        raise FormatError(f"a YAML document of more than {size_max} bytes")
    try:
        text = data.decode()
    except UnicodeDecodeError as error:
        raise FormatError("YAML that is not UTF-8") from error
    import yaml  # here, for it takes 20 ms to load and most programs read no manifest

    try:
        return _build(text)
    except (yaml.YAMLError, ValueError, OverflowError) as error:
        mark = getattr(error, "problem_mark", None)
        where = f", line {mark.line + 1}" if mark is not None else ""
        raise FormatError(f"malformed YAML{where}") from error


def _build(text: str) -> Tree:
    import yaml

    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    root: Tree = None
    documents = nodes = 0
    # The open containers from the outside in, each with the key that waits for its value.
    stack: list[tuple[list[Tree] | dict[str, Tree], str | None]] = []
    for event in yaml.parse(text, Loader=loader):
        value: Tree
        if isinstance(event, yaml.DocumentStartEvent):
            documents += 1
            if documents > 1:
                raise FormatError("more than one YAML document")
            continue
        if isinstance(event, yaml.AliasEvent) or getattr(event, "anchor", None) is not None:
            raise FormatError("an anchor or alias in YAML from a stranger")
        if getattr(event, "tag", None) not in (None, "!"):
            raise FormatError("a tag in YAML from a stranger")
        if isinstance(event, yaml.SequenceEndEvent | yaml.MappingEndEvent):
            value = stack.pop()[0]
        elif isinstance(event, yaml.ScalarEvent):
            value = None if event.implicit[0] and event.value in _NULLS else event.value
        elif isinstance(event, yaml.SequenceStartEvent | yaml.MappingStartEvent):
            if len(stack) >= DEPTH_MAX:
                raise FormatError(f"YAML nested deeper than {DEPTH_MAX}")
            stack.append(([] if isinstance(event, yaml.SequenceStartEvent) else {}, None))
            continue
        else:
            continue
        nodes += 1
        if nodes > NODES_MAX:
            raise FormatError(f"YAML of more than {NODES_MAX} values")
        if not stack:
            root = value
            continue
        container, key = stack[-1]
        if isinstance(container, list):
            container.append(value)
        elif key is not None:
            container[key] = value
            stack[-1] = (container, None)
        elif not isinstance(value, str):
            raise FormatError("a YAML key that is no text")
        elif value in container:
            raise FormatError("a YAML key twice")
        else:
            stack[-1] = (container, value)
    return root


def scalar(text: str) -> str:
    """`text` as a YAML scalar on one line that every reader takes for text."""
    if _PLAIN.fullmatch(text) and text not in _RESERVED:
        return text
    return '"' + _ESCAPED.sub(_escape, text) + '"'


def _escape(match: re.Match[str]) -> str:
    char = match[0]
    if char in '"\\':
        return "\\" + char
    if char == "\n":
        return "\\n"
    return f"\\u{ord(char):04x}"
