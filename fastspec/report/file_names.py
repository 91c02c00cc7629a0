"""Names of files and folders that every file system takes, and that never lead anywhere else."""

import re
import unicodedata
from collections.abc import Iterable

_LONGEST_BYTES = 180
_FORBIDDEN = re.compile(r'[<>:"/\\|?*]')
_RESERVED = re.compile(r"(con|prn|aux|nul|conin\$|conout\$|com[0-9¹²³]|lpt[0-9¹²³])(\..*)?", re.IGNORECASE)


def safe_name(text: str) -> str:
    """One path component for any text: what Windows forbids, controls and halves of characters become "_"; never hidden, never too long.

    >>> safe_name("../a:b?"), safe_name("con.wav"), safe_name("größe ♪"), safe_name("")
    ('_a_b_', '_con.wav', 'größe ♪', '_')
    """
    text = unicodedata.normalize("NFC", text)
    text = "".join(
        "_" if unicodedata.category(letter)[0] == "C" or unicodedata.category(letter) in ("Zl", "Zp") else letter for letter in text
    )
    text = _FORBIDDEN.sub("_", text).lstrip(" .")
    text = text.encode()[:_LONGEST_BYTES].decode(errors="ignore").rstrip(" .")
    return f"_{text}" if not text or _RESERVED.fullmatch(text) else text


def distinct_names(names: Iterable[str]) -> list[str]:
    """The names, in their order, those that were there before with a number; letters' case does not tell names apart.

    >>> distinct_names(["a", "A", "b", "a", "a-2"])
    ['a', 'A-2', 'b', 'a-3', 'a-2-2']
    """
    taken: set[str] = set()
    counts: dict[str, int] = {}
    result = []
    for name in names:
        key = folded(name)
        number, candidate = counts.get(key, 1), name
        while folded(candidate) in taken:
            number += 1
            candidate = f"{name}-{number}"
        counts[key] = number
        taken.add(folded(candidate))
        result.append(candidate)
    return result


def folded(name: str) -> str:
    """What two names have in common that some file system takes for one.

    >>> folded("É") == folded("e\\N{COMBINING ACUTE ACCENT}")
    True
    """
    return unicodedata.normalize("NFD", unicodedata.normalize("NFD", name).casefold())
