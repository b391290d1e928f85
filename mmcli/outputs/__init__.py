"""What becomes of a result: sidecars, XMP inside pictures, renames, and the way back. Prints nothing.

caption_outputs.py is the story: a caption comes in, and the files that were asked for are written or left as they are.
"""
