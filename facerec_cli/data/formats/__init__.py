"""The formats of training data, a module each."""
