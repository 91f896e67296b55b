"""Queries in words on the tags of a data set.

A tag is a query; relevant are the items that somebody gave it. The tags are in no text: of the
folder ``interactions``, ``items`` and ``reviews.parquet`` are read, and the reviews are the tags. A
fifth of the tags is test, the others choose each row's blend weight, in three random splits.
"""
