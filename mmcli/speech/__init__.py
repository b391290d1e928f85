"""Sound -> words. Knows microphones, voice activity and Whisper; knows no terminals, no command lines, no models by name.

Importing this room is cheap: faster-whisper, PortAudio and numpy are imported by the first thing that needs them.
"""
