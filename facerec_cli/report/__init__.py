"""Pages for people: one look for the reports of verify and study and for embed's contact sheet.

``html.py`` makes elements whose text is always escaped, ``svg.py`` draws plots, ``style.css`` is the one
stylesheet. A page is one file that loads nothing else, fits a phone, and follows light and dark.
"""
