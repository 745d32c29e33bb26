"""Names of files that plain Windows PCs and phones take."""

import re
import unicodedata

_FORBIDDEN = re.compile(r'[\\/:*?"<>|_\s\x00-\x1f\x7f]+')


def part(text: str) -> str:
    """Make a name fit for Windows and phones; `_` separates the parts and so stands in none."""
    plain = "".join(c for c in text if unicodedata.category(c) not in ("Cf", "Cc", "Cs"))
    return _FORBIDDEN.sub("-", plain).strip(".-")[:40] or "-"
