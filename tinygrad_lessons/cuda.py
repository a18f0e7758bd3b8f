"""Answers programs that ask for a GPU: there is none here."""


def is_available():
    """False: everything runs on the CPU."""
    return False


def device_count():
    """0"""
    return 0
