"""The planner as a web page and an API, on this machine: Starlette in front, the library behind.

Nothing here plans. `asking/` reads what is asked and asks the library, `server/` is what stands
between that and the network, `page/` what a person sees; `app.py` puts them together.
"""
