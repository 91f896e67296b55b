"""What a trained model answers, in Python."""

from collections.abc import Mapping, Sequence

import pyarrow as pa

from cllm4rec.data.dataset import Dataset
from cllm4rec.errors import InputError, RunError
from cllm4rec.ranking import list_length, list_table
from cllm4rec.recommender.arguments import filters_of, id_list, none_of
from cllm4rec.recommender.conditions import Where
from cllm4rec.recommender.incremental import IncrementalHistory
from cllm4rec.recommender.saved import Recommender
from cllm4rec.recommender.similar import By


class Answers:
    """Lists, similar items and reasons; `CLLM4Rec` adds how a model is made and kept.

    Attributes:
        recommender_: what answers, once there is a trained model.
    """

    recommender_: Recommender

    def __repr__(self) -> str:
        """Counts alone: a notebook or a log shows it, and ids belong in neither."""
        if getattr(self, "recommender_", None) is None:
            return f"{type(self).__name__}(not fitted)"
        known = self.dataset
        return f"{type(self).__name__}({len(known.users)} users, {len(known.items)} items)"

    @property
    def dataset(self) -> Dataset:
        """The data of the trained model, with added items: ``"196" in model.dataset.users``.

        Raises:
            RunError: there is no trained model yet.
        """
        return self._fitted().dataset

    def recommend(
        self,
        users: Sequence[str] | None = None,
        k: int = 10,
        *,
        query: str | None = None,
        query_weight: float | None = None,
        profile: Mapping[str, str | float] | None = None,
        include: Sequence[str] | None = None,
        exclude: Sequence[str] | None = None,
        where: Where | None = None,
        seen: bool = False,
    ) -> dict[str, list[tuple[str, float]]]:
        """The best ``k`` items of known users, as ``{user_id: [(item_id, score), …]}``, best first.

        A user of whom nothing is known gets an empty list; unknown items of filters are left aside.
        A note on standard error says so.

        Args:
            users: ids of users; None for a query alone, whose list then stands under the query,
                or for a profile, whose list stands under ``"profile"``.
            k: length of each list; at most the catalogue's size.
            query: what is asked for, in words, such as ``"quiet films about families"``. Items that
                have every word are lifted; titles that are the query, or nearly, come first.
            query_weight: of the words beside taste or, for a query alone, popularity; None for
                0.25. With 100 the words alone decide.
            profile: properties of somebody without a history, by columns of ``users.*``.
            include: only these items may be listed; None for all.
            exclude: these items may not be listed.
            where: only items whose attributes (columns of ``items.*``) have these values, as a
                whole or as one of several: ``{"genres": "Comedy"}`` finds ``Action|Comedy``. Or a
                list of conditions, all to be met: ``["genres=Comedy", "year>=1990", "price!=5"]``;
                ``<``, ``<=``, ``>`` and ``>=`` are for numbers and ISO dates. An item without a
                value meets none.
            seen: whether items of the user's history may be listed.

        Raises:
            UnknownId: none of the users is known, or no item of ``include``.
            InputError: ``k`` is no positive whole number, ``users`` no list, a filter names a
                column that is not there or cannot be compared so, no item has words like the
                query's, or no user a property.
        """
        filters = filters_of(include, exclude, where, seen)
        words = query, query_weight
        if profile is not None:
            none_of("profile", "users", users)
            ranked = self._fitted().recommend_for_profile(profile, self._length(k), filters, *words)
            return {"profile": self._fitted().named(ranked)[0]}
        if users is None and query is not None:
            ranked = self._fitted().recommend_for_history([], self._length(k), filters, *words)
            return {query: self._fitted().named(ranked)[0]}
        if users is None:
            raise InputError(
                "give users, a list of ids, or a query or a profile; of a history: "
                "recommend_for_history(items); for everybody: recommend_table() or recommend_all"
            )
        users = id_list("users", users)
        ranked = self._fitted().recommend(users, self._length(k), filters, *words)
        return dict(zip(users, self._fitted().named(ranked), strict=True))

    def recommend_for_history(
        self,
        items: Sequence[str],
        k: int = 10,
        *,
        query: str | None = None,
        query_weight: float | None = None,
        include: Sequence[str] | None = None,
        exclude: Sequence[str] | None = None,
        where: Where | None = None,
        seen: bool = False,
    ) -> list[tuple[str, float]]:
        """The best ``k`` items after a history, oldest first, as ``[(item_id, score), …]``.

        A repeated item counts at its newest place, an unknown one not at all. Query and filters as
        in `recommend`.

        Raises:
            UnknownId: no item of the history is known, or none of ``include``.
            InputError: the history is empty or no list, ``k`` is no positive whole number, or a
                filter names a column that is not there.
        """
        items = id_list("items", items)
        filters = filters_of(include, exclude, where, seen)
        k = self._length(k)
        recommender = self._fitted()
        ranked = recommender.recommend_for_history(items, k, filters, query, query_weight)
        return recommender.named(ranked)[0]

    def similar(self, item: str, k: int = 10, *, by: By = "model") -> list[tuple[str, float]]:
        """The ``k`` items nearest to an item, as ``[(item_id, cosine), …]``.

        Args:
            item: its id.
            k: length of the list.
            by: ``model`` (embeddings), ``content``, ``collaboration`` or ``both``; see `By`.

        Raises:
            UnknownId: an item that is not in the data.
            InputError: ``k`` is no positive whole number, or there is no text to compare by, of
                the data or of the item.
        """
        ids, k = self._fitted().dataset.items, self._length(k)
        items, cosines = self._fitted().similar_by(by).to(ids.number(item), k)
        return list(zip(ids.ids(items), cosines, strict=True))

    def follow(self, items: Sequence[str] = ()) -> IncrementalHistory:
        """Incremental inference with a KV cache: appending an item costs one token.

        Examples:
            >>> visit = model.follow(["50"])                  # doctest: +SKIP
            >>> visit.append(["181"])                         # doctest: +SKIP
            >>> visit.recommend(k=10)                         # doctest: +SKIP

        Raises:
            InputError: the model was not trained in time order.
            UnknownId: an item that is not in the data.
        """
        return IncrementalHistory(self._fitted(), id_list("items", items))

    def explain(self, user: str, item: str) -> list[tuple[str, float]]:
        """The history items that most raise the score of ``item``: ``[(item_id, effect), …]``.

        The effect is how far the score falls without that history item. At most three items with
        positive effect, strongest first.

        Raises:
            UnknownId: an item that is not in the data, or a user without a history in them.
        """
        items = self._fitted().dataset.items
        found = self._fitted().explain(user, item)
        return [(items.id(reason.item), reason.effect) for reason in found]

    def recommend_table(
        self,
        users: Sequence[str] | None = None,
        k: int = 10,
        *,
        include: Sequence[str] | None = None,
        exclude: Sequence[str] | None = None,
        where: Where | None = None,
        seen: bool = False,
    ) -> pa.Table:
        """Like `recommend`, as an Arrow table ``user_id, item_id, rank, score``.

        pandas, polars and DuckDB read it: ``table.to_pandas()``, ``polars.from_arrow(table)``.

        Args:
            users: whom to recommend for, each once; None for every user of the data.
            k: length of each list.
            include: as of `recommend`, and so are the other filters.
            exclude: items that may not be listed.
            where: conditions on attributes, as of `recommend`.
            seen: whether items of the user's history may be listed.

        Raises:
            UnknownId: as of `recommend`.
            InputError: as of `recommend`.
        """
        recommender = self._fitted()
        dataset = recommender.dataset
        wanted = None if users is None else list(dict.fromkeys(id_list("users", users)))
        filters = filters_of(include, exclude, where, seen)
        ranked = recommender.recommend(wanted, k, filters)
        ids = dataset.users.external if wanted is None else wanted
        return list_table(ids, ranked.items, ranked.scores, dataset.items)

    def _fitted(self) -> Recommender:
        recommender: Recommender | None = getattr(self, "recommender_", None)
        if recommender is None:
            raise RunError(
                "this CLLM4Rec is not fitted; call fit(dataset) or CLLM4Rec.load(folder)"
            )
        return recommender

    def _length(self, k: int) -> int:
        return list_length(k, len(self._fitted().dataset.items))
