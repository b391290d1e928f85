"""One library over pictures, pages, moments and speech: what is in it, and finding it again. Knows no terminals."""
