"""Lists of labeled pairs: one type, its readers, and the photos that a list names."""
