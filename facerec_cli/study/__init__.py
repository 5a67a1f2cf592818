"""A study: losses x seeds on one set of photos, compared on easy and hard photos of people never trained on.

::

    study.py         all of it, in this order; a later call goes on where an earlier one stopped
    protocol.py      what a STUDY.toml says
    folder.py        whose folder it is, and whether a call may go on in it
    prepare.py       the split, the crops and the lists; what all runs share
      arm_lists.py   lists of arms that train on data of their own
      split.py       who is trained on, who chooses settings, who is tested; nobody twice
      crops.py       the photos as aligned crops, made once
    estimate.py      how long it will take
    run.py           one arm with one seed: train, go part of the way back, embed
      first_weights.py  class means, the first evaluation, how far to go back
    embeddings.py    embeddings of the crops, and how well they tell people apart
      subsets.py     which pairs are compared: easy, hard, naturally hard
      conditions.py  degradations of photos, fixed for each
    judged.py        the pairs of the verdict, and which rates they can measure
      searches.py    the searches of the verdict: who is enrolled, who is a stranger
    compare.py       figures of each run, means and differences of the arms
      intervals.py   how sure they are, of TAR; search_rates.py: of TPIR
      curves.py      ROC curves and histograms
      comparison.py  the result as a type, and as JSON
    report.py        Markdown and HTML
      finding.py     the answer in sentences
      tables.py, figures.py   the rest
"""
