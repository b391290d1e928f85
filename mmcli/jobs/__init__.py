"""Many inputs, one result each, in the order given, and nothing lost. Prints nothing, knows no command line.

    inputs → reading (a few threads: bytes, cache, pixels) → computing (one thread) → outcomes in the order given

runner.py is the story, task.py what a task must say and a worker do; engine_worker.py asks a model and remembers its
answers (result_cache.py); caption.py is the first task, caption_styles.py what it asks and how it tidies an answer.
"""
