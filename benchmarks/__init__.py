"""Speed and memory, as ratios against a peer or a physical limit in the same run.

`python -m benchmarks` runs everything and prints the tables of docs/performance.md; `python -m benchmarks NAME`
one of them. Peers that are not installed (benchmarks/requirements.txt) are left out, and said so.
"""
