"""Models compared on the same pairs or searches: is one better than another, or is it chance?"""
