"""The one reader of lists and tables: pair lists, training lists, lists of photos, tables of groups.

``text`` knows encodings and lines, ``rows`` separators, quotes, comments and headings, ``paths`` which file a
line means. What the columns of a kind of list are is said where that kind is read.
"""
