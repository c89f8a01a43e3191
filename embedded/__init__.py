"""The embedded cloud: the part of AWS that the stack needs, on one Linux machine. It is never imported by the stack itself."""
