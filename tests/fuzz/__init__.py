"""Damaged and hostile inputs, made from a seed each, and what mmcli must never do with them.

    uv run python -m tests.fuzz                    an hour, all targets
    uv run python -m tests.fuzz pictures --minutes 5
    uv run python -m tests.fuzz pictures:1234      one case again

docs/security.md says what is promised; `case.py` what a fault is; one file a target makes the inputs. A case is the
same on every run with the same libraries. CI runs a fixed number of seeds: tests/test_fuzz.py.
"""
