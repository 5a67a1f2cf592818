"""Models compared on the same pairs: is one better than another, or is it chance?"""
