"""Emoji by character or short name."""

from __future__ import annotations

from ckfunc.model.chat import Emoji

_LONGEST = 64


def emoji_of(text: str) -> Emoji:
    """Return an emoji by its character, or by a short name such as `thumbsup` or `:thumbsup:`.

    Any other text is an emoji of its own: the platform's list is not public.
    """
    import emoji  # its data takes a while to load

    name = text.strip().strip(":")
    character = text.strip()
    if name and not emoji.is_emoji(character):
        found = emoji.emojize(f":{name}:", language="alias")
        if emoji.is_emoji(found):
            character = found
    data = emoji.EMOJI_DATA.get(character)
    if data is None:
        return Emoji(character[:_LONGEST], name[:_LONGEST] or character[:_LONGEST])
    names = [emoji.demojize(character).strip(":"), *(alias.strip(":") for alias in data.get("alias", ()))]
    aliases = tuple(dict.fromkeys(names))
    return Emoji(character, aliases[0].replace("_", " "), aliases)
