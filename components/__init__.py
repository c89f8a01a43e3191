"""The stack as components, one a file; pure logic stands beside its component under the same prefix."""
