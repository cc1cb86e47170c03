"""`python -m c4build` is `c4build`."""

from c4build.commands.main import main

main()
