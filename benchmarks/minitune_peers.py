"""How well networks trained on the real MagnaTagATune recognise the tags of a generated dataset.

python benchmarks/minitune_peers.py DATASET [--clips 200] [--networks musicnn fcn]

Prints ROC-AUC by tag, best first, and the mean: the check of minitune's sound from outside. The networks
are not part of the project (see tests/peer_networks.py).
"""

import argparse
import sys
from pathlib import Path

import numpy as np
import torch

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests"))

import peer_networks


def main():
    """Read the arguments, print one table a network."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("dataset", type=Path, help="folder with annotations_final.csv and the MP3s")
    parser.add_argument("--clips", type=int, help="score so many clips, spread evenly (default: all)")
    parser.add_argument("--networks", nargs="+", choices=peer_networks.NETWORKS, default=["musicnn"])
    parser.add_argument("--peers", type=Path, default=peer_networks.PEERS, help="folder of the weights")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    for name in arguments.networks:
        network = peer_networks.load_network(name, arguments.peers)
        scores = peer_networks.score_dataset(network, arguments.dataset, arguments.clips)
        for tag, (score, positives) in sorted(scores.items(), key=lambda item: -item[1][0]):
            print(f"{name:8s} {tag:14s} {score:.3f} {positives:5d} positives")
        mean = np.mean([score for score, _ in scores.values()])
        print(f"{name:8s} mean ROC-AUC {mean:.3f} over {len(scores)} tags")


if __name__ == "__main__":
    main()
