"""Pages for people: one look for the reports of verify and study and for embed's contact sheet.

``pages.py`` fills ``templates/`` (jinja2, which escapes whatever it is given), ``svg.py`` draws plots,
``pictures.py`` puts photos into a page. A page is one file that loads nothing else, fits a phone, and follows
light and dark.
"""
