"""HTTP requests over real connections and proxies."""

from __future__ import annotations

import contextlib
import errno
import gzip
import os
import shutil
import socket
import ssl
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from support.loopback import Reply, serve

from ckfunc import __version__
from ckfunc.api.connection import CannotConnect, NotSent
from ckfunc.api.transport import BODY_LIMIT, TooLarge, Transport
from ckfunc.base.errors import Unreachable


@pytest.fixture
def transport() -> Iterator[Transport]:
    made = Transport(5.0)
    yield made
    made.close()


@contextmanager
def raw_server(sent: bytes, *, hold: bool = False) -> Iterator[str]:
    """Answer one connection with `sent`, byte for byte."""
    listener = socket.create_server(("127.0.0.1", 0))
    done = threading.Event()

    def run() -> None:
        connection, _ = listener.accept()
        with connection:
            connection.recv(65536)
            connection.sendall(sent)
            if hold:
                done.wait(10)

    thread = threading.Thread(target=run)
    thread.start()
    try:
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"
    finally:
        done.set()
        thread.join()
        listener.close()


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return int(listener.getsockname()[1])


def test_a_response_is_returned_with_status_headers_and_body(transport: Transport) -> None:
    with serve(lambda _: Reply(418, b"tea", {"X-Kind": "Pot"})) as server:
        answer = transport.send("GET", server.url, {"x-asked": "yes"})
        assert (answer.status, answer.body, answer.headers["x-kind"], answer.ok) == (418, b"tea", "Pot", False)
        assert server.requests[0].headers["user-agent"] == f"ckfunc/{__version__}"
        assert server.requests[0].headers["x-asked"] == "yes"
        transport.close()


def test_connections_are_reused(transport: Transport) -> None:
    threads: set[int] = set()

    def answer(_: object) -> Reply:
        threads.add(threading.get_ident())
        return Reply(body={})

    with serve(answer) as server:
        for _ in range(5):
            transport.send("GET", server.url, {})
        transport.close()
    assert len(threads) == 1


def test_redirects_are_not_followed(transport: Transport) -> None:
    with serve(lambda request: Reply(302, None, {"location": "/elsewhere"})) as server:
        assert transport.send("GET", f"{server.url}/here", {"authorization": "Bearer x"}).status == 302
        assert server.calls() == ["GET /here"]
        transport.close()


def test_compressed_responses_are_decompressed(transport: Transport) -> None:
    with serve(lambda _: Reply(body=gzip.compress(b"hello"), headers={"content-encoding": "gzip"})) as server:
        assert transport.send("GET", server.url, {}).body == b"hello"
        transport.close()


def test_a_response_that_decompresses_beyond_the_limit_is_refused(transport: Transport) -> None:
    bomb = gzip.compress(bytes(BODY_LIMIT + 1), 1)
    with serve(lambda _: Reply(body=bomb, headers={"content-encoding": "gzip"})) as server:
        with pytest.raises(TooLarge, match="64 MiB") as caught:
            transport.send("GET", server.url, {})
        assert caught.value.hint
        transport.close()


def test_a_port_without_a_listener_is_a_refused_connection(transport: Transport) -> None:
    port = free_port()
    with pytest.raises(NotSent, match=f"127.0.0.1:{port} refused the connection") as caught:
        transport.send("GET", f"http://127.0.0.1:{port}/x?secret=1", {"authorization": "Bearer t0ken"})
    assert "t0ken" not in f"{caught.value.message}{caught.value.hint}"
    assert "secret=1" not in caught.value.message


def test_a_host_name_that_does_not_resolve_is_reported(transport: Transport) -> None:
    with pytest.raises(NotSent, match=r"nowhere\.invalid") as caught:
        transport.send("GET", "https://nowhere.invalid/v1", {})
    assert caught.value.hint


def test_a_connection_lost_before_the_response_does_not_count_as_unsent(transport: Transport) -> None:
    with serve(lambda _: Reply(drop=True)) as server:
        with pytest.raises(Unreachable, match="closed the connection") as caught:
            transport.send("GET", server.url, {})
        assert not isinstance(caught.value, NotSent)


@pytest.mark.parametrize(
    ("sent", "reason"),
    [
        (b"HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\nshort", "closed the connection"),
        (b"SSH-2.0-OpenSSH_9.6\r\n", "does not speak HTTP"),
        (b"HTTP/1.1 200 OK\r\ncontent-encoding: gzip\r\ncontent-length: 4\r\n\r\nnope", "broken compression"),
    ],
)
def test_a_server_that_does_not_speak_http_is_an_error(transport: Transport, sent: bytes, reason: str) -> None:
    with raw_server(sent) as url, pytest.raises(Unreachable, match=reason):
        transport.send("GET", url, {})


