"""Sound <-> words. Knows microphones, loudspeakers, voices and Whisper; knows no terminals and no command lines.

Importing this room is cheap: faster-whisper, PortAudio and numpy are imported by the first thing that needs them.
"""
