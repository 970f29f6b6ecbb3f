"""`python -I -m breakcow.agent`: the controller, on standard input and output."""

from .controller import main

main()
