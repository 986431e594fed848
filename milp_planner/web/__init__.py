"""The planner as an API, on this machine: Starlette in front, the library behind.

Nothing here plans. `questions.py` reads what is asked, `answers.py` asks the library, `server/` is
what stands between them and the network.
"""
