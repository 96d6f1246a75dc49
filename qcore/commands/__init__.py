"""One file for each command of ``qcore``, and what they share."""
