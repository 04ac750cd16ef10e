"""Sanitization of remote text for terminals."""

from __future__ import annotations

import unicodedata

import pytest

from ckfunc.base.text import printable, table


@pytest.mark.parametrize(
    "hidden",
    ["\u061c", "\u200b", "\u200e", "\u202e", "\u2066", "\u2060", "\u2063", "\ufeff", "\xad", "\u180e", "\u034f",
     "\u3164", "\u115f", "\ufff9", "\U000e0041", "\U000e0100", "\U0001d173", "\ufe00", "\ufe0f", "\u200c", "\u200d",
     "\x1b[31m", "\x9b31m", "\x07", "\u2028", "\ud800"],
    ids=ascii,
)  # fmt: skip
def test_invisible_and_bidirectional_characters_are_removed(hidden: str) -> None:
    assert printable(f"pay{hidden}pal") == "paypal"
    assert printable(f"{hidden}paypal{hidden}") == "paypal"


def test_only_visible_format_characters_between_letters_are_preserved() -> None:
    shown = {0x600, 0x601, 0x602, 0x603, 0x604, 0x605, 0x6DD, 0x70F, 0x890, 0x891, 0x8E2, 0x110BD, 0x110CD}
    for code in range(0x110000):
        if unicodedata.category(chr(code)) == "Cf" and code not in shown:
            assert printable(f"a{chr(code)}b") == "ab", hex(code)


@pytest.mark.parametrize(
    "text",
    [
        "👩‍👩‍👧‍👦",
        "👩🏽‍🚀",
        "❤️‍🔥",
        "1️⃣ #️⃣",
        "©️ ☀︎ ☀️",
        "🏳️‍🌈",
        "🇩🇪",
        "می‌خواهم",
        "क्‍ष",
        "שָׁלוֹם",
        "é\u0301 ﷽ 漢字",
        "tab\tand\nline",
        "�",
    ],
)
def test_ordinary_text_is_unchanged(text: str) -> None:
    assert printable(text) == text


def test_repeated_joiners_are_removed() -> None:
    assert printable("👩\u200d\u200d\u200d👩") == "👩👩"
    assert printable("1\ufe0f2") == "12"


def test_a_table_has_no_spaces_at_the_ends_of_lines() -> None:
    rows = [[("1", ""), ("new", "")], [("2", ""), ("", "")]]
    assert ["".join(text for text, _ in line) for line in table(["ID", "STATE"], rows)] == ["ID  STATE", "1   new", "2"]
