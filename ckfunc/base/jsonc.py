"""JSON with comments and trailing commas, as tsconfig.json files are written."""

from __future__ import annotations

import json
import re
from typing import Any

# A text is kept as it is; comments, and commas before a closing bracket, go.
_JSONC = re.compile(
    r"""("(?:\\.|[^"\\])*") | //[^\n]* | /\*.*?\*/ | ,(?=(?: \s | //[^\n]*+ | (?>/\*.*?\*/) )*+[}\]])""",
    re.DOTALL | re.VERBOSE,
)


def read_jsonc(text: str) -> Any:
    """Return the document in `text`. Raises ValueError."""
    try:
        return json.loads(_JSONC.sub(lambda found: found[1] or " ", text))
    except RecursionError:
        raise ValueError("it is nested too deeply") from None
