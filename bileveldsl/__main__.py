"""`python -m bileveldsl` is the command `bileveldsl`."""

from bileveldsl.cli.main import main

main()
