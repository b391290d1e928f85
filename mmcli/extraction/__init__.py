"""Answers with a shape: what a user writes of it → a JSON schema with bounds → values that were checked."""
