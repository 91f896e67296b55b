from cllm4rec.baselines import baseline_named


def test_a_large_catalogue_gets_one_network():
    small, large = (baseline_named("mult-vae").networks(items) for items in (6_000, 6_001))
    assert len(small) == 3
    assert large == small[:1]
