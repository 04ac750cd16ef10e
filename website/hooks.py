"""Hooks of the documentation site: pages that docs/ does not have, the version, and llms.txt.

MkDocs calls the functions by their names. Source: https://www.mkdocs.org/dev-guide/plugins/#events
"""

from __future__ import annotations

import posixpath
import re
import sys
from pathlib import Path

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files
from mkdocs.structure.nav import Navigation
from mkdocs.structure.pages import Page

from ckfunc import __version__

ROOT = Path(__file__).parent.parent
sys.path.append(str(ROOT / "website"))  # MkDocs loads hooks as single files
from reference import generated  # noqa: E402

PAGES = {
    "README.md": "index.md",
    "CHANGELOG.md": "changelog.md",
    "CONTRIBUTING.md": "contributing.md",
    "SUPPORT.md": "support.md",
    "SECURITY.md": "security.md",
    "CODE_OF_CONDUCT.md": "code-of-conduct.md",
    "example-project/README.md": "example-project.md",
}
"""Documents of the repository that are pages too: their paths there and on the site."""

_LINK = re.compile(r"(?<=\]\()(?![a-z]+:|#)([^)#\s]+)")
_CODE = re.compile(r"(^```.*?^```$|`[^`\n]+`)", re.DOTALL | re.MULTILINE)


def on_config(config: MkDocsConfig) -> None:
    """Show the version in the header."""
    config.site_name = f"{config.site_name} {__version__}"


def on_files(files: Files, config: MkDocsConfig) -> None:
    """Add the generated reference, the documents of the repository, and the files that pages refer to."""
    for path, text in generated().items():
        files.append(File.generated(config, path, content=text))
    for source, page in PAGES.items():
        text = (ROOT / source).read_text(encoding="utf-8")
        files.append(File.generated(config, page, content=_relinked(text, source, page)))
    for file in list(files.documentation_pages()):
        for path in _linked_files(file.content_string, _source(file.src_uri)):
            if files.get_file_from_path(_place(path)) is None:
                files.append(File.generated(config, _place(path), abs_src_path=str(ROOT / path)))


def on_page_markdown(markdown: str, page: Page, config: MkDocsConfig, files: Files) -> str:  # noqa: ARG001 - by name
    """Let the links of a page in docs/ lead to pages of the site."""
    path = page.file.src_uri
    return markdown if path in PAGES.values() else _relinked(markdown, _source(path), path)


def on_nav(nav: Navigation, config: MkDocsConfig, files: Files) -> None:  # noqa: ARG001 - by name
    """Keep the navigation for llms.txt."""
    config.extra["navigation"] = nav


def on_post_build(config: MkDocsConfig) -> None:
    """Write llms.txt and the Markdown of every page. Source: https://llmstxt.org"""
    site = Path(config.site_dir)
    lines = [f"# {config.site_name}", "", f"> {config.site_description}"]
    section = None
    for page in config.extra["navigation"].pages:
        above = page.parent.title if page.parent else "Start"
        if above != section:
            lines += ["", f"## {above}", ""]
            section = above
        (site / page.file.src_uri).write_text(page.markdown, encoding="utf-8", newline="\n")
        lines.append(f"- [{page.title}]({page.file.src_uri}): {_first_sentence(page.markdown)}")
    (site / "llms.txt").write_text("\n".join(lines) + "\n", encoding="utf-8", newline="\n")


def _source(page: str) -> str:
    """Return the path in the repository of a page of the site."""
    return next((source for source, named in PAGES.items() if named == page), f"docs/{page}")


def _place(path: str) -> str:
    """Return the path on the site of a document or file of the repository."""
    if path in PAGES:
        return PAGES[path]
    return path.removeprefix("docs/") if path.startswith("docs/") else f"files/{path}"


def _relinked(text: str, source: str, page: str) -> str:
    """Return Markdown of the repository with its relative links as they are on the site."""

    def relinked(link: re.Match[str]) -> str:
        target = posixpath.normpath(posixpath.join(posixpath.dirname(source), link[1]))
        return posixpath.relpath(_place(target), posixpath.dirname(page) or ".")

    return "".join(part if index % 2 else _LINK.sub(relinked, part) for index, part in enumerate(_CODE.split(text)))


def _linked_files(text: str, source: str) -> list[str]:
    """Return the files outside of docs/ that a document refers to, as paths in the repository."""
    links = [link[1] for part in _CODE.split(text)[::2] for link in _LINK.finditer(part)]
    paths = [posixpath.normpath(posixpath.join(posixpath.dirname(source), link)) for link in links]
    return [path for path in paths if not path.startswith("docs/") and path not in PAGES and (ROOT / path).is_file()]


def _first_sentence(markdown: str) -> str:
    """Return the first sentence of a page without its links."""
    paragraphs = [part for part in markdown.split("\n\n") if not part.startswith(("#", "|", "```", "<", "["))]
    text = re.sub(r"\[([^]]*)\]\([^)]*\)", r"\1", " ".join(paragraphs[0].split())) if paragraphs else ""
    return re.split(r"(?<=\.)\s", text, maxsplit=1)[0].rstrip(":")
