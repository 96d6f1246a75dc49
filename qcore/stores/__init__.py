"""The stores, one file per backend: failed jobs and shared keys."""
