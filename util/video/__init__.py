"""A video file as a stream of frames, and back, with all that lies beside the pictures."""
