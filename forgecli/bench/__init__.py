"""Where the time goes on a user's machine: `forge bench`."""
