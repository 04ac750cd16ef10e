"""Keyrings: only those that are known to encrypt are used, also in chains."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import keyring
import pytest
from keyring.backend import KeyringBackend
from keyring.backends import SecretService, fail, null
from support.keyring_file import TRUSTED, FileKeyring

from ckfunc.api.credentials import Login, NoKeyring, keyring_name, remove_login, store_login
from ckfunc.base.secrets import Secret


class Chain(KeyringBackend):
    """A chain of the given backends, like the chains of keyring."""

    viable = False  # otherwise keyring would choose the backend itself

    def __init__(self, *backends: Any) -> None:
        super().__init__()
        self.backends = list(backends)

    def get_password(self, service: str, username: str) -> str | None:
        return next((found for backend in self.backends if (found := backend.get_password(service, username))), None)

    def set_password(self, service: str, username: str, password: str) -> None:
        self.backends[0].set_password(service, username, password)


class Wrapper(KeyringBackend):
    """A backend that wraps another one."""

    viable = False

    def __init__(self, inner: KeyringBackend) -> None:
        super().__init__()
        self._inner = inner

    def get_password(self, service: str, username: str) -> str | None:
        return self._inner.get_password(service, username)

    def set_password(self, service: str, username: str, password: str) -> None:
        self._inner.set_password(service, username, password)


class DerivedFromSafe(SecretService.Keyring):
    """A subclass of a safe backend."""

    viable = False


@pytest.fixture
def plain() -> Iterator[Any]:
    """A backend with the name of one in `keyrings.alt`, which need not be installed."""
    module = ModuleType("keyrings.alt.file")
    made = type("PlaintextKeyring", (FileKeyring,), {"__module__": "keyrings.alt.file", "viable": False})
    module.PlaintextKeyring = made  # type: ignore[attr-defined]
    sys.modules[module.__name__] = module
    yield made()
    del sys.modules[module.__name__]


@pytest.fixture(autouse=True)
def restored(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[None]:
    monkeypatch.setenv("CKFUNC_TEST_KEYRING", str(tmp_path / "keyring.json"))
    monkeypatch.delenv("CKFUNC_KEYRING", raising=False)
    before = keyring.get_keyring()
    yield
    keyring.set_keyring(before)


@pytest.mark.parametrize(
    "wrapped",
    [
        lambda plain: plain,
        Chain,
        lambda plain: Chain(null.Keyring(), Chain(fail.Keyring(), Chain(plain))),
        Wrapper,
        lambda plain: Chain(Wrapper(plain)),
        lambda _: FileKeyring(),
        lambda _: DerivedFromSafe(),
    ],
)
def test_a_keyring_that_may_not_encrypt_is_refused(plain: Any, wrapped: Any, tmp_path: Path) -> None:
    keyring.set_keyring(wrapped(plain))
    with pytest.raises(NoKeyring, match="is not known to encrypt what it stores") as caught:
        store_login(("name",), Login("id", Secret("secret")))
    assert caught.value.hint is not None and "CHATKITTY_CLIENT_SECRET" in caught.value.hint
    assert not (tmp_path / "keyring.json").exists()


@pytest.mark.parametrize(
    "backend", [fail.Keyring(), null.Keyring(), Chain(), Chain(Chain(), null.Keyring()), Chain(fail.Keyring())]
)
def test_a_backend_that_stores_nothing_is_refused(backend: Any) -> None:
    keyring.set_keyring(backend)
    with pytest.raises(NoKeyring, match="this system has no keyring"):
        keyring_name()


def test_a_circular_chain_is_refused() -> None:
    chain = Chain()
    chain.backends.append(chain)
    keyring.set_keyring(chain)
    with pytest.raises(NoKeyring):
        keyring_name()


def test_only_the_first_encrypting_backend_of_a_chain_is_used(plain: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CKFUNC_KEYRING", TRUSTED)
    trusted = FileKeyring()
    keyring.set_keyring(Chain(fail.Keyring(), plain, Chain(trusted)))
    assert store_login(("name",), Login("id", Secret("secret"))) == trusted.name
    assert len(trusted.entries()) == 1
    assert remove_login(("name",))
    assert trusted.entries() == {}
