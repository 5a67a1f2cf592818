"""A study: losses x seeds on one set of photos, judged on easy and hard photos of people never trained on.

::

    protocol.py    what a STUDY.toml says, typed and checked
    split.py       who is trained on, who chooses settings, who is tested; nobody twice
    conditions.py  the test's degradations, fixed per photo
    crops.py       the photos as aligned crops, made once
    subsets.py     which pairs are compared: easy, hard, naturally hard
    judge.py       what a network makes of the photos that judge it
    interpolate.py how far to go from the first weights to the trained ones
    start.py       what runs from the same first weights share: class means, the first judgement
    run.py         one arm with one seed: train, interpolate, embed
    folder.py      whose folder it is, and whether a call may go on in it
    conduct.py     all of them, in parallel processes, going on where an earlier call stopped
    estimate.py    how long it will take
    compare.py     means and intervals over seeds and people
    intervals.py   how sure the figures are
    finding.py     the answer in sentences
    tables.py, figures.py, report.py   the results as tables and curves, Markdown and HTML
"""
