"""A seeded fuzzer of the commands and the Python API: odd and damaged inputs, judged by what users see.

``python -m tests.fuzz --inputs 500`` runs it; ``docs/contributing.md`` says more.

=============== ====================================================================================
``seeds``       valid inputs of every format, made in code
``mutators/``   damage: to bytes, to text, to documents, to names, to folders
``families/``   one module a kind of input; each makes a folder with inputs and the command for it
``sandbox``     the folder of one run, and what a run is (:class:`~tests.fuzz.sandbox.Case`)
``worker``      a process that runs many commands, each with its own folders and captured output
``runner``      runs cases in workers and in processes of their own, at limits of time and memory
``judge``       what is a fault
``report``      the table, and the folders that faults are kept in
``kills``       kills commands in the middle and runs them again
=============== ====================================================================================
"""
