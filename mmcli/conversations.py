"""Parses the name of a conversation: its ID, or the word for the last one. Importing this costs nothing."""

LAST = "last"  # no ID begins with a letter
