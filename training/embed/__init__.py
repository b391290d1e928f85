"""How the starter's embeddings were made: pictures and phrases in one space. Nothing in mmcli/ imports it."""
