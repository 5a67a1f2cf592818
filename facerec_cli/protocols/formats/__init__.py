"""The formats of search protocols, a module each."""
