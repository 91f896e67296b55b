"""Short histories: how good are the lists of visitors with one, two or three items?

A trained run is told only some items of each test user: the newest ones where the newest item is
held out, else a random draw. What the user had besides is left out of the lists and told to no row,
so that every number of items is asked for the same held-out ones. Baselines are tuned on the run's
validation part, with whole histories, as the run was.
"""
