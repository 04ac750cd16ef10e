"""Settings that a project's own tsconfig.json needs. They are suggested, never written."""

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
    """Return what to change so that an editor sees the project as handlers run, one sentence each; () for nothing."""
    try:
        text = read_file(root / SETTINGS).decode("utf-8-sig")
    except FileNotFoundError:
        return (f"there is no {SETTINGS}: editors need one that includes {_STUBS}; `ckfunc init` elsewhere makes one",)
    except (OSError, UnicodeDecodeError):
        return (f"{SETTINGS} cannot be read: see that it includes {_STUBS}",)
    try:
        settings = read_jsonc(text)
    except ValueError:
        return (f"{SETTINGS} is not JSON with comments: see that it includes {_STUBS}",)
    return tuple(_advice(settings)) if isinstance(settings, dict) else ()


def _advice(settings: Mapping[str, Any]) -> Iterator[str]:
    inherits = "extends" in settings  # what is not said here may be said there
    included = settings.get("include"), settings.get("files")
    if not _includes_stubs(included) and not (inherits and included == (None, None)):
        yield f'{SETTINGS}: add "{_STUBS}" to "include", since ** leaves out directories with a leading dot'
    options = settings.get("compilerOptions")
    options = options if isinstance(options, dict) else {}
    if options.get("moduleDetection") != "force" and not inherits:
        yield (
            f'{SETTINGS}: add "moduleDetection": "force" to "compilerOptions", since every handler declares a '
            "`handleEvent` of its own"
        )
    module, resolution = (str(options.get(name, "")).lower() for name in ("module", "moduleResolution"))
    if not {module, resolution} & _READS_EXPORTS and not inherits:
        yield (
            f'{SETTINGS}: add "moduleResolution": "Bundler" (with "module": "ESNext") to "compilerOptions", since '
            "others do not read the `exports` of packages"
        )


def _includes_stubs(included: tuple[Any, Any]) -> bool:
    patterns = [one.removeprefix("./") for said in included if isinstance(said, list) for one in said if _is_text(one)]
    stub = f"{TYPES_DIR}/chatkitty.d.ts"
    return any(one.startswith(".ckfunc") and (stub.startswith(one) or fnmatchcase(stub, one)) for one in patterns)


def _is_text(value: Any) -> bool:
    return isinstance(value, str)
