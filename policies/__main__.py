"""Prints the table of rules: `python -m policies`."""

from policies.check import catalogue

print(catalogue())
