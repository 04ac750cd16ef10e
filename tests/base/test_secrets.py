"""Masking of secrets."""

from __future__ import annotations

import copy
import dataclasses
import importlib
import inspect
import json
import pickle
import pkgutil
from collections.abc import Iterator
from typing import Any

import pytest

import ckfunc
from ckfunc.base.secrets import MASK, Masker, Secret, json_default

CANARY = "canary-s3cret"


def holders() -> Iterator[type[Any]]:
    """Yield every dataclass of the package that has a field for secrets."""
    for module in pkgutil.walk_packages(ckfunc.__path__, "ckfunc."):
        if module.name.endswith("__main__"):
            continue
        for _, found in inspect.getmembers(importlib.import_module(module.name), dataclasses.is_dataclass):
            kinds = [str(field.type) for field in dataclasses.fields(found)]
            if found.__module__ == module.name and any("Secret" in kind for kind in kinds):
                yield found


def value(kind: str) -> object:
    if "Secret" not in kind:
        return None
    if "Mapping" in kind or "dict" in kind:
        return {"KEY": Secret(CANARY)}
    return (Secret(CANARY),) if "tuple" in kind else Secret(CANARY)


def is_masked(text: str) -> bool:
    return CANARY not in text and (MASK in text or json.dumps(MASK)[1:-1] in text)


@pytest.mark.parametrize("held", [Secret(CANARY), [Secret(CANARY)], {"key": (Secret(CANARY),)}])
def test_a_secret_is_masked_in_every_representation(held: object) -> None:
    assert is_masked(repr(held)) and is_masked(str(held)) and is_masked(f"{held}") and is_masked(f"{held!r:>60}")
    assert is_masked(json.dumps(held, default=json_default))
    assert is_masked(f"{Secret(CANARY):>40}")


def test_every_dataclass_masks_its_secrets() -> None:
    found = list(holders())
    assert {"Connection", "ApiAccess", "Login"} <= {secret_type.__name__ for secret_type in found}
    for each in found:
        made = object.__new__(each)
        for field in dataclasses.fields(each):
            object.__setattr__(made, field.name, value(str(field.type)))
        texts = [repr(made), str(made), f"{made}", json.dumps(dataclasses.asdict(made), default=json_default)]
        assert all(map(is_masked, texts)), each


def test_equal_secrets_are_equal_and_have_the_same_mask() -> None:
    assert Secret("a") == Secret("a") != Secret("b")
    assert Secret("a") != "a"
    assert str(Secret("a")) == str(Secret("a")) != str(Secret("b"))
    assert len({Secret("a"), Secret("a"), Secret("b")}) == 2
    assert Secret("abc").reveal() == "abc"
    assert (bool(Secret("")), len(Secret("abc"))) == (False, 3)


def test_a_secret_is_copied_and_never_pickled() -> None:
    secret = Secret(CANARY)
    assert copy.copy(secret) == copy.deepcopy(secret) == secret
    with pytest.raises(TypeError):
        pickle.dumps(secret)
    with pytest.raises(TypeError):
        json.dumps(secret)
    with pytest.raises(TypeError, match="object is not JSON"):
        json_default(object())


def test_the_longest_of_several_secrets_is_masked_first() -> None:
    mask = Masker([Secret("sk-12"), Secret("sk-123"), Secret("")])
    assert mask("sk-123, sk-12") == f"{Secret('sk-123')}, {Secret('sk-12')}"
    assert ("sk-12" in mask, "sk" in mask) == (True, False)
