"""What test.py leaves: pictures, the gallery, and reading it back."""
