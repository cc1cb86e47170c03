"""The command line."""

from c4build.flow.lean import collect_seldom

collect_seldom()  # before anything else is loaded
