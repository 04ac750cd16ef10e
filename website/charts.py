"""Chart and table of docs/speed.md, made of the figures in website/speed.json.

`python -m bench.peers --json website/speed.json` measures, `python website/charts.py` draws.
"""

from __future__ import annotations

import html
import json
import re
import sys
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parent.parent
sys.path.append(str(ROOT))  # as a script
from bench.harness import Figure, advantage, shown  # noqa: E402

FIGURES = ROOT / "website" / "speed.json"
CHART = ROOT / "docs" / "images" / "speed.svg"
PAGE = ROOT / "docs" / "speed.md"
_TABLE = re.compile(r"^\| measurement \|.*?(?=\n\n)", re.DOTALL | re.MULTILINE)

WIDTH, LEFT, BAR, LINE = 860, 116, 560, 20
STYLE = """\
text{font:13px system-ui,'Segoe UI',Roboto,Helvetica,Arial,sans-serif;fill:#2b3040}.title{font-weight:600}
.note{fill:#5a6275}.card{fill:#fff}.ckfunc{fill:#3f51b5}.other{fill:#b9bfce}"""


def main() -> None:
    """Draw the chart, and replace the table of the page."""
    run = json.loads(FIGURES.read_text(encoding="utf-8"))
    CHART.write_text(drawn(run), encoding="utf-8", newline="\n")
    page = _TABLE.sub(lambda _: table(run), PAGE.read_text(encoding="utf-8"), count=1)
    PAGE.write_text(page, encoding="utf-8", newline="\n")


def table(run: dict[str, Any]) -> str:
    """Return the figures as a table in Markdown, with ckfunc's advantage over each peer (below 1: slower)."""
    figures = [Figure(**figure) for figure in run["figures"] if len(figure["values"]) > 1]
    subjects = list(dict.fromkeys(subject for figure in figures for subject in figure.values))
    peers = subjects[1:]
    lines = [f"| measurement | {' | '.join([*subjects, *(f'against {peer}' for peer in peers)])} |"]
    lines.append(f"|---{'|---' * (len(subjects) + len(peers))}|")
    for figure in figures:
        values = [shown(figure.values[name], figure.unit) if name in figure.values else "–" for name in subjects]
        ratios = [advantage(figure, peer) or "–" for peer in peers]
        lines.append(f"| {figure.what} | {' | '.join([*values, *ratios])} |")
    return "\n".join(lines)


def drawn(run: dict[str, Any]) -> str:
    """Return a bar chart of each figure that at least one peer has too, in SVG."""
    figures = [figure for figure in run["figures"] if len(figure["values"]) > 1]
    parts: list[str] = []
    y = 30
    for figure in figures:
        better = "longer" if figure["unit"] == "/s" else "shorter"
        parts.append(_text(20, y, f"{figure['what']}", "title"))
        parts.append(_text(WIDTH - 20, y, f"{better} is better", "note", end=True))
        most = max(figure["values"].values())
        for subject, value in figure["values"].items():
            y += LINE
            width = max(value / most * BAR, 1)
            style = "ckfunc" if subject == "ckfunc" else "other"
            parts.append(_text(20, y, subject))
            parts.append(f'<rect class="{style}" x="{LEFT}" y="{y - 11}" width="{width:.1f}" height="14" rx="2"/>')
            parts.append(_text(LEFT + width + 8, y, shown(value, figure["unit"])))
        y += LINE + 16
    versions = ", ".join(f"{name} {version}" for name, version in run["versions"].items())
    parts.append(_text(20, y, f"{run['date']}; {versions}; {run['machine']}; Python {run['python']}", "note"))
    height = y + 20
    label = "Speed of ckfunc, miniflare and wrangler"
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" width="{WIDTH}" height="{height}" '
        f'role="img" aria-label="{label}">\n<style>{STYLE}</style>\n'
        f'<rect class="card" width="{WIDTH}" height="{height}" rx="8"/>\n' + "\n".join(parts) + "\n</svg>\n"
    )


def _text(x: float, y: float, text: str, style: str = "", *, end: bool = False) -> str:
    attributes = (f' class="{style}"' if style else "") + (' text-anchor="end"' if end else "")
    return f'<text{attributes} x="{x:.0f}" y="{y}">{html.escape(text, quote=False)}</text>'


if __name__ == "__main__":
    main()
