"""Where qcore meets web servers."""
