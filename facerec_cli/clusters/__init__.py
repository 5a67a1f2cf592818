"""Faces put together by person: neighbors, average linkage, a threshold that knows their number."""