def test_a_server_that_never_answers_causes_a_timeout(transport: Transport) -> None:
    with raw_server(b"", hold=True) as url, pytest.raises(Unreachable, match=r"did not answer within 0\.1 s"):
        transport.send("GET", url, {}, timeout_s=0.1)


def test_plain_text_on_a_tls_port_is_an_error(transport: Transport) -> None:
    with raw_server(b"HTTP/1.1 400 Bad Request\r\n\r\n") as url, pytest.raises(NotSent, match="no secure connection"):
        transport.send("GET", url.replace("http:", "https:"), {})


def in_own_process(script: str, **environ: str) -> str:
    clean = {name: value for name, value in os.environ.items() if "proxy" not in name.lower() and "SSL_" not in name}
    done = subprocess.run(
        [sys.executable, "-c", script], env={**clean, **environ}, capture_output=True, text=True, check=True
    )
    return done.stdout.strip()


SEND = """
import sys
from ckfunc.api.transport import Transport
from ckfunc.base.errors import CkfuncError
transport = Transport(5.0)
try:
    print(transport.send("GET", sys.argv[1] if len(sys.argv) > 1 else URL, {}).status)
except CkfuncError as error:
    print(type(error).__name__, error.message, error.hint)
transport.close()
"""


def test_a_proxy_from_the_environment_is_not_used_for_loopback() -> None:
    with serve(lambda _: Reply(body={})) as server, serve(lambda _: Reply(500)) as proxy:
        script = f"URL = {server.url!r}\n{SEND}"
        assert in_own_process(script, HTTP_PROXY=proxy.url, ALL_PROXY=proxy.url, http_proxy=proxy.url) == "200"
        assert proxy.requests == []


def test_a_proxy_from_the_environment_is_used_for_other_hosts_and_never_quoted() -> None:
    with serve(lambda _: Reply(407)) as proxy:
        address = proxy.url.replace("http://", "http://me:hunter2@")
        said = in_own_process(f"URL = 'https://api.example.invalid/v1'\n{SEND}", HTTPS_PROXY=address)
        assert "cannot be reached through the proxy" in said
        assert "hunter2" not in said
        assert [request.method for request in proxy.requests] == [] or proxy.requests[0].method == "CONNECT"


