"""Speed and memory as ratios within one run; each module is one command."""
