"""How the emulator describes itself: the OpenAPI document made of what is routed, and its page."""
