"""Face detectors: how each one's outputs become boxes and landmarks."""
