"""The documentation site, built as `make docs` builds it: pages, links, and nothing from other hosts."""

from __future__ import annotations

import json
import mimetypes
import re
import shutil
import subprocess
from html.parser import HTMLParser
from pathlib import Path

import click
import pytest
from markdown_it import MarkdownIt
from support.browser import page
from support.loopback import Reply, Request, serve
from support.project_files import ROOT

from ckfunc import __version__
from ckfunc.cli.main import cli
from ckfunc.manifest.definition import MANIFEST
from ckfunc.model.command_outputs import commands_with_json
from ckfunc.testing.definition import CASES

pytestmark = [
    pytest.mark.slow,
    pytest.mark.xdist_group("site"),
    pytest.mark.skipif(shutil.which("make") is None, reason="the site is built with make"),
]
LOADING = {"img": "src", "script": "src", "source": "src", "iframe": "src", "video": "src", "use": "href"}
FOR_READERS = {"canonical", "next", "prev"}
"""Relations of a `<link>` that load nothing."""


class Loads(HTMLParser):
    """The addresses that a page loads, including those in its styles, and its text."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.addresses: list[str] = []
        self.text = ""
        self._styling = False
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = dict(attrs)
        self._styling = tag == "style"
        loaded = given.get("href") if tag == "link" and given.get("rel") not in FOR_READERS else None
        self.addresses += filter(None, [loaded, given.get(LOADING.get(tag, ""))])
        self.addresses += addresses_of_style(given.get("style") or "")

    def handle_data(self, data: str) -> None:
        self.text += data
        if self._styling:
            self.addresses += addresses_of_style(data)


def addresses_of_style(css: str) -> list[str]:
    return re.findall(r"url\(\s*[\"']?([^\"')]+)", css) + re.findall(r"@import\s+[\"']([^\"']+)", css)


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("site")
    command = ["make", "-s", "docs", f"SITE={directory}"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return directory


def test_every_document_has_a_page_and_a_markdown_version(site: Path) -> None:
    documents = [path.stem for path in (ROOT / "docs").rglob("*.md")]
    assert [name for name in documents if not (site / f"{name}.html").is_file()] == []
    assert [name for name in documents if not (site / f"{name}.md").is_file()] == []
    listed = re.findall(r"^- \[[^]]+\]\(([^)]+)\): \S", (site / "llms.txt").read_text(encoding="utf-8"), re.MULTILINE)
    assert set(listed) == {path.relative_to(site).as_posix() for path in site.rglob("*.md")}


def test_the_reference_lists_every_command_option_and_manifest_key(site: Path) -> None:
    options = (site / "command-options.md").read_text(encoding="utf-8")
    with click.Context(cli, info_name="ckfunc") as context:
        for name in cli.list_commands(context):
            command = cli.get_command(context, name)
            assert command is not None
            section = options.partition(f"\n## ckfunc {name}\n")[2].partition("\n## ")[0]
            own = [option for option in command.params if isinstance(option, click.Option) and option.expose_value]
            assert [
                option.name
                for option in own
                if option.opts[-1] not in section or (option.help or "")[:20] not in section
            ] == []
    headings = set(re.findall(r"^## (ckfunc .*)$", options, re.MULTILINE))
    assert {"ckfunc test add", "ckfunc emulator seed"} <= headings
    assert [heading for heading in headings if not re.fullmatch(r"[a-z ]+", heading)] == []
    for name, definition in (("manifest-keys.md", MANIFEST), ("test-keys.md", CASES)):
        text = (site / name).read_text(encoding="utf-8")
        assert [field.name for field in definition.fields if f"\n| `{field.name}` |" not in text] == []
    outputs = (site / "json-output.md").read_text(encoding="utf-8")
    assert [name for name in commands_with_json() if f"\n| `ckfunc {name}` | " not in outputs] == []
    definitions = json.loads((site / "output.schema.json").read_text(encoding="utf-8"))["$defs"]
    fields = [name for definition in definitions.values() for name in definition.get("properties", ())]
    assert len(fields) > 200 and [name for name in fields if f"\n| `{name}` | " not in outputs] == []
    assert json.loads((site / "functions.schema.json").read_text(encoding="utf-8"))["properties"].keys() == {
        field.name for field in MANIFEST.fields
    }


def test_pages_and_styles_refer_to_no_other_host(site: Path) -> None:
    loaded = {path: Loads(path.read_text(encoding="utf-8")).addresses for path in site.rglob("*.html")}
    loaded |= {path: addresses_of_style(path.read_text(encoding="utf-8")) for path in site.rglob("*.css")}
    assert len(loaded) > 10 and all(loaded[path] for path in loaded if path.suffix == ".html")
    foreign = [
        (path.name, address) for path, these in loaded.items() for address in these if re.match(r"(?:\w+:)?//", address)
    ]
    assert foreign == []


def test_pages_have_the_same_lists_tables_and_code_as_on_github(site: Path) -> None:
    github = MarkdownIt("commonmark").enable("table")
    different = []
    for path in site.rglob("*.md"):
        article = path.with_suffix(".html").read_text(encoding="utf-8").partition("<article")[2].partition("</article>")
        shown = github.render(path.read_text(encoding="utf-8"))
        for tag in ("li", "tr", "pre", "h2", "h3", "img"):
            counts = [len(re.findall(rf"<{tag}[ >]", html)) for html in (article[0], shown)]
            if counts[0] != counts[1]:
                different.append((path.name, tag, counts))
    assert different == []


def test_the_version_is_in_the_header_of_every_page(site: Path) -> None:
    for path in site.rglob("*.html"):
        header = path.read_text(encoding="utf-8").partition("<header")[2].partition("</header>")[0]
        assert f"ckfunc {__version__}" in " ".join(Loads(header).text.split()), path.name


def test_search_works_in_a_browser_without_requests_to_other_hosts(site: Path) -> None:
    def answer(request: Request) -> Reply:
        path = site / request.path.partition("?")[0].strip("/")
        if not path.is_file():
            return Reply(404)
        kind = mimetypes.guess_type(path.name)[0] or "application/octet-stream"
        return Reply(200, path.read_bytes(), {"Content-Type": kind})

    with serve(answer) as server, page() as browser:
        browser.call("Network.enable")
        browser.call("Page.navigate", url=f"{server.url}/index.html?q=rollback")
        browser.next_event("Page.loadEventFired")
        browser.evaluate("""new Promise(found => {
            const look = () => document.querySelector('.md-search-result__item') ? found() : setTimeout(look, 50);
            look();
        })""")
        results = browser.evaluate("document.querySelector('.md-search-result__list').innerText")
        asked = [event["params"] for event in browser.events if event["method"] == "Network.requestWillBeSent"]
        refused = [event["params"] for event in browser.events if event["method"] == "Log.entryAdded"]
    assert "rollback" in results.lower()
    assert [
        request["request"]["url"]
        for request in asked
        if not request["request"]["url"].startswith((server.url, "data:"))
    ] == []
    assert [event["entry"]["text"] for event in refused if "Content Security Policy" in event["entry"]["text"]] == []


@pytest.mark.parametrize("link", ["nowhere.md", "manifest.md#no-such-heading"])
def test_a_broken_link_or_an_unknown_anchor_fails_the_build(site: Path, tmp_path: Path, link: str) -> None:
    del site  # the fixture creates the environment of `make docs`
    copy = tmp_path / "copy"
    for name in ("docs", "website", "ckfunc", "templates", "example-project"):
        shutil.copytree(ROOT / name, copy / name, ignore=shutil.ignore_patterns("__pycache__"))
    for path in (*ROOT.glob("*.md"), ROOT / "mkdocs.yml"):
        shutil.copy(path, copy)
    with (copy / "docs/check.md").open("a", encoding="utf-8") as file:
        file.write(f"\n[a link]({link})\n")
    done = subprocess.run(
        [str(ROOT / ".cache/docs/bin/python"), "-m", "mkdocs", "build", "--strict"],
        cwd=copy,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 1
    assert "check.md" in done.stderr and link.rpartition("#")[2] in done.stderr
