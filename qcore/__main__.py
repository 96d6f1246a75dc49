"""``python -m qcore`` is the command ``qcore``."""

from qcore.cli import main

main()
