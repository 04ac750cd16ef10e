"""Shared test support: real servers and real projects."""
