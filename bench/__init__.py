"""Times of this package beside those of its peers: `python -m bench` here, `tgl bench` where it is installed."""
