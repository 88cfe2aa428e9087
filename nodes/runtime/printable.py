"""Text from somewhere else as it may be shown on a terminal: with nothing in it that a terminal obeys."""

import re

# Control characters, halves of characters, and marks that turn the direction of writing.
_OBEYED = re.compile("[\x00-\x1f\x7f-\x9f\ud800-\udfff\u202a-\u202e\u2066-\u2069]")


def printable(text: str) -> str:
    r"""``text`` with whatever a terminal would obey written out: an escape sequence begins with ``\x1b``."""
    return _OBEYED.sub(lambda found: found[0].encode("unicode_escape").decode(), text)
