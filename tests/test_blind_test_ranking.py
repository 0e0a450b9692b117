"""The ranking of a listening test: the same strengths as an independent package, intervals over listeners,
side bias.
"""

import numpy as np
import pytest

from personaplex_app.evaluation.blind_test import ranking
from personaplex_app.evaluation.blind_test.ranking import Ranking, Vote, pair_urgency, rank, side_bias
from personaplex_app.intervals import is_shown, mean, mean_interval, resampled_counts

pytestmark = pytest.mark.unit

QUALITY = {"amber": 1.2, "birch": 0.4, "cedar": 0.0, "dune": -1.0}


def listen(listeners: int, votes_each: int, seed: int = 0) -> list[Vote]:
    """Votes of listeners who mostly hear what QUALITY says."""
    rng, names = np.random.default_rng(seed), list(QUALITY)
    votes = []
    for listener in range(listeners):
        for _ in range(votes_each):
            left, right = rng.choice(names, 2, replace=False)
            chance = 1 / (1 + np.exp(QUALITY[right] - QUALITY[left]))
            choice = (
                "tie"
                if rng.random() < 0.15
                else "both_bad"
                if rng.random() < 0.05
                else "left"
                if rng.random() < chance
                else "right"
            )
            votes.append(Vote(f"listener {listener}", str(left), str(right), choice))
    return votes


def oracle(votes: list[Vote], names: list[str]) -> np.ndarray:
    """The scores by choix: the prior is a voice of strength 1 that has won and lost once against each."""
    beats = np.zeros((len(names) + 1, len(names) + 1))
    beats[-1, :-1] = beats[:-1, -1] = 1
    for vote in votes:
        a, b = names.index(vote.left), names.index(vote.right)
        share = {"left": 1.0, "right": 0.0}.get(vote.choice, 0.5)
        beats[a, b] += share
        beats[b, a] += 1 - share
    import choix  # it brings scipy.stats, which takes seconds to import

    logs = choix.ilsr_pairwise_dense(beats, max_iter=10_000, tol=1e-10)
    return 1500 + 173.72 * (logs[:-1] - logs[-1])


@pytest.mark.parametrize(("listeners", "votes_each"), [(1, 8), (2, 8), (6, 30), (40, 100)])
def test_rank_scores_are_rounded_to_the_digit_that_their_margin_supports(listeners, votes_each):
    for standing in rank(listen(listeners, votes_each), QUALITY, draws=100).standings:
        score, margin = standing.rounded
        step = 10 ** (len(str(margin)) - 1)
        assert margin >= standing.margin - 1e-9
        assert score % step == margin % step == 0
        assert abs(score - standing.score) <= step / 2
        assert not standing.preliminary or margin >= 100


def test_rank_margin_of_listeners_who_agree_by_chance_is_not_none():
    alike = [Vote(f"listener {k}", "amber", "dune", "left") for k in range(2)]
    assert all(standing.margin > 200 for standing in rank(alike, QUALITY, draws=100).standings)


@pytest.mark.parametrize(("listeners", "votes_each"), [(6, 30), (1, 3), (0, 0), (40, 100)])
def test_rank_scores_agree_with_choix(listeners, votes_each):
    votes = listen(listeners, votes_each) or [Vote("a", "amber", "dune", "left")] * 40
    found = rank(votes, QUALITY, draws=10)
    expected = dict(zip(sorted(QUALITY), oracle(votes, sorted(QUALITY)), strict=True))
    for standing in found.standings:
        assert standing.score == pytest.approx(expected[standing.voice], abs=0.01)


def test_strengths_are_where_the_update_rule_stands_still():
    wins = ranking._wins(listen(5, 40), sorted(QUALITY), [f"listener {i}" for i in range(5)]).sum(axis=0)
    p = ranking.strengths(wins)
    games = wins + wins.T
    for i in range(4):
        below = sum(games[i, j] / (p[i] + p[j]) for j in range(4)) + 2 / (p[i] + 1)
        assert p[i] == pytest.approx((wins[i].sum() + 1) / below, rel=1e-8)


def test_rank_without_votes_is_even_and_preliminary():
    found = rank([], ["amber", "birch"])
    assert [(standing.score, standing.interval, standing.votes) for standing in found.standings] == [
        (1500.0, None, 0)
    ] * 2
    assert found.preliminary
    assert found.side_bias.p_value == 1.0


def most_urgent(found: Ranking) -> tuple[str, str]:
    urgency = pair_urgency(found)
    return min(urgency, key=lambda pair: (urgency[pair], pair))


def test_rank_is_preliminary_below_twenty_votes_and_has_no_interval_of_one_listener():
    votes = [Vote("a", "amber", "birch", "left")] * 19
    assert rank(votes).preliminary
    found = rank([*votes, votes[0]])
    assert not found.preliminary
    assert [standing.interval for standing in found.standings] == [None, None]
    assert most_urgent(found) == ("amber", "birch")


