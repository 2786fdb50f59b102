"""What is measured on the artifact of a run, each score beside what chance alone would give."""
