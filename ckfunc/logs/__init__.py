"""What the functions did: their invocations, listed or followed, and how an invocation is written down."""
