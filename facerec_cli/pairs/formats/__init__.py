"""The formats of pair lists, a module each."""
