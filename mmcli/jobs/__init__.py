"""Many inputs, one result each, in the order given, and nothing lost. Prints nothing, knows no command line.

    inputs → reading (a few threads: bytes, cache, pixels) → engine (one thread) → outcomes in the order given

runner.py is the story; caption_styles.py what is asked of a picture; result_cache.py what is known already.
"""
