"""Pictures, multipart forms and downloads of files."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from itertools import pairwise
from pathlib import Path
from typing import Any

import httpx
import pytest
from emulator.conftest import sign_in
from support.emulators import cold_emulator
from support.loopback import http_client
from support.older_formats import make_first_format

from ckfunc.base.files import cache_dir
from ckfunc.emulator.emulator import Emulator
from ckfunc.emulator.http.bodies import FILE_BYTES, safe_name, safe_type, split_form
from ckfunc.emulator.http.problems import Refused
from ckfunc.emulator.options import EmulatorOptions
from ckfunc.emulator.store import files
from ckfunc.emulator.store.database import Database, open_database
from ckfunc.emulator.store.database_file import MIGRATIONS, SCHEMA
from ckfunc.emulator.store.files import PART_BYTES, StoredFile
from ckfunc.emulator.store.steps import run

PNG = b"\x89PNG\r\n\x1a\n" + bytes(range(256)) * 8 + b"\r\n--not a boundary\r\n"


@pytest.fixture
def user(client: httpx.Client) -> dict[str, Any]:
    made: dict[str, Any] = client.post("/v1/users", json={"name": "jane", "displayName": "Jane Ann Doe"}).json()
    return made


def explanation(answer: httpx.Response, status: int = 400) -> str:
    assert answer.status_code == status, answer.text
    text: str = answer.json()["explanation"]
    return text


def upload(client: httpx.Client, name: str = "jane.png", kind: str = "image/png", content: bytes = PNG) -> Any:
    return client.post("/v1/users/1/display-picture", files={"file": (name, content, kind)})


def test_an_uploaded_picture_is_downloaded_byte_for_byte_without_a_token(
    client: httpx.Client, anyone: httpx.Client, user: dict[str, Any]
) -> None:
    shown = upload(client).json()
    assert shown == {**user, "displayPictureUrl": shown["displayPictureUrl"]}
    assert shown["displayPictureUrl"].startswith(f"{str(client.base_url).rstrip('/')}/v1/picture/")
    assert client.get("/v1/users/1").json() == shown
    got = anyone.get(shown["displayPictureUrl"])
    assert (got.content, got.headers["content-type"]) == (PNG, "image/png")
    assert got.headers["content-disposition"] == "inline; filename=\"jane.png\"; filename*=UTF-8''jane.png"
    assert got.headers["x-content-type-options"] == "nosniff"
    assert "sandbox" in got.headers["content-security-policy"]
    assert anyone.head(shown["displayPictureUrl"]).headers["content-length"] == str(len(PNG))


def test_a_new_picture_replaces_the_previous_one(client: httpx.Client, user: dict[str, Any]) -> None:
    first = upload(client).json()["displayPictureUrl"]
    second = upload(client, content=b"GIF89a").json()["displayPictureUrl"]
    assert client.get(second).content == b"GIF89a"
    # The first picture is deleted, so its address shows the default drawing.
    assert client.get(first).headers["content-type"] == "image/svg+xml"
    assert client.get(first.replace("/picture/", "/files/")).status_code == 404


def test_an_external_picture_is_shown_with_its_own_url(client: httpx.Client, user: dict[str, Any]) -> None:
    stored = upload(client).json()["displayPictureUrl"].rpartition("/")[2]
    body = {"url": "https://example.com/files/jane.png", "name": "jane.png", "contentType": "image/png", "size": 32768}
    assert client.post("/v1/users/1/display-picture", json=body).json()["displayPictureUrl"] == body["url"]
    assert client.get("/v1/users/1").json()["displayPictureUrl"] == body["url"]
    assert client.get(f"/v1/files/{stored}").status_code == 404
    snake = {"url": "https://example.com/2", "name": "2", "content_type": "image/png", "size": 2}
    vendor = {"content-type": "application/vnd.chatkitty+json"}
    assert client.post("/users/1/display-picture", json=snake, headers=vendor).json()["display_picture_url"] == (
        "https://example.com/2"
    )


def test_a_picture_survives_a_restart_at_another_port(tmp_path: Path) -> None:
    with cold_emulator(tmp_path) as first, http_client(first.url) as client:
        token = client.post("/oauth/token", auth=("emulator", "emulator"), data={"grant_type": "client_credentials"})
        client.headers["authorization"] = f"Bearer {token.json()['access_token']}"
        client.post("/v1/users", json={"name": "jane", "displayName": "Jane"})
        upload(client)
    with cold_emulator(tmp_path) as second, http_client(second.url) as client:
        token = client.post("/oauth/token", auth=("emulator", "emulator"), data={"grant_type": "client_credentials"})
        client.headers["authorization"] = f"Bearer {token.json()['access_token']}"
        url = client.get("/v1/users/1").json()["displayPictureUrl"]
        assert url.startswith(second.url)
        assert client.get(url).content == PNG


@pytest.mark.parametrize("path", ["/v1/picture/Jane+Doe", "/picture/Jane%20Doe"])
def test_the_picture_of_a_name_is_a_drawing_of_its_initials(anyone: httpx.Client, path: str) -> None:
    drawn = anyone.get(path)
    assert drawn.headers["content-type"] == "image/svg+xml"
    assert ">JD</text>" in drawn.text


@pytest.mark.parametrize("name", ["%3Cscript%3E", "%00", "%ED%A0%80", "%26", "🌞", "a" * 3000])
def test_the_picture_of_any_name_is_a_well_formed_drawing(anyone: httpx.Client, name: str) -> None:
    import xml.etree.ElementTree as ET

    drawn = anyone.get(f"/v1/picture/{name}")
    assert drawn.status_code == 200
    assert ET.fromstring(drawn.content).tag.endswith("svg")


def test_an_uploaded_web_page_is_downloaded_and_never_executed(client: httpx.Client, user: dict[str, Any]) -> None:
    for kind in ("text/html", "image/svg+xml", "application/javascript"):
        got = client.get(upload(client, "x.html", kind).json()["displayPictureUrl"])
        assert got.headers["content-disposition"].startswith("attachment;")
        assert "sandbox" in got.headers["content-security-policy"]


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ("../../etc/passwd", "passwd"),
        ("C:\\pictures\\me.png", "me.png"),
        ("a\r\nset-cookie: x.png", "a__set-cookie_ x.png"),
        ('quo"te.png', "quo_te.png"),
        ("\u202egnp.exe", "_gnp.exe"),
        ("größe 🌞.png", "größe 🌞.png"),
        ("..", "file"),
        (None, "file"),
        ("x" * 5000, "x" * 200),
    ],
)
def test_unsafe_characters_are_removed_from_file_names(given: str | None, expected: str) -> None:
    assert safe_name(given) == expected


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ("image/png", "image/png"),
        ("Text/Plain; charset=utf-8", "text/plain; charset=utf-8"),
        ("text/html\r\nx: y", "application/octet-stream"),
        ("nonsense", "application/octet-stream"),
        (None, "application/octet-stream"),
    ],
)
def test_an_invalid_media_type_becomes_octet_stream(given: str | None, expected: str) -> None:
    assert safe_type(given) == expected


def test_a_non_ascii_file_name_is_returned_unchanged(client: httpx.Client, user: dict[str, Any]) -> None:
    got = client.get(upload(client, "größe 🌞.png").json()["displayPictureUrl"])
    assert got.headers["content-disposition"] == (
        "inline; filename=\"gr__e _.png\"; filename*=UTF-8''gr%C3%B6%C3%9Fe%20%F0%9F%8C%9E.png"
    )


def test_a_form_without_a_file_is_a_400_with_the_reason(client: httpx.Client, user: dict[str, Any]) -> None:
    other = client.post("/v1/users/1/display-picture", files={"picture": ("x.png", PNG, "image/png")})
    assert explanation(other) == "the form has no field 'file'; send the file in this field"
    assert explanation(upload(client, content=b"")) == "the file in field 'file' is empty"
    garbage = {"content-type": "multipart/form-data; boundary=x"}
    assert "boundary" in explanation(client.post("/v1/users/1/display-picture", content=b"?", headers=garbage))
    text = client.post("/v1/users/1/display-picture", content=b"{}", headers={"content-type": "image/png"})
    assert "the body was sent as image/png" in explanation(text)
    assert "field 'size' is missing" in explanation(client.post("/v1/users/1/display-picture", json={}))
    assert client.post("/v1/users/9/display-picture", files={"file": ("x", PNG)}).status_code == 404
    assert client.get("/v1/users/1").json() == user


@pytest.mark.slow
def test_a_file_of_32_mib_is_stored_and_a_larger_one_is_a_400(client: httpx.Client, user: dict[str, Any]) -> None:
    content = bytes(FILE_BYTES)
    assert client.get(upload(client, content=content).json()["displayPictureUrl"]).content == content
    assert "at most 33554432 (32 MiB) are allowed" in explanation(upload(client, content=content + b"x"))
    assert "larger than 33 MiB" in explanation(upload(client, content=content + bytes(2**20)))


def test_a_file_full_of_similar_boundaries_is_one_part() -> None:
    content = b"\r\n--b\n" * (FILE_BYTES // 6)
    body = b'--bound\r\ncontent-disposition: form-data; name="file"\r\n\r\n' + content + b"\r\n--bound--\r\n"
    (part,) = split_form(body, "bound")
    assert part.content == content


@pytest.mark.parametrize(
    ("body", "parts"),
    [
        (b'--x\r\ncontent-disposition: form-data; name="a"\r\n\r\n1\r\n--x--', {"a": b"1"}),
        (b'preamble\r\n--x\r\nContent-Disposition: form-data; name=a\r\n\r\n\r\n--x--epilogue', {"a": b""}),
        (b'--x  \r\nContent-Disposition: form-data; name=a\r\n\r\n\r\n--x--\t\r\n', {"a": b""}),
        (
            b'p\r\n--x\t \r\ncontent-disposition: form-data; name="a"\r\n\r\n--xx \r\n--x \r\n'
            b'content-disposition: form-data; name="b"\r\n\r\n--xy\r\n--x--',
            {"a": b"--xx ", "b": b"--xy"},
        ),
        (b'--x\r\ncontent-disposition: form-data; name="a"\r\n\r\n--y\r\n--x--', {"a": b"--y"}),
        (
            b'--x\r\ncontent-disposition: form-data; name="\xc3\xa4"; filename*=UTF-8\'\'a%20b\r\n\r\n1\r\n--x--',
            {"ä": b"1"},
        ),
    ],
)  # fmt: skip
def test_every_valid_variant_of_a_multipart_form_is_parsed(body: bytes, parts: dict[str, bytes]) -> None:
    assert {part.name: part.content for part in split_form(body, "x")} == parts


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"--x",
        b"--x--",
        b"--x\r\n\r\n--x--",
        b'--x\r\ncontent-disposition: form-data; name="a"\r\n\r\ncut off',
        b'--x\r\ncontent-disposition: form-data; name="a"\r\n--x--',
        b'--x\r\ncontent-disposition: form-data; name="a"\r\n\r\n1\r\n' * 200 + b"--x--",
        b'--x\ncontent-disposition: form-data; name="a"\n\n1\n--x--\n',
        b"--x\r\nno: name\r\n\r\n--x--",
        b"--x\r\n\r\n" * 100_000 + b"--x--",
        b"--x\r\na: b\r\n\r\n\r\n" * 100_000 + b"--x--",
        b"--x\r\n" + b"a: b\r\n" * 100_000 + b"\r\n\r\n--x--",
        b'--x\r\ncontent-disposition: form-data; name="' + b"a" * 1_000_000 + b'"\r\n\r\n1\r\n--x--',
    ],
    ids=range(13),
)
def test_an_invalid_multipart_form_is_refused(body: bytes) -> None:
    with pytest.raises(Refused):
        split_form(body, "x")


@pytest.mark.parametrize("disposition", ["form-data; name*=utf-8''a", "form-data", 'form-data; name=""'])
def test_a_form_field_without_a_name_is_refused_with_the_reason(disposition: str) -> None:
    # RFC 7578 section 4.2: each part has a name, and the encoding of RFC 5987 is not allowed for it.
    with pytest.raises(Refused, match="a field of the multipart form has no `name`"):
        split_form(f"--x\r\ncontent-disposition: {disposition}\r\n\r\n1\r\n--x--".encode(), "x")


LARGE = bytes(range(256)) * (3 * PART_BYTES // 256) + b"the end"


def stored_bytes(database: Database) -> list[int]:
    """Return the sizes of all parts of all files."""
    return [row[0] for row in database.all("SELECT length(content) FROM file_parts ORDER BY key, number")]


def test_a_large_file_is_stored_in_parts_and_downloaded_whole(
    client: httpx.Client, user: dict[str, Any], database: Database
) -> None:
    url = upload(client, content=LARGE).json()["displayPictureUrl"]
    assert stored_bytes(database) == [PART_BYTES] * 3 + [7]
    got = client.get(url)
    assert got.content == LARGE
    assert (got.headers["content-length"], got.headers["content-type"]) == (str(len(LARGE)), "image/png")
    head = client.head(url)
    assert (head.content, head.headers["content-length"]) == (b"", str(len(LARGE)))


def test_a_replaced_large_file_leaves_no_parts(client: httpx.Client, user: dict[str, Any], database: Database) -> None:
    first = upload(client, content=LARGE).json()["displayPictureUrl"]
    assert client.get(upload(client).json()["displayPictureUrl"]).content == PNG
    assert client.get(first).headers["content-type"] == "image/svg+xml"
    assert stored_bytes(database) == [len(PNG)]


@pytest.mark.parametrize("to", ["users/9/display-picture", "channels/9/messages", "threads/9/messages"])
def test_a_refused_large_file_leaves_no_parts(client: httpx.Client, database: Database, to: str) -> None:
    answer = client.post(f"/v1/{to}", files={"file": ("a.png", LARGE, "image/png")})
    assert answer.status_code == 404
    assert stored_bytes(database) == []
    assert database.value("SELECT count(*) FROM files") == 0


def test_no_step_stores_or_deletes_more_than_one_part(tmp_path: Path) -> None:
    database = open_database(tmp_path / "x.db", SCHEMA)
    file = StoredFile("a", "text/plain", LARGE)
    sizes = [sum(stored_bytes(database)) for _ in files.store_parts(database, file, database.transaction)]
    assert sizes == [PART_BYTES, 2 * PART_BYTES, 3 * PART_BYTES, len(LARGE)]
    assert files.info(database, file.key) is None  # The parts are stored, but the file is not added yet.
    files.add(database, file)
    assert b"".join(files.content(database, file.key)) == LARGE
    files.discard(database, "?", file.key)
    assert files.info(database, file.key) is None  # A discarded file is hidden before its parts are deleted.
    sizes = [len(LARGE), *(sum(stored_bytes(database)) for _ in files.delete_discarded(database)), 0]
    assert all(before - after <= PART_BYTES for before, after in pairwise(sizes))
    assert database.value("SELECT count(*) FROM files") == 0
    database.close()


def test_the_parts_of_an_interrupted_upload_are_removed_at_the_next_start(tmp_path: Path) -> None:
    with cold_emulator(tmp_path) as first, http_client(first.url) as client:
        client.headers["authorization"] = f"Bearer {sign_in(client)}"
        client.post("/v1/users", json={"name": "jane", "displayName": "Jane"})
        url = upload(client, content=LARGE).json()["displayPictureUrl"].removeprefix(first.url)
    database = open_database(tmp_path / "emulator.db", SCHEMA, MIGRATIONS)
    uploading = files.store_parts(database, StoredFile("a", "text/plain", LARGE), database.transaction)
    next(uploading)
    next(uploading)
    database.close()
    with cold_emulator(tmp_path) as second, http_client(second.url) as client:
        assert client.get(url).content == LARGE
    database = open_database(tmp_path / "emulator.db", SCHEMA, MIGRATIONS)
    assert sum(stored_bytes(database)) == len(LARGE)
    database.close()


def test_files_of_an_older_database_are_migrated(tmp_path: Path) -> None:
    path = tmp_path / "emulator.db"
    open_database(path, SCHEMA, MIGRATIONS).close()
    with closing(sqlite3.connect(path)) as older:
        make_first_format(older)
        older.execute("INSERT INTO files VALUES ('k', 'a.txt', 'text/plain', '2026-01-31T00:00:00Z', ?)", (LARGE,))
        older.commit()
    database = open_database(path, SCHEMA, MIGRATIONS)
    found = files.info(database, "k")
    assert found is not None
    assert (found.name, found.content_type, found.size_bytes) == ("a.txt", "text/plain", len(LARGE))
    assert b"".join(files.content(database, "k")) == LARGE
    files.discard(database, "?", "k")
    run(files.delete_discarded(database))
    assert stored_bytes(database) == []
    database.close()


@pytest.fixture
def project(tmp_path: Path) -> Path:
    web = tmp_path / "project" / "web"
    web.mkdir(parents=True)
    (web / "index.html").write_text("<title>Chat</title>", encoding="utf-8")
    (web / "chat.js").write_text("export const a = 1;", encoding="utf-8")
    (web / "notes.txt").write_text("not for browsers", encoding="utf-8")
    (tmp_path / "project" / "functions.json").write_text("{}", encoding="utf-8")
    return web.parent


@pytest.fixture
def browser(project: Path) -> Iterator[httpx.Client]:
    options = EmulatorOptions(web=project / "web")
    with Emulator(None, options, cache=cache_dir()) as emulator, http_client(emulator.url) as client:
        yield client


def test_a_page_and_its_scripts_are_served_with_their_types(browser: httpx.Client) -> None:
    page = browser.get("/web/", headers={"accept": "text/html"})
    assert (page.status_code, page.text) == (200, "<title>Chat</title>")
    assert page.headers["content-type"] == "text/html; charset=utf-8"
    assert "default-src 'self'" in page.headers["content-security-policy"]
    script = browser.get("/web/chat.js")
    assert (script.text, script.headers["content-type"]) == ("export const a = 1;", "text/javascript; charset=utf-8")


def test_a_changed_page_is_served_immediately(browser: httpx.Client, project: Path) -> None:
    assert browser.get("/web/chat.js").headers["cache-control"] == "no-cache"
    (project / "web" / "chat.js").write_text("export const a = 2;", encoding="utf-8")
    assert browser.get("/web/chat.js").text == "export const a = 2;"


@pytest.mark.parametrize(
    "path",
    ["/web/other.js", "/web/notes.txt", "/web/..%2ffunctions.json", "/web/%2e%2e%2ffunctions.json", "/web/x/y.js"],
)
def test_other_files_are_not_served(browser: httpx.Client, path: str) -> None:
    assert browser.get(path).status_code == 404


def test_a_symlink_that_leaves_the_project_is_not_served(browser: httpx.Client, project: Path, tmp_path: Path) -> None:
    (tmp_path / "secret.json").write_text("{}", encoding="utf-8")
    (project / "web" / "secret.json").symlink_to(tmp_path / "secret.json")
    assert browser.get("/web/secret.json").status_code == 404


def test_a_request_for_the_page_of_a_project_without_one_is_a_404(tmp_path: Path) -> None:
    with Emulator(None, cache=cache_dir()) as emulator, http_client(emulator.url) as client:
        assert client.get("/web/").status_code == 404


def test_the_chat_client_is_a_module_for_browsers(browser: httpx.Client) -> None:
    module = browser.get("/chat-client.js")
    assert module.headers["content-type"] == "text/javascript; charset=utf-8"
    assert "as getSdkClient" in module.text and "/rtm/websocket?api-key=" in module.text
    assert browser.get("/chat-client.js").content == module.content


def test_a_chat_client_that_cannot_be_installed_is_reported(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("", encoding="utf-8")
    options = EmulatorOptions(spares=False)
    with Emulator(None, options, cache=tmp_path / "file") as emulator, http_client(emulator.url) as client:
        refused = client.get("/chat-client.js")
    assert refused.status_code == 503
    assert "cache" in refused.json()["explanation"]
