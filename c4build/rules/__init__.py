"""The page rules, one idea a file: pure functions of a text, without Beam, network or globals that change."""
