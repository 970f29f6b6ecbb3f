"""`python -m breakcow`."""

from breakcow.cli.main import main

main()
