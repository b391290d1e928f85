"""How the starter speech model was made: a small Whisper, trained from nothing on espeak-ng's voices."""
