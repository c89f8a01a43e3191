"""Hypothesis without its clock: an example that was slow once, because the machine had other work, is no failure."""

from hypothesis import settings

settings.register_profile("unhurried", deadline=None)
settings.load_profile("unhurried")
