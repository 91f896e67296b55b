"""What a request for lists asks of nobody and nothing, before the model is loaded."""

from collections.abc import Sequence
from pathlib import Path

from cllm4rec.errors import InputError
from cllm4rec.recommender.added import open_catalogue
from cllm4rec.recommender.catalogue import Catalogue, Filters
from cllm4rec.recommender.conditions import Where
from cllm4rec.recommender.resolving import of_users


def refuse_unknown(folder: Path, users: Sequence[str] | None, where: Where | None) -> None:
    """Refuse unknown users and columns; loads no torch.

    The files are not verified here: if they cannot be read, loading the model says which and why.

    Args:
        folder: a run, or a folder written by ``CLLM4Rec.save``.
        users: to recommend for; None for others.
        where: conditions on columns of ``items.*``.

    Raises:
        UnknownId: nothing is known of any user.
        InputError: there is no such column, or it cannot be compared so.
    """
    if not users and not where:
        return
    try:
        dataset, _ = open_catalogue(folder)
        catalogue = Catalogue(dataset)
        if users:
            of_users(catalogue, catalogue.dataset.known("recommend"), users, {})
        catalogue.allowed(Filters(where=where))
    except InputError:
        raise
    except Exception:  # whatever damaged files lead to
        return
