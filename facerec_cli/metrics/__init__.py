"""What scores say about a model: ROC, folds, bootstrap, groups, thresholds. NumPy arrays in, numbers out."""
