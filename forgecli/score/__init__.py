"""The competition metric and the reading of submissions and truth files."""
