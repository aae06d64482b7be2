"""The language server: what an editor shows and does while a model is written."""
