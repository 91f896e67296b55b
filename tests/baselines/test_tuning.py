from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest

from cllm4rec.baselines import Context, baseline_named
from cllm4rec.baselines.base import MANY_USERS, Baseline, Demanding
from cllm4rec.baselines.tuning import Tuned, tune
from cllm4rec.errors import InputError
from cllm4rec.evaluation.protocol import evaluate_scorer
from cllm4rec.evaluation.selection import Selection


@dataclass
class Constant:
    scores: np.ndarray

    def score(self, users, history):
        return np.tile(self.scores.astype(np.float32), (len(users), 1))


class Choice(Baseline):
    """Scorers named by a letter; notes what it was fitted on."""

    name = "choice"

    def __init__(self, scorers: dict[str, Any]) -> None:
        self.scorers = scorers
        self.train = None

    def grid(self, num_items):
        return [{"name": name} for name in self.scorers]

    def candidates(self, train, context):
        self.train = train
        for name, scorer in self.scorers.items():
            yield {"name": name}, scorer


MEASURES = ("recall@20", "ndcg@100")


def tuned_of(baseline, dataset, context=None) -> Tuned:
    selection = Selection.of(dataset, MEASURES, 0)
    return tune(baseline, dataset.part("train"), selection, context or Context.of(dataset))


def popularity_of(dataset, part):
    return Constant(dataset.part(part).item_counts())


def test_the_best_on_validation_is_kept_even_if_another_is_better_on_test(planted):
    dataset = planted.dataset
    valid, test = popularity_of(dataset, "valid"), popularity_of(dataset, "test")
    selection = Selection.of(dataset, MEASURES, 0)
    on_test = [
        selection.value(evaluate_scorer(scorer, dataset, "test")) for scorer in (valid, test)
    ]
    assert on_test[1] > on_test[0]
    tuned = tuned_of(
        Choice({"test": test, "valid": valid, "bad": Constant(-valid.scores)}), dataset
    )
    assert tuned.settings == {"name": "valid"}
    assert tuned.scorer is valid
    wanted = selection.value(evaluate_scorer(valid, dataset, "valid"))
    assert tuned.value == pytest.approx(wanted, abs=1e-9)


def test_of_equals_the_first_is_kept(planted):
    scorer = popularity_of(planted.dataset, "train")
    tuned = tuned_of(Choice({"a": scorer, "b": scorer}), planted.dataset)
    assert tuned.settings == {"name": "a"}


def test_fitted_on_the_training_part_alone(planted):
    choice = Choice({"a": popularity_of(planted.dataset, "train")})
    tuned_of(choice, planted.dataset)
    assert choice.train is not None
    assert choice.train.items.tolist() == planted.dataset.part("train").items.tolist()


class Stages(Choice):
    """Two trainings; each notes how far it was carried on."""

    patience = 2

    def trainings(self, train, context):
        self.done = []
        names = list(self.scorers)
        for training in (names[:4], names[4:]):
            yield self._stages(training)

    def _stages(self, names):
        for name in names:
            self.done.append(name)
            yield {"name": name}, self.scorers[name]


def test_a_training_that_gets_no_better_is_not_carried_on(planted):
    good, bad = popularity_of(planted.dataset, "train"), popularity_of(planted.dataset, "valid")
    worst = Constant(-bad.scores)
    stages = Stages({
        "a1": good, "a2": worst, "a3": good, "a4": bad,  # equal is no better: a4 is not seen
        "b1": worst, "b2": good, "b3": worst, "b4": bad, "b5": worst, "b6": worst, "b7": worst,
    })  # fmt: skip
    tuned = tuned_of(stages, planted.dataset)
    assert stages.done == ["a1", "a2", "a3", "b1", "b2", "b3", "b4", "b5", "b6"]
    assert tuned.settings == {"name": "b4"}


@pytest.mark.parametrize("name", ["text-knn", "ease-text"])
def test_a_baseline_that_cannot_be_had_says_why(planted, name):
    nothing = Context(len(planted.dataset.items), [""] * len(planted.dataset.items))
    with pytest.raises(InputError, match=f"no baseline {name}: no two items share a word"):
        tuned_of(baseline_named(name), planted.dataset, nothing)


class Refined(Choice):
    """A grid of one, and two rounds that each start from the best so far."""

    def __init__(self, scorers, rounds) -> None:
        super().__init__(scorers)
        self.rounds, self.begun = rounds, []

    def refinements(self, train, context, users):
        return [lambda best, more=more: self._round(best, more) for more in self.rounds]

    def _round(self, best, more):
        self.begun.append(best["name"])
        for name, scorer in more.items():
            yield {"name": name}, scorer


def test_a_refinement_begins_at_the_best_so_far_and_is_kept_where_it_is_better(planted):
    good, better = (popularity_of(planted.dataset, part) for part in ("train", "valid"))
    worse = Constant(-good.scores)
    refined = Refined({"bad": worse, "good": good}, [{"no": worse, "yes": better}, {"late": good}])
    assert tuned_of(refined, planted.dataset).settings == {"name": "yes"}
    assert refined.begun == ["good", "yes"]


@pytest.mark.parametrize(("gain", "chosen"), [(0.0, "better"), (10.0, "good")])
def test_a_demanding_refinement_must_be_better_by_a_share(planted, gain, chosen):
    good, better = (popularity_of(planted.dataset, part) for part in ("train", "valid"))
    refined = Refined({"good": good}, [{"better": better}])
    plain = refined.refinements
    refined.refinements = lambda *given: [Demanding(each, gain) for each in plain(*given)]
    assert tuned_of(refined, planted.dataset).settings == {"name": chosen}


@pytest.mark.parametrize(
    ("name", "always"), [("ease", 2), ("ease-text", 2), ("ease-text-order", 3)]
)
def test_few_users_choose_among_no_near_points(name, always, planted):
    baseline, train = baseline_named(name), planted.dataset.part("train")
    context = Context.of(planted.dataset, 0)
    few, many = (
        len(baseline.refinements(train, context, users)) for users in (MANY_USERS - 1, MANY_USERS)
    )
    assert (few, many) == (always, always + 1)


def test_users_who_select_are_those_that_refinements_are_told_of(planted):
    told = []

    class Told(Choice):
        def refinements(self, train, context, users):
            told.append(users)
            return []

    tuned_of(Told({"one": popularity_of(planted.dataset, "train")}), planted.dataset)
    assert told == [len(Selection.of(planted.dataset, MEASURES, 0).users)]
