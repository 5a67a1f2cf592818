"""Where a run may be followed beside its own folder: one file for each tool, and the thread that feeds it."""
