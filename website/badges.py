"""Badges of README.md, from pyproject.toml and the version. They load nothing from other hosts."""

from __future__ import annotations

import tomllib
from pathlib import Path

from ckfunc import __version__

ROOT = Path(__file__).parent.parent
_PYTHON = "Programming Language :: Python :: 3."
_LETTER, _MARGIN = 6.6, 12
_BADGE = """\
<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="20">
<rect width="{width}" height="20" rx="3" fill="#3f51b5"/>
<rect width="{left}" height="20" rx="3" fill="#424242"/>
<g fill="#fff" font-family="Verdana, DejaVu Sans, sans-serif" font-size="11" text-anchor="middle">
<text x="{left_middle}" y="14">{name}</text>
<text x="{right_middle}" y="14">{value}</text>
</g>
</svg>
"""


def badges() -> dict[str, str]:
    """Return the badges as SVG, by file name."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    pythons = [f"3.{line.removeprefix(_PYTHON)}" for line in project["classifiers"] if line.startswith(_PYTHON)]
    return {
        "version.svg": badge("version", __version__),
        "python.svg": badge("python", " | ".join(pythons)),
        "license.svg": badge("license", project["license"]),
    }


def badge(name: str, value: str) -> str:
    """Return a badge that shows a name and its value, both without characters that XML would need escaped."""
    left, right = (round(len(text) * _LETTER + _MARGIN) for text in (name, value))
    return _BADGE.format(
        width=left + right, left=left, left_middle=left / 2, right_middle=left + right / 2, name=name, value=value
    )


if __name__ == "__main__":
    for file, svg in badges().items():
        (ROOT / "docs/images" / file).write_text(svg, encoding="utf-8", newline="\n")
