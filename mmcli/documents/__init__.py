"""Pages → texts: the embedded reader, the order of what it found, tables, and the forms in which models write pages."""
