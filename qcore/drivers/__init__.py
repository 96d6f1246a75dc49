"""The drivers, one file each, strangers to each other."""
