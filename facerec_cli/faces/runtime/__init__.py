"""ONNX Runtime: sessions, devices, and graphs rewritten to run fast."""
