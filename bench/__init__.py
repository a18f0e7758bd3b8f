"""Times of this package beside those of its peers; `python -m bench` prints the table."""
