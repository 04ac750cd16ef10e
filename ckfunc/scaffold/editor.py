"""Suggestions for the settings of a project's tsconfig.json."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

from ckfunc.base.documents import read_jsonc
from ckfunc.base.files import read_file
from ckfunc.scaffold.stubs import TYPES_DIR

SETTINGS = "tsconfig.json"

_STUBS = f"{TYPES_DIR}/*.d.ts"
_READS_EXPORTS = {"bundler", "node16", "node18", "node20", "nodenext", "preserve"}


def advice(root: Path) -> tuple[str, ...]:
    """Return the changes after which an editor sees the project as handlers run, each as a sentence."""
    try:
        text = read_file(root / SETTINGS).decode("utf-8-sig")
    except FileNotFoundError:
        return (f"there is no {SETTINGS}: create one that includes {_STUBS}; `ckfunc init` writes an example",)
    except (OSError, UnicodeDecodeError):
        return (f"{SETTINGS} cannot be read: make sure that it includes {_STUBS}",)
    try:
        settings = read_jsonc(text)
    except ValueError:
        return (f"{SETTINGS} is not JSON with comments: make sure that it includes {_STUBS}",)
    return tuple(_advice(settings)) if isinstance(settings, dict) else ()


def _advice(settings: Mapping[str, Any]) -> Iterator[str]:
    inherits = "extends" in settings  # missing settings may be in the extended file
    included = settings.get("include"), settings.get("files")
    if not _includes_stubs(included) and not (inherits and included == (None, None)):
        yield f'{SETTINGS}: add "{_STUBS}" to "include", because ** skips directories with a leading dot'
    options = settings.get("compilerOptions")
    options = options if isinstance(options, dict) else {}
    if options.get("moduleDetection") != "force" and not inherits:
        yield (
            f'{SETTINGS}: add "moduleDetection": "force" to "compilerOptions", because every handler declares its own '
            "`handleEvent`"
        )
    module, resolution = (str(options.get(name, "")).lower() for name in ("module", "moduleResolution"))
    if not {module, resolution} & _READS_EXPORTS and not inherits:
        yield (
            f'{SETTINGS}: add "moduleResolution": "Bundler" (with "module": "ESNext") to "compilerOptions", because '
            "the current one ignores the `exports` of packages"
        )


def _includes_stubs(included: tuple[Any, Any]) -> bool:
    texts = [text for value in included if isinstance(value, list) for text in value if _is_text(text)]
    patterns = [text.removeprefix("./") for text in texts]
    stub = f"{TYPES_DIR}/chatkitty.d.ts"
    return any(each.startswith(".ckfunc") and (stub.startswith(each) or fnmatchcase(stub, each)) for each in patterns)


def _is_text(value: Any) -> bool:
    return isinstance(value, str)
