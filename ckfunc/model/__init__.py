"""The first floor: what ckfunc talks about, as frozen dataclasses without I/O."""
