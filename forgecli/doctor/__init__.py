"""What is installed here, what will run, and what to do about the rest."""
