"""What every front end shares: find, fetch and load a model, transcribe, dictate, speak.

Prints nothing, asks nobody: what a user should know goes to a `Reporter`, which a terminal, a server or a test gives.
"""
