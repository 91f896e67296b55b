"""Users without a history, by their properties.

Users are held out of training altogether, with their properties known and their history taken
away; what they liked is to be found. A fifth of the users is test and a tenth validation, in three
random orders; each row's setting is chosen on validation, once for all three.
"""
