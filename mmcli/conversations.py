"""How a conversation is named: by its ID, or by the word for the last one. Importing this costs nothing."""

LAST = "last"  # no ID begins with a letter
