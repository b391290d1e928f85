"""Pictures and words as vectors of one space, so that they can be compared (onnxruntime)."""