@pytest.mark.parametrize("proxy", ["http://me:hunter2@127.0.0.1:{port}", "http://me:hunter2@proxy.invalid:8080"])
@pytest.mark.parametrize("scheme", ["http", "https"])
def test_a_proxy_that_cannot_be_reached_is_named_instead_of_the_server(proxy: str, scheme: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as closed:
        port = closed.getsockname()[1]
    script = f"URL = '{scheme}://api.example.invalid/v1'\n{SEND}"
    said = in_own_process(script, ALL_PROXY=proxy.format(port=port))
    assert "api.example.invalid cannot be reached through the proxy of this shell" in said and "ALL_PROXY" in said
    assert "hunter2" not in said
    assert "proxy" not in in_own_process(script, ALL_PROXY=proxy.format(port=port), NO_PROXY=".invalid").lower()


def test_a_proxy_that_asks_for_credentials_is_an_error() -> None:
    with raw_server(b"HTTP/1.1 407 Proxy Authentication Required\r\n\r\n") as proxy:
        said = in_own_process(f"URL = 'https://api.example.invalid/v1'\n{SEND}", HTTPS_PROXY=proxy)
    assert said.startswith("CannotConnect the proxy of this shell asks for credentials (407)")


@pytest.mark.parametrize(
    "environ",
    [{"HTTPS_PROXY": "gopher://me:hunter2@x"}, {"HTTPS_PROXY": "socks5://me:hunter2@x"}, {"SSL_CERT_FILE": "/nowhere"}],
)
def test_invalid_proxy_and_certificate_variables_are_named(environ: dict[str, str]) -> None:
    said = in_own_process(f"URL = 'https://api.example.invalid/v1'\n{SEND}", **environ)
    assert "proxy or certificate settings" in said
    assert "hunter2" not in said
    assert "HTTPS_PROXY" in said and "SSL_CERT_FILE" in said


def test_too_many_open_files_are_not_blamed_on_the_proxy(transport: Transport, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse() -> ssl.SSLContext:
        raise OSError(errno.EMFILE, "Too many open files", "/certificates.pem")

    monkeypatch.setattr("httpx.create_ssl_context", refuse)
    with pytest.raises(CannotConnect, match=r"cannot be reached: /certificates\.pem: Too many open files") as caught:
        transport.send("GET", "https://api.example.invalid/v1", {})
    assert caught.value.hint and "ulimit -n" in caught.value.hint


def test_importing_the_api_does_not_import_httpx() -> None:
    assert in_own_process("import sys, ckfunc.api, ckfunc.api.emulator; print('httpx' in sys.modules)") == "False"


def test_httpx_is_imported_without_its_command_line() -> None:
    script = "import sys, ckfunc.api.transport; print({'rich', 'pygments', 'httpx._main'} & set(sys.modules))"
    assert in_own_process(script) == "set()"


def test_a_server_that_sends_its_response_too_slowly_times_out() -> None:
    listener = socket.create_server(("127.0.0.1", 0))
    left = threading.Event()

    def drip() -> None:
        connection, _ = listener.accept()
        with connection:
            connection.recv(65536)
            connection.sendall(b"HTTP/1.1 200 OK\r\ncontent-length: 100000\r\n\r\n")
            try:
                while not left.wait(0.02):
                    connection.sendall(b"x")
            except OSError:
                pass

    thread = threading.Thread(target=drip)
    thread.start()
    transport = Transport(0.2)
    try:
        with pytest.raises(Unreachable, match="took too long"):
            transport.send("GET", f"http://127.0.0.1:{listener.getsockname()[1]}/", {})
    finally:
        left.set()
        transport.close()
        thread.join()
        listener.close()


needs_openssl = pytest.mark.skipif(shutil.which("openssl") is None, reason="openssl makes the certificate")


AUTHORITY = """
[ca]
default_ca = authority
[authority]
database = issued
serial = serial
new_certs_dir = .
default_md = sha256
policy = subject
x509_extensions = names
[subject]
commonName = supplied
[names]
subjectAltName = IP:{address}
"""


@contextmanager
def secure_server(directory: Path, connections: int, address: str, expires: str) -> Iterator[str]:
    """Serve this many connections with `cert.pem`, a certificate of its own authority; yield the URL."""
    (directory / "issued").write_text("")
    (directory / "serial").write_text("01\n")
    (directory / "authority").write_text(AUTHORITY.format(address=address))
    key = ["-newkey", "rsa:2048", "-nodes", "-keyout", "key.pem"]
    request = ["req", *key, "-subj", "/CN=localhost", "-out", "request"]
    dates = ["-startdate", "20200101000000Z", "-enddate", expires]
    sign = ["ca", "-batch", "-selfsign", "-config", "authority", "-keyfile", "key.pem", *dates]
    for arguments in (request, [*sign, "-in", "request", "-out", "cert.pem"]):
        subprocess.run(["openssl", *arguments], cwd=directory, check=True, capture_output=True)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(directory / "cert.pem", directory / "key.pem")

    def answer() -> None:
        for _ in range(connections):
            connection, _ = listener.accept()
            with connection, contextlib.suppress(OSError), context.wrap_socket(connection, server_side=True) as secure:
                secure.recv(65536)
                secure.sendall(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n")

    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=answer)
        thread.start()
        try:
            yield f"https://127.0.0.1:{listener.getsockname()[1]}/"
        finally:
            thread.join()


@needs_openssl
def test_only_trusted_certificates_are_accepted(tmp_path: Path) -> None:
    with secure_server(tmp_path, 2, "127.0.0.1", "20991231000000Z") as url:
        script = f"URL = {url!r}\n{SEND}"
        said = in_own_process(script)
        assert said.startswith("CannotConnect")
        assert "has a certificate that is not trusted here" in said
        assert "SSL_CERT_FILE" in said
        assert in_own_process(script, SSL_CERT_FILE=str(tmp_path / "cert.pem")) == "200"


@needs_openssl
@pytest.mark.parametrize(
    ("address", "expires", "problem", "hint"),
    [
        ("127.0.0.1", "20200102000000Z", "expired", "this machine's clock"),
        ("127.0.0.2", "20991231000000Z", "for another host", "CHATKITTY_API_URL"),
    ],
)
def test_the_problem_of_a_certificate_is_named(
    tmp_path: Path, address: str, expires: str, problem: str, hint: str
) -> None:
    with secure_server(tmp_path, 1, address, expires) as url:
        said = in_own_process(f"URL = {url!r}\n{SEND}", SSL_CERT_FILE=str(tmp_path / "cert.pem"))
        assert f"has a certificate that is {problem}" in said and hint in said


def test_nothing_is_sent_after_close() -> None:
    transport = Transport(1.0)
    transport.close()
    with serve(lambda _: Reply(body={})) as server, pytest.raises(CannotConnect, match="already closed"):
        transport.send("GET", server.url, {})
