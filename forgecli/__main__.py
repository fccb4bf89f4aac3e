"""`python -m forgecli` is `forge`; torchrun starts programs this way."""

from forgecli.app import main

main()
