"""Networks that learned from the real MagnaTagATune recognise what minitune plays.

The networks are not part of the project; where they are absent, this test skips.
"""

import numpy as np
import pytest
import torch

import peer_networks
from minitune import generate

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not peer_networks.PEERS.is_dir(), reason="the published networks are not here"),
]

# What musicnn scored on the sample below, and the floor, two standard deviations (.018 each, by resampling the
# clips) lower; with predictions of the wrong clips it scores .50, at most .55 in 60 shuffles. Two things keep
# it from the .91 that it has on real music: the tags are noisy (the generator's own probabilities score .90
# here), and generated music is not what it learned from.
MEASURED = 0.742
FLOOR = 0.70


@pytest.fixture(autouse=True)
def one_thread():
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


def test_a_network_trained_on_real_music_recognises_generated_music(tmp_path):
    folder = generate(tmp_path / "music", clips=150, seed=2014, processes=2)
    network = peer_networks.load_network("musicnn")
    scores = peer_networks.score_dataset(network, folder, every=2)
    mean = np.mean([score for score, _ in scores.values()])
    assert len(scores) >= 40
    assert mean > FLOOR, f"mean ROC-AUC {mean:.3f} over {len(scores)} tags; it was {MEASURED}"