def test_rank_counts_votes_ties_and_both_bad():
    votes = [Vote("a", "amber", "birch", choice) for choice in ("left", "right", "right", "tie", "both_bad")]
    found = {standing.voice: standing for standing in rank(votes).standings}
    amber = found["amber"]
    assert (amber.votes, amber.wins, amber.losses, amber.ties, amber.both_bad) == (5, 1, 2, 2, 1)
    assert rank(votes).wins == {"amber": {"birch": 2.0}, "birch": {"amber": 3.0}}


def test_rank_is_by_the_lower_bound_and_repeats_with_its_seed():
    votes = listen(12, 40)
    found = rank(votes)
    assert rank(votes) == found
    assert rank(votes, seed=1) != found
    lows = [standing.interval[0] for standing in found.standings]
    assert lows == sorted(lows, reverse=True)
    assert [standing.voice for standing in found.standings] == list(QUALITY)
    assert not found.preliminary
    assert all(standing.interval[0] < standing.score < standing.interval[1] for standing in found.standings)


def test_rank_voice_heard_once_by_one_listener_does_not_lead_by_its_luck():
    votes = [*listen(12, 40), Vote("listener 0", "newcomer", "amber", "left")]
    found = rank(votes)
    newcomer = next(standing for standing in found.standings if standing.voice == "newcomer")
    assert newcomer.preliminary
    assert found.preliminary
    assert newcomer.rank > 1


def test_rank_interval_is_over_listeners_not_votes():
    one_mind = [
        Vote(f"listener {i}", "amber", "birch", "left" if i < 5 else "right")
        for i in range(10)
        for _ in range(30)
    ]
    mixed = [
        Vote(f"listener {i}", "amber", "birch", "left" if n % 2 else "right")
        for i in range(10)
        for n in range(30)
    ]
    widths = []
    for votes in (one_mind, mixed):
        low, high = rank(votes).standings[0].interval
        widths.append(high - low)
    assert widths[0] > 50  # ten people who disagree, however often each is asked
    assert widths[1] < 1


@pytest.mark.parametrize(
    ("left", "right"), [(0, 0), (1, 0), (5, 5), (9, 1), (60, 40), (400, 520), (30_000, 30_500)]
)
def test_side_bias_is_the_exact_binomial_test(left, right):
    votes = [Vote("a", "amber", "birch", "left")] * left + [Vote("a", "amber", "birch", "right")] * right
    found = side_bias([*votes, Vote("a", "amber", "birch", "tie")])
    from scipy.stats import binomtest

    expected = binomtest(left, left + right).pvalue if left + right else 1.0
    assert (found.left, found.right) == (left, right)
    assert found.p_value == pytest.approx(expected, rel=1e-6)


def test_most_urgent_pair_asks_for_the_least_heard_then_for_the_closest():
    assert "newcomer" in most_urgent(rank(listen(12, 40), ["newcomer"]))
    close = [Vote(f"listener {i}", "amber", "birch", "left" if i % 2 else "right") for i in range(20)]
    far = [
        Vote(f"listener {i}", better, "dune", "left" if i % 7 else "right")
        for i in range(20)
        for better in ("amber", "birch")
    ]
    settled = rank([*close, *far, *far])
    assert not settled.preliminary
    assert most_urgent(settled) == ("amber", "birch")


def test_overlap_is_the_share_of_the_narrower_interval():
    assert ranking._overlap((1400.0, 1500.0), (1450.0, 1650.0)) == 0.5
    assert ranking._overlap((1450.0, 1650.0), (1400.0, 1500.0)) == 0.5
    assert (
        ranking._overlap((1400.0, 1500.0), (1550.0, 1650.0)) == -0.5
    )  # apart: the nearer pair is asked first
    assert ranking._overlap((1500.0, 1500.0), (1400.0, 1600.0)) == 0.0


@pytest.mark.parametrize("vote", [("a", "x", "y", "maybe"), ("a", "x", "x", "left")])
def test_vote_that_cannot_be_is_refused(vote):
    with pytest.raises(ValueError, match=r"must be one of|both sides"):
        Vote(*vote)


# -- intervals -------------------------------------------------------------------------------------


def test_mean_interval_covers_the_truth_about_as_often_as_it_says():
    rng = np.random.default_rng(3)
    covered = 0
    for trial in range(200):
        low, high = mean_interval([[value] for value in rng.normal(1.0, 1.0, 40)], draws=300, seed=trial)
        covered += low <= 1.0 <= high
    assert 180 <= covered <= 198


def test_mean_interval_resamples_whole_groups():
    groups = [[0.0] * 50, [1.0] * 50]
    assert mean_interval(groups) == (0.0, 1.0)
    assert mean_interval([[value] for group in groups for value in group])[1] < 0.65
    assert mean_interval([[1.0], [1.0], [1.0]]) is None
    assert (mean_interval([[1.0]]), mean_interval([]), mean([[], []])) == (None, None, None)


def test_resampled_counts_are_draws_with_replacement():
    counts = resampled_counts(7, draws=50, seed=1)
    assert counts.shape == (50, 7)
    assert (counts.sum(axis=1) == 7).all()
    assert (counts == resampled_counts(7, draws=50, seed=1)).all()


def test_is_shown_from_ten_events():
    assert (is_shown(9), is_shown(10)) == (False, True)
