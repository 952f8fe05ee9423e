"""Thin assets, one module a stage: read, call evergreen, write, with metadata."""
