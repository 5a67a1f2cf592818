"""Verification: pair lists, scores, statistics, threshold cards, report."""
