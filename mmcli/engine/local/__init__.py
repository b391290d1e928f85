"""llama.cpp: weights and a projector, held by one process. What a caller may use of it stands in engine/protocol.py."""
