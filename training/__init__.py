"""Draws pictures, makes questions, trains the starter vision model on them; mmcli never imports it."""
