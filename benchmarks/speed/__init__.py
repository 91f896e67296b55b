"""How fast every stage is: users, tokens, operations and memory, beside the machine's own limits.

``building`` makes workloads of stages (``training_stages``, ``scoring_stages``, both of ``parts``),
``check`` is the slow path they must equal, ``flops`` counts their arithmetic, ``machine`` measures
the limits, ``measuring`` gives everything its turns, ``reading`` and ``plot`` show what came of it.

With ``--device``: ``device`` and ``device_rows`` time many steps (``windows``) by a device's own
``clock`` on synthetic data (``world``); ``device_writing`` shows and writes what came of it.
"""
