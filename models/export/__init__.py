"""A trained generator as a file that runs without this project, and what such a file gives here."""
