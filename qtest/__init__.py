"""The pytest kit of qcore."""
